//! The report for GitHub Actions: a Markdown step summary and annotations. It must not know whether it runs there.
//! Limits and grammar: <https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>.

mod checks;

use super::{Destination, Rendered, Reporter, Style, Tally, drill_name};
use crate::domain::display::{clean, duration, one_line};
use crate::domain::objective::Verdict;
use crate::domain::outcome::{Outcome, Why};
use crate::domain::report::{Drill, Report};
use crate::domain::site::ImageOrigin;
use anyhow::Result;

/// Writes the step summary and the annotations.
pub struct Github;

/// A step summary above 1 MiB is refused by GitHub, without a word on the step.
pub const SUMMARY_BYTES: usize = 1 << 20;
/// GitHub shows at most this many annotations of a kind a step.
const ANNOTATIONS: usize = 10;
/// The longest reason in a summary or an annotation.
const REASON_CHARS: usize = 4000;

impl Reporter for Github {
    fn name(&self) -> &'static str {
        "github"
    }

    fn about(&self) -> &'static str {
        "step summary and annotations, when run in GitHub Actions"
    }

    fn render(&self, report: &Report, _: &Style) -> Result<Rendered> {
        Ok(Rendered::one(Destination::StepSummary, summary(report)).and(Destination::Annotations, annotations(report)))
    }
}

/// The summary, block by block: what no longer fits is counted, never cut in the middle.
fn summary(report: &Report) -> String {
    let tally = Tally::of(report);
    let word = tally.word(report.exit_code);
    let what = if report.checks.is_empty() { "Recovery drill" } else { "Backup system" };
    let mut text = format!("## {what}: {word}\n\n{}, exit code {}.\n\n", tally.counts(), report.exit_code);
    let mut blocks = rows(report);
    blocks.extend(checks::rows(report));
    blocks.extend(report.drills.iter().filter_map(|d| d.outcome.why().map(|why| reason(d, why))));
    blocks.extend(images(report));
    blocks.push(format!(
        "\n{} `{}` on {} cpus, {}{}; {} in all. Details: `report.json`, `junit.xml`.\n",
        escape(&report.tool),
        one_line(&report.run).replace('`', "'"),
        report.machine.cpus,
        escape(&report.machine.platform),
        report.machine.docker.as_ref().map(|v| format!(", docker {}", escape(v))).unwrap_or_default(),
        duration(report.duration_seconds),
    ));
    let room = SUMMARY_BYTES - 200;
    let kept = blocks.iter().scan(text.len(), |used, block| {
        *used += block.len();
        (*used <= room).then_some(block)
    });
    let mut count = 0;
    for block in kept.collect::<Vec<_>>() {
        text.push_str(block);
        count += 1;
    }
    if count < blocks.len() {
        text.push_str(&format!("\n\n_{} more parts do not fit here: see `report.json`._\n", blocks.len() - count));
    }
    text
}

/// The table, one block a row, so that it can end early.
fn rows(report: &Report) -> Vec<String> {
    if report.drills.is_empty() {
        return Vec::new();
    }
    let mut all = vec![
        "| Verdict | Stack/store | Engine | Scenario | RTO / objective | RPO / objective | Worst-case RPO / objective |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n"
            .to_owned(),
    ];
    for d in &report.drills {
        all.push(format!(
            "| **{}** | {} | {} | {} | {} | {} | {} |\n",
            d.outcome.word().to_uppercase(),
            escape(&format!("{}/{}", d.stack, d.store)),
            escape(&d.engine),
            escape(&d.scenario),
            number(d.rto.as_ref(), "never"),
            number(d.rpo.as_ref(), "all lost"),
            number(d.rpo_worst_case.as_ref(), "unbounded"),
        ));
    }
    all
}

fn number(verdict: Option<&Verdict>, infinite: &str) -> String {
    let Some(verdict) = verdict else { return "-".to_owned() };
    let actual = verdict.actual_seconds.map_or_else(|| infinite.to_owned(), duration);
    let objective = duration(verdict.objective_seconds);
    if verdict.met { format!("{actual} / {objective}") } else { format!("**{actual} &gt; {objective} (missed)**") }
}

