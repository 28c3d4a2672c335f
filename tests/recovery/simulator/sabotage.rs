//! The code that is tried with one of its guards missing. A simulator that notices none of them would prove nothing. It must not
//! know how a missing guard is noticed.

use std::path::Path;
use xtask::domain::retention::Policy;

/// Which guard is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// None: the code as it is.
    Nothing,
    /// No file is ever synced.
    FileSync,
    /// The files of a set are not synced; logs are.
    SetSync,
    /// The folder of a set is not synced before it gets its name.
    StagingSync,
    /// The vault's folder is not synced after a rename.
    VaultSync,
    /// The folder above the vault is not synced when the vault is made.
    AboveSync,
    /// The catalog is not synced.
    CatalogSync,
    /// The catalog is never written.
    Catalog,
    /// What dead runs left is not removed.
    CleanUp,
    /// The vault's lock is not looked at.
    Lock,
    /// A reader's lock is not looked at.
    ReaderLock,
    /// The producer's exit status is not looked at.
    Exit,
    /// The length that the producer declares is not compared.
    Length,
    /// No digest is compared.
    Digests,
    /// Retention knows no floor but one set.
    Floor,
}

impl Sabotage {
    pub const ALL: [Self; 14] = [
        Self::FileSync,
        Self::SetSync,
        Self::StagingSync,
        Self::VaultSync,
        Self::AboveSync,
        Self::CatalogSync,
        Self::Catalog,
        Self::CleanUp,
        Self::Lock,
        Self::ReaderLock,
        Self::Exit,
        Self::Length,
        Self::Digests,
        Self::Floor,
    ];

    /// What of it concerns whatever has this path.
    pub fn at(self, path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let catalog = name == "catalog.jsonl";
        let inside = |of: &str| path.to_string_lossy().contains(of);
        let concerned = match self {
            Self::SetSync => inside("/.partial-"),
            Self::StagingSync => name.starts_with(".partial-"),
            Self::VaultSync => name == "vault",
            Self::AboveSync => name == "srv",
            Self::CatalogSync | Self::Catalog => catalog,
            _ => true,
        };
        if concerned { self } else { Self::Nothing }
    }

    pub fn forgets_to_sync(self, folder: bool) -> bool {
        match self {
            Self::FileSync | Self::SetSync | Self::CatalogSync => !folder,
            Self::StagingSync | Self::VaultSync | Self::AboveSync => folder,
            _ => false,
        }
    }

    pub fn ignores_locks(self, folder: bool) -> bool {
        self == if folder { Self::ReaderLock } else { Self::Lock }
    }

    pub fn policy(self, policy: Policy) -> Policy {
        if self == Self::Floor { Policy { daily: 0, weekly: 0, monthly: 0, floor: 1 } } else { policy }
    }
}
