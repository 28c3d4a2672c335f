//! Everything that is refused before anything is touched, each with its own exit code.
#![expect(clippy::disallowed_methods, reason = "a test gives the vault the real time, as a run would")]

use super::rig::Rig;
use crate::protected::Desk;
use xtask::archive::vault::{Intent, Vault};

const LIVE: [&str; 5] = ["restore", "site", "latest", "--to", "live"];

/// Refused with this code and these words, and nothing was touched.
fn refused(rig: &Rig, words: &[&str], code: i32, says: &[&str]) {
    let state = || (rig.content(), rig.pictures(), rig.named("_"), Vault::at(&rig.path("vault")).list().unwrap().len());
    let before = state();
    let ended = rig.run(words);
    assert_eq!(ended.code, Some(code), "{words:?}: {}", ended.said());
    for word in says {
        assert!(ended.err.contains(word), "{words:?}: no `{word}` in {}", ended.err);
    }
    assert_eq!(state(), before, "{words:?} touched something");
}

#[test]
fn what_is_there_is_replaced_only_by_the_stacks_own_name() {
    let rig = Rig::new("wal", 5);
    rig.backup();
    refused(&rig, &LIVE, 26, &["holds a file already", "--confirm site"]);
    refused(&rig, &[LIVE.as_slice(), &["--confirm", "sites"]].concat(), 2, &["`sites`", "the stack is site"]);
    refused(&rig, &[LIVE.as_slice(), &["--confirm", "SITE"]].concat(), 2, &["the stack is site"]);
}

#[test]
fn options_that_cannot_be_meant_together_are_refused() {
    let rig = Rig::new("wal", 5);
    rig.backup();
    let to = |rest: &[&'static str]| [["restore", "site", "latest", "--to"].as_slice(), rest].concat();
    refused(&rig, &to(&["other", "--table", "orders", "--store", "db"]), 2, &["--to live"]);
    refused(&rig, &to(&["other", "--disconnect"]), 2, &["leave --drop-previous and --disconnect out"]);
    refused(&rig, &to(&["live", "--table", "orders"]), 2, &["name it with --store"]);
    refused(&rig, &to(&["live", "--store", "none"]), 2, &["choose one of: db, pictures"]);
    refused(&rig, &to(&["live", "--store", "db", "--store", "db"]), 2, &["names `db` twice"]);
    for name in ["../site.db", "/etc/passwd", "-x", ".hidden", "site.db", "site.db-wal", "site.db_restore_x"] {
        let to = format!("--to={name}");
        refused(&rig, &["restore", "site", "latest", &to, "--store", "db"], 2, &["a plain name"]);
    }
}

#[test]
fn latest_is_never_a_file_of_that_name_nor_what_a_restore_replaced() {
    let rig = Rig::new("wal", 5);
    let set = rig.backup();
    std::fs::write(rig.path("latest"), "no archive").unwrap();
    let live = [LIVE.as_slice(), &["--confirm", "site"]].concat();
    rig.done(&live);
    let safety = Vault::at(&rig.path("vault")).list().unwrap().pop().unwrap().id;
    assert_ne!(safety, set);
    std::fs::remove_dir_all(rig.path("vault").join(&set)).unwrap();
    refused(&rig, &live, 10, &["only of what earlier restores replaced", &safety]);
}

#[test]
fn an_unsigned_note_makes_no_older_set_the_latest_of_a_vault_whose_sets_are_signed() {
    let desk = Desk::new("ops.key");
    desk.ends(0, &["backup", "shop"]);
    let older = desk.set();
    desk.ends(0, &["backup", "shop"]);
    let newer = desk.set();
    let id = |set: &std::path::Path| set.file_name().unwrap().to_string_lossy().into_owned();
    std::fs::write(desk.at("vault").join(format!(".safety-{}", id(&newer))), "").unwrap();
    let said = desk.ends(14, &["restore", "shop", "latest", "--to", "beside.db"]);
    assert!(said.contains(&id(&older)) && said.contains(&id(&newer)) && said.contains("signed by nobody"), "{said}");
    assert!(!desk.at("beside.db").exists());
    desk.ends(0, &["restore", "shop", &id(&newer), "--to", "beside.db"]);
}

/// Row 31 of the old scripts' flaws: the file that a restore names was never the one that the backup wrote.
#[test]
fn flaw_31_a_set_that_is_not_there_is_said_with_those_that_are() {
    let rig = Rig::new("wal", 5);
    let id = rig.backup();
    refused(
        &rig,
        &["restore", "site", "20260101T000000Z-000009-aaaa", "--to", "live", "--confirm", "site"],
        10,
        &[&id],
    );
}

#[test]
fn a_set_that_is_not_what_was_written_is_refused_before_anything_of_it_is_read() {
    let rig = Rig::new("wal", 5);
    let id = rig.backup();
    let folder = rig.path("vault").join(&id);
    let file =
        std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).find(|p| p.to_string_lossy().contains("db.db"));
    let file = file.unwrap();
    let good = std::fs::read(&file).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    std::fs::write(&file, &bad).unwrap();
    // The other store of the set is sound, and is not restored either.
    refused(&rig, &[LIVE.as_slice(), &["--confirm", "site", "--store", "pictures"]].concat(), 13, &[]);
    refused(&rig, &[LIVE.as_slice(), &["--confirm", "site"]].concat(), 13, &[]);
    std::fs::write(&file, &good).unwrap();
    let manifest = folder.join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("\"stack\":\"site\"", "\"stack\":\"shop\"")).unwrap();
    refused(&rig, &[LIVE.as_slice(), &["--confirm", "site"]].concat(), 13, &[]);
}