fn reason(drill: &Drill, why: &Why) -> String {
    let message = short(&clean(&why.message));
    // A fence longer than any run of backticks in the text cannot be closed by it.
    let longest = message.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let hint = why.hint.as_ref().map(|hint| format!("\nhint: {}\n", escape(hint))).unwrap_or_default();
    let word = drill.outcome.word().to_uppercase();
    format!("\n**{word}** {}\n\n{fence}text\n{message}\n{fence}\n{hint}", escape(&drill_name(drill)))
}

fn images(report: &Report) -> Vec<String> {
    let mut all: Vec<String> = report
        .images
        .iter()
        .map(|image| {
            let how = match image.origin {
                ImageOrigin::Present => "was on the engine",
                ImageOrigin::Pulled => "pulled",
                ImageOrigin::BuiltLocally => "**stand-in** built here, not the official image",
                ImageOrigin::PresentStandIn => "**stand-in** built here by an earlier run, not the official image",
            };
            format!("| {} | {} | {} | {how} |\n", escape(&image.wanted), escape(&image.used), escape(&image.digest))
        })
        .collect();
    if !all.is_empty() {
        all.insert(0, "\n| Image wanted | Used | Digest | Origin |\n| --- | --- | --- | --- |\n".to_owned());
    }
    all
}

/// One workflow command a line.
fn annotations(report: &Report) -> String {
    let told = |d: &Drill, why: &Why| {
        let hint = why.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        Told {
            title: format!("{} {}", d.outcome.word().to_uppercase(), drill_name(d)),
            message: format!("{}{hint}", why.message),
            place: None,
        }
    };
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    for drill in &report.drills {
        match &drill.outcome {
            Outcome::Passed => {}
            Outcome::Failed(why) | Outcome::Broken(why) => errors.push(told(drill, why)),
            Outcome::Skipped(why) => warnings.push(told(drill, why)),
        }
    }
    checks::told(report, &mut errors, &mut warnings);
    let tally = Tally::of(report);
    if errors.is_empty() && tally.word(report.exit_code) != "PASSED" {
        errors.push(Told {
            title: tally.word(report.exit_code).to_owned(),
            message: format!("{}, exit code {}", tally.counts(), report.exit_code),
            place: None,
        });
    }
    command("error", &errors) + &command("warning", &warnings)
}

/// One annotation.
struct Told {
    title: String,
    message: String,
    /// The file, and the line in it.
    place: Option<(String, Option<usize>)>,
}

fn command(kind: &str, all: &[Told]) -> String {
    let more = all.len() > ANNOTATIONS;
    let shown = if more { ANNOTATIONS - 1 } else { all.len() };
    let mut text = String::new();
    let property = |text: &str| escape_data(&one_line(text)).replace(':', "%3A").replace(',', "%2C");
    for Told { title, message, place } in &all[..shown] {
        let place = place.as_ref().map_or_else(String::new, |(file, line)| {
            let line = line.map(|line| format!("line={line},")).unwrap_or_default();
            format!("file={},{line}", property(file))
        });
        let title = property(title);
        text.push_str(&format!("::{kind} {place}title={title}::{}\n", escape_data(&short(&clean(message)))));
    }
    if more {
        text.push_str(&format!("::{kind} title=more::{} more: see report.json\n", all.len() - shown));
    }
    text
}

/// The escapes that the runner undoes.
fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn short(text: &str) -> String {
    match text.char_indices().nth(REASON_CHARS) {
        Some((at, _)) => format!("{}\n[shortened: see report.json]", &text[..at]),
        None => text.to_owned(),
    }
}

/// Text that Markdown and HTML leave as it is, on one line.
fn escape(text: &str) -> String {
    one_line(text).chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '|' => out.push_str("&#124;"),
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
        out
    })
}
