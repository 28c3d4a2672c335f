//! The keys that open sets: identities from files, or a passphrase. Read when they are needed, never kept in a message.
//! It must not know which set they open.

use super::disk;
use super::set_key::MOST_WORK;
use crate::domain::protection::{Encryption, Protection};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::secret::Secret;
use age::secrecy::ExposeSecret;
use age::stream::StreamReader;
use age::{DecryptError, Decryptor, Identity, scrypt, x25519};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How a line with an identity begins.
const IDENTITY: &str = "AGE-SECRET-KEY-1";
/// A longer file is not one of identities.
const MOST_BYTES: u64 = 1 << 20;

/// What opens sets.
#[derive(Default)]
pub struct Keys {
    identities: Vec<x25519::Identity>,
    passphrase: Option<Secret>,
    files: Vec<PathBuf>,
}

impl Keys {
    /// The keys that a stack's configuration names.
    ///
    /// # Errors
    /// `Refusal`: `Configuration` (missing, or not a file of identities), `Preflight` (others may read it).
    pub fn of(protection: &Protection) -> Result<Self, Refusal> {
        let mut keys = Self { files: protection.identities.clone(), ..Self::default() };
        for file in &protection.identities {
            keys.identities.extend(identities(file)?);
        }
        if let Encryption::Passphrase(secret) = &protection.encryption {
            keys.passphrase = Some(secret.clone());
        }
        Ok(keys)
    }

    /// A new identity that is kept nowhere else, and its public half.
    pub fn new_identity() -> (Self, String) {
        let identity = x25519::Identity::generate();
        let public = identity.to_public().to_string();
        (Self { identities: vec![identity], ..Self::default() }, public)
    }

    /// A passphrase alone, as sets were encrypted with before.
    pub fn of_passphrase(secret: Secret) -> Self {
        Self { passphrase: Some(secret), ..Self::default() }
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.identities.is_empty() && self.passphrase.is_none()
    }

    /// Tries every key.
    pub(super) fn open<R: Read>(&self, decryptor: Decryptor<R>) -> Result<StreamReader<R>, DecryptError> {
        if decryptor.is_scrypt() {
            let secret = self.passphrase.as_ref().ok_or(DecryptError::NoMatchingKeys)?;
            let mut identity = scrypt::Identity::new(secret.expose().to_owned().into());
            identity.set_max_work_factor(MOST_WORK);
            return decryptor.decrypt(std::iter::once(&identity as &dyn Identity));
        }
        decryptor.decrypt(self.identities.iter().map(|i| i as &dyn Identity))
    }

    /// None of the keys fits.
    pub(super) fn refused(&self) -> Refusal {
        let hint = "name the file with the right identity: `identity_files:` below `backups:` in recovery.yaml";
        let names: Vec<String> = self.files.iter().map(|f| f.display().to_string()).collect();
        let message = match (names.as_slice(), &self.passphrase) {
            ([], None) => "the set is encrypted, and no key was given".to_owned(),
            ([], Some(_)) => "the set is encrypted, and the passphrase does not open it".to_owned(),
            (names, None) => format!("the set is encrypted, and no key in {} opens it", names.join(", ")),
            (names, Some(_)) => {
                format!("the set is encrypted, and neither the passphrase nor a key in {} opens it", names.join(", "))
            }
        };
        Refusal::new(RefusalKind::WrongKey, message, hint)
    }
}

/// Makes an identity in a new file, as `age-keygen` does; returns its public half.
///
/// # Errors
/// `Refusal`: `Configuration` when the file is there, `Storage`.
pub fn make(path: &Path) -> anyhow::Result<String> {
    let identity = x25519::Identity::generate();
    let public = identity.to_public().to_string();
    let text = format!("# public key: {public}\n{}\n", identity.to_string().expose_secret());
    disk::write_secret(path, text.as_bytes())?;
    Ok(public)
}

fn identities(path: &Path) -> Result<Vec<x25519::Identity>, Refusal> {
    let refuse = |kind, what: String, hint: &str| Err(Refusal::new(kind, format!("{}: {what}", path.display()), hint));
    let age = "write the path of a file that `age-keygen` made";
    let read = File::open(path).and_then(|file| {
        let mode = file.metadata()?.mode();
        let mut text = String::new();
        file.take(MOST_BYTES).read_to_string(&mut text)?;
        Ok((mode, text))
    });
    let (mode, text) = match read {
        Ok(read) => read,
        Err(e) => return refuse(RefusalKind::Configuration, format!("cannot read this identity file: {e}"), age),
    };
    if mode & 0o077 != 0 {
        let what = format!("others may read this identity file (mode {:04o})", mode & 0o7777);
        return refuse(RefusalKind::Preflight, what, &format!("chmod 600 {}", path.display()));
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut found = Vec::new();
    for line in lines {
        // The line itself may be a secret: it is never repeated.
        match line.parse::<x25519::Identity>() {
            Ok(identity) if line.starts_with(IDENTITY) => found.push(identity),
            _ => return refuse(RefusalKind::Configuration, "a line of it is no age identity".to_owned(), age),
        }
    }
    if found.is_empty() {
        return refuse(RefusalKind::Configuration, "holds no age identity".to_owned(), age);
    }
    Ok(found)
}
