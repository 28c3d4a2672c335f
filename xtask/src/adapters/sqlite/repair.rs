//! Selective restore, first half: a new database beside the damaged one, with every healthy table as it is now and every lost one as it
//! was in the backup. It must not touch the damaged file beyond folding its WAL in.

use super::census;
use super::header::{self, Found};
use super::integrity;
use super::load::receive;
use super::open::{self, Stamp};
use super::schema::{self, Table, quote};
use super::snapshot::{create, release};
use crate::adapters::data_tool::{Streams, beside, refuse};
use crate::domain::diagnosis::Diagnosis;
use crate::domain::refusal::RefusalKind;
use anyhow::{Context, Result, bail};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where a table's rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The damaged database: the table is healthy and newer.
    Live,
    /// The backup: the table is gone or cannot be read.
    Backup,
}

impl Source {
    /// The name under which it is attached.
    pub fn schema(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Backup => "backup",
        }
    }
}

/// Every table of the new database with its source.
pub struct Plan {
    /// In order of name.
    pub tables: Vec<(Table, Source)>,
    /// Whether the damaged database can be read at all.
    pub live: bool,
}

impl Plan {
    /// The source of a table, by SQLite's rule that case does not count.
    pub fn source(&self, table: &str) -> Option<Source> {
        self.tables.iter().find(|(t, _)| t.name.eq_ignore_ascii_case(table)).map(|(_, s)| *s)
    }

    /// Decides from the diagnosis. Tables that are newer than the backup stay; a table that the backup lacks cannot be restored.
    pub fn of(conn: &Connection, diagnosis: &Diagnosis, live: bool) -> Result<Self> {
        let held = schema::tables(conn, "backup")?;
        let mut lost: BTreeSet<String> =
            diagnosis.lost().filter_map(|o| o.strip_prefix("table main.")).map(str::to_owned).collect();
        if let Some(unknown) = lost.iter().find(|name| !held.iter().any(|t| t.name == **name)) {
            let message = format!("the backup holds no table {unknown}");
            return Err(refuse(RefusalKind::BadArtifact, message, "restore a set that holds it"));
        }
        for group in held.iter().filter(|t| t.is_virtual).map(|t| shadows(conn, t)) {
            let group = group?;
            if group.iter().any(|t| lost.contains(t)) {
                lost.extend(group);
            }
        }
        let mut tables: Vec<(Table, Source)> = Vec::new();
        if live {
            let healthy = schema::tables(conn, "live")?.into_iter().filter(|t| !lost.contains(&t.name));
            tables.extend(healthy.map(|t| (t, Source::Live)));
        }
        let restored = held.into_iter().filter(|t| !live || lost.contains(&t.name));
        tables.extend(restored.map(|t| (t, Source::Backup)));
        Ok(Self { tables, live })
    }
}

/// A virtual table and the tables its module keeps its rows in: useless unless they are of one moment.
fn shadows(conn: &Connection, table: &Table) -> Result<Vec<String>> {
    let mut query = conn.prepare(
        "SELECT name FROM backup.sqlite_schema WHERE type = 'table' AND (name = ?1 OR substr(name, 1, length(?1) + 1) = ?1 || '_')",
    )?;
    let rows = query.query_map([&table.name], |r| r.get(0))?;
    rows.collect::<rusqlite::Result<_>>().context("find the tables behind a virtual table")
}

/// The database that is built before it gets its name.
pub fn pending(db: &Path) -> PathBuf {
    beside(db, ".xtask-repair")
}

/// Where the damaged database's stamp is kept between the two halves.
pub fn stamp(db: &Path) -> PathBuf {
    beside(db, ".xtask-repair-stamp")
}

/// Puts the artifact into the scratch folder and prints its tables.
pub fn stage(copy: &Path, streams: &mut Streams) -> Result<()> {
    if let Some(folder) = copy.parent() {
        std::fs::create_dir_all(folder).context("make the scratch folder")?;
    }
    receive(copy, streams)?;
    let conn = open::immutable(copy)?;
    if let Some(complaint) = integrity::complaints(&conn, None)?.first() {
        let message = format!("the backup is damaged: {complaint}");
        return Err(refuse(RefusalKind::BadArtifact, message, "restore from an older set"));
    }
    schema::tables(&conn, "main")?.iter().try_for_each(|t| streams.line(format_args!("table main.{}", t.name)))
}

