//! Snapshots: exact, of one moment, and without a trace at the source.

use super::*;
use rusqlite::Connection;

#[test]
fn a_snapshot_read_and_loaded_has_the_same_census() {
    let (folder, db) = shop();
    let copy = folder.path().join("scratch/copy.db");
    ran("snapshot", &db, &[copy.to_str().unwrap()]);
    let promised = ran("census-copy", &copy, &[]).census();
    let bytes = ran("read", &copy, &[]);
    assert_eq!(bytes.err, format!("xtask-declared-bytes {}\n", bytes.out.len()));
    let other = folder.path().join("other/app.db");
    fed("load", &other, &[], &bytes.out).unwrap();
    ran("adopt", &other, &["--mode", "640"]);
    assert_eq!(promised.differences(&ran("census", &other, &[]).census()), []);
    assert_eq!(promised.differences(&ran("census", &db, &[]).census()), []);
    assert!(promised.rows() > 600, "{}", promised.rows());
    assert_eq!(names(other.parent().unwrap()), ["app.db"]);
    ran("release", &copy, &[]);
    assert_eq!(names(copy.parent().unwrap()), [""; 0]);
}

#[test]
fn the_same_size_gives_the_same_bytes() {
    let ((_a, one), (_b, two)) = (shop(), shop());
    assert_eq!(std::fs::read(one).unwrap(), std::fs::read(two).unwrap());
}

#[test]
fn reading_a_quiet_wal_database_creates_no_file_even_beside_it() {
    let (folder, db) = shop();
    let before = std::fs::read(&db).unwrap();
    assert_eq!(before[18], 2, "the seed must be in WAL mode for this test to mean anything");
    let scratch = tempfile::tempdir().unwrap();
    let copy = scratch.path().join("copy.db");
    for (verb, rest) in
        [("snapshot", vec![copy.to_str().unwrap()]), ("census", vec![]), ("inspect", vec![]), ("facts", vec![])]
    {
        ran(verb, &db, &rest);
        assert_eq!(names(folder.path()), ["app.db"], "{verb}");
    }
    assert_eq!(std::fs::read(&db).unwrap(), before);
    assert_eq!(std::fs::read(&copy).unwrap()[18], 2, "the journal mode must be kept");
}

/// Row 8 of the old scripts' flaws: a plain copy of a live WAL database misses what is committed in the WAL.
#[test]
fn flaw_08_a_plain_copy_loses_committed_rows_and_ours_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("live.db");
    let writer = Connection::open(&db).unwrap();
    writer
        .execute_batch(
            "PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1); PRAGMA wal_checkpoint(TRUNCATE);",
        )
        .unwrap();
    writer.execute_batch("PRAGMA wal_autocheckpoint=0;").unwrap();
    for n in 2..=6 {
        writer.execute("INSERT INTO t VALUES(?1)", [n]).unwrap();
    }
    let wal_before = std::fs::read(folder.path().join("live.db-wal")).unwrap();
    let copy = folder.path().join("ours.db");
    ran("snapshot", &db, &[copy.to_str().unwrap()]);
    assert_eq!(number(&copy, "SELECT count(*) FROM t"), 6);
    assert_eq!(std::fs::read(folder.path().join("live.db-wal")).unwrap(), wal_before, "the source was checkpointed");
    let plain = folder.path().join("plain.db");
    std::fs::copy(&db, &plain).unwrap();
    assert_eq!(number(&plain, "SELECT count(*) FROM t"), 1, "the fault of this test did not fire");
}

#[test]
fn a_writer_at_work_does_not_tear_the_snapshot() {
    let (folder, db) = shop();
    let writer = Connection::open(&db).unwrap();
    writer.execute_batch("CREATE TABLE pair_a(n); CREATE TABLE pair_b(n);").unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let work = scope.spawn(move || {
            let mut written = 0;
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                let sql = format!("BEGIN IMMEDIATE; INSERT INTO pair_a VALUES({written}); INSERT INTO pair_b VALUES({written}); COMMIT;");
                writer.execute_batch(&sql).unwrap();
                written += 1;
            }
            written
        });
        for round in 0..8 {
            let copy = folder.path().join(format!("copy{round}.db"));
            ran("snapshot", &db, &[copy.to_str().unwrap()]);
            let torn = "SELECT (SELECT count(*) FROM pair_a) - (SELECT count(*) FROM pair_b)";
            assert_eq!(number(&copy, torn), 0);
            assert_eq!(number(&copy, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
        }
        stop.send(()).unwrap();
        assert!(work.join().unwrap() > 0, "the writer wrote nothing");
    });
}

