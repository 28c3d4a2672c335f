//! Selective restore, second half: indexes, foreign keys, triggers, checks, and the swap. Rows that still refer to nothing are moved
//! to `xtask_quarantine_<table>`, never deleted.

use super::census::{QUARANTINE, REASON};
use super::header;
use super::integrity::{self, Health, Violation};
use super::load::{free_name, put_aside};
use super::open::Stamp;
use super::repair::{Plan, Source, connect, pending, stamp};
use super::schema::{self, quote};
use crate::adapters::data_tool::{Streams, beside, parent, refuse, sync_folder};
use crate::domain::diagnosis::Diagnosis;
use crate::domain::refusal::RefusalKind;
use anyhow::{Context, Result, bail};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Finishes what `repair` began and puts it in place.
pub fn finish(db: &Path, backup: &Path, streams: &mut Streams) -> Result<()> {
    let diagnosis: Diagnosis = serde_json::from_reader(&mut *streams.stdin).context("read the diagnosis")?;
    let (new, noted) = (pending(db), std::fs::read_to_string(stamp(db)).context("find the first half of the repair")?);
    let live = noted.starts_with("true ");
    let wal = header::whole(backup)?.wal;
    let conn = connect(db, backup, &new, live)?;
    conn.execute_batch("PRAGMA main.journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;")?;
    let plan = Plan::of(&conn, &diagnosis, live)?;
    create(&conn, &plan, "index", streams)?;
    settle(&conn, &plan, streams)?;
    create(&conn, &plan, "view", streams)?;
    create(&conn, &plan, "trigger", streams)?;
    conn.execute_batch("COMMIT").context("commit")?;
    let analyzed = "SELECT count(*) FROM backup.sqlite_schema WHERE name = 'sqlite_stat1'";
    if conn.query_row(analyzed, [], |r| r.get::<_, i64>(0))? > 0 {
        conn.execute_batch("ANALYZE main").context("rebuild the statistics")?;
    }
    if let Some(complaint) = integrity::complaints(&conn, None)?.first() {
        bail!("the repaired database does not pass the integrity check: {complaint}");
    }
    if let Some(left) = enforceable(&conn)?.first() {
        bail!("the repaired database still violates {}", left.key.name());
    }
    let mode = if wal { "WAL" } else { "DELETE" };
    conn.execute_batch(&format!("PRAGMA main.synchronous = FULL; PRAGMA main.journal_mode = {mode};"))?;
    conn.close().map_err(|(_, e)| e).context("close the repaired database")?;
    swap(db, &new, &noted, streams)
}

