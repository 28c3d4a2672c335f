//! Where plain-file stores really are: a WAL that is kept elsewhere, links that lead away, folders that hold their own vault.
//! Every test looks at what the program itself says as a process of its own, because locks are between processes.

use crate::support::program;
use rusqlite::Connection;
use std::os::unix::fs::symlink;
use std::path::Path;

/// What a data tool answers in this folder: its exit code, standard output and standard error.
fn tool(folder: &Path, words: &[&str]) -> (i32, String, String) {
    let temporary = tempfile::tempdir().unwrap();
    let done = program(folder, temporary.path(), &[["__tool"].as_slice(), words].concat()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

/// A database in WAL mode with one row in its file, and a connection that wrote a second one into the WAL.
fn writing(db: &Path) -> Connection {
    let conn = Connection::open(db).unwrap();
    conn.execute_batch(
        "PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t(a); INSERT INTO t VALUES(1); \
         PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES(2)",
    )
    .unwrap();
    conn
}

/// The rows of a copy.
fn rows(copy: &Path) -> i64 {
    Connection::open(copy).unwrap().query_row("SELECT count(*) FROM t", [], |r| r.get(0)).unwrap()
}

/// A file mounted alone has its WAL beside another name, just as a second hard link has.
#[test]
fn a_database_whose_wal_is_kept_elsewhere_is_refused_and_not_read_without_it() {
    let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let conn = writing(&theirs.path().join("app.db"));
    std::fs::hard_link(theirs.path().join("app.db"), ours.path().join("app.db")).unwrap();
    for words in [&["sqlite", "inspect", "app.db"][..], &["sqlite", "snapshot", "app.db", "scratch/copy.db"]] {
        let (code, _, said) = tool(ours.path(), words);
        assert_eq!(code, 14, "{words:?}: {said}");
        assert!(said.contains("mount the folder") && said.contains("app.db"), "{said}");
    }
    // Left by somebody who used the file under this name before: nobody who writes now knows them.
    for stale in ["app.db-wal", "app.db-shm"] {
        std::fs::write(ours.path().join(stale), [0; 32768]).unwrap();
    }
    let (code, _, said) = tool(ours.path(), &["sqlite", "snapshot", "app.db", "scratch/copy.db"]);
    assert!(code == 14 && said.contains("mount the folder"), "{code} {said}");
    conn.close().unwrap();
    for stale in ["app.db-wal", "app.db-shm"] {
        std::fs::remove_file(ours.path().join(stale)).unwrap();
    }
    let (code, _, said) = tool(ours.path(), &["sqlite", "snapshot", "app.db", "scratch/copy.db"]);
    assert_eq!((code, rows(&ours.path().join("scratch/copy.db"))), (0, 2), "{said}");
}

#[test]
fn a_database_that_is_open_beside_its_wal_is_read_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let conn = writing(&folder.path().join("app.db"));
    let (code, _, said) = tool(folder.path(), &["sqlite", "snapshot", "app.db", "scratch/copy.db"]);
    assert_eq!((code, rows(&folder.path().join("scratch/copy.db"))), (0, 2), "{said}");
    drop(conn);
}

#[test]
fn a_link_inside_the_folder_is_followed_once_with_the_wal_beside_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("v2")).unwrap();
    let conn = writing(&folder.path().join("v2/app.db"));
    symlink("v2/app.db", folder.path().join("app.db")).unwrap();
    let (code, said, error) = tool(folder.path(), &["sqlite", "inspect", "app.db"]);
    assert_eq!((code, said.as_str()), (0, "state=rows\n"), "{error}");
    let (code, _, said) = tool(folder.path(), &["sqlite", "snapshot", "app.db", "scratch/copy.db"]);
    assert_eq!((code, rows(&folder.path().join("scratch/copy.db"))), (0, 2), "{said}");
    drop(conn);
}

#[test]
fn links_that_leave_the_folder_are_refused_wherever_they_stand() {
    let (folder, secret) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(writing(&secret.path().join("app.db")));
    std::fs::write(secret.path().join("key"), "secret").unwrap();
    symlink(secret.path().join("app.db"), folder.path().join("app.db")).unwrap();
    symlink(secret.path(), folder.path().join("sub")).unwrap();
    symlink(secret.path().join("new.db"), folder.path().join("dangling.db")).unwrap();
    let copy = "scratch/copy.db";
    for words in [
        &["sqlite", "inspect", "app.db"][..],
        &["sqlite", "facts", "app.db"],
        &["sqlite", "snapshot", "app.db", copy],
        &["sqlite", "snapshot", "sub/app.db", copy],
        &["sqlite", "vacant", "dangling.db", "--needs", "1"],
        &["files", "inspect", "sub"],
        &["files", "dump", "sub", "--census", "scratch/census"],
    ] {
        let (code, _, said) = tool(folder.path(), words);
        assert_eq!(code, 14, "{words:?}: {said}");
        assert!(said.contains("leads out of"), "{words:?}: {said}");
    }
    assert!(!folder.path().join(copy).exists() && !secret.path().join("new.db").exists());
    // A sidecar is opened by SQLite under its own name: a planted one is not read either.
    let own = folder.path().join("own.db");
    drop(writing(&own));
    symlink(secret.path().join("key"), folder.path().join("own.db-wal")).unwrap();
    let (code, _, said) = tool(folder.path(), &["sqlite", "snapshot", "own.db", copy]);
    assert!(code == 14 && said.contains("own.db-wal"), "{code} {said}");
}