/// What a process that was killed leaves: a WAL with committed rows and no `-shm`, in a folder nobody may write.
#[test]
fn a_deserted_wal_is_replayed_in_the_copy_and_left_alone_at_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("live.db");
    let writer = Connection::open(&live).unwrap();
    writer.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1),(2);").unwrap();
    let dead = tempfile::tempdir().unwrap();
    let db = dead.path().join("live.db");
    std::fs::copy(&live, &db).unwrap();
    std::fs::copy(folder.path().join("live.db-wal"), dead.path().join("live.db-wal")).unwrap();
    let wal = std::fs::read(dead.path().join("live.db-wal")).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let copy = scratch.path().join("copy.db");
    ran("facts", &db, &[]);
    ran("snapshot", &db, &[copy.to_str().unwrap()]);
    assert_eq!(number(&copy, "SELECT count(*) FROM t"), 2);
    assert_eq!(names(dead.path()), ["live.db", "live.db-wal"]);
    assert_eq!(std::fs::read(dead.path().join("live.db-wal")).unwrap(), wal);
}

#[test]
fn a_hot_journal_is_rolled_back_in_the_copy_and_left_alone_at_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("live.db");
    let writer = Connection::open(&live).unwrap();
    writer.execute_batch("PRAGMA journal_mode=DELETE; CREATE TABLE t(a, b); PRAGMA cache_size=2;").unwrap();
    writer.execute_batch("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<300) INSERT INTO t SELECT i, hex(zeroblob(500)) FROM n;").unwrap();
    writer.execute_batch("BEGIN; UPDATE t SET a = -1;").unwrap();
    let dead = tempfile::tempdir().unwrap();
    let db = dead.path().join("live.db");
    std::fs::copy(&live, &db).unwrap();
    std::fs::copy(folder.path().join("live.db-journal"), dead.path().join("live.db-journal")).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let copy = scratch.path().join("copy.db");
    let journal = std::fs::read(dead.path().join("live.db-journal")).unwrap();
    assert_eq!(&journal[..4], [0xd9, 0xd5, 0x05, 0xf9], "the journal must be hot");
    ran("snapshot", &db, &[copy.to_str().unwrap()]);
    assert_eq!(number(&copy, "SELECT min(a) FROM t"), 1);
    assert_eq!(std::fs::read(dead.path().join("live.db-journal")).unwrap(), journal);
}

#[test]
fn what_is_no_database_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    let attempt = |name: &str, bytes: Option<&[u8]>| {
        let path = folder.path().join(name);
        if let Some(bytes) = bytes {
            std::fs::write(&path, bytes).unwrap();
        }
        let state = fed("inspect", &path, &[], b"").unwrap().text().to_owned();
        (state, kind(fed("snapshot", &path, &[copy.to_str().unwrap()], b"")))
    };
    assert_eq!(attempt("no.db", None), ("state=missing\n".into(), RefusalKind::MissingStore));
    assert_eq!(attempt("zero.db", Some(b"")), ("state=zero\n".into(), RefusalKind::BadArtifact));
    let (state, refused) = attempt("text.db", Some(b"CREATE TABLE t(a);"));
    assert!(
        state.starts_with("state=foreign\n") && state.contains("SQL script") && refused == RefusalKind::BadArtifact,
        "{state}"
    );
    let (state, refused) = attempt("cipher.db", Some(&[0xd7; 8192]));
    assert!(state.contains("encrypted") && refused == RefusalKind::BadArtifact, "{state}");
    let pipe = folder.path().join("pipe.db");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    assert!(ran("inspect", &pipe, &[]).text().contains("not a plain file"), "and it must not wait for a writer");
    assert!(!copy.exists());
}

