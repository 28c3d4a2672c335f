//! A stack: one Compose project, or a plain folder, with the stores in it and what is demanded of them.

use super::binding::Binding;
use super::objective::{Objectives, Schedule};
use super::protection::Protection;
use super::retention::Policy;
use super::store::Store;
use super::traefik::Proxy;
use std::path::PathBuf;
use std::time::Duration;

/// [`Backups::max_skew`] where nobody says it.
pub const MAX_SKEW: Duration = Duration::from_secs(15 * 60);

/// One Compose project or plain folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    /// The name used on the command line.
    pub name: String,
    /// The folder that relative paths start from.
    pub folder: PathBuf,
    /// Its Compose files, in merge order; empty for a plain folder.
    pub compose_files: Vec<PathBuf>,
    /// The env file given to Compose, when there is one.
    pub env_file: Option<PathBuf>,
    /// The Compose project name.
    pub project: String,
    /// What holds data.
    pub stores: Vec<Store>,
    /// What recovery must achieve.
    pub objectives: Objectives,
    /// How it is backed up.
    pub backups: Backups,
    /// What its configuration is, as digests; its sets say so.
    pub binding: Binding,
    /// Services that hold data of a kind that no engine knows: they are not covered, and every report says so.
    pub without_engine: Vec<Foreign>,
    /// What inference found, guessed or could not cover; shown by `init` and in reports.
    pub notes: Vec<String>,
    /// The proxy in front of it.
    pub traefik: Proxy,
}

/// A service that holds data which nothing here can back up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// The service.
    pub service: String,
    /// What it is (`MongoDB`).
    pub what: String,
}

/// How a stack is backed up.
#[derive(Debug, Clone, PartialEq)]
pub struct Backups {
    /// When; `None` = nobody said, so no worst case can be promised.
    pub schedule: Option<Schedule>,
    /// The vault: where this stack's backup sets live.
    pub vault: PathBuf,
    /// How artifacts are compressed.
    pub compression: Compression,
    /// Who can read the sets, and who vouches for them.
    pub protection: Protection,
    /// How many sets are kept.
    pub retention: Policy,
    /// How far the moments of the stores in one set may be apart.
    pub max_skew: Duration,
}

/// How an artifact is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Zstandard level 3, two threads.
    #[default]
    Zstd,
    /// gzip level 6, for readers that know nothing else.
    Gzip,
    /// As the engine wrote it.
    None,
}
