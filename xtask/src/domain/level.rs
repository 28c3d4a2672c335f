//! How much is known of a backup set. A level includes those before it; what is said of a set is always its level, never "ok".
//! It must not know how a level is reached.

use serde::{Deserialize, Serialize};

/// A level of verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// It is there.
    L0,
    /// Its stored bytes are those that were written.
    L1,
    /// They decrypt and decompress to the bytes that were dumped.
    L2,
    /// The archives list everything that was counted.
    L3,
    /// It was restored, and what came back is equal.
    L4,
}

impl Level {
    /// All of them, the lowest first.
    pub const ALL: [Self; 5] = [Self::L0, Self::L1, Self::L2, Self::L3, Self::L4];

    /// What is known of a set that has reached it.
    pub fn about(self) -> &'static str {
        match self {
            Self::L0 => "complete, as its manifest says, and the manifest is whole",
            Self::L1 => "every stored byte of data and manifest is the one that was written",
            Self::L2 => "every byte decrypts and decompresses to what was dumped",
            Self::L3 => "the archives list every table and file that was counted",
            Self::L4 => "restored into a fresh place and equal, object by object",
        }
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|level| level.to_string().eq_ignore_ascii_case(text));
        found.ok_or_else(|| "the levels are L0, L1, L2, L3 and L4".to_owned())
    }
}
