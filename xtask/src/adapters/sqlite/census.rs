//! The census of a database: rows and content of every table, every definition, counters, settings; what cannot be read is said so.
//! It must not know where the connection came from.

use super::digest::{RowSum, encode};
use super::integrity::{self, Health, Violation};
use super::schema::{self, Table, quote};
use crate::domain::artifact::hex;
use crate::domain::census::Entry;
use anyhow::{Context, Result, bail};
use rusqlite::Connection;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What the name of a table begins with that holds rows which a repair set aside.
pub const QUARANTINE: &str = "xtask_quarantine_";
/// The column in which it says why.
pub const REASON: &str = "xtask_reason";

/// What a census is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A promise: what the backup holds. Foreign keys that are violated already may be as many again, or fewer.
    Promise,
    /// A finding: what is there now.
    Finding,
    /// A finding in which damage that no table can be blamed for is listed instead of being an error.
    Diagnosis,
}

/// The objects of a census by name.
pub type Objects = BTreeMap<String, Entry>;

/// Takes the census, and the violated foreign keys with it. `wal` tells the journal mode, which a private copy cannot be asked for.
pub fn take(conn: &Connection, purpose: Purpose, wal: bool) -> Result<(Objects, Vec<Violation>)> {
    let mut objects = Objects::new();
    let health = integrity::check(conn)?;
    let tables = schema::tables(conn, "main")?;
    for table in tables.iter().filter(|t| !t.is_virtual) {
        let name = format!("table main.{}", table.name);
        let entry = match health.damaged.get(&name) {
            Some(error) => Entry::Unreadable { error: error.clone() },
            None => content(conn, "main", table).unwrap_or_else(|e| Entry::Unreadable { error: format!("{e:#}") }),
        };
        objects.insert(name, entry);
    }
    definitions(conn, &tables, &health, &mut objects)?;
    if health == Health::default() {
        set_aside(conn, &tables, &mut objects)?;
    }
    settings(conn, wal, &mut objects)?;
    if let Some(error) = &health.unattributed {
        if purpose != Purpose::Diagnosis {
            bail!("integrity check: {error}");
        }
        objects.insert("database main".into(), Entry::Unreadable { error: error.clone() });
    }
    let violations = integrity::violations(conn, &health)?;
    let high = i64::try_from(violations.iter().map(|v| v.rows).sum::<u64>()).unwrap_or(i64::MAX);
    let low = if purpose == Purpose::Promise { 0 } else { high };
    objects.insert("setting violated_foreign_keys".into(), Entry::Counter { low, high });
    Ok((objects, violations))
}

/// Rows and digest of one table, read in storage order so that no index can hide damage.
pub fn content(conn: &Connection, schema: &str, table: &Table) -> Result<Entry> {
    let sum = rows(conn, schema, &table.name, "1", None)?;
    Ok(Entry::Content { rows: sum.rows(), digest: sum.hex() })
}

/// The sum of the rows that meet a condition, without one of their columns.
pub fn rows(conn: &Connection, schema: &str, table: &str, that: &str, without: Option<&str>) -> Result<RowSum> {
    let mut columns = schema::columns(conn, schema, table)?;
    columns.retain(|(c, _)| Some(c.as_str()) != without);
    let names = columns.iter().map(|(c, _)| quote(c)).collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT {names} FROM {schema}.{} NOT INDEXED WHERE {that}", quote(table));
    let mut query = conn.prepare(&sql)?;
    let mut rows = query.query([])?;
    let (mut sum, mut bytes) = (RowSum::default(), Vec::new());
    while let Some(row) = rows.next()? {
        bytes.clear();
        for at in 0..columns.len() {
            encode(row.get_ref(at)?, &mut bytes);
        }
        sum.add(&bytes);
    }
    Ok(sum)
}

