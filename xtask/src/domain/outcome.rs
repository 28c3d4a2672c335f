//! What came of a piece of work, and how outcomes add up. What cannot be known is `Broken`, never `Passed`.

use super::refusal::Refusal;
use serde::{Deserialize, Serialize};

/// Why something did not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// A chain from intent to cause, lower case: `restore app-db: pg_restore: exit 1`.
    pub message: String,
    /// The next command to type or thing to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The documented exit code when the cause has one of its own (`docs/exit-codes.md`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
}

impl Why {
    /// A reason without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, exit_code: None }
    }

    /// Adds the next thing to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The whole chain of an error; a [`Refusal`] anywhere in it lends its hint and exit code.
    pub fn from_error(error: &anyhow::Error) -> Self {
        let message = format!("{error:#}");
        match Refusal::within(error) {
            Some(refusal) => {
                Self { message, hint: Some(refusal.hint.clone()), exit_code: Some(refusal.kind.exit_code()) }
            }
            None => Self::new(message),
        }
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

/// What came of a drill, a step or a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Outcome {
    /// Proven.
    Passed,
    /// Known to be wrong.
    Failed(Why),
    /// Not tried, with the reason; never shown as green.
    Skipped(Why),
    /// Could not be known.
    Broken(Why),
}

impl Outcome {
    /// Whether this is proven.
    pub fn passed(&self) -> bool {
        matches!(self, Self::Passed)
    }

    /// Whether this was not tried.
    pub fn skipped(&self) -> bool {
        matches!(self, Self::Skipped(_))
    }

    /// The reason, unless passed.
    pub fn why(&self) -> Option<&Why> {
        match self {
            Self::Passed => None,
            Self::Failed(why) | Self::Skipped(why) | Self::Broken(why) => Some(why),
        }
    }

    /// One lower-case word: `passed`, `failed`, `skipped`, `broken`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::Skipped(_) => "skipped",
            Self::Broken(_) => "broken",
        }
    }
}

/// The exit code of a run: 1 beats 3 beats skips; nothing proven is 3. One shared specific code wins over the general one.
pub fn exit_code<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> u8 {
    let outcomes: Vec<&Outcome> = outcomes.into_iter().collect();
    let bad: Vec<&Outcome> = outcomes.iter().copied().filter(|o| !o.passed() && !o.skipped()).collect();
    if bad.is_empty() {
        return if outcomes.iter().any(|o| o.passed()) { 0 } else { 3 };
    }
    let mut specific: Vec<Option<u8>> = bad.iter().map(|o| o.why().and_then(|w| w.exit_code)).collect();
    specific.dedup();
    match specific.as_slice() {
        [Some(code)] => *code,
        _ if bad.iter().any(|o| matches!(o, Outcome::Failed(_))) => 1,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_proven_is_not_green() {
        assert_eq!(exit_code([]), 3);
        assert_eq!(exit_code([&Outcome::Skipped(Why::new("no docker"))]), 3);
        assert_eq!(exit_code([&Outcome::Skipped(Why::new("no docker")), &Outcome::Passed]), 0);
    }

    #[test]
    fn failure_beats_broken_and_one_shared_code_wins() {
        let failed = Outcome::Failed(Why::new("x"));
        let broken = Outcome::Broken(Why::new("y"));
        let coded = Outcome::Broken(Why { exit_code: Some(21), ..Why::new("disk full") });
        assert_eq!(exit_code([&failed, &broken]), 1);
        assert_eq!(exit_code([&broken, &Outcome::Passed]), 3);
        assert_eq!(exit_code([&coded, &coded, &Outcome::Passed]), 21);
        assert_eq!(exit_code([&coded, &failed]), 1);
    }
}
