//! The drill's marks in an SQLite database: numbered rows, each committed to two tables at once and acknowledged after the commit.

use super::open;
use crate::adapters::data_tool::Streams;
use crate::domain::engine::MarkTable;
use anyhow::{Context, Result};
use rusqlite::Connection;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// The table's name.
pub fn table(of: MarkTable) -> &'static str {
    match of {
        MarkTable::Kept => "xtask_mark_kept",
        MarkTable::Struck => "xtask_mark_struck",
    }
}

/// Creates both tables.
pub fn create(conn: &Connection) -> Result<()> {
    for of in [MarkTable::Kept, MarkTable::Struck] {
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {} (seq INTEGER PRIMARY KEY, at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))",
            table(of)
        );
        conn.execute_batch(&sql).context("create the mark tables")?;
    }
    Ok(())
}

/// Commits one mark for each number that comes in, durable before it is acknowledged.
pub fn session(db: &Path, streams: &mut Streams) -> Result<()> {
    let conn = open::writer(db)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    let mut insert =
        [MarkTable::Kept, MarkTable::Struck].map(|of| format!("INSERT INTO {} (seq) VALUES (?1)", table(of)));
    insert.sort();
    for line in BufReader::new(&mut *streams.stdin).lines() {
        let line = line.context("read a mark")?;
        let seq: i64 = line.trim().parse().with_context(|| format!("`{line}` is no mark"))?;
        conn.execute_batch("BEGIN IMMEDIATE").context("begin a mark")?;
        for sql in &insert {
            conn.prepare_cached(sql)?.execute([seq]).with_context(|| format!("write mark {seq}"))?;
        }
        conn.execute_batch("COMMIT").context("commit a mark")?;
        writeln!(streams.stdout, "ack {seq}").and_then(|()| streams.stdout.flush()).context("acknowledge a mark")?;
    }
    Ok(())
}

/// Prints the numbers that are there.
pub fn list(db: &Path, of: MarkTable, streams: &mut Streams) -> Result<()> {
    let conn = open::reader(db)?;
    let mut query = conn.prepare(&format!("SELECT seq FROM {} ORDER BY seq", table(of)))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        streams.line(row.get::<_, i64>(0)?)?;
    }
    Ok(())
}