/// Builds the tables and their rows.
pub fn rebuild(db: &Path, backup: &Path, streams: &mut Streams) -> Result<()> {
    let diagnosis: Diagnosis = serde_json::from_reader(&mut *streams.stdin).context("read the diagnosis")?;
    header::whole(backup).context("find the staged backup")?;
    let live = seal(db)?;
    let pending = pending(db);
    release(&pending)?;
    drop(create(&pending)?);
    std::fs::write(stamp(db), format!("{live} {:?}", Stamp::of(db))).context("note the damaged file's stamp")?;
    let conn = connect(db, backup, &pending, live)?;
    let plan = Plan::of(&conn, &diagnosis, live)?;
    conn.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA ignore_check_constraints = ON; BEGIN;",
    )?;
    for (table, source) in &plan.tables {
        create_table(&conn, table)?;
        if !table.is_virtual {
            let rows = copy_rows(&conn, table, *source)
                .with_context(|| format!("copy {} from the {}: diagnose again", table.name, source.schema()))?;
            if *source == Source::Backup {
                streams.line(format_args!("restored {rows} rows of table main.{}", table.name))?;
            }
        }
    }
    counters(&conn, &plan)?;
    conn.execute_batch("COMMIT").context("commit")?;
    let newest = if live { "live" } else { "backup" };
    for name in ["user_version", "application_id"] {
        let value: i64 = conn.query_row(&format!("PRAGMA {newest}.{name}"), [], |r| r.get(0))?;
        conn.pragma_update(Some("main"), name, value)?;
    }
    conn.close().map_err(|(_, e)| e).context("close the new database")
}

/// Folds the damaged database's WAL in, which works only while nobody else has it open; says whether it can be read.
fn seal(db: &Path) -> Result<bool> {
    if !matches!(header::look(db)?, Found::Database(_)) {
        return Ok(false);
    }
    let conn = open::writer(db)?;
    let sealed = conn
        .query_row("PRAGMA journal_mode = DELETE", [], |r| r.get::<_, String>(0))
        .and_then(|mode| conn.execute_batch("BEGIN EXCLUSIVE; ROLLBACK;").map(|()| mode))
        .and_then(|mode| conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(mode)));
    match sealed {
        Ok(mode) if mode == "delete" => Ok(true),
        Ok(mode) => bail!("the journal mode stays {mode}"),
        Err(e) if integrity::is_damage(&e) => Ok(false),
        Err(e) => Err(e).context("the damaged database is still in use"),
    }
}

/// The new database with the backup, and the damaged one where it can be read, attached read-only.
pub fn connect(db: &Path, backup: &Path, pending: &Path, live: bool) -> Result<Connection> {
    let source = open::immutable(backup)?;
    let conn = open::creator(pending)?;
    conn.pragma_update(None, "foreign_keys", false)?;
    for name in ["page_size", "encoding", "auto_vacuum"] {
        conn.pragma_update(None, name, census::setting(&source, name)?)?;
    }
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.execute("ATTACH ?1 AS backup", [open::uri(backup, "immutable=1")]).context("attach the backup")?;
    if live {
        conn.execute("ATTACH ?1 AS live", [open::uri(db, "mode=ro")]).context("attach the damaged database")?;
    }
    Ok(conn)
}

/// Virtual tables are written into the schema as text: their modules would make the tables that are copied anyway.
fn create_table(conn: &Connection, table: &Table) -> Result<()> {
    let failed = || format!("create the table {}", table.name);
    if !table.is_virtual {
        return conn.execute(&table.sql, []).map(drop).with_context(failed);
    }
    conn.pragma_update(None, "writable_schema", true)?;
    let sql = "INSERT INTO main.sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('table', ?1, ?1, 0, ?2)";
    conn.execute(sql, [&table.name, &table.sql]).with_context(failed)?;
    conn.pragma_update(None, "writable_schema", false)?;
    Ok(())
}

fn copy_rows(conn: &Connection, table: &Table, source: Source) -> Result<usize> {
    let (from, name) = (source.schema(), quote(&table.name));
    let columns = schema::insertable(conn, from, table)?;
    Ok(conn
        .execute(&format!("INSERT INTO main.{name} ({columns}) SELECT {columns} FROM {from}.{name} NOT INDEXED"), [])?)
}

/// AUTOINCREMENT promises never to use a number twice, so its counters come from where the rows came from.
fn counters(conn: &Connection, plan: &Plan) -> Result<()> {
    if census::sequences(conn, "main")?.is_empty() && !has_sequences(conn)? {
        return Ok(());
    }
    conn.execute("DELETE FROM main.sqlite_sequence", [])?;
    for source in [Source::Live, Source::Backup].into_iter().filter(|s| plan.live || *s == Source::Backup) {
        for (table, seq) in census::sequences(conn, source.schema())? {
            if plan.source(&table) == Some(source) {
                conn.execute(
                    "INSERT INTO main.sqlite_sequence (name, seq) VALUES (?1, ?2)",
                    rusqlite::params![table, seq],
                )?;
            }
        }
    }
    Ok(())
}

fn has_sequences(conn: &Connection) -> Result<bool> {
    Ok(conn.query_row("SELECT count(*) FROM main.sqlite_schema WHERE name = 'sqlite_sequence'", [], |r| {
        r.get::<_, i64>(0)
    })? > 0)
}
