//! What a schema holds: tables, columns, foreign keys, as SQLite itself lists them. Names are quoted here and nowhere else.

use anyhow::{Context, Result};
use rusqlite::Connection;

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its CREATE statement.
    pub sql: String,
    /// Whether a module keeps its rows, in other tables or nowhere.
    pub is_virtual: bool,
    /// Whether it has no rowid.
    pub without_rowid: bool,
}

/// One foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// SQLite's number of it within the child table.
    pub id: i64,
    /// The referring table.
    pub child: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The referred table.
    pub parent: String,
    /// The referred columns.
    pub keys: Vec<String>,
}

impl ForeignKey {
    /// `orders.customer_id -> customers`: SQLite's foreign keys have no names of their own that it would tell.
    pub fn name(&self) -> String {
        format!("{}.{} -> {}", self.child, self.columns.join(","), self.parent)
    }

    /// The condition that a row `c` of the child refers to nothing in `parents` (a quoted table).
    pub fn orphaned(&self, parents: &str) -> String {
        let set = self.columns.iter().map(|c| format!("c.{} IS NOT NULL", quote(c)));
        let same = self.keys.iter().zip(&self.columns).map(|(k, c)| format!("p.{} = c.{}", quote(k), quote(c)));
        let (set, same) = (set.collect::<Vec<_>>().join(" AND "), same.collect::<Vec<_>>().join(" AND "));
        format!("{set} AND NOT EXISTS (SELECT 1 FROM {parents} AS p WHERE {same})")
    }
}

/// An identifier.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Every table of the user's in `schema` (`main`, or an attached one), by name.
pub fn tables(conn: &Connection, schema: &str) -> Result<Vec<Table>> {
    let sql = format!(
        "SELECT s.name, s.sql, s.rootpage = 0, coalesce((SELECT l.wr FROM pragma_table_list(s.name) AS l WHERE l.schema = ?1), 0) \
         FROM {schema}.sqlite_schema AS s WHERE s.type = 'table' AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY s.name"
    );
    let mut query = conn.prepare(&sql).context("list the tables")?;
    let rows = query.query_map([schema], |r| {
        let sql = r.get::<_, Option<String>>(1)?.unwrap_or_default();
        Ok(Table { name: r.get(0)?, sql, is_virtual: r.get(2)?, without_rowid: r.get(3)? })
    })?;
    rows.collect::<rusqlite::Result<_>>().context("list the tables")
}

/// The columns of a table whose values are stored or computed, with SQLite's `hidden` number (0 = ordinary, 2 and 3 = generated).
pub fn columns(conn: &Connection, schema: &str, table: &str) -> Result<Vec<(String, i64)>> {
    let mut query =
        conn.prepare("SELECT name, hidden FROM pragma_table_xinfo(?1, ?2) WHERE hidden <> 1 ORDER BY cid")?;
    let rows = query.query_map([table, schema], |r| Ok((r.get(0)?, r.get(1)?)))?;
    rows.collect::<rusqlite::Result<_>>().with_context(|| format!("list the columns of {table}"))
}

/// The columns that an INSERT can name, quoted; with the rowid first where there is one that no column hides.
pub fn insertable(conn: &Connection, schema: &str, table: &Table) -> Result<String> {
    let all = columns(conn, schema, &table.name)?;
    let hides = |alias: &str| all.iter().any(|(c, _)| c.eq_ignore_ascii_case(alias));
    let rowid = ["rowid", "_rowid_", "oid"].into_iter().find(|a| !hides(a)).filter(|_| !table.without_rowid);
    let names = rowid.map(str::to_owned).into_iter().chain(all.iter().filter(|(_, h)| *h == 0).map(|(c, _)| quote(c)));
    Ok(names.collect::<Vec<_>>().join(", "))
}

/// The foreign keys of a table.
pub fn foreign_keys(conn: &Connection, schema: &str, table: &str) -> Result<Vec<ForeignKey>> {
    let mut query =
        conn.prepare("SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1, ?2) ORDER BY id, seq")?;
    let mut keys: Vec<ForeignKey> = Vec::new();
    let mut rows = query.query([table, schema])?;
    while let Some(row) = rows.next()? {
        let (id, parent, column): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if keys.last().is_none_or(|k| k.id != id) {
            let (columns, keys_of) = (Vec::new(), Vec::new());
            keys.push(ForeignKey { id, child: table.to_owned(), columns, parent, keys: keys_of });
        }
        if let Some(key) = keys.last_mut() {
            key.columns.push(column);
            key.keys.extend(row.get::<_, Option<String>>(3)?);
        }
    }
    for key in keys.iter_mut().filter(|k| k.keys.len() != k.columns.len()) {
        key.keys = primary_key(conn, schema, &key.parent)?;
    }
    Ok(keys)
}

fn primary_key(conn: &Connection, schema: &str, table: &str) -> Result<Vec<String>> {
    let mut query = conn.prepare("SELECT name FROM pragma_table_info(?1, ?2) WHERE pk > 0 ORDER BY pk")?;
    let rows = query.query_map([table, schema], |r| r.get(0))?;
    rows.collect::<rusqlite::Result<_>>().with_context(|| format!("find the primary key of {table}"))
}

/// Whether any of the user's tables holds a row; `None` when there is no table.
pub fn has_rows(conn: &Connection) -> Result<Option<bool>> {
    let mut tables = tables(conn, "main")?;
    tables.retain(|t| !t.is_virtual);
    for table in &tables {
        if one_row(conn, &table.name)? {
            return Ok(Some(true));
        }
    }
    Ok((!tables.is_empty()).then_some(false))
}

/// Whether a table holds a row; reads all of that row.
pub fn one_row(conn: &Connection, table: &str) -> Result<bool> {
    let mut query = conn.prepare(&format!("SELECT * FROM main.{} NOT INDEXED LIMIT 1", quote(table)))?;
    let mut rows = query.query([])?;
    Ok(rows.next().with_context(|| format!("read a row of {table}"))?.is_some())
}
