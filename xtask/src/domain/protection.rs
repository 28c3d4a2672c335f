//! How backup sets are protected: who can read them, who vouches for them, and whose word counts.
//! It must not know any cipher, nor read a key.

use super::secret::Secret;
use std::path::PathBuf;

/// What a stack's configuration says of the protection of its sets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Protection {
    /// Who can read them.
    pub encryption: Encryption,
    /// Files with age identities, which open what was encrypted for them. Not needed to back up, and better not on that host.
    pub identities: Vec<PathBuf>,
    /// The file with the key that signs manifests, in minisign's format.
    pub signing_key: Option<PathBuf>,
    /// Public keys, in minisign's format, one of which must have signed a set. Empty = nobody can know who made it.
    pub trusted: Vec<String>,
    /// The file with the passphrase, where one is named.
    pub passphrase_file: Option<PathBuf>,
}

/// Who can read a set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Encryption {
    /// Nobody said: as if it were off, and told wherever that matters.
    #[default]
    Undecided,
    /// Whoever can read the folder.
    Off,
    /// Whoever holds the identity of one of these age recipients (`age1…`).
    Recipients(Vec<String>),
    /// Whoever knows this.
    Passphrase(Secret),
}

impl Encryption {
    /// Whether sets are encrypted.
    pub fn is_on(&self) -> bool {
        matches!(self, Self::Recipients(_) | Self::Passphrase(_))
    }
}
