//! One line of a vault's audit log: who did what to which set, and what came of it. It holds no secret and is never rewritten.

use super::level::Level;
use super::outcome::{Outcome, Why};
use serde::{Deserialize, Serialize};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A set was made from running stores.
    Backup,
    /// A set was made of another tool's archive.
    Adopt,
    /// A set was verified.
    Verify,
    /// A set was removed by the retention rules.
    Prune,
    /// A set was put on hold.
    Hold,
    /// A hold was ended.
    Release,
    /// The readers of a set were changed.
    Rewrap,
    /// A set was restored to somebody's place.
    Restore,
    /// The recovery of a store was drilled.
    Drill,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It was begun; without a later line of the same run it never ended.
    Begun,
    /// Done or proven.
    Passed,
    /// Known to be wrong, or refused.
    Failed,
    /// Not known.
    Broken,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// When, RFC 3339 UTC.
    pub at: String,
    /// The run's id.
    pub run: String,
    /// The user and the host: `uid 1000 at backup-host`.
    pub who: String,
    /// What was done.
    pub what: What,
    /// To which stack.
    pub stack: String,
    /// To which store, where not to all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// The set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// The stores that the set holds, of a verification.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<String>,
    /// SHA-256 of the set's manifest, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_sha256: Option<String>,
    /// Where it was restored to, or the scenario that was drilled with its input (`total-loss (set)`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The level that a verification reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// How it ended.
    pub ending: Ending,
    /// Why, unless it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The exit code of the cause, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
}

impl Deed {
    /// A deed that is done well unless something else is said of it. Whoever writes it down fills in when, by whom and in which run.
    pub fn new(what: What, stack: &str) -> Self {
        Self {
            at: String::new(),
            run: String::new(),
            who: String::new(),
            what,
            stack: stack.to_owned(),
            store: None,
            set: None,
            stores: Vec::new(),
            manifest_sha256: None,
            target: None,
            level: None,
            ending: Ending::Passed,
            why: None,
            exit_code: None,
        }
    }

    /// Of this set.
    pub fn of(self, set: &str) -> Self {
        Self { set: Some(set.to_owned()), ..self }
    }

    /// To this place.
    pub fn to(self, target: impl Into<String>) -> Self {
        Self { target: Some(target.into()), ..self }
    }

    /// It ended with this error: failed where the cause is known, broken where not.
    pub fn failed(self, error: &anyhow::Error) -> Self {
        let why = Why::from_error(error);
        let ending = if why.exit_code.is_some() { Ending::Failed } else { Ending::Broken };
        Self { ending, why: Some(why.message), exit_code: why.exit_code, ..self }
    }

    /// As this outcome says. Of what was skipped there is nothing to write down.
    pub fn came_to(self, outcome: &Outcome) -> Option<Self> {
        let ending = match outcome {
            Outcome::Passed => Ending::Passed,
            Outcome::Failed(_) => Ending::Failed,
            Outcome::Broken(_) => Ending::Broken,
            Outcome::Skipped(_) => return None,
        };
        let exit_code = outcome.why().and_then(|why| why.exit_code);
        Some(Self { ending, why: outcome.why().map(|why| why.message.clone()), exit_code, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::refusal::{Refusal, RefusalKind};

    #[test]
    fn a_known_cause_is_a_failure_and_an_unknown_one_is_not_known() {
        let deed = || Deed::new(What::Backup, "shop");
        let known = deed().failed(&Refusal::new(RefusalKind::EmptyStore, "holds no rows", "look").into());
        assert_eq!((known.ending, known.why.as_deref()), (Ending::Failed, Some("holds no rows")));
        assert_eq!(deed().failed(&anyhow::anyhow!("strange")).ending, Ending::Broken);
    }

    #[test]
    fn what_was_skipped_leaves_no_line() {
        let deed = || Deed::new(What::Drill, "shop");
        assert_eq!(deed().came_to(&Outcome::Skipped(Why::new("no engine"))), None);
        assert_eq!(deed().came_to(&Outcome::Passed).unwrap().ending, Ending::Passed);
        assert_eq!(deed().came_to(&Outcome::Broken(Why::new("lost"))).unwrap().ending, Ending::Broken);
    }
}
