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
    if let Some(why) = follower(conn, &held.name)? {
        let message = format!("{name} cannot be restored by itself: {why}");
        return Err(refuse(RefusalKind::Preflight, message, whole));
    }
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

/// What keeps other tables in step with this one, and would not: no trigger runs while rows are put back.
fn follower(conn: &Connection, table: &str) -> Result<Option<String>> {
    let plain = |text: &str| text.to_lowercase().replace(|c: char| c.is_whitespace() || "\"'`[]".contains(c), "");
    let mut query = conn.prepare(
        "SELECT type, name, tbl_name, coalesce(sql, '') FROM main.sqlite_schema WHERE type IN ('table', 'trigger')",
    )?;
    let all = query.query_map([], |r| {
        Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?, r.get::<_, String>(2)?, r.get::<_, String>(3)?))
    })?;
    for found in all {
        let (kind, name, of, sql) = found?;
        let virtual_over = || {
            let sql = plain(&sql);
            let over = format!("content={}", plain(table));
            sql.starts_with("createvirtualtable") && [",", ")"].iter().any(|end| sql.contains(&format!("{over}{end}")))
        };
        if kind == "table" && virtual_over() {
            return Ok(Some(format!("the index {name} has its content from it, and would not follow")));
        }
        if kind == "trigger" && of.eq_ignore_ascii_case(table) && writes_elsewhere(&sql, table) {
            return Ok(Some(format!("its trigger {name} writes elsewhere, and does not run while rows are put back")));
        }
    }
    Ok(None)
}

/// Whether a trigger may write to another table than this one. What cannot be told for certain may.
fn writes_elsewhere(sql: &str, table: &str) -> bool {
    let lower = sql.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
    let body = words.iter().position(|word| *word == "begin").map_or(&words[..], |begin| &words[begin..]);
    let own = table.to_lowercase();
    body.windows(4).any(|w| match w {
        ["into", to, ..] | ["delete", "from", to, _] | ["update", "or", _, to] => *to != own,
        ["update", to, ..] => *to != "or" && *to != "set" && *to != own,
        _ => false,
    })
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
