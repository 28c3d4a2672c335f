//! The command line as users and scripts meet it: exit codes, streams, what is skipped, and what a run leaves behind however it
//! ends. Each run has a temporary folder of its own, so that what is left is seen.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start the real program, time its death and look at what is left"
)]

use crate::support::{program, wait_for};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const STACK: &str = "\
stacks:
  site:
    compose: compose.yaml
    backups: { schedule: every 30m, vault: vault }
";
const COMPOSE: &str = "\
name: site
services:
  app:
    image: localhost/site:1
    environment: { DATABASE_URL: 'file:./data/site.db' }
    volumes: ['./data:/app/data']
  db:
    image: postgres:17
    environment: { POSTGRES_DB: shop, POSTGRES_USER: shop, POSTGRES_PASSWORD: canary-4711 }
    volumes: ['db:/var/lib/postgresql/data']
volumes: { db: {} }
";

/// A project folder and a temporary folder of its own.
struct Rig {
    project: TempDir,
    temporary: TempDir,
}

impl Rig {
    fn new() -> Self {
        let rig = Self { project: tempfile::tempdir().unwrap(), temporary: tempfile::tempdir().unwrap() };
        std::fs::write(rig.project.path().join("recovery.yaml"), STACK).unwrap();
        std::fs::write(rig.project.path().join("compose.yaml"), COMPOSE).unwrap();
        rig
    }

