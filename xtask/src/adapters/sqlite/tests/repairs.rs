//! Partial corruption: the diagnosis names what is damaged, the repair brings back that and nothing else.

use super::*;
use crate::domain::diagnosis::Diagnosis;
use rusqlite::Connection;

struct Damaged {
    _folder: tempfile::TempDir,
    db: PathBuf,
    copy: PathBuf,
    backup: Census,
    before: Census,
    input: String,
    diagnosis: Diagnosis,
}

/// Backed up, used, struck, diagnosed. `meanwhile` is business after the backup.
fn struck(meanwhile: &str) -> Damaged {
    let (folder, db) = shop();
    let marks = |text: &str| fed("mark", &db, &[], text.as_bytes()).unwrap();
    marks("1\n2\n");
    let copy = folder.path().join("scratch/backup.db");
    ran("snapshot", &db, &[copy.to_str().unwrap()]);
    let backup = ran("census-copy", &copy, &[]).census();
    ran("churn", &db, &[]);
    marks("3\n4\n");
    Connection::open(&db).unwrap().execute_batch(meanwhile).unwrap();
    let before = ran("census", &db, &[]).census();
    ran("strike-corrupt", &db, &[]);
    let said = ran("diagnose", &db, &[]);
    let (diagnosis, _) = Diagnosis::parse(said.text(), &backup).unwrap();
    let input = serde_json::to_string(&diagnosis).unwrap();
    Damaged { _folder: folder, db, copy, backup, before, input, diagnosis }
}

fn repair(d: &Damaged) -> String {
    let bytes = std::fs::read(&d.copy).unwrap();
    let staged = d.copy.with_file_name("staged.db");
    let listed = fed("stage", &staged, &[], &bytes).unwrap();
    assert!(listed.text().lines().any(|l| l == "table main.order_lines"), "{}", listed.text());
    let first =
        fed("repair", &d.db, &[staged.to_str().unwrap()], d.input.as_bytes()).unwrap_or_else(|e| panic!("{e:#}"));
    let second =
        fed("finish", &d.db, &[staged.to_str().unwrap()], d.input.as_bytes()).unwrap_or_else(|e| panic!("{e:#}"));
    format!("{}{}", first.text(), second.text())
}

#[test]
fn the_diagnosis_names_every_damage_and_no_other() {
    let d = struck("");
    let said: Vec<String> = d.diagnosis.damages.iter().map(|x| x.object().to_owned()).collect();
    assert_eq!(
        said,
        ["table main.order_lines", "table main.xtask_mark_struck", "table main.events", "table main.orders"]
    );
    assert_eq!(d.diagnosis.lost().count(), 3);
    let last = d.diagnosis.damages.last().unwrap().to_string();
    assert!(last.contains("orders.customer_id -> customers"), "{last}");
}

