//! junit.xml as its readers see it: parsed back, hostile text, names, sizes, and never an empty green file.

use super::samples;
use quick_junit::{NonSuccessKind, Report as Xml, TestCase, TestCaseStatus};
use xtask::domain::outcome::{Outcome, Why};
use xtask::domain::report::Report;
use xtask::reporters::{self, Destination, Style};

fn junit(report: &Report) -> String {
    let rendered = reporters::find("junit").unwrap().render(report, &Style::plain(80)).unwrap();
    rendered.text(Destination::File("junit.xml")).to_owned()
}

fn parsed(report: &Report) -> Xml {
    Xml::deserialize_from_str(&junit(report)).unwrap()
}

fn sample(name: &str) -> Report {
    samples::all().into_iter().find(|(n, _)| *n == name).unwrap().1
}

fn case<'a>(xml: &'a Xml, name: &str) -> &'a TestCase {
    let mut all = xml.test_suites.iter().flat_map(|s| &s.test_cases);
    all.find(|c| c.name.as_str() == name).unwrap_or_else(|| panic!("no case {name}"))
}

fn kind(case: &TestCase) -> &'static str {
    match &case.status {
        TestCaseStatus::Success { .. } => "success",
        TestCaseStatus::Skipped { .. } => "skipped",
        TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, .. } => "failure",
        TestCaseStatus::NonSuccess { kind: NonSuccessKind::Error, .. } => "error",
    }
}

#[test]
fn a_missed_objective_fails_its_own_case_only() {
    let xml = parsed(&sample("failed-rto"));
    let of = |name: &str| kind(case(&xml, name));
    assert_eq!(of("recyclic-prod/db simple-loss: recovery"), "success");
    assert_eq!(of("recyclic-prod/db simple-loss: rto"), "failure");
    assert_eq!(of("recyclic-prod/db simple-loss: rpo"), "success");
    assert_eq!(of("recyclic-prod/db total-loss: rpo-worst-case"), "failure");
    assert_eq!((xml.failures, xml.errors), (2, 0));
}

#[test]
fn broken_is_an_error_and_skipped_is_skipped_with_the_reason_as_text() {
    let xml = parsed(&sample("broken"));
    assert_eq!(kind(case(&xml, "recyclic-prod/db total-loss: recovery")), "error");
    assert_eq!(kind(case(&xml, "recyclic-prod/db total-loss: rto")), "error");
    let xml = parsed(&sample("no-docker"));
    let skipped = case(&xml, "recyclic-prod/db simple-loss: recovery");
    assert_eq!(kind(skipped), "skipped");
    let TestCaseStatus::Skipped { message, description, .. } = &skipped.status else { unreachable!() };
    assert!(message.as_ref().unwrap().contains("connection refused"));
    assert!(description.as_ref().unwrap().contains("hint: start it"));
}

#[test]
fn what_is_not_passed_is_never_an_all_green_file() {
    for (name, report) in samples::all() {
        let xml = parsed(&report);
        let red = xml.failures + xml.errors;
        assert_eq!(red > 0, report.exit_code != 0, "{name}");
        assert!(xml.tests > 0, "{name}: an empty file is green to some readers");
        for (drill, suite) in report.drills.iter().zip(&xml.test_suites) {
            let wanted = match &drill.outcome {
                Outcome::Passed => "success",
                Outcome::Failed(_) => "failure",
                Outcome::Skipped(_) => "skipped",
                Outcome::Broken(_) => "error",
            };
            assert!(suite.test_cases.iter().any(|c| kind(c) == wanted), "{name}: {}", suite.name.as_str());
        }
    }
}

#[test]
fn a_failure_that_no_number_shows_still_turns_the_recovery_red() {
    let mut report = sample("all-passed");
    report.drills[0].outcome = Outcome::Failed(Why::new("rows differ"));
    report.exit_code = 1;
    assert_eq!(kind(case(&parsed(&report), "recyclic-prod/db simple-loss: recovery")), "failure");
}

#[test]
fn only_skips_prove_nothing_and_so_does_a_bad_exit_code() {
    let mut report = sample("no-docker");
    report.drills.truncate(3);
    report.exit_code = 3;
    assert_eq!(kind(case(&parsed(&report), "verdict")), "error");
    let mut report = sample("all-passed");
    report.exit_code = 1;
    assert_eq!(kind(case(&parsed(&report), "verdict")), "error");
}

#[test]
fn names_are_unique_even_when_drills_are_not() {
    let mut report = sample("all-passed");
    report.drills.push(report.drills[0].clone());
    let xml = parsed(&report);
    let mut cases: Vec<&str> = xml.test_suites.iter().flat_map(|s| &s.test_cases).map(|c| c.name.as_str()).collect();
    let mut suites: Vec<&str> = xml.test_suites.iter().map(|s| s.name.as_str()).collect();
    for names in [&mut cases, &mut suites] {
        let before = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), before);
    }
}

#[test]
fn the_numbers_are_properties_and_repeated_for_readers_without_properties() {
    let xml = parsed(&sample("all-passed"));
    let suite = &xml.test_suites[0];
    let property =
        |name: &str| suite.properties.iter().find(|p| p.name.as_str() == name).map(|p| p.value.as_str().to_owned());
    assert_eq!(property("rto_seconds").as_deref(), Some("1.84"));
    assert_eq!(property("rto_objective_seconds").as_deref(), Some("1800"));
    assert_eq!(property("rpo_seconds").as_deref(), Some("2.5"));
    assert!(property("image_digest").unwrap().starts_with("sha256:0123"));
    assert_eq!(property("cpus").as_deref(), Some("2"));
    let out = case(&xml, "recyclic-prod/db simple-loss: rto").system_out.clone().unwrap();
    assert!(out.contains("[[PROPERTY|rto_seconds=1.84]]"), "{}", out.as_str());
    let infinite = parsed(&sample("repeat-5"));
    let rto = infinite.test_suites[0].properties.iter().find(|p| p.name.as_str() == "rto_seconds").unwrap();
    assert_eq!(rto.value.as_str(), "INF");
}

#[test]
fn hostile_text_stays_text() {
    let text = junit(&sample("broken"));
    let legal = |c: char| matches!(c, '\n' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(text.chars().all(legal), "{:?}", text.chars().find(|c| !legal(*c)));
    assert!(!text.contains("]]>"));
    let xml = Xml::deserialize_from_str(&text).unwrap();
    let recovery = case(&xml, "recyclic-prod/db total-loss: recovery");
    let TestCaseStatus::NonSuccess { description, .. } = &recovery.status else { unreachable!() };
    let said = description.as_ref().unwrap().as_str();
    assert!(said.contains("cdata ]]> <tag a=\"b\"> & 'q'") && said.contains("🐘"), "{said}");
    assert!(recovery.system_err.as_ref().unwrap().contains("nul \\x00 cdata"));
}

#[test]
fn gigantic_logs_keep_the_file_below_what_readers_accept() {
    let mut report = sample("broken");
    report.drills[0].runs[0].logs = Some("&<>\0".repeat(10 << 20));
    report.drills[0].outcome = Outcome::Broken(Why::new("&".repeat(5 << 20)));
    let text = junit(&report);
    assert!(text.len() < 30_000_000, "{} bytes", text.len());
    assert!(Xml::deserialize_from_str(&text).is_ok());
    assert!(text.contains("bytes are left out"));
}
