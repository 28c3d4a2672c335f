//! Restores: whole or not at all, never over something, never with a lost database's WAL.

use super::*;
use rusqlite::Connection;

fn artifact(db: &Path, folder: &Path) -> Vec<u8> {
    let copy = folder.join("artifact.db");
    ran("snapshot", db, &[copy.to_str().unwrap()]);
    ran("read", &copy, &[]).out
}

/// Row 9 of the old scripts' flaws: a stale WAL beside a restored file is replayed onto it.
#[test]
fn flaw_09_a_stale_wal_is_put_aside_and_not_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("app.db");
    let writer = Connection::open(&db).unwrap();
    writer.execute_batch("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(a); INSERT INTO t VALUES(1); PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let backup = artifact(&db, scratch.path());
    writer.execute_batch("INSERT INTO t VALUES(2),(3),(4),(5),(6)").unwrap();
    let wal = std::fs::read(folder.path().join("app.db-wal")).unwrap();
    std::mem::forget(writer); // As a killed process: no clean-up at close.
    std::fs::remove_file(&db).unwrap();
    std::fs::remove_file(folder.path().join("app.db-shm")).unwrap();

    let naive = tempfile::tempdir().unwrap();
    let old = naive.path().join("app.db");
    std::fs::write(&old, &backup).unwrap();
    std::fs::write(naive.path().join("app.db-wal"), &wal).unwrap();
    assert_eq!(number(&old, "SELECT count(*) FROM t"), 6, "the fault of this test did not fire");

    fed("load", &db, &[], &backup).unwrap();
    let said = ran("adopt", &db, &[]);
    assert!(said.text().contains("app.db-wal.lost"), "{}", said.text());
    assert_eq!(number(&db, "SELECT count(*) FROM t"), 1);
    assert_eq!(std::fs::read(folder.path().join("app.db-wal.lost")).unwrap(), wal, "the evidence must be kept");
}

/// Rows 5 and 6: a binary database fed to a program that expects SQL.
#[test]
fn flaw_05_and_06_text_is_not_loaded_as_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("app.db");
    assert_eq!(
        kind(fed("load", &db, &[], b"CREATE TABLE t(a);\nINSERT INTO t VALUES(1);\n")),
        RefusalKind::BadArtifact
    );
    assert_eq!(kind(fed("load", &db, &[], b"")), RefusalKind::BadArtifact);
    assert_eq!(names(folder.path()), [""; 0], "a refused artifact must leave nothing");
}

#[test]
fn an_artifact_that_is_cut_short_leaves_nothing() {
    let (folder, db) = shop();
    let bytes = artifact(&db, folder.path());
    let target = tempfile::tempdir().unwrap();
    let path = target.path().join("app.db");
    for cut in [50, 4096, bytes.len() / 2, bytes.len() - 1] {
        assert_eq!(kind(fed("load", &path, &[], &bytes[..cut])), RefusalKind::BadArtifact, "{cut}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(kind(fed("load", &path, &[], &longer)), RefusalKind::BadArtifact);
    assert_eq!(names(target.path()), [""; 0]);
}

#[test]
fn a_damaged_artifact_never_gets_the_name() {
    let (folder, db) = shop();
    let mut bytes = artifact(&db, folder.path());
    let middle = bytes.len() / 8192 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    let target = tempfile::tempdir().unwrap();
    let path = target.path().join("app.db");
    fed("load", &path, &[], &bytes).unwrap();
    assert_eq!(kind(fed("adopt", &path, &[], b"")), RefusalKind::BadArtifact);
    assert!(!path.exists());
}

#[test]
fn nothing_is_restored_over_a_database_or_any_other_file() {
    let (folder, db) = shop();
    let bytes = artifact(&db, folder.path());
    assert_eq!(kind(fed("load", &db, &[], &bytes)), RefusalKind::TargetNotEmpty);
    assert!(ran("vacant", &db, &["--needs", "7"]).text().starts_with("state=occupied\n"));
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "precious").unwrap();
    assert_eq!(kind(fed("load", &text, &[], &bytes)), RefusalKind::TargetNotEmpty);
    // Something that appears between the two halves is not replaced either.
    let late = folder.path().join("late.db");
    fed("load", &late, &[], &bytes).unwrap();
    std::fs::write(&late, "precious").unwrap();
    assert_eq!(kind(fed("adopt", &late, &[], b"")), RefusalKind::TargetNotEmpty);
    assert_eq!(std::fs::read(&late).unwrap(), b"precious");
    let vacant = ran("vacant", &folder.path().join("new.db"), &["--needs", "7"]);
    assert!(
        vacant.text().starts_with("state=vacant\nfree=") && vacant.text().ends_with("needs=7\n"),
        "{}",
        vacant.text()
    );
}

#[test]
fn rights_come_back_without_special_bits() {
    use std::os::unix::fs::MetadataExt;
    let (folder, db) = shop();
    let bytes = artifact(&db, folder.path());
    let target = tempfile::tempdir().unwrap();
    let path = target.path().join("app.db");
    fed("load", &path, &[], &bytes).unwrap();
    assert_eq!(std::fs::metadata(load::pending(&path)).unwrap().mode() & 0o7777, 0o600);
    ran("adopt", &path, &["--mode", "4644"]);
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o644);
}

