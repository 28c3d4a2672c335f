//! Protected vaults: who can read a set, who vouches for it, and what is noticed when somebody changes, copies or takes one.

use super::tests::{manifest, noon, put};
use super::*;
use crate::domain::artifact::{Manifest, Role};
use crate::domain::protection::{Encryption, Protection};
use crate::domain::secret::Secret;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

/// A vault with two readers (operations and escrow) and a signer, and where their keys are.
pub(super) struct Safe {
    pub(super) folder: TempDir,
    pub(super) protection: Protection,
}

fn private(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

pub(super) fn identity(folder: &TempDir, name: &str) -> (PathBuf, String) {
    use age::secrecy::ExposeSecret;
    let key = age::x25519::Identity::generate();
    let text = format!("# public key: {}\n{}\n", key.to_public(), key.to_string().expose_secret());
    (private(folder, name, &text), key.to_public().to_string())
}

fn signer(folder: &TempDir, name: &str) -> (PathBuf, String) {
    let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let path = private(folder, name, &pair.sk.to_box(None).unwrap().into_string());
    (path, pair.pk.to_base64())
}

impl Safe {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ((_, operations), (escrow, second)) = (identity(&folder, "ops"), identity(&folder, "escrow"));
        let (signing_key, public) = signer(&folder, "sign");
        let protection = Protection {
            encryption: Encryption::Recipients(vec![operations, second]),
            identities: vec![escrow],
            signing_key: Some(signing_key),
            trusted: vec![public],
            passphrase_file: None,
        };
        Self { folder, protection }
    }

    pub(super) fn at(&self) -> PathBuf {
        self.folder.path().join("vault")
    }

    pub(super) fn vault(&self) -> Vault {
        self.vault_with(&self.protection)
    }

    pub(super) fn vault_with(&self, protection: &Protection) -> Vault {
        Vault::with(&self.at(), Access::of(protection).unwrap())
    }

    pub(super) fn changed(&self, change: impl FnOnce(&mut Protection)) -> Vault {
        let mut protection = self.protection.clone();
        change(&mut protection);
        self.vault_with(&protection)
    }

    /// A committed set whose only file holds this.
    pub(super) fn store(&self, plain: &[u8]) -> BackupSet {
        store(&self.vault(), plain)
    }
}

pub(super) fn store(vault: &Vault, plain: &[u8]) -> BackupSet {
    let wall = noon();
    let staging = vault.begin("shop", "run", wall).unwrap();
    let file = put(&staging, "db.dump.zst.age", Role::Data, plain);
    let manifest = manifest(&staging, vec![file]);
    staging.commit(manifest).unwrap()
}

pub(super) fn read(set: &BackupSet) -> Vec<u8> {
    let mut plain = Vec::new();
    set.plain(set.manifest.components[0].data().unwrap()).unwrap().read_to_end(&mut plain).unwrap();
    plain
}

pub(super) fn kind<T>(result: Result<T>) -> RefusalKind {
    let error = result.err().expect("an error");
    Refusal::within(&error).unwrap_or_else(|| panic!("no refusal: {error:#}")).kind
}

pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

pub(super) const PLAIN: &[u8] = b"rows that nobody else may read, and that compress, compress, compress";

#[test]
fn either_reader_opens_a_set_and_nobody_learns_anything_from_the_folder() {
    let safe = Safe::new();
    let set = safe.store(PLAIN);
    assert_eq!(read(&set), PLAIN);
    for reader in ["ops", "escrow"] {
        let vault = safe.changed(|p| p.identities = vec![safe.folder.path().join(reader)]);
        let found = vault.find("latest").unwrap();
        assert_eq!((read(&found), &found.manifest), (PLAIN.to_vec(), &set.manifest), "{reader}");
        assert!(found.verify().unwrap() > 0);
    }
    let told = files(&set.folder).into_iter().map(|f| std::fs::read(f).unwrap()).collect::<Vec<_>>().concat();
    let secrets = ["rows that nobody", "facts", "census", &set.manifest.components[0].data().unwrap().plain.sha256];
    for secret in secrets {
        assert!(!told.windows(secret.len()).any(|w| w == secret.as_bytes()), "the folder tells {secret}");
    }
}

