//! Single tables of a running database: all that were named or none, newer rows elsewhere stay, keys hold.

use super::rig::{Content, Rig};
use rusqlite::Connection;

fn words(tables: &[&'static str]) -> Vec<&'static str> {
    let mut words = vec!["restore", "site", "latest", "--to", "live", "--confirm", "site", "--store", "db"];
    tables.iter().for_each(|table| words.extend(["--table", table]));
    words
}

fn of(content: &Content, kind: &str) -> Content {
    content.iter().filter(|row| row.0 == kind).cloned().collect()
}

#[test]
fn a_table_comes_back_and_newer_rows_elsewhere_stay_while_the_site_has_it_open() {
    for mode in ["wal", "delete"] {
        let rig = Rig::new(mode, 5);
        let before = rig.content();
        rig.backup();
        let app = rig.open();
        app.execute_batch("UPDATE orders SET said = 'spoilt'; INSERT INTO customers VALUES (3, 'Cleo')").unwrap();
        let done = rig.done(&words(&["orders"]));
        assert!(done.out.contains("5 rows in 1 tables"), "{}", done.said());
        let now = rig.content();
        assert_eq!(of(&now, "order"), of(&before, "order"), "{mode}");
        assert_eq!(of(&now, "customer").len(), 3, "{mode}: the newer customer stays");
        app.execute_batch("INSERT INTO orders(customer, said) VALUES (3, 'goes on')").unwrap();
        assert_eq!(rig.content().last().unwrap().3, "goes on");
    }
}

#[test]
fn a_table_that_is_gone_comes_back_with_its_index_and_its_counter() {
    let rig = Rig::new("wal", 5);
    let before = rig.content();
    rig.backup();
    rig.sql("DROP TABLE orders");
    rig.done(&words(&["main.orders"]));
    assert_eq!(rig.content(), before);
    let conn = rig.open();
    let index: i64 =
        conn.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'of_customer'", [], |r| r.get(0)).unwrap();
    conn.execute("INSERT INTO orders(customer, said) VALUES (1, 'next')", []).unwrap();
    assert_eq!((index, conn.last_insert_rowid()), (1, 6));
}

/// Asserts that the run was refused and the database is byte for byte the same to whoever asks.
fn unchanged(rig: &Rig, tables: &[&'static str], code: i32, says: &str) {
    let state = |conn: &Connection| -> Vec<String> {
        let mut query = conn
            .prepare(
                "SELECT sql || (SELECT group_concat(id || said) FROM orders) FROM sqlite_schema WHERE sql IS NOT NULL",
            )
            .unwrap();
        query.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let before = state(&rig.open());
    let ended = rig.run(&words(tables));
    assert_eq!(ended.code, Some(code), "{}", ended.said());
    assert!(ended.err.contains(says), "{}", ended.err);
    assert_eq!(state(&rig.open()), before, "it was changed");
}

#[test]
fn keys_that_would_not_hold_leave_every_table_as_it_was() {
    let rig = Rig::new("wal", 5);
    rig.backup();
    rig.sql("INSERT INTO customers VALUES (3, 'Cleo'); INSERT INTO orders(customer, said) VALUES (3, 'newer')");
    // The newer order refers to a customer that the backup does not know.
    unchanged(&rig, &["customers"], 14, "orders.customer -> customers");
    rig.done(&words(&["customers", "orders"]));
    assert_eq!(rig.content().len(), 7);
}

#[test]
fn a_table_whose_definition_has_changed_and_one_that_the_backup_lacks_are_refused() {
    let rig = Rig::new("delete", 5);
    rig.backup();
    rig.sql("ALTER TABLE orders ADD COLUMN extra DEFAULT 'x'; CREATE TABLE newer(id, said)");
    unchanged(&rig, &["customers", "orders"], 13, "definition has changed");
    unchanged(&rig, &["newer"], 2, "the set holds no table `newer`");
}

#[test]
fn a_table_that_others_follow_by_triggers_or_an_index_of_words_is_refused() {
    let rig = Rig::new("wal", 5);
    rig.backup();
    rig.sql("CREATE TRIGGER tidy AFTER UPDATE ON customers BEGIN UPDATE customers SET name = trim(name) WHERE id = new.id; END");
    rig.done(&words(&["customers", "orders"]));
    rig.sql(
        "CREATE TABLE log(a); CREATE TRIGGER told AFTER DELETE ON orders BEGIN INSERT INTO log VALUES (old.id); END",
    );
    unchanged(&rig, &["orders"], 14, "trigger told writes elsewhere");
    rig.sql("DROP TRIGGER told; CREATE VIRTUAL TABLE found USING fts5(said, content='orders', content_rowid='id')");
    unchanged(&rig, &["orders"], 14, "the index found has its content from it");
}