#[test]
fn marks_are_acknowledged_after_both_tables_hold_them() {
    let (_folder, db) = shop();
    let said = fed("mark", &db, &[], b"1\n2\n3\n").unwrap();
    assert_eq!(said.text(), "ack 1\nack 2\nack 3\n");
    for which in ["kept", "struck"] {
        assert_eq!(ran("marks", &db, &[which]).text(), "1\n2\n3\n");
    }
    assert!(fed("mark", &db, &[], b"3\n").is_err(), "a mark twice is an error");
    assert_eq!(ran("marks", &db, &["kept"]).text(), "1\n2\n3\n");
}

#[test]
fn the_database_is_gone_after_the_strike_and_its_place_is_vacant() {
    let (folder, db) = shop();
    std::fs::write(folder.path().join("app.db-wal"), b"").unwrap();
    ran("strike-delete", &db, &[]);
    assert_eq!(names(folder.path()), [""; 0]);
    assert!(ran("vacant", &db, &[]).text().starts_with("state=vacant\n"));
    assert_eq!(kind(fed("strike-delete", &db, &[], b"")), RefusalKind::MissingStore);
}

#[test]
fn a_restore_gives_way_to_a_database_that_was_made_in_the_last_moment_and_replaces_an_empty_file() {
    let folder = tempfile::tempdir().unwrap();
    let (pending, db) = (folder.path().join("pending"), folder.path().join("app.db"));
    std::fs::write(&pending, "backup").unwrap();
    std::fs::write(&db, "somebody's").unwrap();
    let refused = load::put_in_place(&pending, &db).unwrap_err();
    assert_eq!(refused.downcast_ref::<Refusal>().unwrap().kind, RefusalKind::TargetNotEmpty);
    let held = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert_eq!((held(&pending), held(&db)), ("backup".into(), "somebody's".into()));
    std::fs::write(&db, "").unwrap();
    load::put_in_place(&pending, &db).unwrap();
    assert_eq!((names(folder.path()), held(&db)), (vec!["app.db".to_owned()], "backup".into()));
}

#[test]
fn what_fails_after_the_exchange_is_told_and_the_copy_of_what_was_there_is_found_again() {
    let (folder, db) = shop();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (fresh, previous) = (place("app.db_restore_x"), place("app.db_before_x"));
    std::fs::write(&fresh, artifact(&db, folder.path())).unwrap();
    let rows = "SELECT count(*) FROM sqlite_schema";
    let held = number(&db, rows);
    Connection::open(&db).unwrap().execute_batch("CREATE TABLE newer(a)").unwrap();
    // Nothing can be renamed over a folder.
    std::fs::create_dir(&previous).unwrap();
    let places = exchange::Places { fresh: PathBuf::from(&fresh), previous: PathBuf::from(&previous) };
    let said = Said::of(b"", &[], |_, streams| exchange::exchange(&db, &places, (true, true), streams)).unwrap();
    assert!(
        said.text().contains("note=what was there before") && said.text().contains("exchanged=written"),
        "{}",
        said.text()
    );
    assert_eq!(number(&db, rows), held, "it is the restored one");
    std::fs::remove_dir(&previous).unwrap();
    let said = Said::of(b"", &[], |_, streams| exchange::clear(&db, &places, streams)).unwrap();
    assert!(said.text().contains("kept="), "{}", said.text());
    assert_eq!(number(Path::new(&previous), rows), held + 1, "and this is what was there");
}
