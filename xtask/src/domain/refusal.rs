//! Known causes of failure, each with a stable word, an exit code of its own and the next thing to do.
//! The table in `docs/exit-codes.md` is checked against this file.

use serde::{Deserialize, Serialize};

/// A cause that users meet often enough to deserve its own exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// The command line or the configuration is wrong.
    Configuration,
    /// No backup set is there.
    NoBackup,
    /// Another run holds the lock.
    Locked,
    /// None of the keys that there are opens what is to be opened.
    WrongKey,
    /// Stored bytes are not the bytes that were written.
    Integrity,
    /// A precondition does not hold and has no narrower kind.
    Preflight,
    /// The command that produces the data failed, died or was cut short.
    Producer,
    /// No space, or no right to write, where the backup is stored or restored.
    Storage,
    /// The database, file or folder to back up is not there.
    MissingStore,
    /// The store holds nothing: an empty backup proves nothing.
    EmptyStore,
    /// Wrong password or missing right.
    AccessDenied,
    /// The server lacks an extension, role, collation or tool that the data needs.
    MissingCapability,
    /// The place to restore into holds data already.
    TargetNotEmpty,
    /// The client is older than the server, or the server older than the backup.
    VersionMismatch,
    /// The file is not what its engine expects (0 bytes, not an SQLite database, hostile archive).
    BadArtifact,
    /// No image could be found, pulled or built.
    ImageUnavailable,
    /// The container engine does not answer, or answers nonsense.
    DockerUnavailable,
    /// A command took longer than its bound.
    Timeout,
}

impl RefusalKind {
    /// Every kind, for the documentation and its test.
    pub const ALL: [Self; 18] = [
        Self::Configuration,
        Self::NoBackup,
        Self::Locked,
        Self::WrongKey,
        Self::Integrity,
        Self::Preflight,
        Self::Producer,
        Self::Storage,
        Self::MissingStore,
        Self::EmptyStore,
        Self::AccessDenied,
        Self::MissingCapability,
        Self::TargetNotEmpty,
        Self::VersionMismatch,
        Self::BadArtifact,
        Self::ImageUnavailable,
        Self::DockerUnavailable,
        Self::Timeout,
    ];

    /// The kind that has this process exit code.
    pub fn from_exit_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| i32::from(kind.exit_code()) == code)
    }

    /// The process exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Configuration => 2,
            Self::NoBackup => 10,
            Self::Locked => 11,
            Self::WrongKey => 12,
            Self::Integrity => 13,
            Self::Preflight => 14,
            Self::Producer => 20,
            Self::Storage => 21,
            Self::MissingStore => 22,
            Self::EmptyStore => 23,
            Self::AccessDenied => 24,
            Self::MissingCapability => 25,
            Self::TargetNotEmpty => 26,
            Self::VersionMismatch => 27,
            Self::BadArtifact => 28,
            Self::ImageUnavailable => 29,
            Self::DockerUnavailable => 30,
            Self::Timeout => 124,
        }
    }
}

/// A known cause with its message and hint. Travels inside an `anyhow` chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Which known cause.
    pub kind: RefusalKind,
    /// What is wrong, lower case, naming the thing.
    pub message: String,
    /// The next command to type or thing to change.
    pub hint: String,
}

impl Refusal {
    /// A refusal of this kind.
    pub fn new(kind: RefusalKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: hint.into() }
    }

    /// The known cause in an error, wherever it travels: a link of the chain, a context, or the inside of an `io::Error`. The
    /// outermost counts.
    pub fn within(error: &anyhow::Error) -> Option<&Self> {
        error.downcast_ref::<Self>().or_else(|| error.chain().find_map(Self::carried_by))
    }

    fn carried_by<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Self> {
        let inside = || error.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref::<Self>();
        error.downcast_ref::<Self>().or_else(inside)
    }

    /// The refusal that one of this binary's own data tools ended with: its exit code tells the kind, its standard error the message
    /// and, in a line `hint: …`, the hint.
    pub fn of_own_tool(code: i32, stderr: &str) -> Option<Self> {
        let kind = RefusalKind::from_exit_code(code)?;
        let (hints, said): (Vec<&str>, Vec<&str>) =
            stderr.lines().map(str::trim).filter(|l| !l.is_empty()).partition(|l| l.starts_with("hint: "));
        let message = said.last().map_or("the data tool gave no reason", |l| l.trim_start_matches("error: "));
        let hint = hints.last().map_or("look at the message above", |l| l.trim_start_matches("hint: "));
        Some(Self::new(kind, message, hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_tools_end_is_understood() {
        let said = "skipped a socket\nerror: there is no database file app.db\nhint: check the path\n";
        let refusal = Refusal::of_own_tool(22, said).unwrap();
        assert_eq!(
            refusal,
            Refusal::new(RefusalKind::MissingStore, "there is no database file app.db", "check the path")
        );
        assert_eq!(Refusal::of_own_tool(1, said), None);
        assert_eq!(Refusal::of_own_tool(0, said), None);
    }

    #[test]
    fn a_known_cause_is_found_wherever_it_travels() {
        let refusal = || Refusal::new(RefusalKind::Timeout, "too late", "wait");
        let ways = [
            anyhow::Error::new(refusal()).context("dump"),
            anyhow::anyhow!("socket closed").context(refusal()).context("dump"),
            anyhow::Error::new(std::io::Error::other(refusal())).context("read").context("dump"),
        ];
        for error in &ways {
            assert_eq!(Refusal::within(error), Some(&refusal()), "{error:?}");
        }
        assert_eq!(Refusal::within(&anyhow::anyhow!("too late")), None);
    }

    #[test]
    fn every_kind_has_an_exit_code_of_its_own() {
        let mut codes: Vec<u8> = RefusalKind::ALL.iter().map(|k| k.exit_code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), RefusalKind::ALL.len());
    }
}
