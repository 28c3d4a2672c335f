//! What a vault promises: a set exists whole or not at all, and whatever was changed in it afterwards is seen.

use super::*;
use crate::archive::pipeline::{self, tests::refusal};
use crate::domain::artifact::{Component, Consistency, FORMAT, Manifest, Role, SCHEMA, StoredFile};
use crate::domain::stack::Compression;
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

pub(super) fn noon() -> jiff::Timestamp {
    "2026-11-20T12:00:00.75Z".parse().unwrap()
}

pub(super) fn manifest(staging: &Staging, files: Vec<StoredFile>) -> Manifest {
    Manifest {
        format: FORMAT.to_owned(),
        schema: SCHEMA,
        requires: Vec::new(),
        previous: None,
        seal: None,
        binding: None,
        rest: None,
        id: staging.id().to_owned(),
        sequence: staging.sequence(),
        stack: "shop".to_owned(),
        tool: "xtask 0".to_owned(),
        started_at: noon().to_string(),
        finished_at: noon().to_string(),
        components: vec![Component {
            store: "db".to_owned(),
            engine: "opaque".to_owned(),
            as_of_window_ms: None,
            consistent_as_of: noon().to_string(),
            consistency: Consistency::Snapshot,
            facts: BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())]),
            files,
            census: Default::default(),
        }],
    }
}

pub(super) fn put(staging: &Staging, name: &str, role: Role, plain: &[u8]) -> StoredFile {
    let compression = Compression::Zstd;
    let stored = pipeline::store(&mut &*plain, &staging.path(name), compression, staging.key(), &mut |_| {}).unwrap();
    StoredFile { file: name.to_owned(), role, compression, stored: stored.stored, plain: stored.plain }
}

/// A vault with one set of one small artifact.
pub(super) fn one() -> (tempfile::TempDir, Vault, BackupSet) {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::at(&folder.path().join("deep/vault"));
    let staging = vault.begin("shop", "run-1", noon()).unwrap();
    let file = put(&staging, "db.db.zst", Role::Data, b"some rows");
    let manifest = manifest(&staging, vec![file]);
    let set = staging.commit(manifest).unwrap();
    (folder, vault, set)
}

pub(super) fn entries(vault: &Vault) -> Vec<String> {
    let mut names: Vec<String> =
        vault.names().unwrap().into_iter().filter(|n| n != ".lock" && n != catalog::NAME).collect();
    names.sort();
    names
}

/// Whether the set is listed as damaged, or refused when it is read.
fn noticed(vault: &Vault, set: &BackupSet) -> bool {
    let listed = vault.list().unwrap();
    assert_eq!(listed.len(), 1, "damage must not hide a set");
    let by_name = listed[0].public.is_err();
    assert_eq!(by_name, vault.find("latest").is_err());
    let by_content = set.verify().is_err();
    assert!(by_content || !by_name, "what listing sees, verifying sees");
    by_content
}

#[test]
fn a_committed_set_is_listed_found_and_read_back() {
    let (_folder, vault, set) = one();
    assert!(set.manifest.id.starts_with("20261120T120000Z-000001-"), "{}", set.manifest.id);
    assert_eq!(entries(&vault), std::slice::from_ref(&set.manifest.id));
    assert!(!noticed(&vault, &set));
    let found = vault.find("latest").unwrap();
    assert_eq!(found.manifest, set.manifest);
    assert_eq!(vault.find(&set.manifest.id).unwrap().manifest, set.manifest);
    let mut plain = String::new();
    found.plain(found.manifest.components[0].data().unwrap()).unwrap().read_to_string(&mut plain).unwrap();
    assert_eq!(plain, "some rows");
    assert_eq!(found.verify().unwrap(), found.manifest.components[0].files[0].stored.bytes);
}

#[test]
fn vault_and_sets_are_private() {
    let (_folder, vault, set) = one();
    for path in [&vault.folder, &set.folder] {
        assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o777, 0o700);
    }
    for entry in std::fs::read_dir(&set.folder).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().mode() & 0o777, 0o600);
    }
}

