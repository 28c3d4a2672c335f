//! Checks and mutation scores in the step summary, and as annotations that point at the file and line where something stands.

use super::{Told, escape};
use crate::domain::check::Weight;
use crate::domain::outcome::Outcome;
use crate::domain::report::Report;
use crate::reporters::{check_name, mutation_name, score};

/// The tables, one block a row.
pub fn rows(report: &Report) -> Vec<String> {
    let mut all = Vec::new();
    if !report.checks.is_empty() {
        all.push("| Verdict | Stack | Check | What |\n| --- | --- | --- | --- |\n".to_owned());
    }
    for check in &report.checks {
        let said: Vec<String> = match check.findings.as_slice() {
            [] => check.outcome.why().map(|why| why.message.clone()).into_iter().chain(check.seen.clone()).collect(),
            findings => findings.iter().map(|f| format!("{} (hint: {})", f.sentence(), f.next)).collect(),
        };
        let of = check.set.as_ref().map(|set| format!(" of {set}")).unwrap_or_default();
        all.push(format!(
            "| **{}** | {} | {} | {} |\n",
            check.word().to_uppercase(),
            escape(&check.stack),
            escape(&format!("{}{of}", check.id)),
            escape(&said.join("; "))
        ));
    }
    if !report.mutations.is_empty() {
        all.push(
            "\n| Verdict | Stack | Mutation score | Refused | Unchanged copies | Seed |\n| --- | --- | --- | --- | --- | --- |\n"
                .to_owned(),
        );
    }
    for record in &report.mutations {
        all.push(format!(
            "| **{}** | {} | {} | {} of {} | {} of {} passed | {} |\n",
            record.outcome.word().to_uppercase(),
            escape(&record.stack),
            score(record),
            record.killed,
            record.applied,
            record.controls - (record.false_alarms.len() as u64).min(record.controls),
            record.controls,
            record.seed
        ));
        let survivors = record.survivors.iter().take(20);
        all.extend(survivors.map(|s| format!("\n- SURVIVED {}: {}: {}", s.mutant, escape(&s.what), escape(&s.said))));
    }
    all
}

/// What becomes an annotation.
pub fn told(report: &Report, errors: &mut Vec<Told>, warnings: &mut Vec<Told>) {
    for check in &report.checks {
        let title = format!("{} {}", check.word().to_uppercase(), check_name(check));
        for finding in &check.findings {
            let place = finding.file.clone().map(|file| (file, finding.line));
            let told =
                Told { title: title.clone(), message: format!("{}\nhint: {}", finding.what, finding.next), place };
            if finding.weight == Weight::Warning { warnings.push(told) } else { errors.push(told) }
        }
        match &check.outcome {
            Outcome::Skipped(why) => warnings.push(Told { title, message: why.message.clone(), place: None }),
            Outcome::Broken(why) | Outcome::Failed(why) if check.findings.is_empty() => {
                errors.push(Told { title, message: why.message.clone(), place: None });
            }
            _ => {}
        }
    }
    for record in &report.mutations {
        let title = format!("{} {}", record.outcome.word().to_uppercase(), mutation_name(record));
        match &record.outcome {
            Outcome::Passed => {}
            Outcome::Skipped(why) => warnings.push(Told { title, message: why.message.clone(), place: None }),
            Outcome::Failed(why) | Outcome::Broken(why) => {
                let hint = why.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
                errors.push(Told { title, message: format!("{}{hint}", why.message), place: None });
            }
        }
    }
}
