//! Attacking the verifier: a seeded plan of ways to spoil a copy of a set, and the record of what was noticed. Every mutant follows
//! from the seed and its number alone, given the set. It must not know how a file is spoiled, nor how a set is verified.

use serde::{Deserialize, Serialize};

mod plan;
mod record;

pub use plan::{in_artifacts, plan};
pub use record::{ClassRecord, MutationRecord, Survivor};

/// What a file of a set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Data, as the engine dumped it.
    Artifact,
    /// One of the set's own small records.
    Record,
    /// The signature, which counts only where somebody is trusted.
    Signature,
}

/// A file of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// What it is.
    pub part: Part,
}

/// What the plan needs to know of the set and of those around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its files, by name.
    pub files: Vec<Shape>,
    /// Artifacts that the set before it has under the same name, with other bytes; `None` when there is no sound set before it.
    pub before: Option<Vec<String>>,
    /// Whether a signature is demanded.
    pub trusted: bool,
    /// Whether it is encrypted, and there is a key here.
    pub unlocked: bool,
    /// The lengths of the catalog's lines of these sets, oldest first.
    pub lines: Vec<u64>,
    /// How many mutants are made anew, digests and all, and asked about by restoring them; `Err` says why none.
    pub remade: Result<u64, String>,
    /// How many stored bytes may be copied and read for all of them together.
    pub budget: u64,
}

/// A kind of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A file cut to a random length.
    Truncated,
    /// One bit of a file turned.
    Flipped,
    /// Something appended to a file: a byte, NULs, a second compressed member.
    Appended,
    /// A file removed.
    Removed,
    /// A file that the manifest does not know.
    Extra,
    /// A file replaced by a folder, by a link to the very same bytes, or by a pipe.
    Replaced,
    /// Opened with a key that is not the set's.
    WrongKey,
    /// The manifest of the set before, with its digest and signature.
    SwappedManifest,
    /// An artifact of the set before.
    SwappedArtifact,
    /// An old set under a new name.
    Replayed,
    /// A line of the catalog taken out.
    CatalogRemoved,
    /// A bit of the catalog turned.
    CatalogAltered,
    /// The manifest changed and digested anew by somebody who cannot sign.
    Redigested,
    /// Changed, digested and signed by somebody who is not trusted.
    Stranger,
    /// Committed in good order, with an empty dump.
    EmptyDump,
    /// Committed in good order, with a dump that was cut short before it was digested.
    CutDump,
    /// Committed in good order, without a table or file that was counted.
    MissingObject,
    /// Committed in good order, with rows that are not those that were counted.
    ChangedRows,
    /// Committed in good order, with a table or file that nobody counted.
    UncountedObject,
}

impl Class {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 19] = [
        Self::Truncated,
        Self::Flipped,
        Self::Appended,
        Self::Removed,
        Self::Extra,
        Self::Replaced,
        Self::WrongKey,
        Self::SwappedManifest,
        Self::SwappedArtifact,
        Self::Replayed,
        Self::CatalogRemoved,
        Self::CatalogAltered,
        Self::Redigested,
        Self::Stranger,
        Self::EmptyDump,
        Self::CutDump,
        Self::MissingObject,
        Self::ChangedRows,
        Self::UncountedObject,
    ];

    /// Those that are committed in good order: only what is inside is wrong.
    pub const REMADE: [Self; 5] =
        [Self::EmptyDump, Self::CutDump, Self::MissingObject, Self::ChangedRows, Self::UncountedObject];

    /// Its share of the mutants; those that are made anew have a number of their own.
    fn share(self) -> u64 {
        match self {
            Self::Flipped => 34,
            Self::Truncated => 15,
            Self::Appended => 10,
            Self::Replaced => 8,
            Self::Removed | Self::Extra | Self::Redigested => 5,
            Self::Replayed | Self::CatalogAltered => 4,
            Self::SwappedManifest | Self::SwappedArtifact | Self::Stranger => 3,
            Self::WrongKey => 2,
            Self::CatalogRemoved => 1,
            _ => 0,
        }
    }

    /// Its word: `wrong-key`.
    pub fn word(self) -> String {
        serde_json::to_value(self).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Why it cannot be tried on this set.
    pub fn hindered(self, subject: &Subject) -> Option<String> {
        let no = |why: &str| Some(why.to_owned());
        match self {
            Self::WrongKey if !subject.unlocked => no("the set is not encrypted, or no key is here that opens it"),
            Self::SwappedManifest | Self::Replayed if subject.before.is_none() => no("there is no sound set before it"),
            Self::SwappedArtifact if subject.before.as_ref().is_none_or(Vec::is_empty) => {
                no("no sound set before it has a file of the same name and other bytes")
            }
            // The newest set's line may be missing after a crash: the next backup writes it.
            Self::CatalogRemoved if subject.lines.len() < 2 => no("the line of the only set may be missing"),
            Self::CatalogAltered if subject.lines.is_empty() => no("the catalog names none of these sets"),
            Self::Redigested if !subject.trusted && subject.lines.is_empty() => {
                no("nobody's signature is demanded, and the catalog does not name the set")
            }
            Self::Stranger if !subject.trusted => no("no trusted_signers are named: anybody's set would be taken"),
            class if Self::REMADE.contains(&class) => subject.remade.as_ref().err().cloned(),
            _ => None,
        }
    }
}

