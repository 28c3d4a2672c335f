//! Restores of a running PostgreSQL database: whole under writers, beside, single tables, and a server that was made anew.

use super::docker_shop::{DIGEST, Shop, poll};

const LIVE: [&str; 7] = ["restore", "shop", "latest", "--to", "live", "--confirm", "shop"];

fn live(more: &[&'static str]) -> Vec<&'static str> {
    [LIVE.as_slice(), more].concat()
}

#[test]
fn docker_a_database_comes_back_under_writers_and_the_previous_one_is_whole() {
    let Some(shop) = Shop::open("docker_a_database_comes_back_under_writers_and_the_previous_one_is_whole", 17) else {
        return;
    };
    let before = shop.digest();
    shop.backup();
    shop.script("DELETE FROM sales.orders WHERE id % 2 = 0");
    let writer = shop.writer();
    let waiting = || shop.ask("shop", "SELECT count(*) > 3 FROM sales.orders WHERE said = 'written meanwhile'") == "t";
    poll("the writer writes", waiting);
    let refused = shop.run(&LIVE);
    // The writer is in and out: whoever looks may find nobody at that moment, and the exchange then says so.
    assert!(matches!(refused.code, Some(0 | 14)), "{}", refused.err);
    let done = shop.done(&live(&["--disconnect", "--json"]));
    let acknowledged = writer.stop();
    let said: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    let previous = said["stores"][0]["previous"].as_str().unwrap();
    let meanwhile = |database: &str| -> usize {
        shop.ask(database, "SELECT count(*) FROM sales.orders WHERE said = 'written meanwhile'").parse().unwrap()
    };
    let old: Vec<String> = shop.databases().into_iter().filter(|d| d.contains("_before_")).collect();
    let kept: usize = old.iter().map(|database| meanwhile(database)).sum();
    // Every acknowledged write is in one of them; one may have been committed and not acknowledged at each end of a session.
    let found = kept + meanwhile("shop");
    assert!(found >= acknowledged && found <= acknowledged + 40, "{acknowledged} acknowledged, {found} found");
    assert!(old.iter().any(|d| d == previous) && meanwhile(previous) > 3);
    shop.script("DELETE FROM sales.orders WHERE said = 'written meanwhile'");
    assert_eq!(shop.digest(), before, "but for what was written since, it is what was backed up");
    assert_eq!(shop.ask("shop", "SELECT has_table_privilege('reader', 'sales.orders', 'select')"), "t");
    assert!(shop.databases().iter().all(|d| !d.contains("_restore_")), "{:?}", shop.databases());
    let removal = said["stores"][0]["removal"].as_str().unwrap();
    assert!(removal.contains("docker compose --project-name") && removal.contains("DROP DATABASE"), "{removal}");
}

#[test]
fn docker_beside_under_another_name_and_the_roles_of_a_server_that_was_made_anew() {
    let Some(shop) = Shop::open("docker_beside_under_another_name_and_the_roles_of_a_server_that_was_made_anew", 17)
    else {
        return;
    };
    let before = shop.digest();
    let set = shop.backup();
    shop.script("DELETE FROM sales.orders; ALTER ROLE reader CONNECTION LIMIT 7");
    let changed = shop.digest_or_none();
    shop.done(&["restore", "shop", &set, "--to", "monday"]);
    assert_eq!(shop.ask("monday", DIGEST), before);
    assert_eq!(shop.digest_or_none(), changed, "the running database was not touched");
    let limit = "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'reader'";
    assert_eq!(shop.ask("shop", limit), "7", "a role that is there stays as it is");
    let again = shop.run(&["restore", "shop", &set, "--to", "monday", "--confirm", "shop"]);
    assert_eq!(again.code, Some(26), "{}", again.err);
    // The server is lost, and a fresh one stands in its place: empty, with another identifier, without the role.
    shop.start(17);
    let words = ["restore", "shop", &set, "--to", "live"];
    let refused = shop.run(&words);
    assert_eq!(refused.code, Some(14), "{}", refused.err);
    assert!(refused.err.contains("system identifier") && refused.err.contains("--confirm shop"), "{}", refused.err);
    let words = [words.as_slice(), &["--confirm", "shop"]].concat();
    let refused = shop.run(&words);
    assert_eq!(refused.code, Some(25), "{}", refused.err);
    assert!(refused.err.contains("reader") && refused.err.contains("--with-roles"), "{}", refused.err);
    let done = shop.done(&[words.as_slice(), &["--with-roles"]].concat());
    assert!(done.out.contains("no safety backup of db, which holds nothing"), "{}", done.out);
    assert_eq!(shop.digest(), before);
    assert_eq!(shop.ask("shop", "SELECT has_table_privilege('reader', 'sales.orders', 'select')"), "t");
}

impl Shop {
    /// Also of a table without a row.
    fn digest_or_none(&self) -> String {
        self.ask("shop", "SELECT count(*) FROM sales.orders")
    }
}

#[test]
fn docker_single_tables_come_back_in_one_transaction_and_newer_rows_elsewhere_stay() {
    let Some(shop) = Shop::open("docker_single_tables_come_back_in_one_transaction_and_newer_rows_elsewhere_stay", 17)
    else {
        return;
    };
    let before = shop.digest();
    shop.backup();
    shop.script("UPDATE sales.orders SET said = 'spoilt'; INSERT INTO sales.customer VALUES (51, 'newer')");
    // Nobody is thrown out for a table.
    let writer = shop.writer();
    shop.done(&live(&["--table", "orders"]));
    assert!(writer.stop() > 0, "the writer did not write");
    shop.script("DELETE FROM sales.orders WHERE said = 'written meanwhile'");
    assert_eq!(shop.digest(), before.replace(" 50", " 51"), "the table is back, and the newer customer stays");
    let key = "SELECT convalidated FROM pg_constraint WHERE conname = 'orders_customer_fkey'";
    assert_eq!(shop.ask("shop", key), "t", "its key holds again");
    // A counter that no column owns and was never called, and what was computed of the table once.
    shop.script(
        "CREATE SEQUENCE sales.alone; CREATE MATERIALIZED VIEW sales.once AS SELECT count(*) FROM sales.open; \
         ALTER TABLE sales.orders ALTER id SET DEFAULT nextval('sales.alone')",
    );
    let said = shop.done(&live(&["--table", "orders"]));
    assert!(said.out.contains("REFRESH MATERIALIZED VIEW sales.once"), "{}", said.out);
    assert_eq!(shop.ask("shop", "SELECT nextval('sales.alone')"), "20001", "its next number is not in use");
    shop.script(
        "ALTER TABLE sales.orders ALTER id SET DEFAULT nextval('sales.orders_id_seq'); DROP MATERIALIZED VIEW sales.once; DROP SEQUENCE sales.alone; \
         CREATE FUNCTION sales.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
         CREATE TRIGGER emptied AFTER TRUNCATE ON sales.orders EXECUTE FUNCTION sales.nothing(); \
         CREATE TRIGGER off AFTER INSERT ON sales.customer FOR EACH ROW EXECUTE FUNCTION sales.nothing(); ALTER TABLE sales.customer DISABLE TRIGGER off",
    );
    shop.refused(&live(&["--table", "orders"]), 14, &["trigger emptied of sales.orders fires when"]);
    shop.refused(
        &live(&["--table", "sales.customer"]),
        14,
        &["trigger off of sales.customer is not in its usual state"],
    );
    shop.script("DROP FUNCTION sales.nothing() CASCADE");
    // Gone with all that hangs on it.
    shop.script("DROP TABLE sales.orders CASCADE");
    shop.done(&live(&["--table", "sales.orders"]));
    assert_eq!(shop.digest(), before.replace(" 50", " 51"));
    assert_eq!(shop.ask("shop", "SELECT count(*) FROM sales.open"), "50", "the view over it is back");
    assert_eq!(shop.ask("shop", key), "t");
    // An order of a customer that the backup does not know: the key cannot hold.
    shop.script("INSERT INTO sales.orders (customer, said) VALUES (51, 'newer')");
    shop.refused(&live(&["--table", "sales.customer"]), 14, &["orders_customer_fkey", "nothing was changed"]);
    shop.script("ALTER TABLE sales.customer ADD COLUMN mail text");
    let both = live(&["--table", "sales.customer", "--table", "sales.orders"]);
    shop.refused(&both, 13, &["sales.customer is not what was backed up"]);
    shop.script("ALTER TABLE sales.customer DROP COLUMN mail");
    shop.done(&both);
    assert_eq!(shop.digest(), before);
}
