//! What a vault needs beside its folder: for whom new sets are encrypted, what opens old ones, who signs, and whose signature counts.
//! It must not know which set it is used for.

use super::keys::Keys;
use super::signature::{Signer, Trust};
use crate::domain::protection::{Encryption, Protection};
use crate::domain::refusal::Refusal;
use crate::domain::secret::Secret;

/// The means to write protected sets and to read them back.
#[derive(Default)]
pub struct Access {
    /// Who can read new sets.
    pub encryption: Encryption,
    /// What opens sets.
    pub keys: Keys,
    /// What signs new sets.
    pub signer: Option<Signer>,
    /// Whose signature a set must have.
    pub trust: Trust,
}

impl Access {
    /// With keys of the same kind that nobody else knows, for sets that nobody keeps; none where sets are not encrypted.
    pub fn throw_away(like: &Encryption) -> Self {
        match like {
            Encryption::Undecided | Encryption::Off => Self::default(),
            Encryption::Recipients(_) => {
                let (keys, recipient) = Keys::new_identity();
                Self { encryption: Encryption::Recipients(vec![recipient]), keys, ..Self::default() }
            }
            Encryption::Passphrase(_) => {
                let secret = Secret::new(Keys::new_identity().1);
                let keys = Keys::of_passphrase(secret.clone());
                Self { encryption: Encryption::Passphrase(secret), keys, ..Self::default() }
            }
        }
    }

    /// As a stack's configuration says; every key file is read here.
    ///
    /// # Errors
    /// `Refusal`: `Configuration` or `Preflight`, naming the file.
    pub fn of(protection: &Protection) -> Result<Self, Refusal> {
        Ok(Self {
            encryption: protection.encryption.clone(),
            keys: Keys::of(protection)?,
            signer: Signer::of(protection)?,
            trust: Trust::of(protection)?,
        })
    }
}