#[test]
fn every_flipped_bit_of_manifest_digest_and_artifact_is_noticed() {
    let (_folder, vault, set) = one();
    for name in ["manifest.json", "manifest.sha256", "db.db.zst"] {
        let path = set.folder.join(name);
        let sound = std::fs::read(&path).unwrap();
        for bit in 0..sound.len() * 8 {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bytes).unwrap();
            let seen =
                if name == "db.db.zst" { set.verify().is_err() } else { vault.list().unwrap()[0].public.is_err() };
            assert!(seen, "{name} bit {bit}");
        }
        std::fs::write(&path, &sound).unwrap();
        assert!(!noticed(&vault, &set));
    }
}

#[test]
fn truncation_and_appended_bytes_are_noticed_in_every_file() {
    let (_folder, vault, set) = one();
    for name in ["manifest.json", "manifest.sha256", "db.db.zst"] {
        let path = set.folder.join(name);
        let sound = std::fs::read(&path).unwrap();
        for length in 0..sound.len() {
            std::fs::write(&path, &sound[..length]).unwrap();
            assert!(noticed(&vault, &set), "{name} cut to {length}");
        }
        std::fs::write(&path, [&sound[..], b"\n"].concat()).unwrap();
        assert!(noticed(&vault, &set), "{name} with a byte more");
        std::fs::write(&path, &sound).unwrap();
    }
    assert!(!noticed(&vault, &set));
}

