//! What stands below the table: reasons with hints, images, the recoveries' phases, what the runs prove, notes.

use crate::domain::display::{Ink, Style, bytes, clean, count, duration, ink, plural, wrap};
use crate::domain::outcome::Why;
use crate::domain::report::{Drill, Report, Run};
use crate::domain::site::{ImageIdentity, ImageOrigin};
use crate::domain::timeline::Timeline;
use crate::reporters::{drill_name, slowest};

/// How many lines of a reason are shown; the rest is in the files.
const REASON_LINES: usize = 12;
/// How many lines of a server's log are shown.
const LOG_LINES: usize = 8;

/// Why what did not pass did not; drills that share a reason share its text.
pub fn reasons(report: &Report, style: &Style) -> Vec<String> {
    let mut groups: Vec<Vec<&Drill>> = Vec::new();
    for drill in report.drills.iter().filter(|d| !d.outcome.passed()) {
        match groups.iter_mut().find(|g| g[0].outcome == drill.outcome && g[0].runs.is_empty() && drill.runs.is_empty())
        {
            Some(group) => group.push(drill),
            None => groups.push(vec![drill]),
        }
    }
    let mut lines = Vec::new();
    for group in groups {
        let outcome = &group[0].outcome;
        let word = outcome.word().to_uppercase();
        let names: Vec<String> = group.iter().map(|d| drill_name(d)).collect();
        for (n, name) in wrap(&names.join(", "), style.width.saturating_sub(word.len() + 2)).iter().enumerate() {
            let word = if n == 0 { style.paint(ink(outcome), &word) } else { " ".repeat(word.len()) };
            lines.push(format!("{word}  {name}"));
        }
        lines.extend(outcome.why().map(|why| reason(why, style)).unwrap_or_default());
        for drill in group {
            lines.extend(drill.runs.iter().flat_map(|run| run_reason(drill, run, style)));
        }
    }
    lines
}

fn reason(why: &Why, style: &Style) -> Vec<String> {
    let mut lines = indented(&why.message, "    ", REASON_LINES, style);
    if let Some(hint) = &why.hint {
        for (n, line) in wrap(hint, style.width.saturating_sub(10)).iter().enumerate() {
            let head = if n == 0 { style.paint(Ink::Strong, "hint:") } else { "     ".to_owned() };
            lines.push(format!("    {head} {line}"));
        }
    }
    lines
}

/// A run's own reason where it says more than the drill's, what the diagnosis found, and the end of the server's log.
fn run_reason(drill: &Drill, run: &Run, style: &Style) -> Vec<String> {
    if run.outcome.passed() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    if let Some(why) = run.outcome.why().filter(|why| drill.outcome.why().map(|w| &w.message) != Some(&why.message)) {
        lines.push(format!("    run {} of {} {}:", run.number, drill.runs.len(), run.outcome.word()));
        lines.extend(indented(&why.message, "      ", REASON_LINES, style));
    }
    if let Some(step) = run.steps.iter().find(|step| step.error.is_some()) {
        let text = format!("in the step \"{}\", after {}", step.title, duration(step.seconds));
        lines.extend(indented(&text, "    ", 3, style));
    }
    for damage in run.damages.iter().take(LOG_LINES) {
        lines.extend(indented(&format!("found damaged: {damage}"), "    ", 3, style));
    }
    if let Some(log) = run.logs.as_deref().map(str::trim_end).filter(|log| !log.is_empty()) {
        let log = clean(log);
        let all: Vec<&str> = log.lines().collect();
        let shown = &all[all.len().saturating_sub(LOG_LINES)..];
        let of = if shown.len() < all.len() {
            format!("last {} of {} lines", shown.len(), all.len())
        } else {
            "all of it".into()
        };
        lines.push(format!("    server log ({of}):"));
        for line in shown {
            lines.extend(indented(line, "    | ", 2, style));
        }
    }
    lines
}

fn indented(text: &str, indent: &str, most: usize, style: &Style) -> Vec<String> {
    let all = wrap(text, style.width.saturating_sub(indent.len()));
    let mut lines: Vec<String> = all.iter().take(most).map(|line| format!("{indent}{line}")).collect();
    if all.len() > most {
        lines.push(format!("{indent}[{} more in report.json]", plural(all.len() - most, "line")));
    }
    lines
}

/// Every image with its digest and how it came here.
pub fn images(report: &Report, style: &Style) -> Vec<String> {
    let mut lines = heading(!report.images.is_empty(), "IMAGES", "", style);
    for image in &report.images {
        lines.extend(indented(&origin(image), "  ", 4, style));
        lines.push(style.paint(Ink::Faint, &format!("    {}", clean(&image.digest))));
    }
    lines
}

/// How an image came here, in words; a stand-in is called one.
fn origin(image: &ImageIdentity) -> String {
    let took = duration(image.prepared_ms as f64 / 1e3);
    let (wanted, used) = (&image.wanted, &image.used);
    match image.origin {
        ImageOrigin::Present if wanted == used => format!("{wanted}: was on the engine already"),
        ImageOrigin::Present => format!("{wanted}: {used} was on the engine already"),
        ImageOrigin::Pulled => format!("{wanted}: pulled as {used} in {took}"),
        ImageOrigin::BuiltLocally => {
            format!("{wanted}: STAND-IN {used}, built here from the local recipe in {took}; not the official image")
        }
        ImageOrigin::PresentStandIn => {
            format!("{wanted}: STAND-IN {used}, built here by an earlier run; not the official image")
        }
    }
}

