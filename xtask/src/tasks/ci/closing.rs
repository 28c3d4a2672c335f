//! What `cargo xtask ci` says at its end: the table of steps, what was skipped by name, the test runner's own last lines.
//! Pure: it must not know how the steps were run.

use crate::domain::outcome::Outcome;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::time::Duration;

/// The budget of a whole run on two cold cores. A run over it is told so, not failed: machines differ.
const BUDGET: Duration = Duration::from_secs(20 * 60);

/// What a test prints when it could not do its work for want of something: `SKIPPED <name>: <why>`.
const SKIPPED: &str = "SKIPPED ";

/// A finished step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The step's name.
    pub name: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// The test runner's own last lines, when it was one.
    pub runner: Vec<String>,
}

/// The lines by which tests say that they were skipped, from the runner's JUnit file.
///
/// # Errors
/// The file is not JUnit, or reports no test at all: what ran cannot be known then.
pub fn skipped_tests(junit: &str) -> Result<Vec<String>> {
    let report = quick_junit::Report::deserialize_from_str(junit).context("read the test runner's junit file")?;
    let cases: Vec<_> = report.test_suites.iter().flat_map(|suite| &suite.test_cases).collect();
    anyhow::ensure!(!cases.is_empty(), "read the test runner's junit file: it reports no test at all");
    let outputs = cases.iter().flat_map(|case| [&case.system_out, &case.system_err]).flatten();
    let lines = outputs.flat_map(|output| output.as_str().lines()).map(str::trim);
    let mut found: Vec<String> = lines.filter(|l| l.starts_with(SKIPPED)).map(str::to_owned).collect();
    found.sort();
    found.dedup();
    Ok(found)
}

/// The last lines by which a test runner sums up: from nextest's `Summary` on, and cargo's `test result` lines.
pub fn runner_lines(lines: &[String]) -> Vec<String> {
    let plain: Vec<String> = lines.iter().map(|l| without_colour(l)).collect();
    let summary = plain.iter().rposition(|l| l.trim_start().starts_with("Summary ["));
    match summary {
        Some(at) => plain[at..].to_vec(),
        None => plain.into_iter().filter(|l| l.starts_with("test result:")).collect(),
    }
}

/// The whole closing text.
pub fn text(done: &[Done], skipped: &[String], took: Duration) -> String {
    let mut text = String::from("\n== summary ==\n");
    let width = done.iter().map(|d| d.name.len()).max().unwrap_or(0);
    for step in done {
        let why = step.outcome.why().map(|why| format!("  {why}")).unwrap_or_default();
        let seconds = step.took.as_secs_f64();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:width$}  {:7}  {seconds:7.1} s{why}", step.name, step.outcome.word());
    }
    let by_name = done.iter().filter(|d| d.outcome.skipped()).map(|d| {
        let why = d.outcome.why().map(ToString::to_string).unwrap_or_default();
        format!("{SKIPPED}{}: {why}", d.name)
    });
    let all: Vec<String> = by_name.chain(skipped.iter().cloned()).collect();
    if all.is_empty() {
        text.push_str("nothing was skipped\n");
    } else {
        let _ = writeln!(text, "skipped by name ({}):", all.len());
        all.iter().for_each(|line| text.extend(["  ", line, "\n"]));
    }
    for step in done.iter().filter(|d| !d.runner.is_empty()) {
        let _ = writeln!(text, "{}: the runner's own last lines:", step.name);
        step.runner.iter().for_each(|line| text.extend(["  ", line.trim_start(), "\n"]));
    }
    if took > BUDGET {
        let _ =
            writeln!(text, "note: this took longer than the {} minutes that a run should take", BUDGET.as_secs() / 60);
    }
    text
}

/// Drops terminal colour sequences (ECMA-48 CSI).
fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            plain.push(c);
        } else if chars.next() == Some('[') {
            chars.by_ref().find(|c| ('\u{40}'..='\u{7e}').contains(c));
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Why;

    const JUNIT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="2" failures="0" errors="0"><testsuite name="xtask" tests="2" disabled="0" errors="0" failures="0">
<testcase name="a" classname="x" time="0.1"><system-out>running 1 test
SKIPPED drills::postgres: no container engine answers
test a ... ok</system-out></testcase>
<testcase name="b" classname="x" time="0.1"><system-err>  SKIPPED zizmor: not installed
</system-err></testcase></testsuite></testsuites>"#;

    #[test]
    fn skipped_tests_are_found_by_name_in_both_outputs() {
        let lines = skipped_tests(JUNIT).unwrap();
        assert_eq!(lines, ["SKIPPED drills::postgres: no container engine answers", "SKIPPED zizmor: not installed"]);
    }

    #[test]
    fn a_junit_file_without_tests_is_an_error() {
        let none = r#"<testsuites name="nextest-run" tests="0" failures="0" errors="0"></testsuites>"#;
        assert!(format!("{:#}", skipped_tests(none).unwrap_err()).contains("no test at all"));
        assert!(skipped_tests("not xml").is_err());
    }

    #[test]
    fn the_runners_last_lines_are_kept_without_colours() {
        let lines = ["PASS x", "────", "\u{1b}[32;1m     Summary\u{1b}[0m [   0.1s] 3 tests run", "  FAIL y"];
        let lines: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
        assert_eq!(runner_lines(&lines), ["     Summary [   0.1s] 3 tests run", "  FAIL y"]);
        let cargo = ["running 1 test".to_owned(), "test result: ok. 1 passed".to_owned()];
        assert_eq!(runner_lines(&cargo), ["test result: ok. 1 passed"]);
    }

    #[test]
    fn the_closing_text_names_what_was_skipped() {
        let step = |name, outcome| Done { name, outcome, took: Duration::from_millis(1500), runner: Vec::new() };
        let done = [step("format", Outcome::Passed), step("policy", Outcome::Skipped(Why::new("no cargo-deny")))];
        let text = text(&done, &["SKIPPED a: b".to_owned()], Duration::from_secs(3));
        assert!(text.contains("format  passed       1.5 s\n"), "{text}");
        assert!(text.contains("  SKIPPED policy: no cargo-deny\n  SKIPPED a: b\n"), "{text}");
    }
}
