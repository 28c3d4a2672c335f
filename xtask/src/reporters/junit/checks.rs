//! Checks as one suite a stack, a case a check; the mutation score as a suite of its own, with every survivor as a failed case.

use super::{Property, TestSuite, case, lines, safe, stamp, time};
use crate::domain::mutation::{ClassRecord, MutationRecord};
use crate::domain::outcome::{Outcome, Why};
use crate::domain::report::Report;
use crate::reporters::{check_name, mutation_name};

/// A failed case each, up to so many; the rest is counted.
const SURVIVORS: usize = 200;

/// Every suite that is not a drill.
pub fn suites(report: &Report) -> Vec<TestSuite> {
    let mut stacks: Vec<&str> = Vec::new();
    for check in &report.checks {
        if !stacks.contains(&check.stack.as_str()) {
            stacks.push(&check.stack);
        }
    }
    let checks = stacks.into_iter().map(|stack| of_stack(report, stack));
    checks.chain(report.mutations.iter().map(|record| attack(report, record))).collect()
}

fn of_stack(report: &Report, stack: &str) -> TestSuite {
    let mut suite = TestSuite::new(safe(&format!("{stack} checks")));
    stamp(&mut suite, report);
    for check in report.checks.iter().filter(|c| c.stack == stack) {
        let mut one = case(&check_name(check), &format!("{stack}.checks"), check.outcome.clone());
        let findings = check.findings.iter().map(|f| format!("{:?}: {}\n  hint: {}\n", f.weight, f.sentence(), f.next));
        let seen = check.seen.iter().map(|seen| format!("seen: {seen}\n"));
        let text: String = findings.chain(seen).collect();
        one.set_system_out(safe(&format!("{}: {}\nwhy it matters: {}\n{text}", check.word(), check.title, check.why)));
        suite.add_test_case(one);
    }
    suite
}

fn attack(report: &Report, record: &MutationRecord) -> TestSuite {
    let name = mutation_name(record);
    let class = format!("{}.mutation", record.stack);
    let properties = properties(record);
    let mut suite = TestSuite::new(safe(&name));
    stamp(&mut suite, report);
    suite.set_time(time(record.duration_seconds));
    suite.add_properties(properties.iter().map(|(k, v)| Property::new(safe(k), safe(v))));
    let mut whole = case(&name, &class, record.outcome.clone());
    whole.set_time(time(record.duration_seconds));
    whole.set_system_out(lines(properties.iter()) + &safe(&record.notes.join("\n")));
    suite.add_test_case(whole);
    for kind in &record.classes {
        suite.add_test_case(case(&format!("{name}: {}", kind.class.word()), &class, outcome(kind)));
    }
    let controls = match record.false_alarms.as_slice() {
        [] if record.controls > 0 => Outcome::Passed,
        [] => Outcome::Skipped(Why::new("no unchanged copy was asked about")),
        [first, ..] => Outcome::Failed(Why::new(format!(
            "{} of {} unchanged copies were refused: {first}",
            record.false_alarms.len(),
            record.controls
        ))),
    };
    suite.add_test_case(case(&format!("{name}: unchanged copies"), &class, controls));
    for survivor in record.survivors.iter().take(SURVIVORS) {
        let why = Why::new(format!("{}: {}", survivor.what, survivor.said)).hint(survivor.replay.clone());
        suite.add_test_case(case(&format!("{name}: mutant {}", survivor.mutant), &class, Outcome::Failed(why)));
    }
    if record.survivors.len() > SURVIVORS {
        let more = record.survivors.len() - SURVIVORS;
        let why = Why::new(format!("{more} more mutants survived: see report.json"));
        suite.add_test_case(case(&format!("{name}: more mutants"), &class, Outcome::Failed(why)));
    }
    suite
}

fn outcome(class: &ClassRecord) -> Outcome {
    match (&class.left_out, class.applied) {
        (_, 1..) if class.killed == class.applied => Outcome::Passed,
        (_, 1..) => {
            Outcome::Failed(Why::new(format!("{} of {} were refused as they should", class.killed, class.applied)))
        }
        (Some(why), 0) => Outcome::Skipped(Why::new(why.clone())),
        (None, 0) => Outcome::Skipped(Why::new("no mutant of this kind was among those asked for")),
    }
}

fn properties(record: &MutationRecord) -> Vec<(String, String)> {
    let mut all = vec![
        ("stack", record.stack.clone()),
        ("outcome", record.outcome.word().to_owned()),
        ("seed", record.seed.to_string()),
        ("mutants", record.mutants.to_string()),
        ("mutants_applied", record.applied.to_string()),
        ("mutants_killed", record.killed.to_string()),
        ("mutants_unchanged", record.unchanged.to_string()),
        ("survivors", record.survivors.len().to_string()),
        ("controls", record.controls.to_string()),
        ("false_alarms", record.false_alarms.len().to_string()),
    ];
    all.extend(record.score.map(|score| ("mutation_score", format!("{score:.6}"))));
    all.extend(record.set.clone().map(|set| ("backup_id", set)));
    all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
