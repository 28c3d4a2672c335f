//! What came of an attack on the verifier: counts by kind, every survivor with the command that makes it again, and the verdict.

use super::Class;
use crate::domain::outcome::{Outcome, Why};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How the mutants of one set fared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MutationRecord {
    /// The stack.
    pub stack: String,
    /// The set; missing when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// What the mutants follow from.
    pub seed: u64,
    /// Passed when every mutant that was applied was refused for the right reason, and no unchanged copy was.
    pub outcome: Outcome,
    /// How many mutants were asked for.
    pub mutants: u64,
    /// How many changed something.
    pub applied: u64,
    /// How many of those were refused for a reason of their own kind.
    pub killed: u64,
    /// `killed / applied`; missing when nothing was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// How many changed nothing, and count for nothing.
    pub unchanged: u64,
    /// How many unchanged copies were asked about.
    pub controls: u64,
    /// What was said against unchanged copies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub false_alarms: Vec<String>,
    /// Every kind of damage.
    pub classes: Vec<ClassRecord>,
    /// Every mutant that was not refused as it should.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub survivors: Vec<Survivor>,
    /// What limits the meaning of the score.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// In seconds.
    pub duration_seconds: f64,
}

/// How one kind of damage fared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassRecord {
    /// Which.
    pub class: Class,
    /// How many changed something.
    pub applied: u64,
    /// How many of those were refused.
    pub killed: u64,
    /// By what: a level, or `catalog`.
    pub by: BTreeMap<String, u64>,
    /// Why none was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
}

/// A mutant that was not refused, or not for its own reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survivor {
    /// Its number.
    pub mutant: u64,
    /// Its kind.
    pub class: Class,
    /// What was done.
    pub what: String,
    /// What the verifier said.
    pub said: String,
    /// The command that does it again.
    pub replay: String,
}

impl MutationRecord {
    /// The score of no mutant at all.
    pub fn without(stack: &str, seed: u64, outcome: Outcome) -> Self {
        Self {
            stack: stack.to_owned(),
            set: None,
            seed,
            outcome,
            mutants: 0,
            applied: 0,
            killed: 0,
            score: None,
            unchanged: 0,
            controls: 0,
            false_alarms: Vec::new(),
            classes: Vec::new(),
            survivors: Vec::new(),
            notes: Vec::new(),
            duration_seconds: 0.0,
        }
    }

    /// Fills in what follows from the counts.
    pub fn judged(mut self) -> Self {
        self.applied = self.classes.iter().map(|c| c.applied).sum();
        self.killed = self.classes.iter().map(|c| c.killed).sum();
        self.score = (self.applied > 0).then(|| self.killed as f64 / self.applied as f64);
        let mut wrong = Vec::new();
        if !self.survivors.is_empty() {
            wrong.push(format!("{} of {} mutants were not refused as they should", self.survivors.len(), self.applied));
        }
        if !self.false_alarms.is_empty() {
            wrong.push(format!(
                "{} of {} unchanged copies were refused: {}",
                self.false_alarms.len(),
                self.controls,
                self.false_alarms[0]
            ));
        }
        self.outcome = if let Some(survivor) = self.survivors.first() {
            Outcome::Failed(Why::new(wrong.join("; ")).hint(survivor.replay.clone()))
        } else if !wrong.is_empty() {
            Outcome::Failed(Why::new(wrong.join("; ")).hint("the set itself, or the verifier: cargo xtask verify"))
        } else if self.applied == 0 || self.killed != self.applied || self.controls == 0 {
            Outcome::Broken(Why::new(format!(
                "{} of {} mutants were refused and {} unchanged copies passed: that proves nothing",
                self.killed, self.applied, self.controls
            )))
        } else {
            Outcome::Passed
        };
        let untried: Vec<String> =
            self.classes.iter().filter(|c| c.applied == 0 && c.left_out.is_none()).map(|c| c.class.word()).collect();
        if untried.is_empty() {
            return self;
        }
        let hint = format!("ask for more mutants: --mutants {}", 2 * self.classes.len());
        self.no_score(Why::new(format!("no mutant was tried of {}: that is no score", untried.join(", "))).hint(hint))
    }

    /// What passed proves less than a score would: it is said why, and is not passed.
    pub fn no_score(mut self, why: Why) -> Self {
        if self.outcome == Outcome::Passed {
            self.outcome = Outcome::Skipped(why);
            self.score = None;
        }
        self
    }
}
