//! Restores of a site that goes on running: what comes back, what is kept, and what a writer notices.

use super::rig::{Rig, content};
use rusqlite::Connection;
use std::sync::atomic::{AtomicBool, Ordering};

const LIVE: [&str; 6] = ["restore", "site", "latest", "--to", "live", "--confirm"];

fn live() -> Vec<&'static str> {
    [LIVE.as_slice(), &["site"]].concat()
}

#[test]
fn flaw_28_a_database_and_a_folder_come_back_and_what_was_there_is_kept_twice() {
    for mode in ["wal", "delete"] {
        let rig = Rig::new(mode, 20);
        let (before, pictures) = (rig.content(), rig.pictures());
        let set = rig.backup();
        rig.sql("DELETE FROM orders WHERE id < 9; INSERT INTO orders(customer, said) VALUES (2, 'newer')");
        std::fs::write(rig.path("uploads/second.jpg"), "newer").unwrap();
        std::fs::remove_file(rig.path("uploads/first.jpg")).unwrap();
        let changed = rig.content();
        let done = rig.done(&[live().as_slice(), &["--json"]].concat());
        let said: serde_json::Value = serde_json::from_str(&done.out).unwrap();
        assert_eq!((rig.content(), rig.pictures()), (before.clone(), pictures.clone()), "{mode}");
        assert_eq!((said["set"].as_str(), said["to"].as_str()), (Some(set.as_str()), Some("live")));
        assert_eq!(said["stores"][0]["rows"], 22, "{said}");
        assert!(said["stores"][0]["timeline"]["total_seconds"].as_f64().unwrap() > 0.0);
        let [db] = &rig.named("site.db_before_")[..] else { panic!("{:?}", rig.named("_before_")) };
        assert_eq!(content(&rig.path("data").join(db)), changed, "{mode}: the previous database is whole");
        let [folder] = &rig.named("uploads_before_")[..] else { panic!("one previous folder") };
        assert_eq!(std::fs::read_to_string(rig.path(folder).join("second.jpg")).unwrap(), "newer");
        assert_eq!(rig.named("_restore_"), Vec::<String>::new());
        // The safety set is a normal one, and yet nobody's `latest`.
        let safety = said["safety"].as_str().unwrap().to_owned();
        rig.done(&["verify", "site", "all"]);
        let again = rig.done(&live());
        assert!(again.err.contains(&format!("passed over {safety}")) && again.out.contains(&set), "{}", again.said());
        rig.done(&["restore", "site", &safety, "--to", "live", "--confirm", "site"]);
        assert_eq!(rig.content(), changed, "{mode}: and back again");
    }
}

/// Row 7 of the old scripts' flaws: the site was stopped first, and stayed down when a step failed. Nothing is stopped here.
#[test]
fn flaw_07_a_writer_goes_on_through_a_restore_and_sees_old_or_new() {
    for mode in ["wal", "delete"] {
        let rig = Rig::new(mode, 3000);
        let before = u32::try_from(rig.content().len()).unwrap();
        rig.backup();
        rig.sql("DELETE FROM orders WHERE id > 10");
        let (over, db) = (AtomicBool::new(false), rig.path("data/site.db"));
        let written = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let conn = Connection::open(&db).unwrap();
                conn.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
                let mut seen = Vec::new();
                while !over.load(Ordering::SeqCst) {
                    conn.execute("INSERT INTO orders(customer, said) VALUES (1, 'written meanwhile')", []).unwrap();
                    let count = |said: &str| {
                        let ask = format!("SELECT count(*) FROM orders WHERE said {said} 'written meanwhile'");
                        conn.query_row(&ask, [], |r| r.get::<_, u32>(0)).unwrap()
                    };
                    seen.push(count("<>"));
                }
                seen
            });
            rig.done(&live());
            over.store(true, Ordering::SeqCst);
            writer.join().unwrap()
        });
        assert!(
            written.iter().all(|count| *count == 10 || *count == before - 2),
            "{mode}: never a mixture: {written:?}"
        );
        assert_eq!((written[0], written.last()), (10, Some(&(before - 2))), "{mode}: it wrote before and after");
        drop(rig.content());
    }
}