/// A stack of a folder of uploads and a database, with these words for its stores and its vault.
fn stack(uploads: &str, vault: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "stacks:\n  x:\n    folder: .\n    stores:\n      uploads: {{engine: files, {uploads}}}\n      \
         app: {{engine: sqlite, path: app.db, allow_empty: true}}\n    backups: {{schedule: every 30m, vault: {vault}}}\n"
    );
    std::fs::write(folder.path().join("recovery.yaml"), text).unwrap();
    std::fs::create_dir(folder.path().join("uploads")).unwrap();
    Connection::open(folder.path().join("app.db")).unwrap().execute_batch("CREATE TABLE t(a)").unwrap();
    folder
}

/// What the program says in this folder: its exit code, and standard output with standard error.
fn xtask(folder: &Path, words: &[&str]) -> (i32, String) {
    let temporary = tempfile::tempdir().unwrap();
    let done = program(folder, temporary.path(), words).output().unwrap();
    let text = [done.stdout, done.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (done.status.code().unwrap(), text)
}

#[test]
fn stores_that_may_be_empty_are_backed_up_and_drilled_empty() {
    let folder = stack("path: uploads, allow_empty: true", "vault");
    for words in [
        &["backup", "x"][..],
        &["test-recovery", "--live", "--scenario", "total-loss"],
        &["test-recovery", "--set", "latest", "--scenario", "total-loss"],
        &["test-recovery", "--size", "200kB", "--exposure", "0s", "--scenario", "total-loss"],
    ] {
        let (code, said) = xtask(folder.path(), words);
        assert_eq!(code, 0, "{words:?}: {said}");
    }
    let strict = stack("path: uploads", "vault");
    let (code, said) = xtask(strict.path(), &["backup", "x", "--store", "uploads"]);
    assert!(code == 23 && said.contains("allow_empty"), "{code} {said}");
}

#[test]
fn a_vault_inside_the_folder_that_it_keeps_is_refused_by_name() {
    for (uploads, vault) in [("path: .", "vault"), ("path: uploads", "uploads/vault"), ("path: uploads", "uploads")] {
        let (code, said) = xtask(stack(uploads, vault).path(), &["backup", "x"]);
        assert!(code == 2 && said.contains("backups.vault") && said.contains("uploads"), "{code} {said}");
    }
    let folder = stack("path: uploads", "vault");
    std::fs::write(folder.path().join("uploads/a.txt"), "a").unwrap();
    symlink("uploads", folder.path().join("vault")).unwrap();
    let (code, said) = xtask(folder.path(), &["backup", "x"]);
    assert!(code == 2 && said.contains("backups.vault"), "{code} {said}");
    let left: Vec<_> =
        std::fs::read_dir(folder.path().join("uploads")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["a.txt"]);
}

#[test]
fn what_a_folder_backup_leaves_out_is_told_by_backups_and_drills() {
    let folder = stack("path: uploads", "vault");
    let uploads = folder.path().join("uploads");
    std::fs::write(uploads.join("a.txt"), "a").unwrap();
    for n in 1..=5 {
        let pipe = uploads.join(format!("pipe{n}"));
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    }
    let file = std::fs::File::open(uploads.join("a.txt")).unwrap();
    let attributes = rustix::fs::fsetxattr(&file, "user.origin", b"mail", rustix::fs::XattrFlags::empty()).is_ok();
    for words in [&["backup", "x"][..], &["test-recovery", "--live", "--store", "uploads", "--scenario", "total-loss"]]
    {
        let (code, said) = xtask(folder.path(), words);
        assert_eq!(code, 0, "{said}");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            said.contains("5 pipes, sockets or devices") && said.contains("pipe1, pipe2, pipe3 and 2 more"),
            "{said}"
        );
        if attributes {
            assert!(said.contains("extended attributes of 1 file are not in it: a.txt"), "{said}");
        } else {
            println!("SKIPPED what_a_folder_backup_leaves_out_is_told: no extended attributes on this filesystem");
        }
    }
}
