//! Publishing: files whole or absent, sinks failing one by one, and streams that close.

use super::samples;
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use xtask::domain::report::Report;
use xtask::flow::publish::{Published, Sinks, publish, publish_through, say};
use xtask::reporters::{Destination, REPORTERS, Rendered, Reporter, Style};

/// What was said, besides the files.
#[derive(Default)]
struct Said {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Said {
    fn out(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }
    fn err(&self) -> String {
        String::from_utf8(self.stderr.clone()).unwrap()
    }
}

/// What differs from test to test.
#[derive(Default)]
struct Setup {
    summary: Option<PathBuf>,
    in_actions: bool,
    json: bool,
}

fn told(report: &Report, folder: &Path, setup: &Setup) -> (Published, Said) {
    told_through(REPORTERS, report, folder, setup)
}

fn told_through(reporters: &[&dyn Reporter], report: &Report, folder: &Path, setup: &Setup) -> (Published, Said) {
    let mut said = Said::default();
    let mut sinks = Sinks {
        folder,
        stdout: &mut said.stdout,
        stderr: &mut said.stderr,
        step_summary: setup.summary.as_deref(),
        in_actions: setup.in_actions,
        json: setup.json,
        style: Style::plain(100),
    };
    let published = publish_through(reporters, report, &mut sinks);
    (published, said)
}

fn sample(name: &str) -> Report {
    samples::all().into_iter().find(|(n, _)| *n == name).unwrap().1
}

#[test]
fn files_are_whole_named_and_leave_no_temporary_behind() {
    let folder = TempDir::new().unwrap();
    let target = folder.path().join("target/recovery");
    let (published, said) = told(&sample("all-passed"), &target, &Setup::default());
    assert_eq!(published.problems, Vec::<String>::new());
    let mut names: Vec<String> =
        std::fs::read_dir(&target).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["junit.xml", "report.json"]);
    assert!(said.out().contains(&format!("wrote {}", target.join("junit.xml").display())));
    assert!(
        said.out().ends_with("PASSED: 1 skipped, 6 passed of 7 drills in 42.2 s, exit code 0.\n"),
        "{}",
        said.out()
    );
    assert_eq!(said.err(), "");
}

/// A reporter with a fault.
struct Faulty(fn() -> anyhow::Result<Rendered>);

impl Reporter for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }
    fn about(&self) -> &'static str {
        "fails"
    }
    fn file(&self) -> Option<&'static str> {
        Some("faulty.xml")
    }
    fn render(&self, _: &Report, _: &Style) -> anyhow::Result<Rendered> {
        (self.0)()
    }
}

#[test]
fn one_reporter_failing_is_told_and_silences_no_other() {
    let faults: [fn() -> anyhow::Result<Rendered>; 2] = [|| anyhow::bail!("ink ran out"), || panic!("ink ran out")];
    for fault in faults {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("faulty.xml"), "green, of yesterday").unwrap();
        let faulty = Faulty(fault);
        let mut reporters: Vec<&dyn Reporter> = vec![&faulty];
        reporters.extend(REPORTERS);
        let report = sample("all-passed");
        let (published, said) = told_through(&reporters, &report, folder.path(), &Setup::default());
        assert_eq!(published.files.len(), 2);
        assert!(said.err().contains("PROBLEM: report through faulty: "), "{}", said.err());
        assert!(said.out().contains("PASSED"));
        assert!(!folder.path().join("faulty.xml").exists(), "a stale green file is worse than none");
        assert_eq!((report.exit_code, published.exit_code(&report)), (0, 3));
    }
}

#[test]
fn a_file_that_cannot_be_written_costs_only_itself() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("junit.xml")).unwrap();
    std::fs::write(folder.path().join("junit.xml/occupied"), "").unwrap();
    let (published, said) = told(&sample("failed-rto"), folder.path(), &Setup::default());
    assert_eq!(published.files, [folder.path().join("report.json")]);
    assert!(said.err().contains("junit.xml"), "{}", said.err());
    assert!(said.out().contains("FAILED"));
    assert_eq!(published.exit_code(&sample("failed-rto")), 1);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary is left");
}

