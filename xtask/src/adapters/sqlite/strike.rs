//! The disasters of a drill: only ever run at a site that the drill itself made.

use super::census;
use super::header;
use super::open::{self, SIDECARS};
use crate::adapters::data_tool::{Streams, beside};
use crate::domain::census::Entry;
use anyhow::{Context, Result, bail};
use rusqlite::{Connection, OptionalExtension};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The table whose page is damaged.
const STRUCK_TABLE: &str = "events";

/// Deletes the database and everything beside it.
pub fn delete(db: &Path) -> Result<()> {
    header::database(db)?;
    for suffix in [""].iter().chain(&SIDECARS) {
        match std::fs::remove_file(beside(db, suffix)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e).context("delete the database"),
            _ => {}
        }
    }
    Ok(())
}

/// Drops tables, orphans rows, and overwrites a page in the middle of a table.
pub fn corrupt(db: &Path, streams: &mut Streams) -> Result<()> {
    let conn = open::writer(db)?;
    conn.pragma_update(None, "foreign_keys", false)?;
    conn.execute_batch("BEGIN IMMEDIATE; DROP TABLE order_lines; DROP TABLE xtask_mark_struck;")
        .context("drop tables")?;
    // Five customers that a backup knows, and the newest one, that it cannot know.
    let newest = "id = (SELECT max(customer_id) FROM orders)";
    let taken = census::rows(&conn, "main", "customers", newest, None)?;
    let entry = Entry::Content { rows: taken.rows(), digest: taken.hex() };
    streams.line(census::line("table main.customers", &entry)?)?;
    let gone = conn.execute(
        &format!(
            "DELETE FROM customers WHERE id IN (SELECT DISTINCT customer_id FROM orders ORDER BY customer_id LIMIT 5) OR {newest}"
        ),
        [],
    )?;
    if gone < 2 {
        bail!("only {gone} customers could be orphaned");
    }
    conn.execute_batch("COMMIT").context("commit the strike")?;
    let (page, size) = middle_leaf(&conn, STRUCK_TABLE)?;
    fold(&conn)?;
    conn.close().map_err(|(_, e)| e).context("close the database")?;
    let file = OpenOptions::new().write(true).open(db).context("open the database file")?;
    file.write_all_at(&vec![0xa5; size], (page - 1) * size as u64).context("overwrite a page")?;
    file.sync_all().context("sync the damaged file")
}

/// The leaf page in the middle of a table, and the page size.
fn middle_leaf(conn: &Connection, table: &str) -> Result<(u64, usize)> {
    let leaves = "SELECT pageno, pgsize FROM dbstat WHERE name = ?1 AND pagetype = 'leaf' ORDER BY path";
    let count: i64 = conn.query_row(&format!("SELECT count(*) FROM ({leaves})"), [table], |r| r.get(0))?;
    let sql = format!("{leaves} LIMIT 1 OFFSET {}", count / 2);
    let found: Option<(i64, i64)> = conn.query_row(&sql, [table], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
    let Some((page, size)) = found.filter(|_| count > 2) else {
        bail!("{table} has too few pages to damage one in its middle")
    };
    Ok((u64::try_from(page)?, usize::try_from(size)?))
}

/// Folds the WAL into the file, so that the damaged page is the one that everybody reads.
fn fold(conn: &Connection) -> Result<()> {
    let busy: i64 = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |r| r.get(0)).context("checkpoint")?;
    if busy != 0 {
        bail!("another process reads the database: its WAL could not be folded in");
    }
    Ok(())
}
