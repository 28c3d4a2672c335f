//! Artifacts and backup sets: what a manifest records. It must not know where a vault is or how files are written.
//! Fields stand in the order of the alphabet, because a manifest's canonical form has its keys so; a test compares.

use super::binding::Binding;
use super::census::Census;
use super::stack::Compression;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The manifest format's name.
pub const FORMAT: &str = "xtask-backup";
/// The manifest schema this code writes.
pub const SCHEMA: u32 = 1;

/// One backup set's record, with as much of each store as `C` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record<C> {
    /// What the set was made from, and how far its stores are apart; missing in sets of older tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,
    /// One a store.
    pub components: Vec<C>,
    /// When the run ended, RFC 3339 UTC.
    pub finished_at: String,
    /// Always [`FORMAT`].
    pub format: String,
    /// The set's id, equal to its folder's name: `20261120T010000Z-000123-k7q2` (UTC, sequence, random).
    pub id: String,
    /// SHA-256 of the exact bytes of the manifest of the newest set before this one; missing in a vault's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// Features a reader must know to read this set; a reader refuses what it does not know.
    pub requires: Vec<String>,
    /// Where the rest of the manifest is, encrypted; missing when nothing is, and in a whole manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<Fingerprint>,
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// How its files are encrypted; missing when they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
    /// One more than the newest set's before it.
    pub sequence: u64,
    /// The stack.
    pub stack: String,
    /// When the run began, RFC 3339 UTC; for display, never for measuring.
    pub started_at: String,
    /// `xtask` and its version.
    pub tool: String,
}

/// One backup set's manifest: the artifacts of one stack and one moment.
pub type Manifest = Record<Component>;

/// What a manifest says without any key: everything but what would tell of the content, which an encrypted set keeps apart.
pub type Outline = Record<ComponentOutline>;

/// How the files of a set are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// The public half of the set's own identity (`age1…`). The identity is in the set's key file, encrypted for its readers.
    pub recipient: String,
    /// The format of every encrypted file: `age-encryption.org/v1`.
    pub scheme: String,
}

/// What an outline says of one store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentOutline {
    /// Whether it came out of an archive of another tool.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// As in [`Component`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of_window_ms: Option<u64>,
    /// As in [`Component`].
    pub consistency: Consistency,
    /// As in [`Component`].
    pub consistent_as_of: String,
    /// As in [`Component`].
    pub engine: String,
    /// The stored files, without what they hold.
    pub files: Vec<FileOutline>,
    /// As in [`Component`].
    pub store: String,
}

impl Outline {
    /// Why this set is none of this stack, whoever may have put it into its vault.
    pub fn of_another(&self, stack: &str) -> Option<String> {
        (self.stack != stack).then(|| format!("set {} is of stack {}, not of {stack}", self.id, self.stack))
    }
}

impl Component {
    /// Why this is not the database that a store names; nothing where the set does not say which it is.
    pub fn of_another_database(&self, database: &str) -> Option<String> {
        let was = self.facts.get("database").filter(|was| *was != database)?;
        Some(format!(
            "the set holds database {was:?} of {}, which is database {database:?} in the configuration",
            self.store
        ))
    }
}

/// What an outline says of one stored file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileOutline {
    /// As in [`StoredFile`].
    pub compression: Compression,
    /// As in [`StoredFile`].
    pub file: String,
    /// As in [`StoredFile`].
    pub role: Role,
    /// As in [`StoredFile`].
    pub stored: Fingerprint,
}

/// What an encrypted set tells of its content, only to those who can read it: by store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rest {
    /// As in [`Component`].
    pub census: Census,
    /// As in [`Component`].
    pub facts: BTreeMap<String, String>,
    /// The bytes of each file before compression, by its name.
    pub plain: BTreeMap<String, Fingerprint>,
}

/// What was kept of one store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// How long after `consistent_as_of` the data may be of: until a snapshot was held, or until the last of a folder was read.
    /// Missing in sets of older tools, and where nobody can know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of_window_ms: Option<u64>,
    /// What the snapshot held.
    pub census: Census,
    /// `snapshot` or `fuzzy` (read over a window, as folders are).
    pub consistency: Consistency,
    /// The instant the data is consistent at, RFC 3339 UTC: the snapshot, not the end of the dump.
    pub consistent_as_of: String,
    /// Its engine.
    pub engine: String,
    /// What the engine says of the source (`server_version`, `system_identifier`, `encoding`, `database`, …), by key.
    pub facts: BTreeMap<String, String>,
    /// The stored files: exactly one with role [`Role::Data`].
    pub files: Vec<StoredFile>,
    /// The store's name.
    pub store: String,
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
    /// How it is compressed.
    pub compression: Compression,
    /// Its name in the set's folder; no separators.
    pub file: String,
    /// The bytes before compression.
    pub plain: Fingerprint,
    /// What it is for.
    pub role: Role,
    /// The stored bytes.
    pub stored: Fingerprint,
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