/// Row 8: what only the WAL holds belongs to what was there before.
#[test]
fn flaw_08_rows_that_only_the_wal_holds_are_in_the_safety_set_and_in_the_previous_database() {
    let rig = Rig::new("wal", 5);
    rig.backup();
    let app = rig.open();
    app.execute_batch("PRAGMA wal_autocheckpoint=0; INSERT INTO orders(customer, said) VALUES (1, 'only in the WAL')")
        .unwrap();
    let alone = std::fs::read(rig.path("data/site.db")).unwrap();
    assert!(!alone.windows(15).any(|w| w == b"only in the WAL"), "the fault of this test did not fire");
    let done = rig.done(&[live().as_slice(), &["--store", "db", "--json"]].concat());
    let safety: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    let held = |content: &super::rig::Content| content.iter().any(|row| row.3 == "only in the WAL");
    let [previous] = &rig.named("_before_")[..] else { panic!("one previous database") };
    assert!(held(&content(&rig.path("data").join(previous))) && !held(&rig.content()));
    rig.done(&["restore", "site", safety["safety"].as_str().unwrap(), "--to", "safety.db", "--store", "db"]);
    assert!(held(&content(&rig.path("data/safety.db"))));
    drop(app);
}

/// Rows 9 and 29: a lost database's WAL is not replayed onto what comes back, and what is missing is made.
#[test]
fn flaw_09_and_29_a_lost_database_comes_back_without_its_stale_wal_and_without_a_word_of_confirmation() {
    let rig = Rig::new("wal", 5);
    let before = rig.content();
    rig.backup();
    let app = rig.open();
    app.execute_batch("PRAGMA wal_autocheckpoint=0; INSERT INTO orders(customer, said) VALUES (1, 'stale')").unwrap();
    std::mem::forget(app); // As a killed process: no clean-up at close.
    std::fs::remove_file(rig.path("data/site.db")).unwrap();
    assert!(rig.path("data/site.db-wal").exists(), "the fault of this test did not fire");
    let done = rig.done(&["restore", "site", "latest", "--to", "live", "--store", "db"]);
    assert_eq!(rig.content(), before);
    assert_eq!(rig.named("-wal.lost"), ["site.db-wal.lost"], "the evidence is kept");
    assert!(done.out.contains("no safety backup of db"), "{}", done.said());
}

/// Rows 23, 24 and 51: restored over data that was there, nothing of it stays in between, and a set from before a migration undoes it.
#[test]
fn flaw_23_24_and_51_a_restore_over_a_migrated_database_leaves_nothing_of_it() {
    let rig = Rig::new("wal", 5);
    let before = rig.content();
    rig.backup();
    rig.sql("CREATE TABLE version(head TEXT); INSERT INTO version VALUES ('newer'); ALTER TABLE orders ADD COLUMN extra; UPDATE orders SET id = id + 100");
    rig.done(&live());
    assert_eq!(rig.content(), before);
    let tables: i64 =
        rig.open().query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'version'", [], |r| r.get(0)).unwrap();
    assert_eq!(tables, 0);
}

#[test]
fn beside_under_another_name_nothing_is_touched_and_nobody_s_name_is_taken() {
    let rig = Rig::new("delete", 5);
    let before = rig.content();
    let set = rig.backup();
    rig.sql("DELETE FROM orders");
    let (changed, live) = (rig.content(), std::fs::read(rig.path("data/site.db")).unwrap());
    rig.done(&["restore", "site", &set, "--to", "monday", "--store", "db"]);
    assert_eq!(content(&rig.path("data/monday")), before);
    assert_eq!((rig.content(), std::fs::read(rig.path("data/site.db")).unwrap()), (changed, live));
    let again = rig.run(&["restore", "site", &set, "--to", "monday", "--store", "db", "--confirm", "site"]);
    assert_eq!(again.code, Some(26), "{}", again.said());
    rig.done(&["restore", "site", &set, "--to", "tuesday", "--store", "pictures"]);
    assert_eq!(std::fs::read_to_string(rig.path("tuesday/first.jpg")).unwrap(), "picture");
    assert_eq!(rig.named("_before_"), Vec::<String>::new());
}

