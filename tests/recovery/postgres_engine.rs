//! What the PostgreSQL engine describes, performed on real servers of both supported majors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod extensions;
mod locks;
mod oddities;
mod refusals;
mod rig;
mod unkept;

use rig::{Rig, engine, setting};
use std::collections::BTreeMap;
use xtask::domain::census::{Census, Entry};
use xtask::domain::diagnosis::Diagnosis;
use xtask::domain::engine::MarkTable;
use xtask::domain::scenario::Strike;

const SIZE: u64 = 2_000_000;

/// A seeded server, unless there is none to be had.
fn seeded(major: u32) -> Option<Rig> {
    let rig = Rig::start(major)?;
    rig.acts(&engine().seed(&rig.at, SIZE), None);
    Some(rig)
}

fn restores_equal(major: u32) {
    let Some(rig) = seeded(major) else { return };
    let kept = rig.backup();
    assert!(kept.component.census.contents() > 20);
    rig.strike(Strike::DeleteData);
    rig.restore(&kept);
    assert_eq!(rig.differences(&kept), [""; 0]);
    let Some(fresh) = Rig::start(major) else { return };
    fresh.restore(&kept);
    assert_eq!(fresh.differences(&kept), [""; 0]);
    let probe = fresh.run(&engine().probe(&fresh.at, &engine().rehearsal_store(None)), std::process::Stdio::null());
    assert!(probe.exit.ok() && probe.stdout.contains("tables of shop answer"), "{}", probe.exit.stderr);
}

#[test]
fn postgres_15_restores_equal_where_it_was_and_on_a_fresh_server() {
    restores_equal(15);
}

#[test]
fn postgres_17_restores_equal_where_it_was_and_on_a_fresh_server() {
    restores_equal(17);
}

#[test]
fn each_kind_of_change_makes_the_censuses_differ() {
    let Some(rig) = seeded(17) else { return };
    let before = rig.census();
    assert!(before.differences(&rig.census()).is_empty(), "a census repeats itself");
    let changes = [
        (
            "UPDATE shop.products SET price = price + 0.01 WHERE id = 7;",
            "table shop.products: content differs in 50 rows",
        ),
        ("DELETE FROM shop.event_notes WHERE event = 1;", "table shop.event_notes: "),
        ("DROP TABLE shop.returns;", "table shop.returns: missing"),
        ("DROP TABLE shop.nothing;", "table shop.nothing: missing"),
        ("DROP INDEX shop.events_payload;", "index shop.events_payload: missing"),
        ("SELECT setval('shop.invoice_numbers', 5);", "sequence shop.invoice_numbers: stands at 5"),
        (
            "CREATE OR REPLACE FUNCTION shop.order_total(which bigint) RETURNS numeric LANGUAGE sql STABLE AS 'SELECT 0.0';",
            "function shop.order_total(which bigint): definition differs",
        ),
        (
            "ALTER TABLE shop.orders DROP CONSTRAINT orders_customer_fkey;",
            "constraint shop.orders.orders_customer_fkey: missing",
        ),
        (
            "ALTER TABLE shop.customers ALTER status SET DEFAULT 'new';",
            "column shop.customers.status: definition differs",
        ),
        ("DROP TRIGGER orders_logged ON shop.orders;", "trigger shop.orders.orders_logged: missing"),
        ("DROP POLICY reviews_public ON shop.reviews;", "policy shop.reviews.reviews_public: missing"),
        (
            "CREATE OR REPLACE VIEW shop.best_sales AS SELECT product, 'x'::text AS name, value FROM shop.sales;",
            "view shop.best_sales: definition differs",
        ),
        ("REFRESH MATERIALIZED VIEW shop.sales WITH NO DATA;", "materialized view shop.sales: definition differs"),
        ("ALTER TYPE shop.order_state ADD VALUE 'lost';", "type shop.order_state: definition differs"),
        ("ALTER DATABASE shop SET work_mem = '5MB';", "setting work_mem: not in the backup's census"),
        ("REVOKE SELECT ON shop.sales FROM shop_reports;", "materialized view shop.sales: definition differs"),
        ("SELECT lo_put(loid, 3, '\\x00') FROM pg_largeobject LIMIT 1;", "largeobjects: content differs"),
        ("DROP EXTENSION pg_trgm CASCADE;", "extension pg_trgm: missing"),
        ("ALTER ROLE shop_app NOLOGIN;", "role shop_app: definition differs"),
        ("GRANT shop_owner TO shop_reports;", "role shop_reports: definition differs"),
        ("COMMENT ON TABLE shop.orders IS 'new';", "options of table shop.orders: definition differs"),
    ];
    for (change, said) in changes {
        rig.sql(change);
        let found: Vec<String> = before.differences(&rig.census()).iter().map(ToString::to_string).collect();
        assert!(found.iter().any(|d| d.starts_with(said)), "{change}: {found:?}");
    }
}