#[test]
fn without_a_key_that_fits_a_set_is_listed_and_its_bytes_checked_but_never_opened() {
    let safe = Safe::new();
    let set = safe.store(PLAIN);
    let (stranger, _) = identity(&safe.folder, "stranger");
    for identities in [vec![], vec![stranger]] {
        let vault = safe.changed(|p| p.identities = identities);
        assert_eq!(kind(vault.find("latest")), RefusalKind::WrongKey);
        let (folder, public) = vault.outline("latest").unwrap();
        assert_eq!(public.outline.id, set.manifest.id);
        assert!(vault.verify_stored(&folder, &public.outline).unwrap() > 0);
    }
    let vault = safe.changed(|p| p.encryption = Encryption::Passphrase(Secret::new("wrong")));
    let told = safe.changed(|p| p.identities.clear()).find("latest").err().unwrap();
    assert!(format!("{told:#}").contains("no key was given"), "{told:#}");
    assert_eq!(read(&vault.find("latest").unwrap()), PLAIN, "an identity still opens it");
}

#[test]
fn a_passphrase_opens_a_set_and_another_one_is_a_wrong_key_and_no_damage() {
    let safe = Safe::new();
    let with = |word: &str| {
        safe.changed(|p| {
            p.identities.clear();
            p.encryption = Encryption::Passphrase(Secret::new(word));
        })
    };
    let set = store(&with("correct horse"), PLAIN);
    assert_eq!(read(&with("correct horse").find(&set.manifest.id).unwrap()), PLAIN);
    for wrong in ["correct horse\n", "Correct horse", ""] {
        assert_eq!(kind(with(wrong).find("latest")), RefusalKind::WrongKey, "{wrong:?}");
    }
}

#[test]
fn f09_f10_every_flipped_bit_of_every_file_is_refused() {
    let safe = Safe::new();
    let set = safe.store(PLAIN);
    let vault = safe.vault();
    let sound = |vault: &Vault| vault.find("latest").and_then(|set| set.verify()).is_ok();
    assert!(sound(&vault));
    let mut flips = 0;
    for file in files(&set.folder) {
        let whole = std::fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&file, &bytes).unwrap();
            assert!(!sound(&vault), "{} at {at}", file.display());
            flips += 1;
        }
        std::fs::write(&file, &whole).unwrap();
    }
    assert!(flips > 2000 && sound(&vault), "{flips} flips");
}

#[test]
fn f11_every_truncation_and_appended_byte_is_refused() {
    let safe = Safe::new();
    let set = safe.store(PLAIN);
    let vault = safe.vault();
    for file in files(&set.folder) {
        let whole = std::fs::read(&file).unwrap();
        let longer = [whole.as_slice(), b"\0"].concat();
        for bytes in (0..whole.len()).map(|n| &whole[..n]).chain([longer.as_slice()]) {
            std::fs::write(&file, bytes).unwrap();
            let refused = vault.find("latest").and_then(|set| set.verify()).is_err();
            assert!(refused, "{} cut to {} of {}", file.display(), bytes.len(), whole.len());
        }
        std::fs::write(&file, &whole).unwrap();
    }
    assert!(vault.find("latest").unwrap().verify().is_ok());
}

#[test]
fn f13_swapped_manifests_and_artifacts_are_refused() {
    let safe = Safe::new();
    let (one, other) = (safe.store(PLAIN), safe.store(PLAIN));
    let vault = safe.vault();
    for name in ["manifest.json", "db.dump.zst.age", "manifest.rest.age", "manifest.sig"] {
        let (from, to) = (one.folder.join(name), other.folder.join(name));
        let whole = std::fs::read(&to).unwrap();
        std::fs::copy(&from, &to).unwrap();
        assert_eq!(kind(vault.find(&other.manifest.id).and_then(|s| s.verify())), RefusalKind::Integrity, "{name}");
        std::fs::write(&to, whole).unwrap();
    }
    let key = |set: &BackupSet| files(&set.folder).into_iter().find(|f| f.to_string_lossy().contains("key-")).unwrap();
    std::fs::rename(key(&one), other.folder.join(key(&one).file_name().unwrap())).unwrap();
    assert!(vault.find(&other.manifest.id).is_ok(), "a key file more does no harm while the right one is there");
    std::fs::remove_file(key(&other)).ok();
}

