//! What checks found, and how the verifier fared under attack, for a person at a terminal.

use crate::domain::check::CheckRecord;
use crate::domain::display::{Ink, Style, count, ink, one_line, wrap};
use crate::domain::mutation::MutationRecord;
use crate::domain::report::Report;
use crate::reporters::score;

/// How many findings of a check are shown; the rest is in the files.
const FINDINGS: usize = 8;
/// How many survivors are shown.
const SURVIVORS: usize = 10;

/// One block a check, stack by stack.
pub fn checks(report: &Report, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    let mut stack = "";
    for check in &report.checks {
        if check.stack != stack {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            stack = &check.stack;
            lines.push(style.paint(Ink::Strong, &format!("CHECKS OF {}", one_line(stack))));
        }
        lines.extend(one(check, style));
    }
    lines
}

fn one(check: &CheckRecord, style: &Style) -> Vec<String> {
    let word = check.word();
    let colour = if word == "warning" { Ink::Caution } else { ink(&check.outcome) };
    let gap = " ".repeat(9 - word.len().min(8));
    let word = style.paint(colour, &word.to_uppercase());
    let mut lines = vec![format!("{word}{gap}{:<12}  {}", check.id, one_line(&check.title))];
    let under = |text: &str| indented(text, 9, style);
    lines.extend(check.set.iter().flat_map(|set| under(&format!("set {set}"))));
    for finding in check.findings.iter().take(FINDINGS) {
        lines.extend(under(&finding.sentence()));
        for (n, line) in wrap(&finding.next, style.width.saturating_sub(17)).iter().enumerate() {
            let head = if n == 0 { style.paint(Ink::Strong, "hint:") } else { "     ".to_owned() };
            lines.push(format!("           {head} {line}"));
        }
    }
    if check.findings.len() > FINDINGS {
        lines.extend(under(&format!("[{} more in report.json]", check.findings.len() - FINDINGS)));
    }
    if let (true, Some(why)) = (check.findings.is_empty(), check.outcome.why()) {
        lines.extend(under(&why.message));
    }
    if check.outcome.passed() {
        let seen = indented(&check.seen.join("; "), 9, style);
        lines.extend(seen.iter().take(4).map(|line| style.paint(Ink::Faint, line)));
    } else {
        lines.extend(under(&format!("why it matters: {}", check.why)));
    }
    lines
}

/// One block a stack: the score, each kind of damage, and every survivor.
pub fn mutations(report: &Report, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    for record in &report.mutations {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(attack(record, style));
    }
    lines
}

fn attack(record: &MutationRecord, style: &Style) -> Vec<String> {
    let word = record.outcome.word().to_uppercase();
    let set = record.set.as_deref().unwrap_or("no set");
    let title = format!("MUTATION SCORE OF {} ({set})", one_line(&record.stack));
    let mut lines = vec![style.paint(Ink::Strong, &title)];
    lines.push(format!("{}  {}", style.paint(ink(&record.outcome), &word), score(record)));
    let said = format!(
        "{} of {} mutants refused, {} of {} unchanged copies passed; seed {}",
        count(record.killed),
        count(record.applied),
        count(record.controls - (record.false_alarms.len() as u64).min(record.controls)),
        count(record.controls),
        record.seed
    );
    lines.extend(indented(&said, 2, style));
    for class in record.classes.iter().filter(|c| c.applied > 0) {
        let by: Vec<String> = class.by.iter().map(|(by, n)| format!("{n} at {by}")).collect();
        let colour = if class.killed == class.applied { Ink::Faint } else { Ink::Bad };
        let text =
            format!("  {:<17} {:>4} of {:<4} {}", class.class.word(), class.killed, class.applied, by.join(", "));
        lines.push(style.paint(colour, text.trim_end()));
    }
    let left_out = record.classes.iter().filter_map(|c| Some((c.class.word(), c.left_out.as_ref()?)));
    for (class, why) in left_out {
        lines.extend(indented(&format!("not tried: {class}: {why}"), 2, style));
    }
    for note in &record.notes {
        lines.extend(indented(note, 2, style));
    }
    for survivor in record.survivors.iter().take(SURVIVORS) {
        lines.extend(indented(&format!("SURVIVED {}: {}", survivor.mutant, survivor.what), 2, style));
        lines.extend(indented(&survivor.said, 4, style));
        lines.extend(indented(&format!("again: {}", survivor.replay), 4, style));
    }
    if record.survivors.len() > SURVIVORS {
        lines.push(format!("  [{} more survivors in report.json]", record.survivors.len() - SURVIVORS));
    }
    for said in record.false_alarms.iter().take(SURVIVORS) {
        lines.extend(indented(&format!("FALSE ALARM: {said}"), 2, style));
    }
    if let (true, Some(why)) = (record.set.is_none(), record.outcome.why()) {
        lines.extend(indented(&why.message, 2, style));
        lines.extend(why.hint.iter().flat_map(|hint| indented(&format!("hint: {hint}"), 2, style)));
    }
    lines
}

fn indented(text: &str, by: usize, style: &Style) -> Vec<String> {
    wrap(text, style.width.saturating_sub(by)).iter().map(|line| format!("{}{line}", " ".repeat(by))).collect()
}
