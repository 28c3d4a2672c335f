//! Tells a finished report to everybody: files into the report folder, words to the terminal, summary and annotations to Actions.
//! One reporter failing is told and silences no other. It must not know how a report reads: reporters render, this places.

use crate::domain::display::{Style, clean};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::report::Report;
use crate::reporters::{Destination, Part, REPORTERS, Reporter};
use anyhow::{Context, Result, bail};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// A step summary above this many bytes is refused by GitHub.
const SUMMARY_BYTES: u64 = 1 << 20;

/// Where the parts of a report go. Data: nothing here is read from the environment.
pub struct Sinks<'a> {
    /// The report folder; made when missing.
    pub folder: &'a Path,
    /// Standard output: the summary, or with `json` the report.
    pub stdout: &'a mut dyn Write,
    /// Standard error: problems, and with `json` the summary too.
    pub stderr: &'a mut dyn Write,
    /// The file that `GITHUB_STEP_SUMMARY` names, when there is one.
    pub step_summary: Option<&'a Path>,
    /// Whether GitHub Actions reads the output: annotations are printed, and nothing else may look like one.
    pub in_actions: bool,
    /// Whether standard output is for a program: `report.json` there, words on standard error.
    pub json: bool,
    /// How the summary may look on the stream it goes to.
    pub style: Style,
}

/// What was published.
#[derive(Debug, Default)]
pub struct Published {
    /// The files written.
    pub files: Vec<PathBuf>,
    /// What could not be told, one chain each; also printed.
    pub problems: Vec<String>,
}

impl Published {
    /// The exit code of the process: a green run whose report could not be written is broken (3).
    pub fn exit_code(&self, report: &Report) -> u8 {
        if self.problems.is_empty() || report.exit_code != 0 { report.exit_code } else { 3 }
    }
}

