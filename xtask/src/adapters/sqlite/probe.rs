//! Asks a database the way its application would, and looks at it before and after a backup.

use super::header::{self, Found, Header};
use super::integrity;
use super::open;
use super::schema;
use crate::adapters::data_tool::{Streams, beside, refuse};
use crate::domain::refusal::RefusalKind;
use anyhow::{Context, Result};
use rusqlite::config::DbConfig;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Answers as an application would be answered: a row out of every table that has one, through an ordinary connection. Writes nothing.
/// No row at all is an answer only where `allow_empty` says so.
pub fn probe(db: &Path, allow_empty: bool, streams: &mut Streams) -> Result<()> {
    let conn = open::writer(db)?;
    // The last one to leave folds the WAL in. With nothing in it that only tidies up; with something in it that is not ours to do.
    let pending = std::fs::metadata(beside(db, "-wal")).is_ok_and(|m| m.len() > 0);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, pending)?;
    conn.pragma_update(None, "query_only", true)?;
    let tables = schema::tables(&conn, "main")?;
    let mut answered = 0;
    for table in tables.iter().filter(|t| !t.is_virtual) {
        answered += usize::from(schema::one_row(&conn, &table.name)?);
    }
    if answered == 0 && !allow_empty {
        let message = format!("{} answers, but holds no row", db.display());
        return Err(refuse(
            RefusalKind::EmptyStore,
            message,
            "an empty database answers every health check: restore it",
        ));
    }
    streams.line(format_args!("answered by {answered} of {} tables", tables.len()))
}

/// Says what is at the path, without failing: `state=missing|zero|foreign|no-tables|no-rows|rows`.
pub fn inspect(db: &Path, streams: &mut Streams) -> Result<()> {
    let found = header::look(db)?;
    let state = match &found {
        Found::Missing => "missing",
        Found::Zero => "zero",
        Found::Foreign(_) => "foreign",
        Found::Database(_) => match rows(db)? {
            None => "no-tables",
            Some(false) => "no-rows",
            Some(true) => "rows",
        },
    };
    streams.line(format_args!("state={state}"))?;
    if let Found::Foreign(what) = found {
        streams.line(format_args!("detail={what}"))?;
    }
    Ok(())
}

/// Whether there are rows. If a first look finds none, they may still be in what a dead writer left.
fn rows(db: &Path) -> Result<Option<bool>> {
    match open::glance(db).and_then(|conn| schema::has_rows(&conn)) {
        Ok(Some(true)) => Ok(Some(true)),
        _ => schema::has_rows(&open::reader(db)?),
    }
}

/// Facts of the source, one `key=value` a line.
pub fn facts(db: &Path, streams: &mut Streams) -> Result<()> {
    let Header { page_size, wal, length, .. } = header::database(db)?;
    let meta = std::fs::metadata(db).context("ask for the file's owner")?;
    let conn = open::glance(db)?;
    for name in ["encoding", "user_version", "application_id"] {
        streams.line(format_args!("{name}={}", super::census::setting(&conn, name)?))?;
    }
    let tables = schema::tables(&conn, "main")?.len();
    streams.line(format_args!("sqlite_version={}", rusqlite::version()))?;
    streams.line(format_args!("journal_mode={}", if wal { "wal" } else { "rollback" }))?;
    streams.line(format_args!("page_size={page_size}\nbytes={length}\ntables={tables}"))?;
    streams.line(format_args!("mode={:o}\nuid={}\ngid={}", meta.mode() & 0o777, meta.uid(), meta.gid()))
}

/// The lines of a diagnosis: a census that goes on past damage, and the violated foreign keys.
pub fn diagnose(db: &Path, streams: &mut Streams) -> Result<()> {
    let found = header::look(db)?;
    let Found::Database(Header { wal, .. }) = found else { return Ok(()) };
    let taken = open::reader(db).and_then(|conn| super::census::take(&conn, super::census::Purpose::Diagnosis, wal));
    let (objects, violations) = match taken {
        Ok(taken) => taken,
        // The schema itself is gone: no table can be named, so all of the backup's are missing.
        Err(e) if e.chain().filter_map(|c| c.downcast_ref()).any(integrity::is_damage) => {
            let error = format!("{e:#}");
            let entry = crate::domain::census::Entry::Unreadable { error };
            return streams.line(super::census::line("database main", &entry)?);
        }
        Err(e) => return Err(e),
    };
    for (object, entry) in &objects {
        streams.line(super::census::line(object, entry)?)?;
    }
    for violation in violations {
        let key = &violation.key;
        let line = serde_json::json!({
            "object": format!("table main.{}", key.child),
            "kind": "orphans",
            "constraint": key.name(),
            "parent": format!("table main.{}", key.parent),
            "rows": violation.rows,
        });
        streams.line(line)?;
    }
    Ok(())
}
