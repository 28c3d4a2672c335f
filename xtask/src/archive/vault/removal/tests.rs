//! What removing promises: a set is there whole or not at all, whoever reads it keeps it, and nothing else is ever touched.

use super::*;
use crate::archive::pipeline::tests::refusal;
use crate::archive::vault::tests::{entries, manifest, noon, one, put};
use crate::archive::vault::{BackupSet, Staging};
use crate::domain::artifact::Role;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

/// A second set in the vault.
fn another(vault: &Vault) -> BackupSet {
    let staging = vault.begin("shop", "run-2", noon()).unwrap();
    let file = put(&staging, "db.db.zst", Role::Data, b"more rows");
    let of = manifest(&staging, vec![file]);
    Staging::commit(staging, of).unwrap()
}

/// Lets go of a set; its id and folder.
fn closed(set: BackupSet) -> (String, PathBuf) {
    (set.manifest.id, set.folder)
}

fn remove(vault: &Vault, id: &str) -> Result<(), Left> {
    vault.removal("prune", noon()).unwrap().remove(id).unwrap()
}

fn look(vault: &Vault, id: &str) -> Look {
    vault.look(vault.list().unwrap().iter().find(|l| l.id == id).unwrap()).unwrap()
}

#[test]
fn a_removed_set_is_gone_and_the_others_are_whole() {
    let (_folder, vault, first) = one();
    let second = another(&vault);
    let (id, _) = closed(first);
    remove(&vault, &id).unwrap();
    assert_eq!(entries(&vault), std::slice::from_ref(&second.manifest.id));
    second.verify().unwrap();
    assert_eq!(refusal(&vault.find(&id).unwrap_err()).kind, RefusalKind::NoBackup);
    assert!(matches!(remove(&vault, &id), Err(Left::Strange(why)) if why.contains("cannot be opened")));
    vault.begin("shop", "run-3", noon()).unwrap();
}

#[test]
fn a_set_that_is_being_read_stays_until_its_last_reader_lets_go() {
    let (_folder, vault, set) = one();
    let (id, _) = closed(set);
    let reader = vault.find("latest").unwrap();
    let (second, third) = (vault.open(&id).unwrap(), reader.clone());
    for reader in [reader, second, third] {
        assert!(look(&vault, &id).in_use);
        assert_eq!(remove(&vault, &id), Err(Left::InUse));
        reader.verify().unwrap();
    }
    assert!(!look(&vault, &id).in_use);
    remove(&vault, &id).unwrap();
    assert!(vault.list().unwrap().is_empty());
}

#[test]
fn a_set_that_was_just_committed_is_held_by_whoever_made_it() {
    let (_folder, vault, set) = one();
    assert_eq!(remove(&vault, &set.manifest.id), Err(Left::InUse));
    let (id, _) = closed(set);
    remove(&vault, &id).unwrap();
}

#[test]
fn a_reader_waits_for_a_removal_that_has_begun_and_is_told_that_the_set_is_gone() {
    let (_folder, vault, set) = one();
    let (id, folder) = closed(set);
    let vault_folder = vault.opened().unwrap();
    let claimed = claim(vault_folder.as_ref(), &id).unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| vault.open(&id));
        // It waits in the kernel; `/proc/locks` says so with an arrow.
        let inode = format!(":{} ", std::fs::metadata(&folder).unwrap().ino());
        let waiting = |line: &str| line.contains("-> FLOCK") && line.contains(&inode);
        let waits = || std::fs::read_to_string("/proc/locks").unwrap().lines().any(waiting);
        while !waits() {
            assert!(!reader.is_finished(), "it must wait");
            std::thread::yield_now();
        }
        std::fs::rename(&folder, vault.folder.join(".trash-x")).unwrap();
        drop(claimed);
        let error = reader.join().unwrap().unwrap_err();
        assert_eq!(refusal(&error).kind, RefusalKind::NoBackup, "{error:#}");
    });
}