/// Makes the report folder and removes what an earlier run left there: a run that dies must not leave somebody else's green
/// behind, and one that takes hours must not find out at its end that it has nowhere to tell.
///
/// # Errors
/// A folder that cannot be made, a file that cannot be removed.
pub fn prepare(folder: &Path) -> Result<()> {
    let refuse = |what: String| Refusal::new(RefusalKind::Storage, what, "choose another folder with --report-dir");
    if let Err(e) = std::fs::create_dir_all(folder) {
        return Err(refuse(format!("cannot write reports into {}: {e}", folder.display())).into());
    }
    for file in REPORTERS.iter().filter_map(|reporter| reporter.file()) {
        let path = folder.join(file);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                let what = format!("cannot write reports into {}: remove an earlier {file}: {e}", folder.display());
                return Err(refuse(what).into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Tells the report through every reporter.
pub fn publish(report: &Report, sinks: &mut Sinks<'_>) -> Published {
    publish_through(REPORTERS, report, sinks)
}

/// Tells the report through these reporters.
pub fn publish_through(reporters: &[&dyn Reporter], report: &Report, sinks: &mut Sinks<'_>) -> Published {
    let mut published = Published::default();
    let mut parts: Vec<(&'static str, Part)> = Vec::new();
    for reporter in reporters {
        if let Some(file) = reporter.file() {
            published.withdraw(reporter.name(), &sinks.folder.join(file));
        }
        match rendered(*reporter, report, &sinks.style) {
            Ok(made) => parts.extend(made.into_iter().map(|part| (reporter.name(), part))),
            Err(error) => published.problem(reporter.name(), &error),
        }
    }
    // Files first: a closed terminal must not cost a report.
    for (name, part) in &parts {
        match part.to {
            Destination::File(file) => published.file(name, &sinks.folder.join(file), &part.text),
            Destination::StepSummary => {
                let done = sinks.step_summary.map_or(Ok(()), |path| append(path, &part.text));
                published.note(name, done);
            }
            _ => {}
        }
    }
    published.words(&parts, sinks, report.exit_code != 0);
    published
}

/// A reporter's parts; its panic is its failure and nobody else's.
fn rendered(reporter: &dyn Reporter, report: &Report, style: &Style) -> Result<Vec<Part>> {
    match catch_unwind(AssertUnwindSafe(|| reporter.render(report, style))) {
        Ok(made) => made.map(|rendered| rendered.parts),
        Err(_) => bail!("the reporter panicked"),
    }
}

impl Published {
    fn problem(&mut self, reporter: &str, error: &anyhow::Error) {
        self.problems.push(format!("report through {reporter}: {error:#}"));
    }

    fn note(&mut self, reporter: &str, done: Result<()>) {
        if let Err(error) = done {
            self.problem(reporter, &error);
        }
    }

    fn file(&mut self, reporter: &str, path: &Path, text: &str) {
        match write_whole(path, text) {
            Ok(()) => self.files.push(path.to_owned()),
            Err(error) => self.problem(reporter, &error),
        }
    }

    /// Removes an earlier run's file before anything can fail: stale and green is worse than missing.
    fn withdraw(&mut self, reporter: &str, path: &Path) {
        match std::fs::remove_file(path) {
            // What is no file is no stale report; whether one can be put there is the writing's to say.
            Err(e) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory) => {
                let error = anyhow::Error::new(e).context(format!("remove the stale {}", path.display()));
                self.problem(reporter, &error);
            }
            _ => {}
        }
    }

    /// Prints: the summary, the files, what went wrong, annotations, the closing sentence.
    fn words(&mut self, parts: &[(&'static str, Part)], sinks: &mut Sinks<'_>, exits_red: bool) {
        let all = |wanted: Destination| -> String {
            parts.iter().filter(|(_, p)| p.to == wanted).map(|(_, p)| p.text.as_str()).collect()
        };
        let guard = |text: String| if sinks.in_actions { defuse(&text) } else { text };
        let mut summary = all(Destination::Terminal);
        if !self.files.is_empty() {
            summary.push('\n');
        }
        summary.extend(self.files.iter().map(|file| format!("wrote {}\n", file.display())));
        let problems: String = self.problems.iter().map(|p| format!("PROBLEM: {p}\n")).collect();
        let annotations = if sinks.in_actions { all(Destination::Annotations) } else { String::new() };
        let mut closing = all(Destination::Closing);
        if !self.problems.is_empty() && !exits_red {
            closing.push_str("BUT the report could not be told in full (PROBLEM, on standard error): exit code 3.\n");
        }
        if !closing.is_empty() {
            closing.insert(0, '\n');
        }
        let words = [guard(summary), annotations, guard(closing)].concat();
        let mut told = vec![say(sinks.stderr, &guard(problems))];
        if sinks.json {
            let json = all(Destination::File(crate::reporters::JSON_FILE));
            // Still the same JSON; the runner looks for `##[` anywhere in a line.
            let json = if sinks.in_actions { json.replace("##[", r"##\u005b") } else { json };
            told.push(say(sinks.stdout, &json));
            told.push(say(sinks.stderr, &words));
        } else {
            told.push(say(sinks.stdout, &words));
        }
        let before = self.problems.len();
        for done in told {
            self.note("terminal", done);
        }
        for problem in &self.problems[before..] {
            // The last resort: when standard error is gone too, the exit code still tells.
            let _ = say(sinks.stderr, &format!("PROBLEM: {problem}\n"));
        }
    }
}

/// Writes and flushes. A reader that has gone away (`| head`) is a quiet end, not an error; `println!` would panic.
pub fn say(out: &mut dyn Write, text: &str) -> Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.context("print"),
    }
}

/// Text that may hold foreign names, made safe for whatever shows it: no terminal sequences, and in Actions no workflow commands.
pub fn harmless(text: &str, in_actions: bool) -> String {
    let text = clean(text);
    if in_actions { defuse(&text) } else { text }
}

/// Keeps foreign text (a server's log, an error) from being taken for a workflow command: the runner acts on `::` at the
/// beginning of a line and on `##[` anywhere.
fn defuse(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| {
            let line = line.replace("##[", "## [");
            if line.trim_start().starts_with("::") { line.replacen("::", ": :", 1) } else { line }
        })
        .collect()
}

/// The whole file or none of it: a private file, synced, then renamed.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    let intent = || format!("write {}", path.display());
    let folder = path.parent().with_context(intent)?;
    std::fs::create_dir_all(folder).with_context(|| format!("make the report folder {}", folder.display()))?;
    let mut file = tempfile::Builder::new()
        .prefix(".report-")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)
        .with_context(intent)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).with_context(intent)?;
    file.persist(path).map_err(|e| e.error).with_context(intent)?;
    File::open(folder).and_then(|f| f.sync_all()).with_context(intent)
}

/// Appends to the step summary, which earlier commands of the same step may have begun.
fn append(path: &Path, text: &str) -> Result<()> {
    let intent = || format!("append to the step summary {}", path.display());
    let mut file = OpenOptions::new().append(true).create(true).open(path).with_context(intent)?;
    let before = file.metadata().with_context(intent)?.len();
    if before + text.len() as u64 > SUMMARY_BYTES {
        bail!("{}: {before} bytes are there already and GitHub refuses more than {SUMMARY_BYTES}", intent());
    }
    file.write_all(text.as_bytes()).with_context(intent)
}
