//! The report as JUnit XML for CI readers: a suite per drill, its measurements as cases of their own. The mapping is told in
//! `docs/report.md`. It must not know who reads: it keeps to what GitLab, Jenkins and the usual GitHub actions have in common.

mod checks;
mod properties;

use super::{Destination, Rendered, Reporter, Style, Tally, drill_name};
use crate::domain::display::{clean, duration};
use crate::domain::objective::Verdict;
use crate::domain::outcome::{Outcome, Why};
use crate::domain::report::{Drill, Report, Run};
use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, Property, Report as Xml, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// Writes `junit.xml`.
pub struct Junit;

/// The file's name in the report folder.
pub const FILE: &str = "junit.xml";

/// Bytes of server logs in the whole file. Readers refuse files above 30 MB (GitLab); escaping makes five of one at worst.
const LOG_BYTES: usize = 4 << 20;
/// Bytes of one reason.
const REASON_BYTES: usize = 64 << 10;

impl Reporter for Junit {
    fn name(&self) -> &'static str {
        "junit"
    }

    fn about(&self) -> &'static str {
        "junit.xml for CI: RTO and RPO as cases of their own, the numbers as properties"
    }

    fn file(&self) -> Option<&'static str> {
        Some(FILE)
    }

    fn render(&self, report: &Report, _: &Style) -> Result<Rendered> {
        let mut xml = Xml::new(format!("{} {}", report.tool, report.task).as_str());
        xml.set_time(time(report.duration_seconds));
        let mut names: Vec<String> = Vec::new();
        let logs = LOG_BYTES / report.drills.iter().map(|d| d.runs.len()).sum::<usize>().max(1);
        for drill in &report.drills {
            let name = unique(drill_name(drill), &mut names);
            xml.add_test_suite(suite(report, drill, &name, logs));
        }
        for suite in checks::suites(report) {
            xml.add_test_suite(suite);
        }
        let red = xml.failures + xml.errors > 0;
        let tally = Tally::of(report);
        if !red && (report.exit_code != 0 || tally.passed == 0) {
            xml.add_test_suite(verdict(report, &tally));
        }
        let text = xml.to_string().context("write the report as JUnit XML")?;
        Ok(Rendered::one(Destination::File(FILE), text))
    }
}

/// A suite that says what no drill says: the run as a whole is not green.
fn verdict(report: &Report, tally: &Tally) -> TestSuite {
    let why = if tally.passed == 0 {
        Why::new(format!("nothing is proven: {}", tally.counts()))
    } else {
        Why::new(format!("the run ended with exit code {}: {}", report.exit_code, tally.counts()))
    };
    let mut suite = TestSuite::new("verdict");
    stamp(&mut suite, report);
    suite.add_test_case(case("verdict", "verdict", Outcome::Broken(why)));
    suite
}

fn suite(report: &Report, drill: &Drill, name: &str, logs: usize) -> TestSuite {
    let class = format!("{}.{}.{}", drill.stack, drill.store, drill.scenario);
    let case_of = |what: &str, outcome: Outcome| case(&format!("{name}: {what}"), &class, outcome);
    let properties = properties::of(report, drill);
    let mut cases = Vec::new();
    if drill.runs.len() > 1 {
        for run in &drill.runs {
            let mut case = case_of(&format!("run {}", run.number), run.outcome.clone());
            case.set_time(time(run.rto_seconds.unwrap_or(run.timeline.total_seconds)));
            cases.push(case);
        }
    }
    let numbers = [
        ("rto", "the recovery took", drill.rto.as_ref(), "rto"),
        ("rpo", "the loss is", drill.rpo.as_ref(), "rpo"),
        ("rpo-worst-case", "the schedule allows a loss of", drill.rpo_worst_case.as_ref(), "rpo_worst_case"),
    ];
    for (what, subject, verdict, prefix) in numbers {
        let mut case = case_of(what, measured(what, subject, verdict, drill));
        let own: Vec<&(String, String)> = properties
            .iter()
            .filter(|(k, _)| k.starts_with(prefix) && (prefix != "rpo" || !k.starts_with("rpo_worst_case")))
            .collect();
        case.set_system_out(lines(own.into_iter()));
        cases.push(case);
    }
    let mut recovery = case_of("recovery", recovered(drill, &cases));
    recovery.set_time(time(drill.duration_seconds));
    recovery.set_system_out(lines(properties.iter()) + &steps(drill));
    let logs = drill.runs.iter().filter_map(|run| log(run, logs)).collect::<Vec<_>>().join("\n");
    if !logs.is_empty() {
        recovery.set_system_err(logs);
    }
    let mut suite = TestSuite::new(safe(name));
    stamp(&mut suite, report);
    suite.set_time(time(drill.duration_seconds));
    suite.add_properties(properties.iter().map(|(k, v)| Property::new(safe(k), safe(v))));
    suite.add_test_case(recovery);
    suite.add_test_cases(cases);
    suite
}