    /// The program with an engine that is not there.
    fn command(&self, args: &[&str]) -> Command {
        program(self.project.path(), self.temporary.path(), args)
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.temporary.path()).unwrap();
        entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    /// Children of the program that still work below this rig's temporary folder.
    fn working(&self) -> Vec<String> {
        let inside =
            |pid: &Path| std::fs::read_link(pid.join("cwd")).is_ok_and(|cwd| cwd.starts_with(self.temporary.path()));
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(|e| e.ok().map(|e| e.path()));
        processes.filter(|pid| inside(pid)).map(|pid| pid.display().to_string()).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Waits until a condition holds, at most ten seconds.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn without_an_engine_the_embedded_database_is_drilled_and_the_rest_skipped_by_name() {
    let rig = Rig::new();
    let done = rig.run(&["test-recovery", "--size", "400kB", "--exposure", "0s"]);
    let out = text(&done.stdout);
    assert_eq!(done.status.code(), Some(0), "{out}\n{}", text(&done.stderr));
    for scenario in ["simple-loss", "partial-corruption", "total-loss"] {
        let row = |store: &str| out.lines().find(|l| l.contains(store) && l.contains(scenario)).unwrap_or_default();
        assert!(row("site/site").starts_with("PASSED"), "{out}");
        assert!(row("site/db").starts_with("SKIPPED"), "{out}");
    }
    assert!(out.contains("needs a container engine"), "{out}");
    let junit = std::fs::read_to_string(rig.project.path().join("target/recovery/junit.xml")).unwrap();
    assert!(junit.contains("rto_seconds") && junit.contains("<skipped"), "{junit}");
    assert_eq!(rig.left(), Vec::<String>::new());
}

/// The report of the last run.
fn report(rig: &Rig) -> serde_json::Value {
    let file = rig.project.path().join("target/recovery/report.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// A project with two databases, one of them in a volume.
const TWO: &str = "    stores:\n      a: { engine: sqlite, path: data/site.db }\n      b: { engine: sqlite, volume: kept, path: b.db }\n";

fn two_databases() -> Rig {
    let rig = Rig::new();
    std::fs::write(rig.project.path().join("recovery.yaml"), format!("{STACK}{TWO}")).unwrap();
    let compose = COMPOSE.replace("volumes: { db: {} }", "volumes: { db: {}, kept: {} }");
    std::fs::write(rig.project.path().join("compose.yaml"), compose).unwrap();
    std::fs::create_dir(rig.project.path().join("data")).unwrap();
    let db = rusqlite::Connection::open(rig.project.path().join("data/site.db")).unwrap();
    db.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
    rig
}

#[test]
fn a_green_rehearsal_names_the_store_whose_own_data_cannot_be_backed_up() {
    let rig = two_databases();
    let far =
        format!("{STACK}{TWO}      far: {{ engine: postgres, image: postgres:17, database: shop, user: shop }}\n");
    std::fs::write(rig.project.path().join("recovery.yaml"), far).unwrap();
    let done = rig.run(&["test-recovery", "--scenario", "simple-loss", "--size", "400kB", "--exposure", "0s"]);
    assert_eq!(done.status.code(), Some(0), "{}\n{}", text(&done.stdout), text(&done.stderr));
    let notes = report(&rig)["notes"].to_string();
    assert!(notes.contains("far is rehearsed with synthetic data, but its own cannot be backed up"), "{notes}");
    assert!(!notes.contains("site: a is rehearsed") && !notes.contains("site: b is rehearsed"), "{notes}");
}

#[test]
fn a_volume_is_not_read_without_the_engine_that_keeps_it() {
    let rig = two_databases();
    let live = ["test-recovery", "--live", "--store", "b", "--scenario", "total-loss"];
    let done = rig.run(&live);
    let drill = report(&rig)["drills"][0].clone();
    assert_eq!((done.status.code(), &drill["outcome"]["status"]), (Some(3), &"skipped".into()), "{drill}");
    assert!(drill["outcome"]["message"].as_str().unwrap().contains("needs a container engine"), "{drill}");
    let done = rig.run(&[live.as_slice(), &["--require", "docker"]].concat());
    assert_eq!(report(&rig)["drills"][0]["outcome"]["status"], "failed", "{}", text(&done.stdout));
    let done = rig.run(&["backup", "site", "--store", "b"]);
    assert_eq!(done.status.code(), Some(30), "{}", text(&done.stderr));
}

#[test]
fn a_set_that_lacks_a_store_of_the_stack_is_a_failure() {
    let rig = two_databases();
    let done = rig.run(&["backup", "site", "--store", "a"]);
    assert_eq!(done.status.code(), Some(0), "{}\n{}", text(&done.stdout), text(&done.stderr));
    let drill = ["test-recovery", "--set", "latest", "--scenario", "simple-loss", "--scenario", "point-in-time"];
    assert_eq!(rig.run(&[drill.as_slice(), &["--store", "a"]].concat()).status.code(), Some(0));
    let done = rig.run(&[drill.as_slice(), &["--store", "a", "--store", "b"]].concat());
    let out = text(&done.stdout);
    assert_eq!(done.status.code(), Some(10), "{out}");
    assert!(out.contains("holds nothing of b"), "{out}");
    let words: Vec<serde_json::Value> =
        report(&rig)["drills"].as_array().unwrap().iter().map(|d| d["outcome"]["status"].clone()).collect();
    assert_eq!(words, ["passed", "skipped", "failed", "skipped"]);
}

#[test]
fn what_is_required_and_missing_is_a_failure() {
    let rig = Rig::new();
    let done = rig.run(&["test-recovery", "--require", "docker", "--store", "db", "--scenario", "total-loss"]);
    assert_ne!(done.status.code(), Some(0));
    let out = text(&done.stdout);
    assert!(out.contains("FAILED") && out.contains("--require docker"), "{out}");
}

#[test]
fn a_plan_shows_every_command_line_runs_nothing_and_holds_no_secret() {
    let rig = Rig::new();
    let done = rig.run(&["test-recovery", "--plan"]);
    let out = text(&done.stdout);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    for words in ["pg_dump ", "pg_restore ", "docker run ", "xtask __tool sqlite load", "DROP DATABASE", "skipped: "] {
        assert!(out.contains(words), "the plan does not show `{words}`:\n{out}");
    }
    assert!(!out.contains("canary-4711"), "{out}");
    assert!(!rig.project.path().join("target").exists());
    assert_eq!(rig.left(), Vec::<String>::new());
}

#[test]
fn with_json_standard_output_is_one_json_document() {
    let rig = Rig::new();
    let args = [
        "--json",
        "test-recovery",
        "--store",
        "site",
        "--scenario",
        "simple-loss",
        "--size",
        "400kB",
        "--exposure",
        "0s",
    ];
    let done = rig.run(&args);
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["exit_code"], 0);
    assert_eq!(report["drills"][0]["outcome"]["status"], "passed");
    assert!(report["drills"][0]["rto"]["actual_seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn every_task_either_answers_in_json_or_refuses_to() {
    let rig = Rig::new();
    std::fs::create_dir(rig.project.path().join("data")).unwrap();
    let made = rusqlite::Connection::open(rig.project.path().join("data/site.db")).unwrap();
    made.execute_batch("CREATE TABLE notes (text); INSERT INTO notes VALUES ('a'), ('b')").unwrap();
    let json = |args: &[&str]| {
        let done = rig.run(args);
        assert_eq!(done.status.code(), Some(0), "{args:?}: {}", text(&done.stderr));
        serde_json::from_slice::<serde_json::Value>(&done.stdout).unwrap()
    };
    let set = json(&["--json", "backup", "site", "--store", "site"]);
    assert_eq!((&set["stack"], &set["stores"][0]["name"]), (&"site".into(), &"site".into()), "{set}");
    assert_eq!(set["stores"][0]["rows"], 2, "{set}");
    assert!(rig.project.path().join("vault").join(set["id"].as_str().unwrap()).is_dir(), "{set}");
    let swept = json(&["--json", "sweep"]);
    assert_eq!((&swept["removed"], &swept["kept"]), (&serde_json::json!([]), &serde_json::json!([])), "{swept}");
    for args in [&["--json", "init", "--print"][..], &["--json", "ci"], &["--json", "--plan", "sweep"]] {
        let done = rig.run(args);
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(2), String::new()), "{args:?}");
        assert!(text(&done.stderr).contains("--json is for the results of"), "{args:?}: {}", text(&done.stderr));
    }
}

#[test]
fn a_report_folder_that_cannot_be_one_is_refused_before_anything_is_drilled() {
    let rig = Rig::new();
    std::fs::write(rig.project.path().join("taken"), "a file").unwrap();
    for folder in ["taken", "taken/below"] {
        let done = rig.run(&["test-recovery", "--store", "site", "--report-dir", folder]);
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(21), "{said}");
        assert!(said.contains("cannot write reports into") && said.contains("--report-dir"), "{said}");
        assert!(!said.contains("make a private site"), "something was drilled: {said}");
    }
}

#[test]
fn a_usage_error_and_an_unknown_stack_end_with_two() {
    let rig = Rig::new();
    assert_eq!(rig.run(&["test-recovery", "--size", "10 parsecs"]).status.code(), Some(2));
    let done = rig.run(&["test-recovery", "--stack", "sote"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stderr).contains("hint: ") && text(&done.stderr).contains("site"), "{}", text(&done.stderr));
}

/// Starts a drill, waits for a step, sends a signal to the program alone, and returns its exit code.
fn struck(rig: &Rig, at: &str, signal: rustix::process::Signal) -> Option<i32> {
    let args = ["test-recovery", "--store", "site", "--size", "3MB", "--exposure", "20s"];
    let mut child = rig.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&mut child, at);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, signal).unwrap();
    child.wait().unwrap().code()
}