#[test]
fn memberships_come_back_although_another_superuser_gave_them() {
    let Some(rig) = seeded(17) else { return };
    rig.sql("CREATE ROLE first_of_the_source SUPERUSER;");
    let kept = rig.backup();
    let file = kept.folder.join("globals");
    let globals = std::fs::read_to_string(&file).unwrap();
    let theirs = globals.replace("GRANTED BY xtask_owner", "GRANTED BY first_of_the_source");
    assert_ne!(theirs, globals, "the seed has a membership");
    std::fs::write(&file, theirs).unwrap();
    rig.sql("REVOKE shop_reports FROM shop_app;");
    rig.strike(Strike::DeleteData);
    rig.restore(&kept);
    assert_eq!(rig.differences(&kept), Vec::<String>::new());
}

/// Writers that insert, update, delete, draw numbers and write large objects while the dump runs.
const WRITERS: &str = r#"
INSERT INTO shop.customers (email, name, country, since) VALUES (gen_random_uuid()::text, 'W', 'AB', '2026-01-01') RETURNING id AS customer \gset
BEGIN;
INSERT INTO shop.orders (customer, placed) VALUES (:customer, now()) RETURNING id AS made \gset
INSERT INTO shop.order_lines ("order", product, pieces, price) VALUES (:made, 1, 1, 1);
COMMIT;
SELECT nextval('shop.invoice_numbers'), nextval('shop.countdown');
UPDATE shop.products SET price = price + 1 WHERE id = 1 + :customer % 40;
DELETE FROM shop.addresses WHERE id = :customer % 100;
SELECT lo_from_bytea(0, 'written');
"#;

fn dumps_under_writes_restore_equal(major: u32) {
    let Some(rig) = seeded(major) else { return };
    let rounds = setting("XTASK_ROUNDS").map_or(3, |n| n.parse().unwrap());
    rig.sql("ALTER SEQUENCE shop.countdown MINVALUE -1000000000;");
    let writers = rig.writers(WRITERS);
    let mut moved = 0;
    for round in 0..rounds {
        let kept = rig.backup();
        moved += kept
            .component
            .census
            .objects
            .values()
            .filter(|e| matches!(e, xtask::domain::census::Entry::Counter { low, high } if low != high))
            .count();
        let fresh = rig.beside(&format!("copy{round}"));
        rig.acts(&engine().restore(&fresh, &kept.component), Some(&kept));
        assert_eq!(rig.differences_at(&fresh, &kept), [""; 0], "round {round}");
        rig.sql(&format!("DROP DATABASE copy{round} WITH (FORCE);"));
    }
    assert!(moved > 0, "no writer drew a number during a dump");
    assert!(writers.stop() > 0, "the writers wrote nothing");
}

#[test]
fn postgres_15_dumps_under_concurrent_writes_restore_equal() {
    dumps_under_writes_restore_equal(15);
}

#[test]
fn postgres_17_dumps_under_concurrent_writes_restore_equal() {
    dumps_under_writes_restore_equal(17);
}

#[test]
fn marks_are_acknowledged_after_their_commit_and_can_be_read() {
    let Some(rig) = seeded(17) else { return };
    let marks = engine().mark_session(&rig.at);
    let mut session = rig.session(&marks.exec);
    for seq in 1..=20 {
        session.say(&marks.line.replace("{seq}", &seq.to_string()));
        session.until(|line| (line == format!("ack {seq}")).then_some(()));
        assert_eq!(rig.sql("SELECT max(seq) FROM xtask_drill.mark_kept;"), seq.to_string());
    }
    let all: String = (1..=20).map(|n| format!("{n}\n")).collect();
    assert_eq!(rig.act(&engine().marks(&rig.at, MarkTable::Kept), None), all);
    assert_eq!(rig.act(&engine().marks(&rig.at, MarkTable::Struck), None), all);
    // A mark that cannot be committed is not acknowledged: the session ends instead.
    session.say(&marks.line.replace("{seq}", "20"));
    assert!(session.ends());
}

