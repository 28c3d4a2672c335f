//! The program against what is hostile or careless: names that look like workflow commands, a tool pasted into somebody's folder,
//! `--plan` on tasks that change things, sets that lack a store, and folders that cannot be written.

use crate::support::program;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

const STACK: &str = "\
stacks:
  shop:
    folder: .
    stores:
      app: { engine: sqlite, path: data/app.db }
      uploads: { engine: files, path: uploads }
    backups: { schedule: every 30m, vault: vault }
";

/// A project with an SQLite file and a folder, and a temporary folder of its own.
struct Rig {
    project: TempDir,
    temporary: TempDir,
}

impl Rig {
    fn new() -> Self {
        let rig = Self { project: tempfile::tempdir().unwrap(), temporary: tempfile::tempdir().unwrap() };
        rig.write("recovery.yaml", STACK);
        rig.write("uploads/a.jpg", "picture");
        std::fs::create_dir(rig.at("data")).unwrap();
        let db = rusqlite::Connection::open(rig.at("data/app.db")).unwrap();
        db.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)").unwrap();
        rig
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.project.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn command(&self, folder: &Path, words: &[&str]) -> Command {
        program(folder, self.temporary.path(), words)
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(self.project.path(), words).output().unwrap()
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_strike_pasted_from_a_plan_destroys_nothing_of_somebody() {
    let rig = Rig::new();
    let data = rig.at("data");
    for words in [
        ["sqlite", "strike-delete", "app.db"].as_slice(),
        &["sqlite", "strike-corrupt", "app.db"],
        &["sqlite", "seed", "app.db", "--bytes", "400000"],
        &["sqlite", "churn", "app.db"],
        &["sqlite", "mark", "app.db"],
        &["files", "strike-delete", "data"],
        &["files", "strike-corrupt", "data"],
        &["files", "seed", "data", "--bytes", "400000"],
    ] {
        let before = std::fs::read(rig.at("data/app.db")).unwrap();
        let folder = if words[0] == "sqlite" { &data } else { rig.project.path() };
        let done = rig.command(folder, &[&["__tool"], words].concat()).output().unwrap();
        assert_eq!(done.status.code(), Some(14), "{words:?}: {}", err(&done));
        assert!(err(&done).contains("private folder"), "{}", err(&done));
        assert_eq!(std::fs::read(rig.at("data/app.db")).unwrap(), before, "{words:?}");
    }
}

#[test]
fn a_plan_of_a_sweep_removes_nothing_and_a_plan_of_init_writes_nothing() {
    let rig = Rig::new();
    let left = rig.temporary.path().join("xtask-left");
    std::fs::create_dir(&left).unwrap();
    std::fs::set_permissions(&left, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let planned = rig.run(&["sweep", "--plan"]);
    assert!(planned.status.success() && left.exists(), "{}", out(&planned));
    assert!(rig.run(&["sweep"]).status.success() && !left.exists(), "the folder was nothing to sweep");

    std::fs::remove_file(rig.at("recovery.yaml")).unwrap();
    rig.write("compose.yaml", "services: { db: { image: postgres:17 } }\n");
    let planned = rig.run(&["init", "--plan"]);
    assert!(planned.status.success() && out(&planned).contains("engine: postgres"), "{}", err(&planned));
    assert!(!rig.at("recovery.yaml").exists());
}

#[test]
fn what_init_writes_elsewhere_keeps_its_vault_there() {
    let rig = Rig::new();
    rig.write("shop/compose.yaml", "services: { db: { image: postgres:17 } }\n");
    let done = rig.run(&["init", "--config", "shop/recovery.yaml"]);
    assert!(done.status.success(), "{}", err(&done));
    let written = std::fs::read_to_string(rig.at("shop/recovery.yaml")).unwrap();
    assert!(written.contains("vault: backups/shop ") && written.contains("compose: compose.yaml"), "{written}");
    let planned = rig.run(&["--config", "shop/recovery.yaml", "backup", "shop", "--plan"]);
    assert!(out(&planned).contains("shop/backups/shop"), "{}", out(&planned));
}

#[test]
fn a_set_without_a_store_of_the_stack_is_not_green() {
    let rig = Rig::new();
    assert!(rig.run(&["backup", "shop", "--store", "app"]).status.success());
    let whole = rig.run(&["test-recovery", "--set", "latest"]);
    assert_eq!(whole.status.code(), Some(10), "{}", out(&whole));
    assert!(
        out(&whole).contains("holds nothing of uploads") && out(&whole).contains("xtask backup shop"),
        "{}",
        out(&whole)
    );
    let chosen = rig.run(&["test-recovery", "--set", "latest", "--store", "app"]);
    assert_eq!(chosen.status.code(), Some(0), "{}", out(&chosen));
}

#[test]
fn one_stack_without_a_backup_keeps_no_other_from_being_drilled() {
    let rig = Rig::new();
    let second = STACK.replace("stacks:\n", "").replace("shop:", "second:").replace("vault: vault", "vault: other");
    rig.write("recovery.yaml", &format!("{STACK}{second}"));
    assert!(rig.run(&["backup", "shop"]).status.success());
    let both = rig.run(&["test-recovery", "--set", "latest", "--scenario", "total-loss"]);
    assert_eq!(both.status.code(), Some(10), "{}{}", out(&both), err(&both));
    let row = |of: &str| out(&both).lines().find(|l| l.contains(of)).unwrap_or_default().to_owned();
    assert!(row("shop/app").starts_with("PASSED") && row("second/app").starts_with("FAILED"), "{}", out(&both));
}

#[test]
fn a_store_that_cannot_even_be_read_is_not_said_to_be_lost() {
    let rig = Rig::new();
    std::fs::remove_dir_all(rig.at("data")).unwrap();
    let done = rig.run(&["test-recovery", "--live", "--store", "app", "--scenario", "total-loss"]);
    assert_eq!(done.status.code(), Some(22), "{}", out(&done));
    assert!(
        out(&done).contains("FAILED") && !out(&done).contains("lost >") && !out(&done).contains("never"),
        "{}",
        out(&done)
    );
}

#[test]
fn a_rehearsal_says_that_it_read_no_data_of_the_user() {
    let rig = Rig::new();
    let words = ["test-recovery", "--store", "app", "--scenario", "simple-loss", "--size", "400kB", "--exposure", "0s"];
    assert!(out(&rig.run(&words)).contains("reads none of yours"));
    assert!(!out(&rig.run(&["test-recovery", "--live", "--store", "app"])).contains("reads none of yours"));
}

#[test]
fn a_name_cannot_be_taken_for_a_workflow_command() {
    let hostile = "services:\n  \"a\\n::error::pwned\\e[31m\":\n    image: redis:7\n  db:\n    image: postgres:17\n    environment: { POSTGRES_DB: \"x\\n::error::pwned\", POSTGRES_PASSWORD: canary-4711 }\n";
    let rig = Rig::new();
    let actions = |words: &[&str]| {
        let done = rig.command(rig.project.path(), words).env("GITHUB_ACTIONS", "true").output().unwrap();
        let said = out(&done) + &err(&done);
        assert!(!said.contains("canary-4711") && !said.contains('\x1b'), "{said}");
        let commands: Vec<&str> = said.lines().filter(|l| l.trim_start().starts_with("::")).collect();
        assert!(!commands.iter().any(|l| l.contains("pwned")), "{words:?}: {commands:?}");
        said
    };
    rig.write(
        "recovery.yaml",
        "stacks:\n  s:\n    folder: .\n    stores: { \"x\\n::error::pwned\": { engine: sqlite, path: x.db } }\n",
    );
    assert!(actions(&["test-recovery"]).contains("pwned"), "the name was not shown at all");
    std::fs::remove_file(rig.at("recovery.yaml")).unwrap();
    rig.write("compose.yaml", hostile);
    assert!(actions(&["test-recovery", "--plan", "--scenario", "total-loss"]).contains("POSTGRES_DB="));
    assert!(actions(&["init"]).contains("pwned"));
    // What was written is read again: nothing in its comments breaks it.
    assert!(actions(&["test-recovery", "--plan", "--scenario", "total-loss"]).contains("docker run"));
}

#[test]
fn a_report_that_cannot_be_written_does_not_end_in_a_green_line() {
    let rig = Rig::new();
    let words = ["test-recovery", "--live", "--store", "app", "--scenario", "total-loss"];
    // A folder where a file should be: known only when the summary is written.
    let mut command = rig.command(rig.project.path(), &words);
    let done = command.env("GITHUB_STEP_SUMMARY", rig.project.path()).output().unwrap();
    assert_eq!(done.status.code(), Some(3), "{}", out(&done));
    assert!(out(&done).trim_end().lines().last().unwrap().contains("exit code 3"), "{}", out(&done));
    assert!(err(&done).contains("PROBLEM: "), "{}", err(&done));
}

#[test]
fn a_temporary_folder_that_is_not_there_is_named_with_what_to_do() {
    let rig = Rig::new();
    let words = ["test-recovery", "--store", "app", "--scenario", "total-loss"];
    let done = rig.command(rig.project.path(), &words).env("TMPDIR", rig.at("nowhere")).output().unwrap();
    assert_eq!(done.status.code(), Some(21), "{}", err(&done));
    assert!(err(&done).contains("nowhere") && err(&done).contains("hint: set TMPDIR"), "{}", err(&done));
}

#[test]
fn a_reader_that_has_gone_away_costs_no_backup_its_exit_code() {
    let rig = Rig::new();
    for words in [["backup", "shop"].as_slice(), &["sweep"], &["init", "--print"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        rig.write("compose.yaml", "services: { db: { image: postgres:17 } }\n");
        let code = rig.command(rig.project.path(), words).stdout(writer).status().unwrap().code();
        assert_eq!(code, Some(0), "{words:?}");
    }
}