/// What earlier repairs set aside, as rows of the tables that they were taken from.
fn set_aside(conn: &Connection, tables: &[Table], objects: &mut Objects) -> Result<()> {
    for table in tables {
        let Some(from) = table.name.strip_prefix(QUARANTINE) else { continue };
        if schema::columns(conn, "main", &table.name)?.iter().any(|(c, _)| c == REASON) {
            let digest = rows(conn, "main", &table.name, "1", Some(REASON))?.hex();
            objects.insert(format!("set aside of table main.{from}"), Entry::Definition { table: None, digest });
        }
    }
    Ok(())
}

/// Every definition, by its text; columns on their own, so that a report can name the one that differs.
fn definitions(conn: &Connection, tables: &[Table], health: &Health, objects: &mut Objects) -> Result<()> {
    let mut query = conn
        .prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\' AND sql IS NOT NULL")
        .context("read the schema")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next().context("read the schema")? {
        let (kind, name, table, sql): (String, String, String, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let object = if kind == "table" { format!("definition main.{name}") } else { format!("{kind} main.{name}") };
        let table = (kind != "view").then(|| format!("main.{table}"));
        let entry = match health.damaged.get(&object) {
            Some(error) => Entry::Unreadable { error: error.clone() },
            None => Entry::Definition { table, digest: text_digest(&sql) },
        };
        objects.insert(object, entry);
    }
    let mut query =
        conn.prepare("SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1, 'main')")?;
    for table in tables.iter().filter(|t| !t.is_virtual) {
        let mut rows = query.query([&table.name])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let mut bytes = Vec::new();
            for at in 1..6 {
                encode(row.get_ref(at)?, &mut bytes);
            }
            let digest = hex(&Sha256::digest(&bytes));
            let entry = Entry::Definition { table: Some(format!("main.{}", table.name)), digest };
            objects.insert(format!("column main.{}.{name}", table.name), entry);
        }
    }
    Ok(())
}

/// The settings that live in the file, and the counters of AUTOINCREMENT.
fn settings(conn: &Connection, wal: bool, objects: &mut Objects) -> Result<()> {
    let mut set = |name: &str, value: &str| {
        let digest = text_digest(&format!("{name}={value}"));
        objects.insert(format!("setting {name}"), Entry::Definition { table: None, digest });
    };
    for name in ["user_version", "application_id", "encoding", "auto_vacuum", "page_size"] {
        set(name, &setting(conn, name)?);
    }
    set("journal_mode", if wal { "wal" } else { "rollback" });
    for (table, seq) in sequences(conn, "main")? {
        objects.insert(format!("sequence main.{table}"), Entry::Counter { low: seq, high: seq });
    }
    Ok(())
}

/// A pragma's value as text.
pub fn setting(conn: &Connection, name: &str) -> Result<String> {
    conn.query_row(&format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"), [], |r| r.get(0))
        .with_context(|| format!("read the setting {name}"))
}

/// The counters of AUTOINCREMENT.
pub fn sequences(conn: &Connection, schema: &str) -> Result<Vec<(String, i64)>> {
    let has = format!("SELECT count(*) FROM {schema}.sqlite_schema WHERE name = 'sqlite_sequence'");
    if conn.query_row(&has, [], |r| r.get::<_, i64>(0))? == 0 {
        return Ok(Vec::new());
    }
    let mut query =
        conn.prepare(&format!("SELECT name, max(CAST(seq AS INTEGER)) FROM {schema}.sqlite_sequence GROUP BY name"))?;
    let rows = query.query_map([], |r| Ok((r.get(0)?, r.get::<_, Option<i64>>(1)?.unwrap_or(0))))?;
    rows.collect::<rusqlite::Result<_>>().context("read sqlite_sequence")
}

fn text_digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// One line of the census protocol.
pub fn line(object: &str, entry: &Entry) -> Result<String> {
    #[derive(Serialize)]
    struct Line<'a> {
        object: &'a str,
        #[serde(flatten)]
        entry: &'a Entry,
    }
    serde_json::to_string(&Line { object, entry }).context("write a census line")
}