#[test]
fn an_interrupted_run_cleans_up_and_says_so_in_its_exit_code() {
    let rig = Rig::new();
    assert_eq!(struck(&rig, "begin writing marks", rustix::process::Signal::INT), Some(130));
    assert_eq!(rig.left(), Vec::<String>::new());
    assert_eq!(struck(&rig, "verify the stored set", rustix::process::Signal::TERM), Some(143));
    assert_eq!(rig.left(), Vec::<String>::new());
    eventually("every child is gone", || rig.working().is_empty());
}

#[test]
fn a_signal_ends_a_run_whose_terminal_is_gone() {
    for (signal, code) in [(rustix::process::Signal::TERM, 143), (rustix::process::Signal::HUP, 129)] {
        let rig = Rig::new();
        let args = ["test-recovery", "--store", "site", "--size", "3MB", "--exposure", "20s"];
        let mut child = rig.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(lines.by_ref().map_while(Result::ok).any(|line| line.contains("begin writing marks")));
        drop(lines);
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
        eventually("the run ends", || child.try_wait().unwrap().is_some());
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert_eq!(rig.left(), Vec::<String>::new());
        assert!(!rig.project.path().join("target/recovery/report.json").exists(), "no verdict of a run that was ended");
    }
}

#[test]
fn a_sweep_removes_what_a_killed_backup_left_in_its_vault() {
    let rig = two_databases();
    assert_eq!(rig.run(&["backup", "site", "--store", "a"]).status.code(), Some(0));
    let partial = rig.project.path().join("vault/.partial-a-dead-run");
    std::fs::create_dir(&partial).unwrap();
    std::fs::write(partial.join("a.db.zst"), "half of somebody's data").unwrap();
    let swept = text(&rig.run(&["sweep"]).stdout);
    assert!(swept.contains(".partial-a-dead-run") && !partial.exists(), "{swept}");
    let sets =
        std::fs::read_dir(rig.project.path().join("vault")).unwrap().filter(|e| e.as_ref().unwrap().path().is_dir());
    assert_eq!(sets.count(), 1, "the set stays");
    // One that is being made stays too.
    std::fs::create_dir(&partial).unwrap();
    let held = xtask::archive::vault::Vault::at(&rig.project.path().join("vault"));
    let wall = "2030-01-01T00:00:00Z".parse().unwrap();
    let staging = held.begin("site", "living", wall).unwrap();
    let swept = text(&rig.run(&["sweep"]).stdout);
    assert!(!swept.contains("partial") && staging.path("x").parent().unwrap().is_dir(), "{swept}");
}