/// Creates indexes, views or triggers: those of a table from where its rows came from, views from the newest schema. What the damaged
/// database had beyond the backup on a restored table is tried and named if it cannot be.
fn create(conn: &Connection, plan: &Plan, kind: &str, streams: &mut Streams) -> Result<()> {
    let newest = if plan.live { Source::Live } else { Source::Backup };
    for source in [Source::Backup, Source::Live].into_iter().filter(|s| plan.live || *s == Source::Backup) {
        let sql = format!(
            "SELECT name, tbl_name, sql FROM {}.sqlite_schema WHERE type = ?1 AND sql IS NOT NULL ORDER BY rowid",
            source.schema()
        );
        let mut query = conn.prepare(&sql)?;
        let rows = query.query_map([kind], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
        for (name, table, sql) in rows.collect::<rusqlite::Result<Vec<(String, String, String)>>>()? {
            let home = plan.source(&table).unwrap_or(newest);
            let there = "SELECT count(*) FROM main.sqlite_schema WHERE name = ?1";
            let there = conn.query_row(there, [&name], |r| r.get::<_, i64>(0))? > 0;
            if there || (source == Source::Backup && home == Source::Live) {
                continue;
            }
            match conn.execute(&sql, []) {
                Err(e) if source != home => streams.line(format_args!("given up: {kind} {name}: {e}"))?,
                made => drop(made.with_context(|| format!("create the {kind} {name}"))?),
            }
        }
    }
    Ok(())
}

/// The violated keys whose parent table exists; a key to a table that exists nowhere was broken before any disaster.
fn enforceable(conn: &Connection) -> Result<Vec<Violation>> {
    let tables = schema::tables(conn, "main")?;
    let mut all = integrity::violations(conn, &Health::default())?;
    all.retain(|v| tables.iter().any(|t| t.name.eq_ignore_ascii_case(&v.key.parent)));
    Ok(all)
}

/// Makes every foreign key hold. Rows that are newer than the backup bring their lost parents back from it; a restored row whose
/// parent is gone is quarantined, for that parent was deleted on purpose after the backup.
fn settle(conn: &Connection, plan: &Plan, streams: &mut Streams) -> Result<()> {
    let (mut again, mut moved, mut shelves) = (0, 0, BTreeMap::new());
    loop {
        let violations = enforceable(conn)?;
        if violations.is_empty() {
            break;
        }
        let before = again + moved;
        for violation in &violations {
            let healed = match plan.source(&violation.key.child) {
                Some(Source::Live) => bring_back(conn, violation)?,
                _ => 0,
            };
            again += healed;
            if healed == 0 {
                moved += quarantine(conn, violation, &mut shelves, streams)?;
            }
        }
        if again + moved == before {
            bail!("{} cannot be made to hold", violations[0].key.name());
        }
    }
    streams.line(format_args!("reinserted={again}"))?;
    streams.line(format_args!("quarantined={moved}"))
}

/// Copies the parents that orphans refer to out of the backup.
fn bring_back(conn: &Connection, violation: &Violation) -> Result<usize> {
    let key = &violation.key;
    let held = schema::columns(conn, "backup", &key.parent)?;
    let wanted = schema::columns(conn, "main", &key.parent)?;
    let shared = |c: &&(String, i64)| c.1 == 0 && held.iter().any(|h| h.0.eq_ignore_ascii_case(&c.0));
    let columns = wanted.iter().filter(shared).map(|(c, _)| quote(c)).collect::<Vec<_>>().join(", ");
    if columns.is_empty() {
        return Ok(0);
    }
    let (parent, child) = (quote(&key.parent), quote(&key.child));
    let keys = key.keys.iter().map(|k| quote(k)).collect::<Vec<_>>().join(", ");
    let refs = key.columns.iter().map(|c| format!("c.{}", quote(c))).collect::<Vec<_>>().join(", ");
    let orphaned = key.orphaned(&format!("main.{parent}"));
    let sql = format!(
        "INSERT OR IGNORE INTO main.{parent} ({columns}) SELECT {columns} FROM backup.{parent} \
         WHERE ({keys}) IN (SELECT {refs} FROM main.{child} AS c WHERE {orphaned})"
    );
    conn.execute(&sql, []).with_context(|| format!("bring back rows of {}", key.parent))
}

/// Moves the rows that violate a key to a table of their own, with the reason.
fn quarantine(
    conn: &Connection,
    violation: &Violation,
    shelves: &mut BTreeMap<String, String>,
    streams: &mut Streams,
) -> Result<usize> {
    let key = &violation.key;
    let child = quote(&key.child);
    let orphaned = key.orphaned(&format!("main.{}", quote(&key.parent)));
    if !shelves.contains_key(&key.child) {
        let names = schema::tables(conn, "main")?;
        let base = format!("{QUARANTINE}{}", key.child);
        let mut free = (1..).map(|n| if n == 1 { base.clone() } else { format!("{base}_{n}") });
        let name = free.find(|n| !names.iter().any(|t| t.name.eq_ignore_ascii_case(n))).unwrap_or(base.clone());
        let sql =
            format!("CREATE TABLE main.{} AS SELECT c.*, '' AS {REASON} FROM main.{child} AS c WHERE 0", quote(&name));
        conn.execute_batch(&sql).context("create a quarantine table")?;
        shelves.insert(key.child.clone(), name);
    }
    let shelf = quote(&shelves[&key.child]);
    let insert = format!("INSERT INTO main.{shelf} SELECT c.*, ?1 FROM main.{child} AS c WHERE {orphaned}");
    let kept = conn.execute(&insert, [key.name()]).context("quarantine rows")?;
    let taken =
        conn.execute(&format!("DELETE FROM main.{child} AS c WHERE {orphaned}"), []).context("quarantine rows")?;
    if kept != taken {
        bail!("{kept} rows of {} were quarantined, but {taken} taken out", key.child);
    }
    if kept > 0 {
        streams.line(format_args!("moved {kept} rows of {} to {shelf}: {}", key.child, key.name()))?;
    }
    Ok(kept)
}

/// Gives the repaired database the name. The damaged one is kept beside it.
fn swap(db: &Path, new: &Path, noted: &str, streams: &mut Streams) -> Result<()> {
    header::whole(new)?;
    if beside(new, "-wal").exists() {
        bail!("the repaired database still has a WAL of its own");
    }
    let live = noted.starts_with("true ");
    if noted != format!("{live} {:?}", Stamp::of(db)) {
        let message = format!("{} was written while it was being repaired", db.display());
        return Err(refuse(
            RefusalKind::Preflight,
            message,
            "stop what uses the database, then diagnose and repair again",
        ));
    }
    if let Ok(meta) = std::fs::metadata(db) {
        std::fs::set_permissions(new, meta.permissions()).context("set the rights of the repaired database")?;
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(new, Some(meta.uid()), Some(meta.gid())).context("set its owner")?;
        }
    }
    std::fs::File::open(new).and_then(|f| f.sync_all()).context("sync the repaired database")?;
    for kept in put_aside(db)? {
        streams.line(format_args!("aside={}", kept.display()))?;
    }
    if db.exists() {
        let kept = free_name(&beside(db, ".damaged"));
        std::fs::hard_link(db, &kept).with_context(|| format!("keep the damaged file as {}", kept.display()))?;
        streams.line(format_args!("aside={}", kept.display()))?;
    }
    std::fs::rename(new, db).with_context(|| format!("put {} in place", db.display()))?;
    sync_folder(parent(db))?;
    std::fs::remove_file(stamp(db)).context("remove the repair's stamp")
}