/// Each drill's slowest recovery as a bar of its phases, with what was compared.
pub fn recoveries(report: &Report, style: &Style) -> Vec<String> {
    let told: Vec<(&Drill, &Run)> = report.drills.iter().filter_map(|d| slowest(d).map(|run| (d, run))).collect();
    let mut lines = heading(!told.is_empty(), "RECOVERY BY PHASE", "bars to scale, each for itself", style);
    for (drill, run) in told {
        let mut facts = vec![match run.rto_seconds {
            Some(seconds) => duration(seconds),
            None => format!("given up after {}", duration(run.timeline.total_seconds)),
        }];
        facts.extend((!run.damages.is_empty()).then(|| format!("{} found", plural(run.damages.len(), "damage"))));
        facts.extend(run.proof.as_ref().map(|p| {
            let aside = if p.quarantined > 0 { format!(", {} set aside", count(p.quarantined)) } else { String::new() };
            let gone =
                if p.unrecoverable > 0 { format!(", {} gone for good", count(p.unrecoverable)) } else { String::new() };
            format!("{} rows in {} equal{aside}{gone}", count(p.rows), plural(p.contents, "object"))
        }));
        facts.extend(
            run.marks
                .as_ref()
                .map(|m| format!("{} of {} marks survived", count(m.last_survivor), count(m.acknowledged))),
        );
        facts.extend(run.backup.as_ref().map(|b| format!("backup {}", bytes(b.stored_bytes))));
        lines.extend(indented(&format!("{}: {}", drill_name(drill), facts.join("; ")), "  ", 4, style));
        lines.push(format!("    {}", bar(&run.timeline, style.width.clamp(40, 120) - 4)));
    }
    lines
}

/// `|detect|provision 900 ms   |load 400 ms |.|`: widths to scale, every phase at least one column.
fn bar(timeline: &Timeline, width: usize) -> String {
    let spans = &timeline.spans;
    let room = width.saturating_sub(2 * spans.len() + 1);
    let total: f64 = spans.iter().map(|s| s.seconds).sum::<f64>().max(f64::MIN_POSITIVE);
    let mut bar = String::from("|");
    let (mut passed, mut drawn) = (0.0, 0);
    for span in spans {
        passed += span.seconds;
        let end = (passed / total * room as f64).round() as usize;
        let wide = 1 + end.saturating_sub(drawn);
        drawn = end;
        let name = span.phase.name();
        let long = format!("{name} {}", duration(span.seconds));
        let label = [long.as_str(), name].into_iter().find(|l| l.len() <= wide).unwrap_or(".");
        bar.push_str(&format!("{label:<wide$}|"));
    }
    bar
}

/// What the number of runs proves; drills that prove the same share the sentence. Repeated drills list their runs.
pub fn proves(report: &Report, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    for drill in report.drills.iter().filter(|d| d.runs.len() > 1) {
        let runs: Vec<String> = drill.runs.iter().map(run_time).collect();
        let median = drill.rto_median_seconds.map(|m| format!("; median {}", duration(m))).unwrap_or_default();
        let text = format!("{}: {}{median}", drill_name(drill), runs.join(", "));
        lines.extend(indented(&text, "  ", 20, style));
    }
    let mut said: Vec<&str> = Vec::new();
    for drill in &report.drills {
        if let Some(sentence) = drill.confidence.as_deref().filter(|s| !said.contains(s)) {
            said.push(sentence);
            let of: Vec<&Drill> = report.drills.iter().filter(|d| d.confidence.as_deref() == Some(sentence)).collect();
            let all = of.len() == report.drills.iter().filter(|d| d.confidence.is_some()).count();
            let who = if all {
                String::new()
            } else {
                of.iter().map(|d| drill_name(d)).collect::<Vec<_>>().join(", ") + ": "
            };
            lines.extend(indented(&format!("{who}{sentence}"), "  ", 20, style));
        }
    }
    let mut all = heading(!lines.is_empty(), "WHAT THE RUNS PROVE", "", style);
    all.extend(lines);
    all
}

/// `1.84 s`, or `never (broken)`.
fn run_time(run: &Run) -> String {
    let time = run.rto_seconds.map_or_else(|| "never".to_owned(), duration);
    if run.outcome.passed() { time } else { format!("{time} ({})", run.outcome.word()) }
}

/// What was inferred, fetched or should be known.
pub fn notes(report: &Report, style: &Style) -> Vec<String> {
    let mut lines = heading(!report.notes.is_empty(), "NOTES", "", style);
    for note in &report.notes {
        for (n, line) in wrap(note, style.width.saturating_sub(4)).iter().enumerate() {
            lines.push(format!("{} {line}", if n == 0 { "  -" } else { "   " }));
        }
    }
    lines
}

fn heading(wanted: bool, title: &str, about: &str, style: &Style) -> Vec<String> {
    let about = if about.is_empty() { String::new() } else { style.paint(Ink::Faint, &format!("  ({about})")) };
    if wanted { vec![format!("{}{about}", style.paint(Ink::Strong, title))] } else { Vec::new() }
}
