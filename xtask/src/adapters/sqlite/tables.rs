//! Single tables of a running database: their rows replaced by the backup's, or the tables brought back, in one transaction that whoever
//! has it open sees whole or not at all. It must not know why they are wanted.

use super::census::{content, sequences};
use super::header;
use super::integrity::{self, Health};
use super::open;
use super::schema::{self, Table, quote};
use crate::adapters::data_tool::{Streams, refuse};
use crate::domain::refusal::RefusalKind;
use anyhow::{Context, Result};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::collections::BTreeMap;
use std::path::Path;

/// Replaces the tables that standard input names, a census object a line.
pub fn replace(db: &Path, backup: &Path, streams: &mut Streams) -> Result<()> {
    let mut wanted = String::new();
    streams.stdin.read_to_string(&mut wanted).context("read which tables are wanted")?;
    header::whole(backup).context("find the staged backup")?;
    let conn = open::attaching(db)?;
    // Rows are put back, nothing happens anew.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    conn.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF; PRAGMA synchronous = FULL;")?;
    conn.execute("ATTACH ?1 AS backup", [open::uri(backup, "immutable=1")]).context("attach the backup")?;
    conn.execute_batch("BEGIN IMMEDIATE").context("lock the database for writing")?;
    let before = broken_keys(&conn)?;
    for object in wanted.lines() {
        let rows = one(&conn, object.strip_prefix("table main.").unwrap_or(object))?;
        streams.line(format_args!("restored {rows} rows of {object}"))?;
    }
    for (key, rows) in broken_keys(&conn)? {
        if rows > before.get(&key).copied().unwrap_or(0) {
            let message = format!("{rows} rows would violate {key}");
            let hint = "nothing was changed: name the other table of that key with --table, too, or restore everything";
            return Err(refuse(RefusalKind::Preflight, message, hint));
        }
    }
    conn.execute_batch("COMMIT").context("commit")
}

fn broken_keys(conn: &Connection) -> Result<BTreeMap<String, u64>> {
    let all = integrity::violations(conn, &Health::default())?;
    Ok(all.into_iter().map(|v| (v.key.name(), v.rows)).collect())
}

fn find(conn: &Connection, schema: &str, name: &str) -> Result<Option<Table>> {
    Ok(schema::tables(conn, schema)?.into_iter().find(|t| t.name.eq_ignore_ascii_case(name)))
}

fn one(conn: &Connection, name: &str) -> Result<usize> {
    let whole = "restore the whole database beside it (--to NAME) and copy from there";
    let Some(held) = find(conn, "backup", name)? else {
        let message = format!("the backup holds no table {name}");
        return Err(refuse(RefusalKind::BadArtifact, message, "restore a set that holds it"));
    };
    if held.is_virtual {
        return Err(refuse(RefusalKind::Preflight, format!("{name} is a virtual table"), whole));
    }
    let there = find(conn, "main", name)?;
    let table = quote(&held.name);
    match &there {
        Some(_) => conn.execute(&format!("DELETE FROM main.{table}"), []).map(drop),
        None => conn.execute(&held.sql, []).map(drop),
    }
    .with_context(|| format!("make room for {name}"))?;
    let columns = schema::insertable(conn, "backup", &held)?;
    let copy = format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM backup.{table} NOT INDEXED");
    let rows = conn.execute(&copy, []).map_err(|e| {
        let message = format!("the rows of {name} do not fit the table that is there: {e}");
        refuse(RefusalKind::Preflight, message, whole)
    })?;
    if there.is_none() {
        parts(conn, &held.name)?;
    }
    counter(conn, &held.name)?;
    if content(conn, "main", &held)? != content(conn, "backup", &held)? {
        let message = format!("{name} is not what was backed up: its definition has changed since");
        return Err(refuse(RefusalKind::Integrity, message, whole));
    }
    Ok(rows)
}

/// Indexes and triggers of a table that was gone.
fn parts(conn: &Connection, table: &str) -> Result<()> {
    let mut query = conn.prepare(
        "SELECT sql FROM backup.sqlite_schema WHERE type IN ('index', 'trigger') AND tbl_name = ?1 COLLATE NOCASE AND sql IS NOT NULL ORDER BY rowid",
    )?;
    let all = query.query_map([table], |r| r.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    all.iter()
        .try_for_each(|sql| conn.execute(sql, []).map(drop))
        .with_context(|| format!("bring back the parts of {table}"))
}

/// AUTOINCREMENT promises never to use a number twice: neither side's counter goes back.
fn counter(conn: &Connection, table: &str) -> Result<()> {
    let of = |schema: &str| -> Result<Option<i64>> {
        Ok(sequences(conn, schema)?.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(table)).map(|(_, seq)| seq))
    };
    let (Some(highest), now) = (of("backup")?, of("main")?) else { return Ok(()) };
    if now.is_none_or(|now| now < highest) {
        conn.execute("DELETE FROM main.sqlite_sequence WHERE name = ?1", [table])?;
        conn.execute(
            "INSERT INTO main.sqlite_sequence (name, seq) VALUES (?1, ?2)",
            rusqlite::params![table, highest],
        )?;
    }
    Ok(())
}
