//! A shop as a rehearsal's data: the same rows for the same size on every machine. No clock and no foreign generator.

use super::marks;
use super::open;
use crate::adapters::data_tool::{parent, refuse};
use crate::adapters::dice::Dice;
use crate::domain::refusal::RefusalKind;
use anyhow::{Context, Result};
use rusqlite::{Connection, params};
use std::path::Path;

const SCHEMA: &str = "
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE, city TEXT, note TEXT);
CREATE TABLE products (id INTEGER PRIMARY KEY, sku TEXT NOT NULL UNIQUE, title TEXT NOT NULL, price_cents INTEGER NOT NULL CHECK (price_cents > 0));
CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, customer_id INTEGER NOT NULL REFERENCES customers(id),
  placed_at TEXT NOT NULL, total_cents INTEGER NOT NULL DEFAULT 0, discount REAL);
CREATE TABLE order_lines (order_id INTEGER NOT NULL REFERENCES orders(id) ON DELETE CASCADE, line INTEGER NOT NULL,
  product_id INTEGER NOT NULL REFERENCES products(id), quantity INTEGER NOT NULL, price_cents INTEGER NOT NULL,
  PRIMARY KEY (order_id, line)) WITHOUT ROWID;
CREATE TABLE events (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE attachments (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers(id), name TEXT NOT NULL, content BLOB NOT NULL);
";

const AFTER_LOAD: &str = "
CREATE INDEX orders_by_customer ON orders (customer_id);
CREATE INDEX lines_by_product ON order_lines (product_id);
CREATE INDEX events_by_time ON events (kind, at);
CREATE INDEX attachments_by_customer ON attachments (customer_id) WHERE customer_id IS NOT NULL;
CREATE TRIGGER order_total AFTER INSERT ON order_lines BEGIN
  UPDATE orders SET total_cents = total_cents + new.quantity * new.price_cents WHERE id = new.order_id;
END;
CREATE VIEW revenue AS SELECT c.id, c.name, sum(o.total_cents) AS cents FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.id;
";

/// Creates the database with about `bytes` bytes.
pub fn fill(db: &Path, bytes: i64) -> Result<()> {
    if db.symlink_metadata().is_ok() {
        let hint = "seed a fresh place";
        return Err(refuse(RefusalKind::TargetNotEmpty, format!("{} exists already", db.display()), hint));
    }
    std::fs::create_dir_all(parent(db)).with_context(|| format!("make the folder {}", parent(db).display()))?;
    let conn = open::creator(db)?;
    conn.execute_batch(
        "PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF;",
    )?;
    conn.pragma_update(None, "cache_size", -16384)?;
    conn.execute_batch("BEGIN").context("begin")?;
    conn.execute_batch(SCHEMA).context("create the schema")?;
    marks::create(&conn)?;
    let mut dice = Dice::new(0x5eed);
    shop(&conn, bytes, &mut dice).context("write the shop")?;
    events(&conn, bytes, &mut dice).context("write the events")?;
    conn.execute_batch(AFTER_LOAD).context("create the indexes")?;
    conn.execute_batch("PRAGMA user_version = 7; PRAGMA application_id = 2020; COMMIT; ANALYZE;")?;
    conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL;").context("switch to WAL")?;
    conn.close().map_err(|(_, e)| e).context("close the database")
}

fn shop(conn: &Connection, bytes: i64, dice: &mut Dice) -> Result<()> {
    let customers = (bytes / 20_000).clamp(60, 50_000);
    let mut text = String::new();
    let mut add = conn.prepare("INSERT INTO customers VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for id in 1..=customers {
        dice.prose(40, &mut text);
        // Absent, empty and zero are three different things, and all of them must come back.
        let note = [None, Some(""), Some("0"), Some(text.as_str())][(id % 4) as usize];
        let city = ["Lyon", "Genève", "İstanbul", "大阪"][dice.below(4) as usize];
        add.execute(params![id, format!("Customer {id}"), format!("c{id}@example.test"), city, note])?;
    }
    let mut add = conn.prepare("INSERT INTO products VALUES (?1, ?2, ?3, ?4)")?;
    for id in 1..=200 {
        add.execute(params![id, format!("SKU-{id:05}"), format!("Product {id}"), 100 + dice.below(90_000)])?;
    }
    let mut order = conn.prepare("INSERT INTO orders VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut line = conn.prepare("INSERT INTO order_lines VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for id in 1..=customers * 3 {
        let mut total = 0;
        for number in 1..=1 + dice.below(4) {
            let (quantity, price) = (1 + dice.below(5), 100 + dice.below(90_000));
            total += quantity * price;
            line.execute(params![id, number, 1 + dice.below(200), quantity, price])?;
        }
        let discount = (id % 3 == 0).then(|| dice.below(1000) as f64 / 8.0);
        let placed = format!("2026-{:02}-{:02}T{:02}:00:00Z", 1 + dice.below(12), 1 + dice.below(28), dice.below(24));
        order.execute(params![id, 1 + dice.below(customers), placed, total, discount])?;
    }
    let mut add = conn.prepare("INSERT INTO attachments VALUES (?1, ?2, ?3, ?4)")?;
    let mut content = vec![0; 20_000];
    for id in 1..=(bytes / 10 / 10_000).max(4) {
        let length = dice.below(20_000) as usize;
        dice.bytes(&mut content[..length]);
        let customer = (id % 5 > 0).then(|| 1 + dice.below(customers));
        add.execute(params![id, customer, format!("scan {id}.png"), &content[..length]])?;
    }
    Ok(())
}

/// Most of the bytes.
fn events(conn: &Connection, bytes: i64, dice: &mut Dice) -> Result<()> {
    let mut add = conn.prepare("INSERT INTO events VALUES (?1, ?2, ?3, ?4)")?;
    let mut body = String::new();
    for id in 1..=(bytes / 100 * 85 / 700).max(400) {
        let length = 500 + dice.below(200) as usize;
        dice.prose(length, &mut body);
        let kind = ["view", "cart", "order", "mail"][dice.below(4) as usize];
        add.execute(params![id, 1_767_225_600 + id * 7, kind, body])?;
    }
    Ok(())
}

/// Business as usual after a backup: new customers with orders, changed prices, and an order that is deleted for good.
pub fn churn(db: &Path) -> Result<()> {
    let mut conn = open::writer(db)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    // Immediate: a reader that turns writer is refused at once while somebody else writes, however long it would wait.
    let deal = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).context("begin")?;
    let newest: i64 = deal.query_row("SELECT max(id) FROM customers", [], |r| r.get(0))?;
    for id in newest + 1..=newest + 10 {
        let (name, email) = (format!("Customer {id}"), format!("c{id}@example.test"));
        deal.execute("INSERT INTO customers VALUES (?1, ?2, ?3, 'Nantes', 'new')", params![id, name, email])?;
        deal.execute("INSERT INTO orders (customer_id, placed_at) VALUES (?1, '2026-12-01T09:00:00Z')", [id])?;
        let order = deal.last_insert_rowid();
        deal.execute("INSERT INTO order_lines VALUES (?1, 1, 1 + ?1 % 200, 2, 500)", [order])?;
    }
    deal.execute("UPDATE products SET price_cents = price_cents + 1 WHERE id % 10 = 0", [])?;
    deal.execute("DELETE FROM order_lines WHERE order_id = 7", [])?;
    deal.execute("DELETE FROM orders WHERE id = 7", [])?;
    deal.commit().context("commit")
}