#[test]
fn a_database_without_tables_or_rows_is_seen_to_be_empty() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("app.db");
    let conn = Connection::open(&db).unwrap();
    conn.execute_batch("PRAGMA user_version=1").unwrap();
    assert_eq!(ran("inspect", &db, &[]).text(), "state=no-tables\n");
    conn.execute_batch("CREATE TABLE t(a)").unwrap();
    assert_eq!(ran("inspect", &db, &[]).text(), "state=no-rows\n");
    assert_eq!(kind(fed("probe", &db, &[], b"")), RefusalKind::EmptyStore);
    conn.execute_batch("INSERT INTO t VALUES(NULL)").unwrap();
    assert_eq!(ran("inspect", &db, &[]).text(), "state=rows\n");
    assert_eq!(ran("probe", &db, &[]).text(), "answered by 1 of 1 tables\n");
}

#[test]
fn a_copy_that_is_cut_short_is_not_streamed() {
    let (folder, db) = shop();
    let copy = folder.path().join("copy.db");
    ran("snapshot", &db, &[copy.to_str().unwrap()]);
    let whole = std::fs::read(&copy).unwrap();
    std::fs::write(&copy, &whole[..whole.len() - 4096]).unwrap();
    assert_eq!(kind(fed("read", &copy, &[], b"")), RefusalKind::BadArtifact);
}

#[test]
fn the_census_tells_every_kind_of_change() {
    let (folder, db) = shop();
    let promised = ran("census", &db, &[]).census();
    let changed = |sql: &str| {
        let path = folder.path().join("changed.db");
        std::fs::copy(&db, &path).unwrap();
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch(&format!("PRAGMA foreign_keys=OFF; {sql}")).unwrap();
        conn.close().unwrap();
        let said: Vec<String> =
            promised.differences(&ran("census", &path, &[]).census()).iter().map(ToString::to_string).collect();
        said.join("; ")
    };
    assert_eq!(changed("SELECT 1"), "");
    assert!(
        changed("UPDATE customers SET note='' WHERE note IS NULL AND id=4")
            .contains("table main.customers: content differs")
    );
    assert!(changed("DELETE FROM products WHERE id=200").contains("table main.products: 199 rows instead of 200"));
    assert!(changed("DROP INDEX lines_by_product").contains("index main.lines_by_product: missing"));
    assert!(changed("DROP TRIGGER order_total").contains("trigger main.order_total: missing"));
    assert!(changed("PRAGMA user_version=8").contains("setting user_version: definition differs"));
    assert!(changed("UPDATE sqlite_sequence SET seq=9999").contains("sequence main.orders: stands at 9999"));
    assert!(changed("DELETE FROM customers").contains("setting violated_foreign_keys"));
    assert!(changed("ALTER TABLE products ADD COLUMN x").contains("definition main.products: definition differs"));
}

#[test]
fn virtual_tables_are_counted_by_the_tables_behind_them() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("app.db");
    let conn = Connection::open(&db).unwrap();
    conn.execute_batch("CREATE VIRTUAL TABLE words USING fts5(a); INSERT INTO words VALUES('x y'); CREATE TABLE w(k PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO w VALUES(1,2);").unwrap();
    let census = ran("census", &db, &[]).census();
    assert!(
        census.objects.contains_key("table main.words_content") && census.objects.contains_key("definition main.words")
    );
    assert!(!census.objects.contains_key("table main.words"));
    conn.execute_batch("INSERT INTO words VALUES('z')").unwrap();
    assert!(!census.differences(&ran("census", &db, &[]).census()).is_empty());
}

#[test]
fn a_stamp_tells_every_write_to_the_file_and_to_its_sidecars() {
    let (folder, db) = shop();
    let before = open::Stamp::of(&db);
    assert_eq!(before, open::Stamp::of(&db));
    std::fs::write(folder.path().join("app.db-wal"), b"x").unwrap();
    assert_ne!(before, open::Stamp::of(&db));
    std::fs::remove_file(folder.path().join("app.db-wal")).unwrap();
    assert_eq!(before, open::Stamp::of(&db));
    let bytes = std::fs::read(&db).unwrap();
    std::fs::write(&db, bytes).unwrap();
    assert_ne!(before, open::Stamp::of(&db));
}