impl<C> Record<C> {
    /// The same set with other components.
    fn having<D>(&self, components: Vec<D>, rest: Option<Fingerprint>) -> Record<D> {
        Record {
            binding: self.binding.clone(),
            components,
            finished_at: self.finished_at.clone(),
            format: self.format.clone(),
            id: self.id.clone(),
            previous: self.previous.clone(),
            requires: self.requires.clone(),
            rest,
            schema: self.schema,
            seal: self.seal.clone(),
            sequence: self.sequence,
            stack: self.stack.clone(),
            started_at: self.started_at.clone(),
            tool: self.tool.clone(),
        }
    }
}

impl Manifest {
    /// What it says without any key; `rest` is where the other part is, when there are two.
    pub fn outline(&self, rest: Option<Fingerprint>) -> Outline {
        let file = |f: &StoredFile| FileOutline {
            file: f.file.clone(),
            role: f.role.clone(),
            compression: f.compression,
            stored: f.stored.clone(),
        };
        let component = |c: &Component| ComponentOutline {
            adopted: c.facts.contains_key(super::foreign::ADOPTED_FROM),
            as_of_window_ms: c.as_of_window_ms,
            store: c.store.clone(),
            engine: c.engine.clone(),
            consistent_as_of: c.consistent_as_of.clone(),
            consistency: c.consistency,
            files: c.files.iter().map(file).collect(),
        };
        self.having(self.components.iter().map(component).collect(), rest)
    }

    /// What the outline leaves out.
    pub fn rest(&self) -> BTreeMap<String, Rest> {
        let plain = |c: &Component| c.files.iter().map(|f| (f.file.clone(), f.plain.clone())).collect();
        let rest = |c: &Component| Rest { facts: c.facts.clone(), plain: plain(c), census: c.census.clone() };
        self.components.iter().map(|c| (c.store.clone(), rest(c))).collect()
    }

    /// The component of a store.
    pub fn component(&self, store: &str) -> Option<&Component> {
        self.components.iter().find(|c| c.store == store)
    }
}

impl Outline {
    /// Whether any of it came out of an archive of another tool: the set is then younger than its data.
    pub fn adopted(&self) -> bool {
        self.components.iter().any(|c| c.adopted)
    }

    /// The whole manifest, with what the outline leaves out.
    ///
    /// # Errors
    /// A sentence that says which part is missing or too many.
    pub fn with(&self, mut rest: BTreeMap<String, Rest>) -> Result<Manifest, String> {
        let mut components = Vec::new();
        for outline in &self.components {
            let store = &outline.store;
            let Rest { facts, mut plain, census } =
                rest.remove(store).ok_or_else(|| format!("nothing is told of the content of store {store}"))?;
            let files = outline.files.iter().map(|f| {
                let plain = plain.remove(&f.file).ok_or_else(|| format!("nothing is told of what {} holds", f.file))?;
                let (file, role, compression, stored) =
                    (f.file.clone(), f.role.clone(), f.compression, f.stored.clone());
                Ok(StoredFile { file, role, compression, stored, plain })
            });
            let files = files.collect::<Result<_, String>>()?;
            if let Some(file) = plain.keys().next() {
                return Err(format!("store {store} tells of file {file}, which it has not"));
            }
            components.push(Component {
                store: store.clone(),
                engine: outline.engine.clone(),
                as_of_window_ms: outline.as_of_window_ms,
                consistent_as_of: outline.consistent_as_of.clone(),
                consistency: outline.consistency,
                facts,
                files,
                census,
            });
        }
        if let Some(store) = rest.keys().next() {
            return Err(format!("something is told of store {store}, which is not in the set"));
        }
        Ok(self.having(components, None))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_another_database_is_none_of_the_store_and_one_that_does_not_say_may_be() {
        let of = |facts: &[(&str, &str)]| Component {
            store: "db".into(),
            engine: "postgres".into(),
            as_of_window_ms: None,
            consistent_as_of: String::new(),
            consistency: Consistency::Snapshot,
            facts: facts.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            files: Vec::new(),
            census: Census::default(),
        };
        let told = of(&[("database", "crm")]).of_another_database("shop").unwrap();
        assert!(told.contains("\"crm\"") && told.contains("\"shop\"") && told.contains("db"), "{told}");
        assert_eq!(of(&[("database", "shop")]).of_another_database("shop"), None);
        assert_eq!(of(&[("system_identifier", "1")]).of_another_database("shop"), None);
    }
}
