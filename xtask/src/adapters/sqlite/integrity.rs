//! What SQLite's own checks find, put down to the table or index they name.

use super::schema::{self, ForeignKey, quote};
use anyhow::{Context, Result};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// What the integrity check says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// By census object (`table main.t`, `index main.i`).
    pub damaged: BTreeMap<String, String>,
    /// Damage that no table or index can be blamed for.
    pub unattributed: Option<String>,
}

/// Rows that violate a foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The key.
    pub key: ForeignKey,
    /// How many rows of the child.
    pub rows: u64,
}

/// Checks every page and every index.
pub fn check(conn: &Connection) -> Result<Health> {
    let whole = complaints(conn, None)?;
    if whole.is_empty() {
        return Ok(Health::default());
    }
    let mut roots = BTreeMap::new();
    let mut query = conn.prepare("SELECT rootpage, type, name FROM sqlite_schema WHERE rootpage > 0")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next().context("read the schema")? {
        let (kind, name): (String, String) = (row.get(1)?, row.get(2)?);
        roots.insert(row.get::<_, i64>(0)?, format!("{kind} main.{name}"));
    }
    let mut health = Health::default();
    for table in schema::tables(conn, "main")? {
        let own = format!("table main.{}", table.name);
        let mut found = BTreeMap::new();
        for complaint in complaints(conn, Some(&table.name))? {
            found.entry(blame(&complaint, &roots).unwrap_or_else(|| own.clone())).or_insert(complaint);
        }
        // A damaged table disagrees with all of its indexes: that is one damage, not many.
        if found.contains_key(&own) {
            found.retain(|object, _| *object == own);
        }
        health.damaged.extend(found);
    }
    if health.damaged.is_empty() {
        health.unattributed = whole.into_iter().next();
    }
    Ok(health)
}

/// What `PRAGMA integrity_check` complains of; empty = ok.
pub fn complaints(conn: &Connection, table: Option<&str>) -> Result<Vec<String>> {
    let sql = table
        .map_or("PRAGMA main.integrity_check(20)".into(), |t| format!("PRAGMA main.integrity_check({})", quote(t)));
    let mut said = Vec::new();
    let mut ask = || -> rusqlite::Result<()> {
        let mut query = conn.prepare(&sql)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            said.push(row.get::<_, String>(0)?);
        }
        Ok(())
    };
    match ask() {
        // The check itself stumbles over damage: what it said before that is more exact.
        Err(e) if is_damage(&e) && said.is_empty() => said.push(e.to_string()),
        Err(e) if is_damage(&e) => {}
        asked => asked.context("check the integrity")?,
    }
    let tidy = |line: &str| line.trim_start_matches("*** in database main ***").trim().to_owned();
    Ok(said.iter().flat_map(|s| s.lines()).map(tidy).filter(|l| !l.is_empty() && l != "ok").collect())
}

/// Whether SQLite says that the file, not the question, is at fault.
pub fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, SystemIoFailure};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase | SystemIoFailure))
}

/// Which object a complaint is about, as far as its words tell: `Tree <root page> …` or `… index <name>`.
fn blame(complaint: &str, roots: &BTreeMap<i64, String>) -> Option<String> {
    let tree =
        complaint.strip_prefix("Tree ").and_then(|rest| rest.split(' ').next()).and_then(|n| n.parse::<i64>().ok());
    if let Some(object) = tree.and_then(|root| roots.get(&root)) {
        return Some(object.clone());
    }
    let (_, index) = complaint.rsplit_once(" index ")?;
    let object = format!("index main.{index}");
    roots.values().any(|o| *o == object).then_some(object)
}

/// Counts the rows that violate each foreign key. Keys that SQLite itself cannot check (a parent without a unique key, a damaged
/// table) are left out: they are not enforceable, or are damage of another kind.
pub fn violations(conn: &Connection, health: &Health) -> Result<Vec<Violation>> {
    let mut all = Vec::new();
    for table in schema::tables(conn, "main")?.iter().filter(|t| !t.is_virtual) {
        let keys = schema::foreign_keys(conn, "main", &table.name)?;
        let broken = |name: &str| health.damaged.contains_key(&format!("table main.{name}"));
        if keys.is_empty() || broken(&table.name) || keys.iter().any(|k| broken(&k.parent)) {
            continue;
        }
        let mut counts = BTreeMap::new();
        let mut count = || -> rusqlite::Result<()> {
            let mut query = conn.prepare(&format!("PRAGMA main.foreign_key_check({})", quote(&table.name)))?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                *counts.entry(row.get::<_, i64>(3)?).or_insert(0u64) += 1;
            }
            Ok(())
        };
        match count() {
            Err(e) if e.to_string().contains("foreign key mismatch") || is_damage(&e) => continue,
            counted => counted.with_context(|| format!("check the foreign keys of {}", table.name))?,
        }
        let found = keys.into_iter().filter_map(|key| counts.get(&key.id).map(|rows| Violation { rows: *rows, key }));
        all.extend(found);
    }
    Ok(all)
}
