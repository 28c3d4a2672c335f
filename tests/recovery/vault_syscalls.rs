//! The system calls of a real backup: everything is durable before the set gets its name, and whichever sync fails or is the last thing
//! that the run does, no set is lost and none half-made. Skipped by name where strace is missing or may not trace.
#![expect(clippy::disallowed_methods, reason = "these tests start the real program under strace")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const PROJECT: &str = "\
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
";

/// A small stack of one SQLite file.
struct Rig(TempDir);

impl Rig {
    /// `None`, said aloud, where nothing can be traced.
    fn new(test: &str) -> Option<Self> {
        let traced = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
        if !traced.is_ok_and(|status| status.success()) {
            println!("SKIPPED {test}: strace is missing or may not trace");
            return None;
        }
        let rig = Self(tempfile::tempdir().unwrap());
        std::fs::write(rig.path("recovery.yaml"), PROJECT).unwrap();
        std::fs::write(rig.path("compose.yaml"), COMPOSE).unwrap();
        std::fs::create_dir(rig.path("data")).unwrap();
        let made = rusqlite::Connection::open(rig.path("data/site.db")).unwrap();
        made.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES (1, 'a')").unwrap();
        Some(rig)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_xtask")).args(args).current_dir(self.0.path()).output().unwrap()
    }

    /// A backup under strace; its exit status and the trace.
    fn traced(&self, options: &[&str]) -> (Option<i32>, String) {
        let trace = self.path("trace");
        let status = Command::new("strace")
            .args(["-f", "-qq", "-y", "-e", "signal=none", "-o"])
            .arg(&trace)
            .args(options)
            .args([env!("CARGO_BIN_EXE_xtask"), "backup", "site"])
            .current_dir(self.0.path())
            .output()
            .unwrap()
            .status;
        (status.code(), std::fs::read_to_string(trace).unwrap())
    }

    fn names(&self, like: impl Fn(&str) -> bool) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("vault")).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| like(name)).collect()
    }

    fn sets(&self) -> Vec<String> {
        self.names(|name| name.ends_with(|c: char| c.is_alphanumeric()) && name.contains("Z-"))
    }
}

#[test]
fn everything_is_durable_before_a_set_has_its_name() {
    let Some(rig) = Rig::new("everything_is_durable_before_a_set_has_its_name") else { return };
    let (status, trace) = rig.traced(&["-e", "trace=fsync,renameat2,rename,renameat"]);
    assert_eq!(status, Some(0), "{trace}");
    let lines: Vec<&str> = trace.lines().filter(|line| line.contains("/vault")).collect();
    let at = |what: &dyn Fn(&str) -> bool| lines.iter().position(|line| what(line));
    let renamed = at(&|line| line.contains("rename") && line.contains(".partial-")).expect("one rename commits");
    let sets = rig.sets();
    let [set] = sets.as_slice() else { panic!("one set is there: {sets:?}") };
    let synced = |line: &str, end: &str| line.contains("fsync(") && line.contains(&format!("{end}>"));
    let mut last = 0;
    for file in std::fs::read_dir(rig.path("vault").join(set)).unwrap() {
        let name = format!("/{}", file.unwrap().file_name().to_string_lossy());
        let first = at(&|line| line.contains(".partial-") && synced(line, &name));
        last = last.max(first.unwrap_or_else(|| panic!("{name} is never synced:\n{trace}")));
    }
    let staging =
        |line: &str| synced(line, "") && line.rsplit('/').next().is_some_and(|end| end.starts_with(".partial-"));
    let folder = at(&staging).unwrap_or_else(|| panic!("the staging folder is never synced:\n{trace}"));
    assert!(last < folder && folder < renamed, "files, then their folder, then the rename:\n{trace}");
    let vault = lines[renamed..].iter().any(|line| synced(line, "/vault"));
    assert!(vault, "the vault's folder is synced after the rename:\n{trace}");
}

#[test]
fn no_sync_that_fails_and_none_that_is_the_last_loses_a_set_or_leaves_half_of_one() {
    let Some(rig) = Rig::new("no_sync_that_fails_and_none_that_is_the_last_loses_a_set_or_leaves_half_of_one") else {
        return;
    };
    // All of them at night, every third in between.
    let stride = if std::env::var_os("XTASK_SIM_RUNS").is_some() { 1 } else { 3 };
    assert!(rig.run(&["backup", "site"]).status.success());
    for fault in ["error=EIO", "error=ENOSPC", "signal=SIGKILL"] {
        let mut fired = 0;
        for nth in (1..).step_by(stride) {
            let before = rig.sets();
            let inject = format!("inject=fsync:{fault}:when={nth}");
            let (status, trace) = rig.traced(&["-e", "trace=fsync", "-e", &inject]);
            let verified = rig.run(&["verify", "site", "all"]);
            let said = String::from_utf8_lossy(&verified.stdout).into_owned();
            assert!(verified.status.success(), "{inject}: {said}\n{trace}");
            let after = rig.sets();
            assert!(before.iter().all(|set| after.contains(set)), "{inject}: a set is lost");
            if status == Some(0) {
                assert_eq!(after.len(), before.len() + 1, "{inject}: a success without a set");
            } else if fault.starts_with("error") {
                assert_eq!(status, Some(21), "{inject}: {trace}");
                assert_eq!(after, before, "{inject}: a failure with a set");
            }
            let happened = trace.contains("INJECTED") || status != Some(0);
            if !happened {
                break;
            }
            fired += 1;
        }
        assert!(fired >= 3, "{fault} happened {fired} times only");
    }
    assert!(rig.run(&["backup", "site"]).status.success());
    assert_eq!(rig.names(|name| name.starts_with(".partial") || name.starts_with(".trash")), [""; 0]);
    assert!(Path::new(&rig.path("vault/catalog.jsonl")).is_file());
}
