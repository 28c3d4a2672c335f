//! The reporters: a static list. One file a reporter, one line here; a test compares the folder with the list.
//! A reporter turns one finished report into text and says where each part belongs; it writes nothing itself.

use crate::domain::check::CheckRecord;
use crate::domain::display::plural;
use crate::domain::mutation::MutationRecord;
use crate::domain::report::{Drill, Report, Run};
use anyhow::Result;

pub use crate::domain::display::Style;

mod github;
mod json;
mod junit;
mod terminal;

pub use json::FILE as JSON_FILE;
pub use junit::FILE as JUNIT_FILE;

/// Renders a finished run for one kind of reader.
pub trait Reporter: Sync {
    /// Its name, lower case.
    fn name(&self) -> &'static str;
    /// One line for help and documentation.
    fn about(&self) -> &'static str;
    /// The file it makes in the report folder, so that a stale one can be removed when it fails.
    fn file(&self) -> Option<&'static str> {
        None
    }
    /// The report as text. Pure: the same report and style give the same text. Fails when the report cannot be told
    /// truthfully in this form.
    fn render(&self, report: &Report, style: &Style) -> Result<Rendered>;
}

/// Every reporter, in the order in which their words are printed.
pub static REPORTERS: &[&dyn Reporter] = &[&terminal::Terminal, &junit::Junit, &json::Json, &github::Github];

/// The reporter of this name.
pub fn find(name: &str) -> Option<&'static dyn Reporter> {
    REPORTERS.iter().copied().find(|r| r.name() == name)
}

/// What a reporter made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

/// One text and the place where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where.
    pub to: Destination,
    /// What; complete lines.
    pub text: String,
}

/// Where a text belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// A file of this name in the report folder.
    File(&'static str),
    /// The terminal.
    Terminal,
    /// The terminal's very last lines, after the files have been named.
    Closing,
    /// The step summary of GitHub Actions (Markdown).
    StepSummary,
    /// Workflow commands of GitHub Actions.
    Annotations,
}

impl Rendered {
    /// One part.
    pub fn one(to: Destination, text: String) -> Self {
        Self::default().and(to, text)
    }

    /// Adds a part.
    pub fn and(mut self, to: Destination, text: String) -> Self {
        self.parts.push(Part { to, text });
        self
    }

    /// The text for this destination; empty when there is none.
    pub fn text(&self, to: Destination) -> &str {
        self.parts.iter().find(|p| p.to == to).map_or("", |p| p.text.as_str())
    }
}

/// How many drills, checks and scores came to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Proven.
    pub passed: usize,
    /// Known to be wrong.
    pub failed: usize,
    /// Could not be known.
    pub broken: usize,
    /// Not tried.
    pub skipped: usize,
    /// Of those that passed, checks that warn of something.
    pub warned: usize,
}

impl Tally {
    /// Counts the outcomes of a report.
    pub fn of(report: &Report) -> Self {
        let count = |word: &str| report.outcomes().filter(|outcome| outcome.word() == word).count();
        Self {
            passed: count("passed"),
            failed: count("failed"),
            broken: count("broken"),
            skipped: count("skipped"),
            warned: report.checks.iter().filter(|check| check.word() == "warning").count(),
        }
    }

    /// The word for the whole run. Green only when something is proven, nothing is wrong and the exit code agrees.
    pub fn word(&self, exit_code: u8) -> &'static str {
        match self {
            Self { failed: 1.., .. } => "FAILED",
            Self { broken: 1.., .. } => "BROKEN",
            Self { passed: 0, .. } => "NOTHING PROVEN",
            _ if exit_code != 0 => "FAILED",
            _ => "PASSED",
        }
    }

    /// The counts in words, what is worst first: `1 failed, 2 skipped, 3 passed`.
    pub fn counts(&self) -> String {
        let all =
            [(self.failed, "failed"), (self.broken, "broken"), (self.skipped, "skipped"), (self.passed, "passed")];
        let mut said: Vec<String> = all.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
        if let (Some(passed), 1..) = (said.last_mut(), self.warned) {
            passed.push_str(&format!(" ({} with a warning)", self.warned));
        }
        if said.is_empty() { "no drill was run".to_owned() } else { said.join(", ") }
    }
}

/// What the outcomes are of, in words: ` of 3 drills`, ` of 14 checks and 1 mutation score`.
pub fn asked(report: &Report) -> String {
    let all =
        [(report.drills.len(), "drill"), (report.checks.len(), "check"), (report.mutations.len(), "mutation score")];
    let said: Vec<String> = all.iter().filter(|(n, _)| *n > 0).map(|(n, what)| plural(*n, what)).collect();
    if said.is_empty() { String::new() } else { format!(" of {}", said.join(" and ")) }
}

/// `stack check age`, or of one set `stack check verify-l2 of 2026…`, as a check is called everywhere.
pub fn check_name(check: &CheckRecord) -> String {
    let of = check.set.as_ref().map(|set| format!(" of {set}")).unwrap_or_default();
    format!("{} check {}{of}", check.stack, check.id)
}

/// `stack mutation score`, as it is called everywhere.
pub fn mutation_name(record: &MutationRecord) -> String {
    format!("{} mutation score", record.stack)
}

/// `100 %`, and never that for anything less.
pub fn score(record: &MutationRecord) -> String {
    record.score.map_or_else(
        || "-".to_owned(),
        |score| {
            if score >= 1.0 { "100 %".to_owned() } else { format!("{:.2} %", (score * 10_000.0).floor() / 100.0) }
        },
    )
}

/// `stack/store scenario`, as a drill is called everywhere.
pub fn drill_name(drill: &Drill) -> String {
    format!("{}/{} {}", drill.stack, drill.store, drill.scenario)
}

/// The run whose recovery took longest, among those that got as far as a timeline.
pub fn slowest(drill: &Drill) -> Option<&Run> {
    let told = drill.runs.iter().filter(|r| !r.timeline.spans.is_empty());
    told.max_by(|a, b| a.rto_seconds.unwrap_or(-1.0).total_cmp(&b.rto_seconds.unwrap_or(-1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_explained() {
        for (n, reporter) in REPORTERS.iter().enumerate() {
            assert!(!reporter.about().is_empty());
            assert_eq!(find(reporter.name()).map(|r| r.name()), Some(reporter.name()));
            assert!(REPORTERS.iter().skip(n + 1).all(|other| other.name() != reporter.name()));
        }
    }

    #[test]
    fn only_a_proof_without_a_fault_is_green() {
        let tally = |passed, failed, broken, skipped| Tally { passed, failed, broken, skipped, warned: 0 };
        assert_eq!(tally(3, 0, 0, 1).word(0), "PASSED");
        assert_eq!(tally(3, 0, 0, 1).word(1), "FAILED");
        assert_eq!(tally(3, 0, 1, 0).word(3), "BROKEN");
        assert_eq!(tally(3, 1, 1, 0).word(1), "FAILED");
        assert_eq!(tally(0, 0, 0, 4).word(3), "NOTHING PROVEN");
        assert_eq!(tally(0, 0, 0, 0).word(0), "NOTHING PROVEN");
        assert_eq!(tally(3, 1, 0, 2).counts(), "1 failed, 2 skipped, 3 passed");
        let warned = Tally { warned: 2, ..tally(3, 0, 0, 1) };
        assert_eq!(warned.counts(), "1 skipped, 3 passed (2 with a warning)");
    }
}
