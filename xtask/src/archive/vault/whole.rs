//! What a vault makes of archives that are a part only: no set when they are new, and no L2 when a set holds one.

use super::tests::{entries, manifest, noon, put};
use super::*;
use crate::archive::pipeline;
use crate::domain::artifact::{Manifest, Role};
use crate::domain::stack::Compression;

/// A dump that the server's own program wrote, and the name of its file.
fn dump() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/archives/shop-17.dump")).unwrap()
}

/// A set in the making of one PostgreSQL dump.
fn making(vault: &Vault, plain: &[u8], globals: &[u8]) -> (Staging, Manifest) {
    let staging = vault.begin("shop", "run-1", noon()).unwrap();
    let data = put(&staging, "db.dump.zst", Role::Data, plain);
    let roles = put(&staging, "db.globals.zst", Role::Extra("globals".to_owned()), globals);
    let mut manifest = manifest(&staging, vec![data, roles]);
    manifest.components[0].engine = "postgres".to_owned();
    (staging, manifest)
}

fn kind<T>(result: Result<T>) -> Option<RefusalKind> {
    result.err().map(|error| Refusal::within(&error).unwrap_or_else(|| panic!("no cause: {error:#}")).kind)
}

const ROLES: &[u8] = b"CREATE ROLE app;\n";
const CUT: &[u8] = b"--\n-- PostgreSQL database cluster dump\n--\n\nCREATE ROLE app;\n";

#[test]
fn f01_half_a_dump_is_never_committed_and_a_set_that_holds_one_does_not_reach_l2() {
    let folder = tempfile::tempdir().unwrap();
    let whole = dump();
    let vault = Vault::at(&folder.path().join("vault"));
    for (plain, roles) in [(&whole[..whole.len() / 2], ROLES), (&whole[..whole.len() - 1], ROLES), (&whole[..], CUT)] {
        let (staging, of) = making(&vault, plain, roles);
        assert_eq!(kind(staging.commit(of)), Some(RefusalKind::Producer));
        assert_eq!(entries(&vault), [""; 0], "something is left");

        let other = Vault::at(&folder.path().join(format!("whatever-{}-{}", plain.len(), roles.len())));
        let (staging, of) = making(&other, plain, roles);
        let set = staging.commit_whatever_it_holds(of).unwrap();
        let (path, public) = other.outline("latest").unwrap();
        other.verify_stored(&path, &public.outline).expect("every stored byte is right");
        assert_eq!(kind(set.verify()), Some(RefusalKind::BadArtifact));
    }
    let (staging, of) = making(&vault, &whole, ROLES);
    staging.commit(of).unwrap().verify().expect("all of it passes");
}

#[test]
fn a_flipped_bit_is_damage_and_not_a_dump_that_was_cut() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::at(&folder.path().join("vault"));
    let (staging, mut of) = making(&vault, &dump(), ROLES);
    // Stored as it is, so that a length in it can be changed.
    let path = staging.path("db.dump");
    let stored = pipeline::store(&mut &*dump(), &path, Compression::None, None, &mut |_| {}).unwrap();
    std::fs::remove_file(staging.path("db.dump.zst")).unwrap();
    let data = &mut of.components[0].files[0];
    (data.file, data.compression) = ("db.dump".to_owned(), Compression::None);
    (data.plain, data.stored) = (stored.plain, stored.stored);
    let set = staging.commit(of).unwrap();
    let path = set.folder.join("db.dump");
    let sound = std::fs::read(&path).unwrap();
    for at in (0..sound.len()).step_by(97) {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(kind(set.verify()), Some(RefusalKind::Integrity), "byte {at}");
    }
}

#[test]
fn f03_room_is_asked_for_what_the_last_set_took_and_only_of_its_stores() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::at(&folder.path().join("vault"));
    let (staging, of) = making(&vault, &dump(), ROLES);
    assert!(staging.has_room_for(["db"].into_iter()).is_ok(), "nobody knows what a first set takes");
    staging.commit(of).unwrap();
    let staging = vault.begin("shop", "run-2", noon()).unwrap();
    let took: u64 = vault.list().unwrap()[0].public.as_ref().unwrap().outline.components[0]
        .files
        .iter()
        .map(|f| f.stored.bytes)
        .sum();
    let asked = |bytes, files, stores: &[&str]| staging.fits((bytes, files), stores.iter().copied()).err();
    assert_eq!(asked(Some(7), Some(3), &["other"]), None, "of this one there is no set");
    assert_eq!(asked(Some(took), Some(5), &["db", "other"]), None);
    assert_eq!(asked(None, None, &["db"]), None, "a disk that does not say");
    for (bytes, files, says) in [(took - 1, 5, "bytes free"), (took, 4, "4 files free")] {
        let refusal = asked(Some(bytes), Some(files), &["db", "other"]).unwrap();
        assert_eq!(refusal.kind, RefusalKind::Storage);
        assert!(refusal.message.contains(says) && refusal.hint.contains("prune shop"), "{refusal:?}");
    }
}