#[test]
fn f14_f15_a_replayed_copied_or_foreign_set_is_noticed() {
    let safe = Safe::new();
    let (first, second) = (safe.store(b"first"), safe.store(b"second"));
    let vault = safe.vault();
    assert_eq!(vault.contradictions().unwrap(), Vec::<String>::new());

    // Under a newer name it is not the set of that name.
    let renamed = safe.at().join("20991120T010000Z-000009-aaaa");
    copy(&first.folder, &renamed);
    assert_eq!(kind(vault.find("20991120T010000Z-000009-aaaa")), RefusalKind::Integrity);
    std::fs::remove_dir_all(renamed).unwrap();

    // Somebody's own set, encrypted for us, which needs our public keys only.
    let (key, _) = signer(&safe.folder, "attacker");
    let forged = store(&safe.changed(|p| (p.signing_key, p.trusted) = (Some(key), vec![])), b"forged");
    let error = format!("{:#}", vault.find(&forged.manifest.id).unwrap_err());
    assert!(error.contains("not by a key that this stack trusts"), "{error}");
    let unsigned = store(&safe.changed(|p| (p.signing_key, p.trusted) = (None, vec![])), b"unsigned");
    let error = format!("{:#}", vault.find(&unsigned.manifest.id).unwrap_err());
    assert!(error.contains("is not signed"), "{error}");
    for set in [forged, unsigned] {
        std::fs::remove_dir_all(set.folder).unwrap();
    }

    std::fs::rename(&second.folder, safe.folder.path().join("hidden")).unwrap();
    let told = vault.contradictions().unwrap().join("\n");
    assert!(told.contains(&format!("set {} is gone", second.manifest.id)), "{told}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for file in files(from) {
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

#[test]
fn keys_that_others_may_read_or_that_are_none_are_refused_without_a_word_of_them() {
    let safe = Safe::new();
    let loose = safe.folder.path().join("ops");
    std::fs::set_permissions(&loose, std::fs::Permissions::from_mode(0o644)).unwrap();
    let access = |change: &dyn Fn(&mut Protection)| {
        let mut protection = safe.protection.clone();
        change(&mut protection);
        Access::of(&protection).err().expect("a refusal")
    };
    let refusal = access(&|p| p.identities = vec![loose.clone()]);
    assert_eq!((refusal.kind, refusal.hint.starts_with("chmod 600 ")), (RefusalKind::Preflight, true), "{refusal:?}");
    let rubbish = private(&safe.folder, "rubbish", "AGE-SECRET-KEY-1CANARY\n");
    for change in [&|p: &mut Protection| p.identities = vec![rubbish.clone()] as Vec<_>, &|p: &mut Protection| {
        p.signing_key = Some(rubbish.clone())
    }] as [&dyn Fn(&mut Protection); 2]
    {
        let refusal = access(change);
        assert_eq!(refusal.kind, RefusalKind::Configuration);
        assert!(!format!("{refusal:?}").contains("CANARY"), "{refusal:?}");
    }
    assert_eq!(access(&|p| p.trusted = vec!["RWnope".into()]).kind, RefusalKind::Configuration);
    let vault = safe.changed(|p| p.encryption = Encryption::Recipients(vec!["age1nope".into()]));
    let staging = vault.begin("shop", "run", noon()).unwrap();
    let file = put(&staging, "db.dump.zst.age", Role::Data, PLAIN);
    let manifest: Manifest = manifest(&staging, vec![file]);
    assert_eq!(kind(staging.commit(manifest)), RefusalKind::Configuration);
    assert!(vault.list().unwrap().is_empty(), "nothing half-made is listed");
}
