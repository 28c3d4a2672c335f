//! Faults of a stack's stores, met through the program without an engine: one of two that fails, a database on a disk that may
//! not be written, a machine without programs and without a network, a passphrase that must not be seen.

use super::desk::{Desk, text};
use super::files::database;
use super::rig::Mounted;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};

/// Two databases, the second of which is named here.
fn two(desk: &Desk, second: &str) {
    let config = std::fs::read_to_string(desk.at("recovery.yaml")).unwrap();
    let both = format!("path: app.db }}\n      second: {{ engine: sqlite, path: {second} }}");
    std::fs::write(desk.at("recovery.yaml"), config.replacen("path: app.db }", &both, 1)).unwrap();
}

#[test]
fn f17_when_the_second_of_two_stores_fails_there_is_no_set_at_all() {
    let desk = Desk::sqlite(40);
    database(&desk.at("second.db"), 40);
    two(&desk, "second.db");
    desk.ends(0, &["backup", "shop"]);
    let before = desk.sets();
    std::fs::write(desk.at("second.db"), "no database any more\n".repeat(300)).unwrap();
    let said = desk.ends(28, &["backup", "shop"]);
    assert!(said.contains("back up second") && !said.contains("back up app"), "{said}");
    assert_eq!(desk.sets(), before, "what there is of the first store is no set");
    desk.assert_invariants(&before, 0, "the second store fails");
}

#[test]
fn flaw_10_a_database_in_wal_mode_on_a_disk_that_may_not_be_written_is_backed_up_whole_or_refused_by_name() {
    const TEST: &str = "flaw_10_a_database_in_wal_mode_on_a_disk_that_may_not_be_written";
    let desk = Desk::sqlite(1);
    let Some(disk) = Mounted::tmpfs(TEST, desk.at("data"), "size=4m,mode=0700") else { return };
    let path = disk.path().join("second.db");
    let writer = rusqlite::Connection::open(&path).unwrap();
    writer.execute_batch("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a)").unwrap();
    for n in 0..50 {
        writer.execute("INSERT INTO t VALUES (?1)", [n]).unwrap();
    }
    let hot = ["second.db", "second.db-wal"].map(|name| (name, std::fs::read(disk.path().join(name)).unwrap()));
    drop(writer);
    two(&desk, "data/second.db");
    let read_only = || {
        disk.remount("ro");
        assert!(std::fs::write(disk.path().join("probe"), "x").is_err(), "the disk can still be written");
    };
    // Its last writer left in good order: no log beside it, and still a database in WAL mode.
    read_only();
    assert_eq!(std::fs::read(&path).unwrap()[18..20], [2, 2], "it is in WAL mode");
    let said: serde_json::Value = serde_json::from_str(&desk.ends(0, &["--json", "backup", "shop"])).unwrap();
    assert_eq!((&said["stores"][1]["name"], &said["stores"][1]["rows"]), (&"second".into(), &50.into()), "{said}");

    // Its last writer was killed: every row is in the log alone. Fewer rows than there are would be the worst answer.
    disk.remount("rw");
    hot.iter().for_each(|(name, bytes)| std::fs::write(disk.path().join(name), bytes).unwrap());
    read_only();
    let said = desk.ends(24, &["backup", "shop"]);
    assert!(
        said.contains("second.db cannot be read beside its writer") && said.contains("hint: a database with a WAL"),
        "{said}"
    );
    assert_eq!(desk.sets().len(), 1);
}

#[test]
fn flaw_11_a_backup_that_fails_is_an_error_and_a_prune_after_it_takes_nothing() {
    let desk = Desk::sqlite(40);
    desk.also("retention: { daily: 1, weekly: 0, monthly: 0, floor: 1 }");
    desk.ends(0, &["backup", "shop"]);
    let before = desk.sets();
    std::fs::rename(desk.at("app.db"), desk.at("gone.db")).unwrap();
    for _ in 0..8 {
        desk.ends(22, &["backup", "shop"]);
        desk.ends(0, &["prune", "shop", "--apply"]);
        assert_eq!(desk.sets(), before);
    }
    desk.assert_invariants(&before, 0, "eight failed backups, each with a prune");
}

/// As [`Desk::command`], in a place without a network and with no program to find.
#[expect(clippy::disallowed_methods, reason = "the real program is started without a network")]
fn alone(desk: &Desk, words: &[&str]) -> Command {
    let like = desk.command(words);
    let mut command = Command::new("/usr/bin/unshare");
    command.args(["--net", "--", env!("CARGO_BIN_EXE_xtask")]).args(words).env_clear();
    command.envs(like.get_envs().filter_map(|(key, value)| Some((key, value?)))).env("PATH", "/nowhere");
    command.current_dir(like.get_current_dir().unwrap()).stdin(Stdio::null());
    command
}

#[test]
fn flaw_12_a_backup_needs_no_network_and_no_program_that_somebody_must_install() {
    let desk = Desk::sqlite(40);
    match alone(&desk, &["--help"]).output() {
        Ok(done) if done.status.success() => {}
        _ => {
            println!("SKIPPED flaw_12_a_backup_needs_no_network: this user may not leave the network (unshare)");
            return;
        }
    }
    for words in [&["backup", "shop"] as &[&str], &["verify", "shop", "--level", "L4"]] {
        let done = alone(&desk, words).output().unwrap();
        assert!(done.status.success(), "{words:?}: {}{}", text(&done.stdout), text(&done.stderr));
    }
}

#[test]
fn flaw_19_a_passphrase_is_in_no_argument_of_any_process_and_in_no_message() {
    const PASSPHRASE: &str = "canary-passphrase-77aa-must-not-be-seen";
    let desk = Desk::sqlite(3000);
    let recovery = "stacks:\n  shop:\n    folder: .\n    stores: { app: { engine: sqlite, path: app.db } }\n    backups: { vault: vault }\n";
    std::fs::write(desk.at("recovery.yaml"), recovery).unwrap();
    let protected = |words: &[&str]| {
        let mut command = desk.command(words);
        command.env("BACKUP_ENCRYPTION", "true").env("BACKUP_ENCRYPTION_KEY", PASSPHRASE);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let mut seen = BTreeSet::new();
    for words in [["backup", "shop"], ["verify", "shop"]] {
        let mut run = protected(&words).spawn().unwrap();
        while run.try_wait().unwrap().is_none() {
            let processes = std::fs::read_dir("/proc").unwrap().filter_map(|e| Some(e.ok()?.path()));
            seen.extend(processes.filter_map(|pid| std::fs::read(pid.join("cmdline")).ok()).map(|words| text(&words)));
        }
        let done = run.wait_with_output().unwrap();
        let said = text(&done.stdout) + &text(&done.stderr);
        assert!(done.status.success() && !said.contains(PASSPHRASE), "{said}");
    }
    assert!(seen.iter().any(|words| words.contains("__tool")), "the data tool was never seen at work: {seen:?}");
    assert!(!seen.iter().any(|words| words.contains(PASSPHRASE)), "{seen:?}");
    // It was the passphrase that protected the set: without it nobody opens it.
    let code = desk
        .command(&["verify", "shop"])
        .env("BACKUP_ENCRYPTION", "true")
        .env("BACKUP_ENCRYPTION_KEY", "another")
        .output();
    assert_eq!(code.unwrap().status.code(), Some(12));
}
