//! What was found out about a stack before anybody judges it: each part is known, or it is said why not.
//! Data only: whoever gathers it is in `flow`, whoever judges it in `checks`.

use super::check::Judged;
use super::coverage::Coverage;
use super::deed::Deed;
use super::protection::Protection;
use super::retention::Policy;
use super::schedule::Schedule;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// Something that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<T> {
    /// The answer.
    Known(T),
    /// Why there is none.
    Unknown(String),
}

impl<T> Fact<T> {
    /// The answer; without one the judgement notes that it could not be known.
    pub fn or_unknown(&self, judged: &mut Judged) -> Option<&T> {
        match self {
            Self::Known(known) => Some(known),
            Self::Unknown(why) => {
                judged.unknown(why.clone(), "mend that and ask again");
                None
            }
        }
    }
}

impl<T, E: std::fmt::Display> From<Result<T, E>> for Fact<T> {
    fn from(result: Result<T, E>) -> Self {
        result.map_or_else(|error| Self::Unknown(format!("{error:#}")), Self::Known)
    }
}

/// All that is asked about the backups of one stack.
#[derive(Debug, Clone)]
pub struct BackupFacts {
    /// The stack.
    pub stack: String,
    /// The moment of the question.
    pub now: Timestamp,
    /// Why the stack is taken for a production one; `None` = it is not.
    pub production: Option<String>,
    /// Its stores, and whether each may be empty.
    pub stores: BTreeMap<String, bool>,
    /// What of it is covered; `None` for a stack without Compose.
    pub coverage: Option<Coverage>,
    /// When backups run.
    pub schedule: Option<Schedule>,
    /// The data loss that each scenario may cost at most.
    pub objectives: Vec<(String, Duration)>,
    /// How many sets are kept.
    pub policy: Policy,
    /// How sets are protected.
    pub protection: Protection,
    /// What was found out about its key files.
    pub keys: Vec<KeyFile>,
    /// The vault's folder.
    pub vault: PathBuf,
    /// Its sets, oldest first.
    pub sets: Fact<Vec<SetFact>>,
    /// What else lies there and is no set.
    pub strangers: Vec<String>,
    /// Every set that was ever committed, as the catalog says.
    pub history: Fact<Vec<Committed>>,
    /// What the newest set holds, by store.
    pub content: Fact<BTreeMap<String, Content>>,
    /// Why the keys that are configured do not open the newest set; `None` = they do, or there are none.
    pub locked_out: Option<String>,
    /// The rows of each store in the sets before the newest that can be read here.
    pub rows_before: BTreeMap<String, Vec<u64>>,
    /// What does not fit together among the sets and the catalog.
    pub contradictions: Fact<Vec<String>>,
    /// Who may read and write what.
    pub rights: Fact<Vec<Right>>,
    /// The room on the vault's disk.
    pub room: Fact<Room>,
    /// What runs that died left in the vault.
    pub leftovers: Fact<Vec<String>>,
    /// Who holds the vault's lock.
    pub holder: Fact<Option<String>>,
    /// What was done to the vault, and how many lines of the log are none.
    pub deeds: Fact<(Vec<Deed>, usize)>,
}

/// A key file that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// Its path.
    pub path: PathBuf,
    /// What it is named for.
    pub named_as: KeyUse,
    /// What it holds, or why nobody can tell.
    pub holds: Fact<KeyUse>,
    /// Whether what it signs is signed by somebody who is trusted; nothing where it signs nothing or nobody is named.
    pub trusted: Option<bool>,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// It opens sets.
    Identity,
    /// It signs sets.
    Signing,
}

/// One set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetFact {
    /// Its id.
    pub id: String,
    /// When it was begun, as its name says.
    pub at: Timestamp,
    /// The oldest moment that its data is of; `None` when its manifest cannot be read.
    pub as_of: Option<Timestamp>,
    /// How long it took.
    pub took: Option<Duration>,
    /// The bytes it takes on the disk.
    pub stored_bytes: u64,
    /// Of these, those of each store.
    pub store_bytes: BTreeMap<String, u64>,
    /// The files it takes there.
    pub files: u64,
    /// Its stores.
    pub stores: BTreeSet<String>,
    /// Whether it came out of an archive of another tool.
    pub adopted: bool,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// What is wrong with it, as far as can be seen without reading artifacts.
    pub damage: Option<String>,
}

/// A line of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The set's id.
    pub id: String,
    /// When it was begun, as its name says.
    pub at: Timestamp,
    /// Whether this tool removed it since.
    pub removed: bool,
}

/// What a set holds of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// How many tables or files.
    pub objects: usize,
    /// How many rows in them.
    pub rows: u64,
}

/// Who may do what with a file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// Its path.
    pub path: PathBuf,
    /// What it is.
    pub of: Thing,
    /// Permission bits, the sticky one too.
    pub mode: u32,
    /// Whether it belongs to the user who asks (or, for a folder above, to root).
    pub ours: bool,
}

/// What a right is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// The vault itself, or a set's folder.
    Folder,
    /// A file in a set or in the vault.
    File,
    /// A folder above the vault.
    Above,
    /// A key file, or another one with a secret in it.
    Key,
    /// A file that says what is backed up and how, or a folder above it: whoever writes it decides that.
    Config,
}

/// The room on a disk, for the user who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Free bytes.
    pub bytes: u64,
    /// Free files; `None` where the file system does not count them.
    pub files: Option<u64>,
}

impl BackupFacts {
    /// So many sets before the newest say what is usual.
    pub const USUAL: usize = 5;

    /// Sets that are sound as far as can be seen, and not dated in the future; oldest first.
    pub fn sound<'a>(&self, sets: &'a [SetFact]) -> Vec<&'a SetFact> {
        sets.iter().filter(|set| set.damage.is_none() && set.at <= self.now).collect()
    }

    /// The 95th percentile of what the last 20 sets took (nearest rank); nothing when no set says.
    pub fn p95(&self, sets: &[SetFact]) -> Duration {
        let mut took: Vec<Duration> = self.sound(sets).iter().rev().take(20).filter_map(|set| set.took).collect();
        took.sort_unstable();
        let rank = (took.len() * 95).div_ceil(100);
        rank.checked_sub(1).and_then(|at| took.get(at)).copied().unwrap_or_default()
    }
}
