//! The key of one set. Every set has an age identity of its own, which all its files are encrypted for; the identity itself is
//! kept beside them, encrypted for the people who may read the set. Whoever may read it changes by writing that one small file.
//! It must not know where a set lies.

use super::keys::Keys;
use crate::domain::protection::Encryption;
use crate::domain::refusal::{Refusal, RefusalKind};
use age::secrecy::ExposeSecret;
use age::stream::{StreamReader, StreamWriter};
use age::{DecryptError, Decryptor, Encryptor, scrypt, x25519};
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::sync::Arc;

/// The scheme's name in a manifest: the public age format, version 1.
pub const SCHEME: &str = "age-encryption.org/v1";
/// The cost of a passphrase, as the power of two of scrypt's N: about a second.
const WORK: u8 = 18;
/// A wrapped key asking for more work than this is refused: it would not be one of ours.
pub(super) const MOST_WORK: u8 = 20;
/// A wrapped key is some hundred bytes long; a longer one is not looked at.
const MOST_BYTES: u64 = 64 * 1024;

/// The identity that a set's files are encrypted for.
#[derive(Clone)]
pub struct SetKey(Arc<x25519::Identity>);

impl std::fmt::Debug for SetKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SetKey({})", self.recipient())
    }
}

impl SetKey {
    /// A new one.
    pub fn generate() -> Self {
        Self(Arc::new(x25519::Identity::generate()))
    }

    /// Its public half, `age1…`: what a manifest says.
    pub fn recipient(&self) -> String {
        self.0.to_public().to_string()
    }

    /// The identity itself as an age file, for everybody whom the configuration names.
    ///
    /// # Errors
    /// `Refusal` of kind `Configuration` for a recipient that is none.
    pub fn wrapped(&self, readers: &Encryption) -> Result<Vec<u8>> {
        let encryptor = match readers {
            Encryption::Recipients(names) => {
                let all = names.iter().map(|name| recipient(name)).collect::<Result<Vec<_>>>()?;
                Encryptor::with_recipients(all.iter().map(|r| r as &dyn age::Recipient))
            }
            Encryption::Passphrase(secret) => {
                let mut stretched = scrypt::Recipient::new(secret.expose().to_owned().into());
                stretched.set_work_factor(WORK);
                Encryptor::with_recipients(std::iter::once(&stretched as &dyn age::Recipient))
            }
            Encryption::Undecided | Encryption::Off => anyhow::bail!("encryption is off"),
        };
        let mut wrapped = Vec::new();
        let mut to = encryptor.context("encrypt the set's key")?.wrap_output(&mut wrapped)?;
        // As the age program writes an identity file, so that it can read it.
        writeln!(to, "{}", self.0.to_string().expose_secret())?;
        to.finish()?;
        Ok(wrapped)
    }

    /// Opens a wrapped key with whatever keys there are.
    ///
    /// # Errors
    /// `Refusal` of kind `WrongKey` when none of them fits or there is none, `Integrity` when it is no wrapped key.
    pub fn unwrapped(wrapped: &[u8], keys: &Keys) -> Result<Self, Refusal> {
        let broken = |what: &str| {
            let hint = "this set cannot be trusted: use another one, and find out what changed its key file";
            Refusal::new(RefusalKind::Integrity, format!("the set's key file {what}"), hint)
        };
        let decryptor = Decryptor::new(wrapped).map_err(|e| broken(&format!("is not an age file: {e}")))?;
        let opened = keys.open(decryptor).map_err(|error| match error {
            DecryptError::NoMatchingKeys | DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
                keys.refused()
            }
            other => broken(&format!("cannot be opened: {other}")),
        })?;
        let mut text = String::new();
        let read = opened.take(MOST_BYTES).read_to_string(&mut text);
        read.map_err(|e| broken(&format!("is damaged: {e}")))?;
        let identity = text.trim().parse::<x25519::Identity>();
        identity.map(|key| Self(Arc::new(key))).map_err(|e| broken(&format!("holds no identity: {e}")))
    }

    /// Encrypts what is written. The writer must be finished, or the file ends in the middle.
    pub(super) fn sealing<W: Write>(&self, to: W) -> Result<StreamWriter<W>> {
        let public = self.0.to_public();
        let encryptor = Encryptor::with_recipients(std::iter::once(&public as &dyn age::Recipient));
        Ok(encryptor.context("encrypt")?.wrap_output(to)?)
    }

    /// Decrypts what is read; a file that ends in the middle is an error of the reader.
    pub(super) fn opening<R: Read>(&self, from: R) -> Result<StreamReader<R>, DecryptError> {
        Decryptor::new(from)?.decrypt(std::iter::once(self.0.as_ref() as &dyn age::Identity))
    }
}

fn recipient(name: &str) -> Result<x25519::Recipient> {
    name.parse().map_err(|why| {
        let message = format!("`{name}` is not an age recipient: {why}");
        let hint = "write the public key that `age-keygen` prints (age1…); never the secret one (AGE-SECRET-KEY-1…)";
        Refusal::new(RefusalKind::Configuration, message, hint).into()
    })
}