#[test]
fn extra_missing_and_replaced_files_are_noticed_and_a_pipe_does_not_hang() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 8] = [
        ("extra file", |set| std::fs::write(set.join("more"), "x").unwrap()),
        ("hidden extra file", |set| std::fs::write(set.join(".more"), "x").unwrap()),
        ("extra folder", |set| std::fs::create_dir(set.join("more")).unwrap()),
        ("missing artifact", |set| std::fs::remove_file(set.join("db.db.zst")).unwrap()),
        ("missing manifest", |set| std::fs::remove_file(set.join("manifest.json")).unwrap()),
        ("artifact is a pipe", |set| pipe(&set.join("db.db.zst"))),
        ("manifest is a pipe", |set| pipe(&set.join("manifest.json"))),
        ("artifact is a link", |set| {
            std::fs::rename(set.join("db.db.zst"), set.join("../../away")).unwrap();
            std::os::unix::fs::symlink("../../away", set.join("db.db.zst")).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let (_folder, vault, set) = one();
        damage(&set.folder);
        assert!(noticed(&vault, &set), "{what}");
        assert_eq!(refusal(&vault.find("latest").unwrap_err()).kind, RefusalKind::Integrity, "{what}");
    }
}

fn pipe(path: &Path) {
    std::fs::remove_file(path).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
}

#[test]
fn swapped_manifests_and_renamed_or_copied_sets_are_noticed() {
    let (_folder, vault, first) = one();
    let staging = vault.begin("shop", "run-2", noon()).unwrap();
    let file = put(&staging, "db.db.zst", Role::Data, b"same rows");
    let of = manifest(&staging, vec![file]);
    let second = staging.commit(of).unwrap();
    for name in ["manifest.json", "manifest.sha256"] {
        std::fs::copy(first.folder.join(name), second.folder.join(name)).unwrap();
    }
    let listed = vault.list().unwrap();
    assert!(listed[0].public.is_ok());
    assert!(listed[1].public.as_ref().unwrap_err().contains("belongs to set"), "{listed:?}");
    std::fs::rename(&first.folder, vault.folder.join("20270101T000000Z-000009-aaaa")).unwrap();
    assert!(vault.list().unwrap().iter().all(|l| l.public.is_err()));
}

/// Rewrites the manifest and its digest, as somebody would who knows how.
fn rewrite(set: &BackupSet, change: impl FnOnce(&mut serde_json::Value)) {
    let path = set.folder.join("manifest.json");
    let mut value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    let bytes = serde_json::to_vec(&value).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    std::fs::write(set.folder.join("manifest.sha256"), manifest::digest_line(&bytes)).unwrap();
}

#[test]
fn what_the_reader_does_not_know_is_refused_and_called_by_its_name() {
    type Change = fn(&mut serde_json::Value);
    let changes: [(&str, Change); 12] = [
        ("format is \"other\"", |m| m["format"] = "other".into()),
        ("schema is 2", |m| m["schema"] = 2.into()),
        ("requires feature \"rot13\"", |m| m["requires"] = vec!["rot13"].into()),
        ("unknown field `surprise`", |m| m["surprise"] = 1.into()),
        ("not the one in the id", |m| m["sequence"] = 7.into()),
        ("\"../db.db.zst\" is not a file name", |m| m["components"][0]["files"][0]["file"] = "../db.db.zst".into()),
        ("\"manifest.json\" is not a file name", |m| m["components"][0]["files"][0]["file"] = "manifest.json".into()),
        ("0 data files", |m| m["components"][0]["files"] = Vec::<String>::new().into()),
        ("lists no component", |m| m["components"] = Vec::<String>::new().into()),
        ("is listed twice", |m| m["components"] = vec![m["components"][0].clone(); 2].into()),
        ("is not a SHA-256", |m| m["components"][0]["files"][0]["plain"]["sha256"] = "AB".into()),
        ("consistent_as_of", |m| m["components"][0]["consistent_as_of"] = "yesterday".into()),
    ];
    for (expected, change) in changes {
        let (_folder, vault, set) = one();
        rewrite(&set, change);
        let why = vault.list().unwrap().remove(0).public.unwrap_err();
        assert!(why.contains(expected), "{expected}: {why}");
    }
}

#[test]
fn a_manifest_in_another_spelling_is_refused() {
    let (_folder, vault, set) = one();
    let path = set.folder.join("manifest.json");
    let sound = std::fs::read_to_string(&path).unwrap();
    assert!(sound.starts_with(r#"{"components":[{"#), "keys are sorted: {sound}");
    for spelled in [format!("{sound}\n"), sound.replacen("\"stack\":", "\"stack\":\"other\",\"stack\":", 1)] {
        assert_ne!(spelled, sound);
        std::fs::write(&path, &spelled).unwrap();
        std::fs::write(set.folder.join("manifest.sha256"), manifest::digest_line(spelled.as_bytes())).unwrap();
        assert!(vault.list().unwrap().remove(0).public.is_err(), "{spelled}");
    }
}

#[test]
fn a_staging_that_is_dropped_leaves_nothing() {
    let (_folder, vault, set) = one();
    let staging = vault.begin("shop", "run-2", noon()).unwrap();
    put(&staging, "db.db.zst", Role::Data, b"half a du");
    assert_eq!(vault.list().unwrap().len(), 1, "what is not committed is not listed");
    drop(staging);
    assert_eq!(entries(&vault), [set.manifest.id]);
}

#[test]
fn what_a_dead_run_left_is_never_listed_and_goes_with_the_next_run() {
    let (_folder, vault, set) = one();
    let partial = vault.folder.join(".partial-dead");
    std::fs::create_dir_all(partial.join("folder")).unwrap();
    std::fs::copy(set.folder.join("manifest.json"), partial.join("manifest.json")).unwrap();
    assert_eq!(vault.list().unwrap().len(), 1);
    let staging = vault.begin("shop", "run-2", noon()).unwrap();
    assert!(!partial.exists());
    assert_eq!(staging.sequence(), 2);
}

#[test]
fn a_commit_that_does_not_fit_the_files_leaves_nothing() {
    type Wrong = fn(&Staging, &mut Manifest);
    let wrongs: [(&str, Wrong); 7] = [
        ("not of set", |_, m| m.id = "20261120T120000Z-000001-aaaa".to_owned()),
        ("not of set", |_, m| m.stack = "other".to_owned()),
        ("changed", |s, _| std::fs::write(s.path("db.db.zst"), "x").unwrap()),
        ("missing", |s, _| std::fs::remove_file(s.path("db.db.zst")).unwrap()),
        ("stray", |s, _| std::fs::write(s.path("stray"), "x").unwrap()),
        ("lying", |_, m| m.components[0].files[0].plain.bytes += 1),
        ("lying", |_, m| m.components[0].files[0].stored.sha256 = "0".repeat(64)),
    ];
    for (what, wrong) in wrongs {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::at(folder.path());
        let staging = vault.begin("shop", "run-1", noon()).unwrap();
        let file = put(&staging, "db.db.zst", Role::Data, b"some rows");
        let mut manifest = manifest(&staging, vec![file]);
        wrong(&staging, &mut manifest);
        let error = staging.commit(manifest).unwrap_err();
        assert!(format!("{error:#}").starts_with("commit backup set "), "{what}: {error:#}");
        assert_eq!(entries(&vault), [""; 0], "{what}");
    }
}

#[test]
fn a_commit_replaces_nothing() {
    let (_folder, vault, _) = one();
    let staging = vault.begin("shop", "run-2", noon()).unwrap();
    std::fs::create_dir(vault.folder.join(staging.id())).unwrap();
    let file = put(&staging, "db.db.zst", Role::Data, b"some rows");
    let manifest = manifest(&staging, vec![file]);
    assert_eq!(refusal(&staging.commit(manifest).unwrap_err()).kind, RefusalKind::Storage);
}

#[test]
fn a_second_run_is_told_who_holds_the_vault_until_the_first_lets_go() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::at(folder.path());
    let first = vault.begin("shop", "run-1", noon()).unwrap();
    let error = vault.begin("shop", "run-2", noon()).unwrap_err();
    assert_eq!(refusal(&error).kind, RefusalKind::Locked);
    assert!(error.to_string().contains(&format!("run run-1 (pid {})", std::process::id())), "{error:#}");
    assert!(first.path("").exists(), "the refused run must not clean up after the living one");
    drop(first);
    vault.begin("shop", "run-2", noon()).unwrap();
}

#[test]
fn of_twenty_runs_at_once_exactly_one_begins() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::at(&folder.path().join("vault"));
    let start = std::sync::Barrier::new(20);
    let begin = &|n: u32| {
        start.wait();
        vault.begin("shop", &format!("run-{n}"), noon())
    };
    let results: Vec<Result<Staging>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..20).map(|n| scope.spawn(move || begin(n))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
    for error in results.iter().filter_map(|r| r.as_ref().err()) {
        assert_eq!(refusal(error).kind, RefusalKind::Locked);
    }
}

#[test]
fn the_clock_may_stand_still_but_not_go_backwards() {
    let (_folder, vault, first) = one();
    let again = vault.begin("shop", "run-2", noon()).unwrap();
    assert!(again.id() > first.manifest.id.as_str());
    drop(again);
    let before = "2026-11-20T11:59:59Z".parse().unwrap();
    let error = vault.begin("shop", "run-3", before).unwrap_err();
    assert_eq!(refusal(&error).kind, RefusalKind::Preflight);
    for named in ["2026-11-20T11:59:59Z", "2026-11-20T12:00:00Z"] {
        assert!(error.to_string().contains(named), "{error:#}");
    }
}

#[test]
fn a_damaged_newest_set_still_counts_for_time_sequence_and_latest() {
    let (_folder, vault, first) = one();
    let damaged = vault.folder.join("20261121T000000Z-000002-aaaa");
    std::fs::create_dir(&damaged).unwrap();
    assert_eq!(refusal(&vault.find("latest").unwrap_err()).kind, RefusalKind::Integrity);
    assert_eq!(vault.find(&first.manifest.id).unwrap().manifest.id, first.manifest.id);
    assert_eq!(refusal(&vault.begin("shop", "run-2", noon()).unwrap_err()).kind, RefusalKind::Preflight);
    assert_eq!(vault.begin("shop", "run-3", "2026-11-22T00:00:00Z".parse().unwrap()).unwrap().sequence(), 3);
}

#[test]
fn a_vault_that_others_may_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    for mode in [0o770, 0o702, 0o1777] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let error = Vault::at(folder.path()).begin("shop", "run-1", noon()).unwrap_err();
        assert_eq!(refusal(&error).kind, RefusalKind::Preflight, "{mode:o}");
    }
}

#[test]
fn a_vault_holds_one_stack() {
    let (_folder, vault, _) = one();
    assert_eq!(refusal(&vault.begin("blog", "run-2", noon()).unwrap_err()).kind, RefusalKind::Preflight);
}

#[test]
fn no_backup_is_its_own_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::at(&folder.path().join("nowhere"));
    assert!(vault.list().unwrap().is_empty());
    assert!(!folder.path().join("nowhere").exists(), "looking makes nothing");
    for which in ["latest", "20261120T120000Z-000001-aaaa", "../x"] {
        assert_eq!(refusal(&vault.find(which).unwrap_err()).kind, RefusalKind::NoBackup);
    }
}

#[test]
fn names_that_could_leave_the_folder_are_not_file_names() {
    for name in ["", ".", "..", "a/b", "/a", "a\\b", "a\0", ".hidden", "-flag", "manifest.json", "é"] {
        assert!(!manifest::is_file_name(name), "{name:?}");
    }
    assert!(manifest::is_file_name("app-db.dump.zst"));
}
