//! The report for a person at a terminal: the table of verdicts, why, what was used, what it proves, and one closing sentence.
//! It must not know whether anybody watches: the style says what the screen can do.

mod checks;
mod sections;
mod table;

use super::{Destination, Rendered, Reporter, Style, Tally, asked};
use crate::domain::display::{Ink, duration, one_line, plural, wrap};
use crate::domain::report::Report;
use anyhow::Result;

/// Prints the summary.
pub struct Terminal;

impl Reporter for Terminal {
    fn name(&self) -> &'static str {
        "terminal"
    }

    fn about(&self) -> &'static str {
        "the summary on the terminal: verdicts, reasons and hints, images, phases"
    }

    fn render(&self, report: &Report, style: &Style) -> Result<Rendered> {
        let mut lines = heading(report, style);
        if !report.drills.is_empty() || report.outcomes().next().is_none() {
            lines.extend(table::verdicts(report, style));
        }
        lines.extend(checks::checks(report, style));
        for section in [
            checks::mutations,
            sections::reasons,
            sections::images,
            sections::recoveries,
            sections::proves,
            sections::notes,
        ] {
            let body = section(report, style);
            if !body.is_empty() {
                lines.push(String::new());
                lines.extend(body);
            }
        }
        Ok(Rendered::one(Destination::Terminal, text(&lines)).and(Destination::Closing, closing(report, style)))
    }
}

/// What ran, where and when.
fn heading(report: &Report, style: &Style) -> Vec<String> {
    let mut inputs: Vec<&str> = report.drills.iter().map(|d| d.input.as_str()).collect();
    inputs.sort_unstable();
    inputs.dedup();
    let mut about = vec![format!("run {}", report.run), report.started_at.clone()];
    about.extend((!inputs.is_empty()).then(|| format!("input: {}", inputs.join(" and "))));
    about.push(plural(report.machine.cpus, "cpu"));
    about.push(report.machine.platform.clone());
    about.extend(report.machine.docker.as_ref().map(|version| format!("docker {version}")));
    let about = about.join(", ");
    let short = report.task.len() + 2 + about.chars().count() <= style.width;
    let mut lines = vec![style.paint(Ink::Strong, &one_line(&report.task))];
    if short {
        lines[0].push_str(&format!("  {}", style.paint(Ink::Faint, &one_line(&about))));
    } else {
        lines.extend(wrap(&one_line(&about), style.width).iter().map(|line| style.paint(Ink::Faint, line)));
    }
    lines.push(String::new());
    lines
}

/// One sentence with the verdict, the counts and the exit code.
fn closing(report: &Report, style: &Style) -> String {
    let tally = Tally::of(report);
    let word = tally.word(report.exit_code);
    let ink = match word {
        "PASSED" => Ink::Good,
        "FAILED" => Ink::Bad,
        "BROKEN" => Ink::Unknown,
        _ => Ink::Caution,
    };
    let of = asked(report);
    let time = duration(report.duration_seconds);
    format!("{}: {}{of} in {time}, exit code {}.\n", style.paint(ink, word), tally.counts(), report.exit_code)
}

/// Lines as text, without trailing blanks.
fn text(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        text.push_str(line.trim_end());
        text.push('\n');
        text
    })
}