#[test]
fn what_was_there_can_be_dropped_and_a_plan_touches_nothing() {
    let rig = Rig::new("wal", 5);
    rig.backup();
    rig.sql("DELETE FROM orders WHERE id = 1");
    let changed = rig.content();
    let plan = rig.done(&[live().as_slice(), &["--plan"]].concat()).out;
    for step in [
        "sqlite vacant",
        "safety backup",
        "sqlite load",
        "sqlite census",
        "sqlite exchange",
        "files exchange",
        "sqlite probe",
    ] {
        assert!(plan.contains(step), "{step}: {plan}");
    }
    assert_eq!(rig.content(), changed, "a plan runs nothing");
    rig.done(&[live().as_slice(), &["--drop-previous"]].concat());
    assert_ne!(rig.content(), changed);
    assert_eq!([rig.named("_before_"), rig.named("_restore_")].concat(), Vec::<String>::new());
}

#[test]
fn a_damaged_database_changes_names_and_needs_a_word_more_because_it_cannot_be_backed_up() {
    let rig = Rig::new("delete", 500);
    let before = rig.content();
    rig.backup();
    let mut bytes = std::fs::read(rig.path("data/site.db")).unwrap();
    bytes[100..4096].fill(0xa5);
    std::fs::write(rig.path("data/site.db"), &bytes).unwrap();
    let refused = rig.run(&[live().as_slice(), &["--store", "db"]].concat());
    assert_eq!(refused.code, Some(14), "{}", refused.said());
    assert!(refused.err.contains("cannot be backed up") && refused.err.contains("--without-safety-backup"));
    assert_eq!(std::fs::read(rig.path("data/site.db")).unwrap(), bytes, "nothing was touched");
    let done = rig.done(&[live().as_slice(), &["--store", "db", "--without-safety-backup"]].concat());
    assert!(done.out.contains("NO SAFETY BACKUP"), "{}", done.said());
    assert_eq!(rig.content(), before);
    let [previous] = &rig.named("_before_")[..] else { panic!("the damaged one is kept") };
    assert_eq!(std::fs::read(rig.path("data").join(previous)).unwrap(), bytes);
    let log = std::fs::read_to_string(rig.path("vault/audit.jsonl")).unwrap();
    assert!(log.lines().any(|l| l.contains("\"begun\"") && l.contains("without a safety backup")), "{log}");
}

#[test]
fn what_is_there_without_a_row_is_backed_up_before_it_is_replaced_and_the_way_back_is_complete() {
    let rig = Rig::new("wal", 5);
    rig.backup();
    rig.sql("DELETE FROM orders; DELETE FROM customers; CREATE TABLE newer(a)");
    let done = rig.done(&[live().as_slice(), &["--store", "db", "--drop-previous"]].concat());
    assert!(!done.out.contains("no safety backup"), "{}", done.said());
    assert!(done.out.contains("what was committed after that is in no copy"), "{}", done.said());
    let line = done.out.lines().find(|line| line.contains("cargo xtask restore")).unwrap().trim();
    let words: Vec<&str> = line.split(' ').skip(2).collect();
    rig.done(&words);
    assert_eq!(rig.content(), []);
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'newer'";
    assert_eq!(rig.open().query_row(tables, [], |r| r.get::<_, i64>(0)).unwrap(), 1, "its tables are back, too");
}

#[test]
fn a_folder_s_note_is_told_also_when_what_was_there_is_dropped() {
    let rig = Rig::new("wal", 5);
    rig.backup();
    let done = rig.done(&[live().as_slice(), &["--store", "pictures", "--drop-previous"]].concat());
    assert!(done.out.contains("until it is restarted"), "{}", done.said());
}
