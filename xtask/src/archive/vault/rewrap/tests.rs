//! Changing readers: who could read before cannot afterwards, who shall read can, and nothing else of a set changes.

use super::super::protected::{PLAIN, Safe, files, identity, kind, read, store};
use super::super::tests::noon;
use super::*;
use crate::archive::disk::HostDisk;
use crate::domain::protection::Protection;
use crate::domain::secret::Secret;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Every file of a set but its key files, with its bytes.
fn but_keys(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let others = files(folder).into_iter().filter(|f| !f.to_string_lossy().contains("key-"));
    others.map(|file| (file.clone(), std::fs::read(file).unwrap())).collect()
}

fn keys(folder: &Path) -> usize {
    key_names(&HostDisk, folder).unwrap().len()
}

/// A vault as its operators see it who know `reader` only.
fn seen_by(safe: &Safe, reader: &Path) -> Vault {
    safe.changed(|p| p.identities = vec![reader.to_owned()])
}

fn rewrap(vault: &Vault, id: &str) -> Result<()> {
    vault.rewrapping("rotate", noon()).unwrap().rewrap(id, &[])
}

/// The configuration after the operator has gone: the escrow stays, somebody new comes.
fn rotated(safe: &Safe) -> (PathBuf, Protection) {
    let (newcomer, public) = identity(&safe.folder, "newcomer");
    let Encryption::Recipients(before) = &safe.protection.encryption else { panic!("recipients") };
    let encryption = Encryption::Recipients(vec![before[1].clone(), public]);
    (newcomer, Protection { encryption, ..safe.protection.clone() })
}

#[test]
fn a_rewrapped_set_opens_for_todays_readers_and_no_longer_for_yesterdays() {
    let safe = Safe::new();
    let id = safe.store(PLAIN).manifest.id.clone();
    let folder = safe.at().join(&id);
    let before = but_keys(&folder);
    let operations = safe.folder.path().join("ops");
    assert_eq!(read(&seen_by(&safe, &operations).find(&id).unwrap()), PLAIN, "before");
    let (newcomer, protection) = rotated(&safe);
    let vault = safe.vault_with(&protection);
    rewrap(&vault, &id).unwrap();
    assert_eq!(kind(seen_by(&safe, &operations).find(&id)), RefusalKind::WrongKey);
    for reader in [newcomer, safe.folder.path().join("escrow")] {
        let found = seen_by(&safe, &reader).find(&id).unwrap();
        assert_eq!(read(&found), PLAIN);
        found.verify().unwrap();
    }
    assert_eq!((but_keys(&folder), keys(&folder)), (before, 1), "data, manifest and signature stay as they were");
    assert_eq!(vault.contradictions().unwrap(), Vec::<String>::new());
}

#[test]
fn a_key_file_that_was_copied_before_still_opens_the_set() {
    let safe = Safe::new();
    let id = safe.store(PLAIN).manifest.id.clone();
    let folder = safe.at().join(&id);
    let name = key_names(&HostDisk, &folder).unwrap().remove(0);
    let kept = std::fs::read(folder.join(&name)).unwrap();
    let (_, protection) = rotated(&safe);
    rewrap(&safe.vault_with(&protection), &id).unwrap();
    let operations = seen_by(&safe, &safe.folder.path().join("ops"));
    assert!(operations.find(&id).is_err());
    std::fs::write(folder.join(name), kept).unwrap();
    assert_eq!(read(&operations.find(&id).unwrap()), PLAIN, "what the documents warn of");
}

#[test]
fn a_passphrase_is_replaced_by_recipients_when_the_old_one_is_given() {
    let safe = Safe::new();
    let old = safe.changed(|p| p.encryption = Encryption::Passphrase(Secret::new("of the old scripts")));
    let id = store(&old, PLAIN).manifest.id.clone();
    let vault = safe.vault();
    let rewrapping = vault.rewrapping("rotate", noon()).unwrap();
    let of = |word: &str| vec![Keys::of_passphrase(Secret::new(word))];
    assert_eq!(kind(rewrapping.rewrap(&id, &[])), RefusalKind::WrongKey);
    assert_eq!(kind(rewrapping.rewrap(&id, &of("another"))), RefusalKind::WrongKey);
    rewrapping.rewrap(&id, &of("of the old scripts")).unwrap();
    rewrapping.rewrap(&id, &of("of the old scripts")).unwrap();
    assert_eq!(read(&vault.find(&id).unwrap()), PLAIN);
    let closed = safe.changed(|p| {
        p.identities.clear();
        p.encryption = Encryption::Passphrase(Secret::new("of the old scripts"));
    });
    assert_eq!(kind(closed.find(&id)), RefusalKind::WrongKey);
}

