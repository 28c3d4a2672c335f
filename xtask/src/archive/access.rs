//! What a vault needs beside its folder: for whom new sets are encrypted, what opens old ones, who signs, and whose signature counts.
//! It must not know which set it is used for.

use super::keys::Keys;
use super::signature::{Signer, Trust};
use crate::domain::fact::{Fact, KeyFile, KeyUse};
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

/// What each key file holds that a stack's configuration names.
pub fn key_files(protection: &Protection) -> Vec<KeyFile> {
    let identities = protection.identities.iter().map(|path| (path, KeyUse::Identity));
    let signing = protection.signing_key.iter().map(|path| (path, KeyUse::Signing));
    let file = |(path, named_as): (&std::path::PathBuf, KeyUse)| {
        let opens = Keys::of(&Protection { identities: vec![path.clone()], ..Protection::default() });
        let signs = Signer::of(&Protection { signing_key: Some(path.clone()), ..Protection::default() });
        // Asked with a signature, as a set's own would be.
        let made = signs.as_ref().ok().and_then(Option::as_ref).and_then(|signer| signer.sign(b"whose", "whose").ok());
        let trust = Trust::of(protection).ok().filter(|trust| !trust.is_empty());
        let trusted = made.zip(trust).map(|(made, trust)| trust.check(b"whose", &made).is_ok());
        let holds = match (opens, signs, named_as) {
            (Ok(_), _, _) => Fact::Known(KeyUse::Identity),
            (_, Ok(_), _) => Fact::Known(KeyUse::Signing),
            (Err(why), _, KeyUse::Identity) | (_, Err(why), KeyUse::Signing) => Fact::Unknown(why.message),
        };
        KeyFile { path: path.clone(), named_as, holds, trusted }
    };
    identities.chain(signing).map(file).collect()
}