/// What is done to the copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The file is cut to this length.
    Truncate(String, u64),
    /// This bit of this byte is turned.
    Flip(String, u64, u8),
    /// This is appended.
    Append(String, Tail),
    /// The file goes.
    Remove(String),
    /// A new file of this name.
    Extra(String),
    /// Something else has the file's name.
    Replace(String, Other),
    /// Another key.
    WrongKey,
    /// The manifest of the set before.
    SwapManifest,
    /// This artifact of the set before.
    SwapArtifact(String),
    /// This set under a later name, or the set before in the place of this one.
    Replay(Replay),
    /// This line of the catalog goes.
    CatalogRemove(usize),
    /// This bit of this line.
    CatalogFlip(usize, u64, u8),
    /// This field, and everything that follows from it but the signature.
    Redigest(Field),
    /// As before, and signed with a new key.
    Resign(Field),
    /// Made anew; the number chooses what exactly.
    Remake(Class, u64),
}

/// What is appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// One byte.
    Byte(u8),
    /// So many NULs.
    Nuls(u64),
    /// A whole compressed member that holds nothing: decoders that stop after one never see it.
    Member,
}

/// What takes a file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other {
    /// A folder.
    Folder,
    /// A symbolic link to the very same bytes.
    Link,
    /// A pipe that nobody writes to.
    Pipe,
}

/// How an old set comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// The same set under a name that looks newer.
    NewName,
    /// The set before, file by file, under this one's name.
    OldContent,
}

/// What an attacker changes in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// A word that nothing else repeats.
    Tool,
    /// The moment of the data.
    AsOf,
    /// An artifact's digest, with a byte of the artifact.
    Artifact(String, u64),
}

/// One mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    /// From 1; with the seed it says everything.
    pub number: u64,
    /// Its kind.
    pub class: Class,
    /// What is done.
    pub change: Change,
}

impl std::fmt::Display for Mutant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.change {
            Change::Truncate(file, to) => write!(f, "{file} cut to {to} bytes"),
            Change::Flip(file, at, bit) => write!(f, "bit {bit} of byte {at} of {file} turned"),
            Change::Append(file, tail) => write!(f, "{tail:?} appended to {file}"),
            Change::Remove(file) => write!(f, "{file} removed"),
            Change::Extra(file) => write!(f, "{file:?} added"),
            Change::Replace(file, other) => write!(f, "{file} replaced by a {}", format!("{other:?}").to_lowercase()),
            Change::WrongKey => write!(f, "opened with another key"),
            Change::SwapManifest => write!(f, "the manifest of the set before"),
            Change::SwapArtifact(file) => write!(f, "{file} of the set before"),
            Change::Replay(Replay::NewName) => write!(f, "the same set under a later name"),
            Change::Replay(Replay::OldContent) => write!(f, "the set before under this one's name"),
            Change::CatalogRemove(line) => write!(f, "the catalog's line {} of these sets taken out", line + 1),
            Change::CatalogFlip(line, at, bit) => {
                write!(f, "bit {bit} of byte {at} of the catalog's line {} of these sets turned", line + 1)
            }
            Change::Redigest(field) => write!(f, "{field:?} changed and digested anew"),
            Change::Resign(field) => write!(f, "{field:?} changed, digested and signed by a stranger"),
            Change::Remake(class, pick) => write!(f, "made anew as {} ({pick:x})", class.word()),
        }
    }
}

#[cfg(test)]
mod tests;
