//! A check: one question about a stack, why it matters, and a pure judgement over facts that were gathered before. What it finds says
//! what is wrong, where, and what to do next. It must not know how a fact was found, nor which task asks.

use super::outcome::{Outcome, Why};
use super::place::Place;
use super::refusal::RefusalKind;
use serde::{Deserialize, Serialize};

/// A question about facts of one kind; each task that asks has a list of its own.
pub struct Check<F: 'static> {
    /// Stable, `[a-z][a-z0-9-]*`: names it in reports and in tools that track findings.
    pub id: &'static str,
    /// What is asked, a few words.
    pub title: &'static str,
    /// Why it matters, one sentence.
    pub why: &'static str,
    /// Judges the facts.
    pub judge: fn(&F) -> Judged,
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// To be looked at; fails nothing.
    Warning,
    /// It could not be known: never taken for passed.
    Unknown,
    /// It is wrong.
    Failure,
}

/// One thing that a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it weighs.
    pub weight: Weight,
    /// What is the matter, lower case, naming the thing.
    pub what: String,
    /// The file that it stands in, where it stands in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in it, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The next command to type or thing to change.
    pub next: String,
    /// The exit code of its cause, when that has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
}

impl Finding {
    /// At this place in a file.
    pub fn at(&mut self, place: &Place) -> &mut Self {
        self.file = Some(place.file.display().to_string());
        self.line = Some(place.line);
        self
    }

    /// Its cause has an exit code of its own.
    pub fn kind(&mut self, kind: RefusalKind) -> &mut Self {
        self.exit_code = Some(kind.exit_code());
        self
    }

    /// `compose.yaml:12: volume x is covered by no store`.
    pub fn sentence(&self) -> String {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => format!("{file}:{line}: {}", self.what),
            (Some(file), None) => format!("{file}: {}", self.what),
            _ => self.what.clone(),
        }
    }
}

/// What a judgement came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judged {
    /// What is the matter.
    pub findings: Vec<Finding>,
    /// What was looked at and found right; without any of it nothing was proven.
    pub seen: Vec<String>,
    /// Why the question does not arise here.
    pub skipped: Option<Why>,
}

impl Judged {
    /// The question does not arise, for this reason.
    pub fn skip(why: impl Into<String>) -> Self {
        Self { skipped: Some(Why::new(why)), ..Self::default() }
    }

    /// Something is wrong.
    pub fn fail(&mut self, what: impl Into<String>, next: impl Into<String>) -> &mut Finding {
        self.find(Weight::Failure, what.into(), next.into())
    }

    /// Something is to be looked at.
    pub fn warn(&mut self, what: impl Into<String>, next: impl Into<String>) -> &mut Finding {
        self.find(Weight::Warning, what.into(), next.into())
    }

    /// Something could not be known.
    pub fn unknown(&mut self, what: impl Into<String>, next: impl Into<String>) -> &mut Finding {
        self.find(Weight::Unknown, what.into(), next.into())
    }

    /// Something was looked at and is right.
    pub fn see(&mut self, what: impl Into<String>) {
        self.seen.push(what.into());
    }

    fn find(&mut self, weight: Weight, what: String, next: String) -> &mut Finding {
        let finding = Finding { weight, what, file: None, line: None, next, exit_code: None };
        let at = self.findings.len();
        self.findings.push(finding);
        &mut self.findings[at]
    }

    /// The outcome: failed beats unknown; without anything seen nothing is passed.
    pub fn outcome(&self) -> Outcome {
        let of = |weight: Weight| self.findings.iter().filter(move |f| f.weight == weight);
        let why = |weight: Weight| {
            let sentences: Vec<String> = of(weight).map(Finding::sentence).collect();
            let mut codes: Vec<Option<u8>> = of(weight).map(|f| f.exit_code).collect();
            codes.dedup();
            let exit_code = if let [code] = codes.as_slice() { *code } else { None };
            Why { message: sentences.join("; "), hint: of(weight).next().map(|f| f.next.clone()), exit_code }
        };
        if of(Weight::Failure).next().is_some() {
            Outcome::Failed(why(Weight::Failure))
        } else if of(Weight::Unknown).next().is_some() {
            Outcome::Broken(why(Weight::Unknown))
        } else if let Some(why) = &self.skipped {
            Outcome::Skipped(why.clone())
        } else if self.seen.is_empty() {
            Outcome::Broken(Why::new("there was nothing to look at"))
        } else {
            Outcome::Passed
        }
    }
}

/// A check that was asked of one stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRecord {
    /// The stack.
    pub stack: String,
    /// The check's id.
    pub id: String,
    /// What was asked.
    pub title: String,
    /// Why it matters.
    pub why: String,
    /// The backup set that it was asked of; `None` when it was asked of the stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// What was found, warnings too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What was looked at and is right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<String>,
}

impl CheckRecord {
    /// Asks a check.
    pub fn of<F>(check: &Check<F>, stack: &str, facts: &F) -> Self {
        Self::judged((check.id, check.title, check.why), stack, None, (check.judge)(facts))
    }

    /// What came of a question: its id, what is asked and why it matters; of the stack, or of one set.
    pub fn judged((id, title, why): (&str, &str, &str), stack: &str, set: Option<&str>, judged: Judged) -> Self {
        Self {
            stack: stack.to_owned(),
            id: id.to_owned(),
            title: title.to_owned(),
            why: why.to_owned(),
            set: set.map(str::to_owned),
            outcome: judged.outcome(),
            findings: judged.findings,
            seen: judged.seen,
        }
    }

    /// Its findings of this weight.
    pub fn of_weight(&self, weight: Weight) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |f| f.weight == weight)
    }

    /// One of five: `passed`, `warning` (passed, with something to look at), `failed`, `skipped`, `broken`.
    pub fn word(&self) -> &'static str {
        if self.outcome.passed() && self.of_weight(Weight::Warning).next().is_some() {
            "warning"
        } else {
            self.outcome.word()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_seen_is_never_passed() {
        assert_eq!(Judged::default().outcome().word(), "broken");
        let mut judged = Judged::default();
        judged.warn("old", "look");
        assert_eq!(judged.outcome().word(), "broken");
        judged.see("3 sets");
        assert_eq!(judged.outcome().word(), "passed");
        assert_eq!(Judged::skip("no set").outcome().word(), "skipped");
    }

    #[test]
    fn what_is_wrong_beats_what_is_unknown_and_says_where() {
        let mut judged = Judged::default();
        judged.see("something");
        judged.unknown("the clock", "look at it");
        assert_eq!(judged.outcome().word(), "broken");
        judged.fail("volume x is not covered", "waive it").at(&Place::new("compose.yaml", 7, 3));
        let Outcome::Failed(why) = judged.outcome() else { unreachable!("a failure") };
        assert_eq!(
            (why.message.as_str(), why.hint.as_deref()),
            ("compose.yaml:7: volume x is not covered", Some("waive it"))
        );
    }

    #[test]
    fn a_warning_shows_and_fails_nothing() {
        static CHECK: Check<bool> = Check {
            id: "light",
            title: "light",
            why: "darkness",
            judge: |on| {
                let mut judged = Judged::default();
                judged.see("a lamp");
                if !on {
                    judged.warn("it is off", "turn it on");
                }
                judged
            },
        };
        assert_eq!(CheckRecord::of(&CHECK, "s", &false).word(), "warning");
        assert!(CheckRecord::of(&CHECK, "s", &false).outcome.passed());
        assert_eq!(CheckRecord::of(&CHECK, "s", &true).word(), "passed");
    }
}