/// The recovery itself, apart from its numbers: the worst run, or the drill's own outcome when nothing else would show it.
fn recovered(drill: &Drill, others: &[TestCase]) -> Outcome {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::Passed => 0,
        Outcome::Skipped(_) => 1,
        Outcome::Broken(_) => 2,
        Outcome::Failed(_) => 3,
    };
    let runs = drill.runs.iter().map(|r| &r.outcome).max_by_key(|outcome| rank(outcome));
    let shown = others.iter().any(|c| matches!(c.status, TestCaseStatus::NonSuccess { .. }));
    match runs {
        Some(worst) if rank(worst) > 0 || drill.outcome.passed() || shown => worst.clone(),
        _ => drill.outcome.clone(),
    }
}

/// A number held against its objective as an outcome. What was to be measured and was not is broken, never green.
fn measured(what: &str, subject: &str, verdict: Option<&Verdict>, drill: &Drill) -> Outcome {
    match (verdict, &drill.outcome) {
        (Some(v), _) if v.met => Outcome::Passed,
        (Some(v), _) => {
            let objective = duration(v.objective_seconds);
            Outcome::Failed(match v.actual_seconds {
                Some(actual) => {
                    let over = duration(actual - v.objective_seconds);
                    Why::new(format!("{subject} {}: {over} over the objective of {objective}", duration(actual)))
                }
                None => Why::new(format!("{what} is infinite: nothing came back; the objective is {objective}")),
            })
        }
        (None, Outcome::Skipped(why)) => Outcome::Skipped(why.clone()),
        (None, _) if what == "rpo-worst-case" && drill.schedule.is_none() => Outcome::Skipped(
            Why::new("no backup schedule is declared, so no worst case can be promised")
                .hint("declare `schedule` for this stack in recovery.yaml"),
        ),
        (None, Outcome::Passed) => Outcome::Skipped(Why::new("not measured by this kind of drill")),
        (None, Outcome::Failed(why) | Outcome::Broken(why)) => {
            Outcome::Broken(Why::new(format!("not measured: {why}")))
        }
    }
}

fn case(name: &str, class: &str, outcome: Outcome) -> TestCase {
    let mut status = match &outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Failed(_) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Outcome::Broken(_) => TestCaseStatus::non_success(NonSuccessKind::Error),
        Outcome::Skipped(_) => TestCaseStatus::skipped(),
    };
    if let Some(why) = outcome.why() {
        let message = tail(&why.message, REASON_BYTES);
        let hint = why.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        // The attribute holds one line (parsers fold its line ends); the element's text, which GitLab shows, holds all.
        status.set_message(safe(message.lines().next().unwrap_or_default()));
        status.set_type(outcome.word());
        status.set_description(safe(&format!("{message}{hint}")));
    }
    let mut case = TestCase::new(safe(name), status);
    case.set_classname(safe(class)).set_time(Duration::ZERO);
    case
}

/// Readers key on names, and GitLab drops what has a name twice.
fn unique(name: String, taken: &mut Vec<String>) -> String {
    let mut candidate = name.clone();
    let mut n = 1;
    while taken.contains(&candidate) {
        n += 1;
        candidate = format!("{name} #{n}");
    }
    taken.push(candidate.clone());
    candidate
}

/// Numbers where readers that know no properties find them: <https://github.com/testmoapp/junitxml> describes the notation.
fn lines<'a>(properties: impl Iterator<Item = &'a (String, String)>) -> String {
    properties.map(|(k, v)| format!("[[PROPERTY|{}={}]]\n", safe(k), safe(v))).collect()
}

fn steps(drill: &Drill) -> String {
    let mut text = String::new();
    for run in &drill.runs {
        text.push_str(&format!("run {}: {}\n", run.number, run.outcome.word()));
        for step in &run.steps {
            let error = step.error.as_ref().map(|e| format!(": {e}")).unwrap_or_default();
            text.push_str(&format!("  {:>9.3} s  {}{}\n", step.seconds, step.title, tail(&error, REASON_BYTES)));
        }
        text.extend(run.damages.iter().map(|damage| format!("  found damaged: {damage}\n")));
    }
    clean(&text)
}

fn log(run: &Run, most: usize) -> Option<String> {
    let log = run.logs.as_deref().filter(|log| !log.trim().is_empty())?;
    Some(format!("run {}: server log\n{}", run.number, clean(&tail(log, most))))
}

/// The end of a text, cut at a line or at least at a character, and saying so.
fn tail(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let from = (text.len() - most..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    format!("[the first {from} bytes are left out]\n{}", &text[from..])
}

fn stamp(suite: &mut TestSuite, report: &Report) {
    if report.started_at.parse::<jiff::Timestamp>().is_ok() {
        suite.extra.insert("timestamp".into(), safe(&report.started_at).into());
    }
}

fn time(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn safe(text: &str) -> String {
    clean(text)
}
