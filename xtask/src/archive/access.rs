//! What a vault needs beside its folder: for whom new sets are encrypted, what opens old ones, who signs, and whose signature counts.
//! It must not know which set it is used for.

use super::keys::Keys;
use super::signature::{Signer, Trust};
use crate::domain::protection::{Encryption, Protection};
use crate::domain::refusal::Refusal;

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