#[test]
fn nothing_is_changed_of_a_set_that_is_read_damaged_unsigned_open_to_all_or_missing() {
    let safe = Safe::new();
    let set = safe.store(PLAIN);
    let (id, folder) = (set.manifest.id.clone(), set.folder.clone());
    let before = files(&folder);
    let (_, protection) = rotated(&safe);
    let vault = safe.vault_with(&protection);
    assert_eq!(kind(rewrap(&vault, &id)), RefusalKind::Locked, "it is being read");
    drop(set);
    assert_eq!(kind(rewrap(&vault, "20261120T120000Z-000099-aaaa")), RefusalKind::NoBackup);
    assert_eq!(kind(rewrap(&vault, "../vault")), RefusalKind::NoBackup);
    let stranger = Protection { identities: vec![identity(&safe.folder, "stranger").0], ..protection.clone() };
    assert_eq!(kind(rewrap(&safe.vault_with(&stranger), &id)), RefusalKind::WrongKey);
    let nope = Protection { encryption: Encryption::Recipients(vec!["age1nope".into()]), ..protection.clone() };
    assert_eq!(kind(rewrap(&safe.vault_with(&nope), &id)), RefusalKind::Configuration);
    let off = safe.changed(|p| p.encryption = Encryption::Off);
    assert_eq!(kind(off.rewrapping("rotate", noon())), RefusalKind::Configuration);
    let busy = vault.begin("shop", "other", noon()).unwrap();
    assert_eq!(kind(vault.rewrapping("rotate", noon())), RefusalKind::Locked, "another run holds the vault");
    drop(busy);
    let signature = folder.join(crate::archive::signature::NAME);
    let signed = std::fs::read(&signature).unwrap();
    std::fs::remove_file(&signature).unwrap();
    assert_eq!(kind(rewrap(&vault, &id)), RefusalKind::Integrity, "nobody vouches for it");
    std::fs::write(&signature, signed).unwrap();
    assert_eq!(files(&folder), before, "every refusal leaves it as it was");
    rewrap(&vault, &id).unwrap();
    assert_ne!(files(&folder), before);

    let open = Vault::at(&safe.folder.path().join("open"));
    let staging = open.begin("shop", "run", noon()).unwrap();
    let file = super::super::tests::put(&staging, "db.db.zst", crate::domain::artifact::Role::Data, PLAIN);
    let manifest = super::super::tests::manifest(&staging, vec![file]);
    let id = staging.commit(manifest).unwrap().manifest.id.clone();
    let sealed = Vault::with(
        &safe.folder.path().join("open"),
        crate::archive::access::Access { encryption: protection.encryption.clone(), ..Default::default() },
    );
    let error = rewrap(&sealed, &id).unwrap_err();
    assert!(error.to_string().contains("is not encrypted"), "{error:#}");
}

#[test]
fn a_rewrap_that_died_between_new_and_old_is_whole_and_the_next_one_ends_it() {
    let safe = Safe::new();
    let id = safe.store(PLAIN).manifest.id.clone();
    let folder = safe.at().join(&id);
    let (newcomer, protection) = rotated(&safe);
    let vault = safe.vault_with(&protection);
    // As a death just before the old file goes leaves it.
    let key = key_of(
        &HostDisk,
        &folder,
        &vault.list().unwrap()[0].public.as_ref().unwrap().outline.seal.as_ref().unwrap().recipient,
        &vault.access.keys,
    );
    vault.rewrapping("killed", noon()).unwrap().put(&folder, &key.unwrap()).unwrap();
    std::fs::write(safe.at().join(".partial-killed"), b"half a key").unwrap();
    assert_eq!(keys(&folder), 2);
    for reader in [safe.folder.path().join("ops"), newcomer] {
        assert_eq!(read(&seen_by(&safe, &reader).find(&id).unwrap()), PLAIN);
    }
    rewrap(&vault, &id).unwrap();
    assert_eq!((keys(&folder), safe.at().join(".partial-killed").exists()), (1, false));
    assert_eq!(kind(seen_by(&safe, &safe.folder.path().join("ops")).find(&id)), RefusalKind::WrongKey);
}