fn mends_a_partial_corruption(major: u32) {
    let Some(rig) = seeded(major) else { return };
    rig.sql("INSERT INTO xtask_drill.mark_kept VALUES (1); INSERT INTO xtask_drill.mark_struck VALUES (1);");
    let kept = rig.backup();
    rig.acts(&engine().churn(&rig.at), None);
    rig.sql("INSERT INTO xtask_drill.mark_kept VALUES (2); INSERT INTO xtask_drill.mark_struck VALUES (2);");
    let promised = &kept.component.census;
    let before = rig.census();
    rig.strike(Strike::Corrupt);

    let text = rig.act(&engine().diagnose(&rig.at), None);
    let (diagnosis, _) = Diagnosis::parse(&text, promised).unwrap();
    let said: Vec<String> = diagnosis.damages.iter().map(ToString::to_string).collect();
    for object in engine().expected_damage(Strike::Corrupt) {
        assert!(diagnosis.damages.iter().any(|d| d.object() == object), "{object}: {said:?}");
    }
    assert!(said.iter().any(|s| s.starts_with("table shop.events: unreadable: invalid page in block 3")), "{said:?}");

    let contents = rig.acts(&engine().stage(&rig.at), Some(&kept));
    let acts = engine().restore_selected(&rig.at, &kept.component, &diagnosis, &contents).unwrap();
    let answers = rig.acts(&acts, Some(&kept));
    // Five orders were deleted with their lines after the backup, and one customer who came after it is gone for good.
    let aside = rig.sql("SELECT count(*) FROM xtask_quarantine.\"shop.order_lines\";");
    assert_eq!(aside, "15");
    assert_eq!(rig.sql("SELECT count(*) FROM xtask_quarantine.\"shop.orders\";"), "1");
    assert!(answers.contains("quarantined=16\n"), "{answers}");

    let again = rig.act(&engine().diagnose(&rig.at), None);
    assert_eq!(Diagnosis::parse(&again, promised).unwrap().0.damages, []);
    assert_eq!(rig.sql("SELECT count(*) FROM pg_constraint WHERE NOT convalidated;"), "0");
    let after = rig.census();
    // What was not damaged is as it was just before the strike, newer rows included.
    let untouched = [
        "table shop.products",
        "table shop.payments",
        "table shop.reviews",
        "table xtask_drill.mark_kept",
        "largeobjects",
        "sequence shop.invoice_numbers",
        "sequence shop.orders_id_seq",
    ];
    for object in untouched {
        assert_eq!(after.objects[object], before.objects[object], "{object}");
    }
    for object in ["table shop.events", "table xtask_drill.mark_struck"] {
        assert_eq!(after.objects[object], promised.objects[object], "{object}");
    }
    let definitions = |census: &Census| -> BTreeMap<String, Entry> {
        let own = |object: &str, entry: &Entry| {
            matches!(entry, Entry::Definition { .. }) && !object.starts_with("set aside of ")
        };
        census.objects.clone().into_iter().filter(|(object, entry)| own(object, entry)).collect()
    };
    // What is there and what was set aside are together what the backup holds.
    let (Entry::Content { digest, .. }, Entry::Definition { digest: aside, .. }, Entry::Content { digest: whole, .. }) = (
        &after.objects["table shop.order_lines"],
        &after.objects["set aside of table shop.order_lines"],
        &promised.objects["table shop.order_lines"],
    ) else {
        panic!("other kinds of entries")
    };
    assert_eq!(engine().digest_sum(digest, aside).as_ref(), Some(whole));
    assert_eq!(definitions(&after), definitions(promised));
    assert_eq!(rig.sql("SELECT count(*) FROM shop.customers WHERE email LIKE 'late%';"), "49");
    let probe = rig.run(&engine().probe(&rig.at, &engine().rehearsal_store(None)), std::process::Stdio::null());
    assert!(probe.exit.ok());
}

#[test]
fn postgres_15_mends_what_is_damaged_and_keeps_newer_rows() {
    mends_a_partial_corruption(15);
}

#[test]
fn postgres_17_mends_what_is_damaged_and_keeps_newer_rows() {
    mends_a_partial_corruption(17);
}