/// A stream whose reader has gone, or whose disk is full.
struct Closed(ErrorKind);

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(Error::from(self.0))
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_terminal_is_a_quiet_end_and_a_full_disk_is_not() {
    for (kind, problems) in [(ErrorKind::BrokenPipe, 0), (ErrorKind::StorageFull, 1)] {
        let folder = TempDir::new().unwrap();
        let (mut out, mut err) = (Closed(kind), Vec::new());
        let mut sinks = Sinks {
            folder: folder.path(),
            stdout: &mut out,
            stderr: &mut err,
            step_summary: None,
            in_actions: false,
            json: false,
            style: Style::plain(80),
        };
        let published = publish(&sample("all-passed"), &mut sinks);
        assert_eq!((published.files.len(), published.problems.len()), (2, problems), "{kind}");
        let said = String::from_utf8(err).unwrap();
        assert_eq!(said.contains("PROBLEM: report through terminal"), problems == 1, "{kind}");
    }
    assert!(say(&mut Closed(ErrorKind::BrokenPipe), "x").is_ok());
}

#[test]
fn with_json_standard_output_is_the_report_and_nothing_else() {
    for (name, report) in samples::all() {
        let folder = TempDir::new().unwrap();
        let (_, said) = told(&report, folder.path(), &Setup { json: true, in_actions: true, ..Setup::default() });
        assert_eq!(serde_json::from_str::<Report>(&said.out()).unwrap(), report, "{name}");
        assert!(said.err().contains("exit code"));
    }
}

/// The lines that a runner would obey.
fn commands(text: &str) -> Vec<&str> {
    text.lines().filter(|l| l.trim_start().starts_with("::") || l.contains("##[")).collect()
}

#[test]
fn in_actions_only_our_own_annotations_are_commands() {
    let folder = TempDir::new().unwrap();
    for json in [false, true] {
        let (_, said) = told(&sample("broken"), folder.path(), &Setup { in_actions: true, json, ..Setup::default() });
        let (out, err) = (said.out(), said.err());
        let all: Vec<&str> = commands(&out).into_iter().chain(commands(&err)).collect();
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].starts_with("::error title=BROKEN recyclic-prod/db total-loss::restore"), "{}", all[0]);
        assert!(all[0].contains("%0A::error title=x::injected%0A"), "line ends are escaped: {}", all[0]);
    }
    let (_, said) = told(&sample("broken"), folder.path(), &Setup::default());
    assert!(!said.out().contains("::error title=BROKEN"), "outside Actions nothing is annotated");
}

#[test]
fn annotations_stop_at_ten_of_a_kind_and_escape_their_properties() {
    let mut report = sample("failed-rto");
    report.drills[0].stack = "a:b,c%".into();
    report.drills = (0..25).map(|_| report.drills[0].clone()).collect();
    let rendered = xtask::reporters::find("github").unwrap().render(&report, &Style::plain(80)).unwrap();
    let lines: Vec<&str> = rendered.text(Destination::Annotations).lines().collect();
    assert_eq!(lines.len(), 10);
    assert!(lines[0].starts_with("::error title=FAILED a%3Ab%2Cc%25/db simple-loss::"), "{}", lines[0]);
    assert_eq!(lines[9], "::error title=more::16 more: see report.json");
}

#[test]
fn the_step_summary_is_appended_to_and_never_above_its_limit() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("summary.md");
    std::fs::write(&path, "before\n").unwrap();
    let setup = Setup { summary: Some(path.clone()), ..Setup::default() };
    let (published, _) = told(&sample("failed-rto"), folder.path(), &setup);
    assert!(published.problems.is_empty());
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("before\n## Recovery drill: FAILED"), "{text}");

    let mut report = sample("broken");
    report.drills = (0..3000).map(|_| report.drills[0].clone()).collect();
    let rendered = xtask::reporters::find("github").unwrap().render(&report, &Style::plain(80)).unwrap();
    let large = rendered.text(Destination::StepSummary);
    assert!(large.len() <= 1 << 20 && large.contains("do not fit here"), "{} bytes", large.len());

    std::fs::write(&path, "x".repeat((1 << 20) - 10)).unwrap();
    let (published, _) = told(&sample("failed-rto"), folder.path(), &setup);
    assert!(published.problems[0].contains("GitHub refuses more"), "{:?}", published.problems);
}