#[test]
fn what_a_killed_removal_left_is_never_listed_and_goes_with_the_next_run() {
    for (files_gone, by_backup) in [(0, false), (0, true), (1, false), (2, true), (3, false)] {
        let (_folder, vault, set) = one();
        let (id, folder) = closed(set);
        let trash = vault.folder.join(format!("{TRASH}{id}"));
        std::fs::rename(folder, &trash).unwrap();
        for entry in std::fs::read_dir(&trash).unwrap().take(files_gone) {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        assert!(vault.list().unwrap().is_empty());
        assert_eq!(refusal(&vault.find("latest").unwrap_err()).kind, RefusalKind::NoBackup);
        if by_backup {
            drop(vault.begin("shop", "run-2", noon()).unwrap());
        } else {
            drop(vault.removal("prune", noon()).unwrap());
        }
        assert_eq!(entries(&vault), [""; 0]);
    }
}

#[test]
fn a_hold_keeps_a_set_until_it_is_released() {
    let (_folder, vault, set) = one();
    let (id, _) = closed(set);
    for _ in 0..2 {
        vault.hold(&id, "hold", noon()).unwrap();
        assert!(look(&vault, &id).on_hold);
        assert_eq!(remove(&vault, &id), Err(Left::OnHold));
    }
    assert_eq!(vault.list().unwrap().len(), 1, "a hold is no set");
    vault.find(&id).unwrap().verify().unwrap();
    assert!(vault.release(&id, "hold", noon()).unwrap());
    assert!(!vault.release(&id, "hold", noon()).unwrap());
    remove(&vault, &id).unwrap();
    for nothing in [&*id, "latest", "../x"] {
        assert_eq!(refusal(&vault.hold(nothing, "hold", noon()).unwrap_err()).kind, RefusalKind::NoBackup);
    }
}

#[test]
fn damage_that_was_found_is_remembered_until_it_is_disproved_or_the_set_is_gone() {
    let (_folder, vault, set) = one();
    let (id, _) = closed(set);
    let removal = vault.removal("prune", noon()).unwrap();
    assert_eq!(look(&vault, &id).known_damage, None);
    removal.remember(&id, Some("a flipped bit")).unwrap();
    removal.remember(&id, Some("again")).unwrap();
    assert_eq!(look(&vault, &id).known_damage.as_deref(), Some("a flipped bit"));
    removal.remember(&id, None).unwrap();
    removal.remember(&id, None).unwrap();
    assert_eq!(look(&vault, &id).known_damage, None);
    removal.remember(&id, Some("a flipped bit")).unwrap();
    removal.remove(&id).unwrap().unwrap();
    assert_eq!(entries(&vault), [""; 0]);
}

#[test]
fn removing_and_holding_wait_for_no_other_run() {
    let (_folder, vault, set) = one();
    let running = vault.begin("shop", "run-2", noon()).unwrap();
    let id = &set.manifest.id;
    let errors = [
        vault.removal("prune", noon()).unwrap_err(),
        vault.hold(id, "hold", noon()).unwrap_err(),
        vault.release(id, "hold", noon()).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(refusal(&error).kind, RefusalKind::Locked);
        assert!(error.to_string().contains("run run-2"), "{error:#}");
    }
    assert!(running.path("").exists(), "the refused run must not clean up after the living one");
}

#[test]
fn nothing_that_is_not_a_set_of_this_vault_is_touched() {
    let (folder, vault, set) = one();
    let outside = folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("precious"), "x").unwrap();
    let named = |n: u32| format!("20261101T000000Z-{n:06}-aaaa");
    let at = |n: u32| vault.folder.join(named(n));
    symlink(&outside, at(901)).unwrap();
    symlink(&set.folder, at(902)).unwrap();
    std::fs::write(at(903), "a file").unwrap();
    std::fs::create_dir_all(at(904).join("inner")).unwrap();
    std::fs::create_dir(at(905)).unwrap();
    symlink(outside.join("precious"), at(905).join("link")).unwrap();
    let before = entries(&vault);
    let removal = vault.removal("prune", noon()).unwrap();
    for id in (901..906).map(named).chain(["", ".", "..", "../outside", "/", "notes", ".lock"].map(str::to_owned)) {
        assert!(matches!(removal.remove(&id).unwrap(), Err(Left::Strange(_))), "{id:?}");
    }
    assert_eq!(entries(&vault), before);
    assert_eq!(std::fs::read_to_string(outside.join("precious")).unwrap(), "x");
    for listed in vault.list().unwrap().iter().filter(|l| l.public.is_err()) {
        assert!(vault.look(listed).unwrap().doubt.is_some(), "{listed:?}");
    }
}

#[test]
fn damage_is_told_from_what_this_tool_does_not_know() {
    type Change = fn(&mut serde_json::Value);
    let changes: [(&str, Change); 3] = [
        ("schema is 2", |m| m["schema"] = 2.into()),
        ("requires feature", |m| m["requires"] = vec!["what-comes-later"].into()),
        ("unknown field", |m| m["surprise"] = 1.into()),
    ];
    for (why, change) in changes {
        let (_folder, vault, set) = one();
        let path = set.folder.join(manifest::NAME);
        let sound = std::fs::read(&path).unwrap();
        let mut value = serde_json::from_slice(&sound).unwrap();
        change(&mut value);
        let bytes = serde_json::to_vec(&value).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let (id, folder) = closed(set);
        assert_eq!(look(&vault, &id).doubt, None, "the digest says that it was changed");
        std::fs::write(folder.join(manifest::DIGEST_NAME), manifest::digest_line(&bytes)).unwrap();
        let doubt = look(&vault, &id).doubt.expect("it may be a newer tool's");
        assert!(doubt.contains(why), "{doubt}");
    }
}
