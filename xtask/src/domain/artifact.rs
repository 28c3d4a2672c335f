//! Artifacts and backup sets: what a manifest records. It must not know where a vault is or how files are written.

use super::census::Census;
use super::stack::Compression;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The manifest format's name.
pub const FORMAT: &str = "xtask-backup";
/// The manifest schema this code writes.
pub const SCHEMA: u32 = 1;

/// One backup set's manifest: the artifacts of one stack and one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`FORMAT`].
    pub format: String,
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// Features a reader must know to read this set; a reader refuses what it does not know.
    pub requires: Vec<String>,
    /// The set's id, equal to its folder's name: `20261120T010000Z-000123-k7q2` (UTC, sequence, random).
    pub id: String,
    /// One more than the newest set's before it.
    pub sequence: u64,
    /// The stack.
    pub stack: String,
    /// `xtask` and its version.
    pub tool: String,
    /// When the run began and ended, RFC 3339 UTC; for display, never for measuring.
    pub started_at: String,
    /// When the run ended.
    pub finished_at: String,
    /// One a store.
    pub components: Vec<Component>,
}

/// What was kept of one store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// The store's name.
    pub store: String,
    /// Its engine.
    pub engine: String,
    /// The instant the data is consistent at, RFC 3339 UTC: the snapshot, not the end of the dump.
    pub consistent_as_of: String,
    /// `snapshot` or `fuzzy` (read over a window, as folders are).
    pub consistency: Consistency,
    /// What the engine says of the source (`server_version`, `system_identifier`, `encoding`, `database`, …), by key.
    pub facts: BTreeMap<String, String>,
    /// The stored files: exactly one with role [`Role::Data`].
    pub files: Vec<StoredFile>,
    /// What the snapshot held.
    pub census: Census,
}

/// How sharp the recovery point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// One instant.
    Snapshot,
    /// A window.
    Fuzzy,
}

/// What a stored file is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The dump itself.
    Data,
    /// Something restored before the data (`globals`).
    Extra(String),
}

/// One file of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredFile {
    /// Its name in the set's folder; no separators.
    pub file: String,
    /// What it is for.
    pub role: Role,
    /// How it is compressed.
    pub compression: Compression,
    /// The stored bytes.
    pub stored: Fingerprint,
    /// The bytes before compression.
    pub plain: Fingerprint,
}

/// Size and digest of a run of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// How many bytes.
    pub bytes: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

impl Manifest {
    /// The component of a store.
    pub fn component(&self, store: &str) -> Option<&Component> {
        self.components.iter().find(|c| c.store == store)
    }
}

impl Component {
    /// The file that holds the data.
    pub fn data(&self) -> Option<&StoredFile> {
        self.files.iter().find(|f| f.role == Role::Data)
    }

    /// The extra of this name.
    pub fn extra(&self, name: &str) -> Option<&StoredFile> {
        self.files.iter().find(|f| matches!(&f.role, Role::Extra(n) if n == name))
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
