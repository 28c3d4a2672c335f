//! How an engine whose stores are plain files speaks to this binary's own data tool: which words, which answers.
//! It must not know what the tool does with them.

use super::diagnosis::Diagnosis;
use super::engine::{Act, Blow, MarkSession, MarkTable, Target};
use super::exec::{DEFAULT_TIMEOUT, Exec, TRANSFER_TIMEOUT};
use super::refusal::{Refusal, RefusalKind};
use super::store::Store;
use super::timeline::Phase;

/// The word by which a probe lets an empty store pass.
pub const ALLOW_EMPTY: &str = "--allow-empty";

/// The data tool of this engine.
#[derive(Debug, Clone, Copy)]
pub struct DataTool(pub &'static str);

impl DataTool {
    /// A verb at a file or folder. Everything may have to read or write all of it.
    pub fn verb(self, verb: &str, path: impl Into<String>) -> Exec {
        Exec::own([self.0, verb]).arg(path).timeout(TRANSFER_TIMEOUT)
    }

    /// Asks as the application would; a store that may be empty may answer so.
    pub fn probe(self, path: impl Into<String>, store: &Store) -> Exec {
        let exec = self.verb("probe", path).timeout(DEFAULT_TIMEOUT);
        if store.allow_empty { exec.arg(ALLOW_EMPTY) } else { exec }
    }

    /// One move of a strike.
    pub fn blow(self, title: &str, verb: &str, path: impl Into<String>) -> Blow {
        Blow::Run(Act::run(Phase::Detect, title, self.verb(verb, path)))
    }

    /// Commits a mark for every line it reads.
    pub fn mark_session(self, path: impl Into<String>) -> MarkSession {
        MarkSession { exec: self.verb("mark", path).reads_stdin(), line: "{seq}\n".into() }
    }

    /// Prints the surviving marks.
    pub fn marks(self, path: impl Into<String>, of: MarkTable) -> Act {
        let which = if of == MarkTable::Kept { "kept" } else { "struck" };
        Act::run(Phase::Prove, "read the marks", self.verb("marks", path).arg(which))
    }

    /// A file or folder of this name below this folder of a directory site.
    pub fn target(self, root: &str, name: String) -> Target {
        Target {
            root: root.to_owned(),
            scratch: ".xtask-scratch".into(),
            name,
            user: String::new(),
            password: None,
            port: 0,
            host: String::new(),
        }
    }
}

/// The value of the line `key=value` of an answer.
pub fn value<'a>(answer: &'a str, key: &str) -> Option<&'a str> {
    answer.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='))
}

/// Judges the lines `free` and `needs` of an answer, in bytes.
///
/// # Errors
/// There is too little room, or nobody could say.
pub fn has_room(answer: &str, store: &Store) -> Result<(), Refusal> {
    let number = |key| value(answer, key).and_then(|n| n.parse::<u64>().ok());
    match (number("free"), number("needs")) {
        (Some(free), Some(needs)) if free >= needs => Ok(()),
        (Some(free), Some(needs)) => Err(Refusal::new(
            RefusalKind::Storage,
            format!("{} needs {needs} bytes and only {free} are free", store.name),
            "free some space where it is to be restored",
        )),
        _ => Err(Refusal::new(
            RefusalKind::Preflight,
            "the free space could not be asked for",
            "check the target folder",
        )),
    }
}

/// A diagnosis as the tool reads it, once it is known that the backup holds everything that is lost.
///
/// # Errors
/// The backup does not hold it.
pub fn handed_on(diagnosis: &Diagnosis, holds: impl Fn(&str) -> bool) -> Result<String, Refusal> {
    if let Some(unknown) = diagnosis.lost().find(|object| !holds(object)) {
        let message = format!("the backup does not hold {unknown}");
        return Err(Refusal::new(RefusalKind::BadArtifact, message, "restore from a set that holds it"));
    }
    serde_json::to_string(diagnosis).map_err(|e| {
        Refusal::new(RefusalKind::Preflight, format!("the diagnosis cannot be handed on: {e}"), "diagnose again")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::diagnosis::Damage;

    #[test]
    fn an_answer_without_numbers_is_no_room() {
        let store = crate::engines::find("files").unwrap().rehearsal_store(None);
        let kind = |answer: &str| has_room(answer, &store).map_err(|r| r.kind);
        assert_eq!(kind("free=9\nneeds=9\n"), Ok(()));
        assert_eq!(kind("free=8\nneeds=9\n"), Err(RefusalKind::Storage));
        assert_eq!(kind("free=many\nneeds=9\n"), Err(RefusalKind::Preflight));
        assert_eq!(kind("freed=9\nneeds=9\n"), Err(RefusalKind::Preflight));
    }

    #[test]
    fn what_the_backup_does_not_hold_is_not_handed_on() {
        let diagnosis = Diagnosis { damages: vec![Damage::Missing { object: "table a".into() }] };
        assert!(handed_on(&diagnosis, |object| object == "table a").unwrap().contains("table a"));
        assert_eq!(handed_on(&diagnosis, |_| false).unwrap_err().kind, RefusalKind::BadArtifact);
    }
}