#[test]
fn a_set_is_judged_by_its_own_backup_s_time_against_the_schedule() {
    let rig = two_databases();
    let hourly = format!("{}{TWO}", STACK.replace("every 30m", "hourly"));
    std::fs::write(rig.project.path().join("recovery.yaml"), hourly).unwrap();
    assert_eq!(rig.run(&["backup", "site", "--store", "a"]).status.code(), Some(0));
    let done = rig.run(&["test-recovery", "--set", "latest", "--store", "a", "--scenario", "total-loss"]);
    let drill = report(&rig)["drills"][0].clone();
    assert_eq!((done.status.code(), &drill["rpo_worst_case"]["met"]), (Some(1), &false.into()), "{drill}");
    assert!(drill["rpo_worst_case"]["actual_seconds"].as_f64().unwrap() > 3600.0, "{drill}");
}

#[test]
fn a_killed_run_leaves_nothing_that_a_sweep_does_not_remove() {
    let rig = Rig::new();
    for step in ["make a private site", "fill it with data", "begin writing marks", "back up", "verify the stored set"]
    {
        assert_eq!(struck(&rig, step, rustix::process::Signal::KILL), None, "killed at: {step}");
        eventually("every child is gone", || rig.working().is_empty());
        assert!(!rig.left().is_empty(), "the kill came too late to leave anything: {step}");
        let swept = rig.run(&["sweep"]);
        assert!(text(&swept.stdout).contains("removed  "), "{}", text(&swept.stdout));
        assert_eq!(rig.left(), Vec::<String>::new(), "left after: {step}");
    }
}

#[test]
fn a_sweep_leaves_a_living_run_alone() {
    let rig = Rig::new();
    let args = ["test-recovery", "--store", "site", "--scenario", "simple-loss", "--size", "1MB", "--exposure", "3s"];
    let mut child = rig.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&mut child, "begin writing marks");
    let swept = rig.run(&["sweep"]);
    assert!(text(&swept.stdout).contains("its run is alive"), "{}", text(&swept.stdout));
    assert_eq!(child.wait().unwrap().code(), Some(0), "the living run was disturbed");
    assert_eq!(rig.left(), Vec::<String>::new());
}
