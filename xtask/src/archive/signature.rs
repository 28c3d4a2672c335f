//! Who vouches for a set: an Ed25519 signature over a manifest's exact bytes, in minisign's format, so that anybody can check it
//! with public tools. It must not know what a manifest says.

use super::disk;
use crate::domain::protection::Protection;
use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::{Context, Result};
use minisign::{KeyPair, PublicKey, PublicKeyBox, SecretKey, SecretKeyBox, SignatureBox};
use std::fs::File;
use std::io::{Cursor, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The signature's file name in a set.
pub const NAME: &str = "manifest.sig";
/// A longer key or signature is not one.
pub(super) const MOST_BYTES: u64 = 4096;
/// The comment that nothing signs. It is always the same, so that a signature has no byte that may be changed.
const COMMENT: &str = "xtask backup manifest";

/// The key that signs.
pub struct Signer {
    secret: SecretKey,
}

impl Signer {
    /// The key that a stack's configuration names, if it names one. It must be one without a password, with minisign's checksum
    /// (which `minisign -G -W` leaves out): nobody is there at night to type it.
    ///
    /// # Errors
    /// `Refusal`: `Configuration` (missing, or no such key), `Preflight` (others may read it).
    pub fn of(protection: &Protection) -> Result<Option<Self>, Refusal> {
        protection.signing_key.as_deref().map(Self::from_file).transpose()
    }

    fn from_file(path: &Path) -> Result<Self, Refusal> {
        let refuse = |kind, what: String, hint: String| Refusal::new(kind, format!("{}: {what}", path.display()), hint);
        let make = || "make one: cargo xtask keys signing <file>".to_owned();
        let read = File::open(path).and_then(|file| {
            let mode = file.metadata()?.mode();
            let mut text = String::new();
            file.take(MOST_BYTES).read_to_string(&mut text)?;
            Ok((mode, text))
        });
        let (mode, text) =
            read.map_err(|e| refuse(RefusalKind::Configuration, format!("cannot read this signing key: {e}"), make()))?;
        if mode & 0o077 != 0 {
            let what = format!("others may read this signing key (mode {:04o})", mode & 0o7777);
            return Err(refuse(RefusalKind::Preflight, what, format!("chmod 600 {}", path.display())));
        }
        let secret = SecretKeyBox::from_string(&text).and_then(SecretKeyBox::into_unencrypted_secret_key);
        let secret = secret.map_err(|_| {
            refuse(RefusalKind::Configuration, "is no signing key without a password".to_owned(), make())
        })?;
        Ok(Self { secret })
    }

    /// Signs a manifest; `id` is its set's, and stands in the signed comment.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn sign(&self, manifest: &[u8], id: &str) -> Result<String> {
        let comment = format!("backup set {id}");
        let signed = minisign::sign(None, &self.secret, Cursor::new(manifest), Some(&comment), Some(COMMENT));
        Ok(signed.context("sign the manifest")?.into_string())
    }
}

/// Makes a key pair, the secret half in a new file; returns the public half, one line of base64.
///
/// # Errors
/// `Refusal`: `Configuration` when the file is there, `Storage`.
pub fn make(path: &Path) -> Result<String> {
    let pair = KeyPair::generate_unencrypted_keypair().context("make a signing key")?;
    let secret = pair.sk.to_box(Some("xtask signing key, without a password")).context("write the signing key")?;
    disk::write_secret(path, secret.into_string().as_bytes())?;
    Ok(pair.pk.to_base64())
}

/// Whether a text has the form of a signature: four lines, the second and the fourth as long as what they encode. The library
/// takes these lengths for granted.
fn well_formed(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    let base64 = |line: &str, length: usize| {
        line.len() == length && line.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
    };
    match lines.as_slice() {
        [first, signature, comment, both] if text.ends_with('\n') => {
            first.strip_prefix("untrusted comment: ") == Some(COMMENT)
                && base64(signature, 100)
                && comment.starts_with("trusted comment: ")
                && base64(both, 88)
        }
        _ => false,
    }
}

/// Whose signature counts.
#[derive(Debug, Clone, Default)]
pub struct Trust(Vec<PublicKey>);

impl Trust {
    /// The public keys that a stack's configuration names.
    ///
    /// # Errors
    /// `Refusal` of kind `Configuration` for one that is none.
    pub fn of(protection: &Protection) -> Result<Self, Refusal> {
        let keys = protection.trusted.iter().map(|text| {
            let text = text.trim();
            let key = if text.contains('\n') {
                PublicKeyBox::from_string(text).and_then(PublicKeyBox::into_public_key)
            } else {
                PublicKey::from_base64(text)
            };
            key.map_err(|_| {
                let message = format!("`{text}` is no public key of minisign's");
                Refusal::new(RefusalKind::Configuration, message, "write the second line of the .pub file (RW…)")
            })
        });
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// Whether nobody is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the keys signed exactly these bytes.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn check(&self, manifest: &[u8], signature: &str) -> Result<(), String> {
        let signed = if well_formed(signature) { SignatureBox::from_string(signature).ok() } else { None };
        // Base64 leaves bits over at an end; only one spelling of them counts.
        let signed = signed.filter(|signed| signed.to_string() == signature);
        let signed = signed.ok_or_else(|| format!("{NAME} is no signature"))?;
        let by = |key: &&PublicKey| minisign::verify(key, &signed, Cursor::new(manifest), true, false, false).is_ok();
        match self.0.iter().find(by) {
            Some(_) => Ok(()),
            None => Err(format!("{NAME} is not by a key that this stack trusts, or of another manifest")),
        }
    }
}