#[test]
fn a_set_of_another_stack_or_of_another_kind_of_store_is_refused() {
    let rig = Rig::new("wal", 5);
    rig.backup();
    let recovery = std::fs::read_to_string(rig.path("recovery.yaml")).unwrap();
    std::fs::write(rig.path("recovery.yaml"), recovery.replace("  site:", "  shop:")).unwrap();
    let words = ["restore", "shop", "latest", "--to", "live", "--confirm", "shop"];
    refused(&rig, &words, 14, &["is of stack site, not of shop"]);
    let other =
        recovery.replace("      db: { engine: sqlite, path: data/site.db }", "      db: { engine: files, path: data }");
    std::fs::write(rig.path("recovery.yaml"), other).unwrap();
    refused(&rig, &[LIVE.as_slice(), &["--confirm", "site"]].concat(), 14, &["holds db as sqlite"]);
}

#[test]
fn one_restore_at_a_time_and_the_holder_is_named() {
    let rig = Rig::new("wal", 5);
    rig.backup();
    let vault = Vault::at(&rig.path("vault"));
    let held = vault.restoring("the-other-run", jiff::Timestamp::now()).unwrap();
    refused(&rig, &[LIVE.as_slice(), &["--confirm", "site"]].concat(), 11, &["the-other-run"]);
    // A sweep leaves what a living restore has in hand.
    held.begin("the-other-run", &[Intent { store: "db".into(), to: "live".into() }]).unwrap();
    let swept = rig.done(&["sweep"]);
    assert!(swept.out.contains("kept     what a restore of site is at"), "{}", swept.said());
    drop(held);
    let swept = rig.done(&["sweep"]);
    assert!(swept.out.contains("removed  what the restore of run the-other-run left"), "{}", swept.said());
    rig.done(&[LIVE.as_slice(), &["--confirm", "site"]].concat());
}

#[test]
fn what_a_dead_restore_left_of_another_store_hinders_nobody_and_stays_for_a_sweep() {
    let rig = Rig::new("wal", 5);
    rig.backup();
    let vault = Vault::at(&rig.path("vault"));
    let held = vault.restoring("the-other-run", jiff::Timestamp::now()).unwrap();
    held.begin("the-other-run", &[Intent { store: "pictures".into(), to: "live".into() }]).unwrap();
    drop(held);
    let done = rig.done(&[LIVE.as_slice(), &["--confirm", "site", "--store", "db"]].concat());
    assert!(done.err.contains("left of pictures stays until `cargo xtask sweep`"), "{}", done.said());
    assert!(vault.has_unfinished_restores().unwrap());
    rig.done(&["sweep"]);
    assert!(!vault.has_unfinished_restores().unwrap());
}

#[test]
fn a_vault_in_use_keeps_a_restore_from_its_safety_backup_and_so_from_everything() {
    let rig = Rig::new("wal", 5);
    rig.backup();
    let vault = Vault::at(&rig.path("vault"));
    let staging = vault.begin("site", "nightly", jiff::Timestamp::now()).unwrap();
    let ended = rig.run(&[LIVE.as_slice(), &["--confirm", "site"]].concat());
    assert_eq!(ended.code, Some(11), "{}", ended.said());
    assert!(ended.err.contains("nightly"), "{}", ended.err);
    assert_eq!(rig.named("_restore_"), Vec::<String>::new());
    drop(staging);
}