#[test]
fn a_repair_keeps_newer_rows_and_ends_with_valid_keys() {
    let d = struck("CREATE TABLE newer (a); INSERT INTO newer VALUES (1), (NULL); CREATE INDEX newer_a ON newer (a);");
    let said = repair(&d);
    let after = ran("census", &d.db, &[]).census();
    let same =
        |census: &Census, object: &str| assert_eq!(after.objects[object], census.objects[object], "{object}\n{said}");
    // Lost ones are the backup's, row for row; healthy ones are as they were before the strike.
    same(&d.backup, "table main.events");
    same(&d.backup, "table main.xtask_mark_struck");
    for object in [
        "table main.products",
        "table main.attachments",
        "table main.xtask_mark_kept",
        "table main.newer",
        "index main.newer_a",
    ] {
        same(&d.before, object);
    }
    assert_ne!(
        d.before.objects["table main.products"], d.backup.objects["table main.products"],
        "the churn must have changed them"
    );
    for object in d.backup.objects.keys().filter(|o| !o.starts_with("table ")) {
        assert!(after.objects.contains_key(object), "{object} is missing\n{said}");
    }
    assert_eq!(number(&d.db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    assert_eq!(number(&d.db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
    assert_eq!(std::fs::read(&d.db).unwrap()[18], 2, "WAL mode is kept");
    // Five deleted customers come back; the newest one was in no backup, so its order is quarantined, as are the lines of the order
    // that was deleted on purpose: it must not rise again.
    assert!(said.contains("reinserted=5\n"), "{said}");
    assert_eq!(number(&d.db, "SELECT count(*) FROM orders WHERE id = 7"), 0);
    let shelved = number(&d.db, "SELECT count(*) FROM xtask_quarantine_order_lines");
    assert!(shelved > 0 && number(&d.db, "SELECT min(order_id = 7) FROM xtask_quarantine_order_lines") == 1);
    assert_eq!(number(&d.db, "SELECT count(*) FROM xtask_quarantine_orders"), 1);
    assert!(said.contains(&format!("quarantined={}\n", shelved + 1)), "{said}");
    ran("probe", &d.db, &[]);
    assert_eq!(ran("marks", &d.db, &["kept"]).text(), "1\n2\n3\n4\n");
    assert_eq!(ran("marks", &d.db, &["struck"]).text(), "1\n2\n");
    let folder = d.db.parent().unwrap();
    assert_eq!(names(folder), ["app.db", "app.db.damaged", "scratch"]);
}

#[test]
fn a_full_text_index_is_restored_as_one() {
    let (folder, db) = shop();
    let conn = Connection::open(&db).unwrap();
    conn.execute_batch("CREATE VIRTUAL TABLE words USING fts5(a); INSERT INTO words VALUES('alpha'), ('beta');")
        .unwrap();
    let copy = folder.path().join("scratch/backup.db");
    ran("snapshot", &db, &[copy.to_str().unwrap()]);
    conn.execute_batch("INSERT INTO words VALUES('gamma'); CREATE TABLE extra(a); INSERT INTO extra VALUES(1);")
        .unwrap();
    conn.close().unwrap();
    let input = r#"{"damages":[{"damage":"missing","object":"table main.words_data"}]}"#;
    for verb in ["repair", "finish"] {
        fed(verb, &db, &[copy.to_str().unwrap()], input.as_bytes()).unwrap_or_else(|e| panic!("{verb}: {e:#}"));
    }
    assert_eq!(number(&db, "SELECT count(*) FROM words WHERE words MATCH 'alpha OR gamma'"), 1);
    assert_eq!(number(&db, "SELECT count(*) FROM extra"), 1);
    Connection::open(&db).unwrap().execute_batch("INSERT INTO words(words) VALUES('integrity-check')").unwrap();
}

#[test]
fn a_file_whose_first_page_is_destroyed_is_rebuilt_from_the_backup() {
    let (folder, db) = shop();
    let copy = folder.path().join("scratch/backup.db");
    ran("snapshot", &db, &[copy.to_str().unwrap()]);
    let backup = ran("census-copy", &copy, &[]).census();
    let mut bytes = std::fs::read(&db).unwrap();
    bytes[100..4096].fill(0xa5);
    std::fs::write(&db, bytes).unwrap();
    let said = ran("diagnose", &db, &[]);
    let (diagnosis, _) = Diagnosis::parse(said.text(), &backup).unwrap();
    assert_eq!(diagnosis.lost().filter(|o| o.starts_with("table ")).count(), backup.contents());
    let input = serde_json::to_string(&diagnosis).unwrap();
    for verb in ["repair", "finish"] {
        fed(verb, &db, &[copy.to_str().unwrap()], input.as_bytes()).unwrap_or_else(|e| panic!("{verb}: {e:#}"));
    }
    assert_eq!(backup.differences(&ran("census", &db, &[]).census()), []);
}

#[test]
fn a_damaged_index_is_blamed_alone_and_rebuilt() {
    let (folder, db) = shop();
    let copy = folder.path().join("scratch/backup.db");
    ran("snapshot", &db, &[copy.to_str().unwrap()]);
    let backup = ran("census-copy", &copy, &[]).census();
    let page = number(
        &db,
        "SELECT pageno FROM dbstat WHERE name = 'events_by_time' AND pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET 1",
    );
    let mut bytes = std::fs::read(&db).unwrap();
    let at = (usize::try_from(page).unwrap() - 1) * 4096;
    bytes[at..at + 4096].fill(0xa5);
    std::fs::write(&db, bytes).unwrap();
    let said = ran("diagnose", &db, &[]);
    let (diagnosis, found) = Diagnosis::parse(said.text(), &backup).unwrap();
    assert_eq!(diagnosis.lost().collect::<Vec<_>>(), ["index main.events_by_time"], "{}", said.text());
    assert_eq!(found.objects["table main.events"], backup.objects["table main.events"]);
    let input = serde_json::to_string(&diagnosis).unwrap();
    for verb in ["repair", "finish"] {
        fed(verb, &db, &[copy.to_str().unwrap()], input.as_bytes()).unwrap_or_else(|e| panic!("{verb}: {e:#}"));
    }
    assert_eq!(backup.differences(&ran("census", &db, &[]).census()), []);
}

#[test]
fn a_database_in_use_is_not_repaired_and_one_written_meanwhile_is_not_replaced() {
    let d = struck("");
    let staged = d.copy.to_str().unwrap();
    let service = Connection::open(&d.db).unwrap();
    service.query_row("SELECT count(*) FROM products", [], |r| r.get::<_, i64>(0)).unwrap();
    assert_eq!(kind(fed("repair", &d.db, &[staged], d.input.as_bytes())), RefusalKind::Preflight);
    drop(service);
    fed("repair", &d.db, &[staged], d.input.as_bytes()).unwrap();
    let conn = Connection::open(&d.db).unwrap();
    conn.execute_batch("UPDATE products SET title = 'late' WHERE id = 1").unwrap();
    assert_eq!(kind(fed("finish", &d.db, &[staged], d.input.as_bytes())), RefusalKind::Preflight);
    assert_eq!(number(&d.db, "SELECT count(*) FROM products WHERE title = 'late'"), 1);
    assert!(!d.db.with_file_name("app.db.damaged").exists());
}

#[test]
fn a_table_that_the_backup_lacks_is_refused_before_anything_changes() {
    let (folder, db) = shop();
    let copy = folder.path().join("scratch/backup.db");
    ran("snapshot", &db, &[copy.to_str().unwrap()]);
    let input = br#"{"damages":[{"damage":"missing","object":"table main.never"}]}"#;
    assert_eq!(kind(fed("repair", &db, &[copy.to_str().unwrap()], input)), RefusalKind::BadArtifact);
    assert_eq!(number(&db, "SELECT count(*) > 0 FROM events"), 1);
}
