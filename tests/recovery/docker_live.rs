//! A live drill reads somebody's running database under writes, proves the copy equal to its snapshot, and changes nothing of
//! theirs: no command in their container, no restart, nothing written, no session that stays.

mod shop;

use shop::Shop;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A folder that describes the shop, and a temporary folder of the tool's own, so that what it leaves is seen.
struct Desk {
    project: TempDir,
    temporary: TempDir,
}

impl Desk {
    fn of(shop: &Shop) -> Self {
        let desk = Self { project: tempfile::tempdir().unwrap(), temporary: tempfile::tempdir().unwrap() };
        let recovery = format!(
            "stacks:\n  live:\n    compose: {}\n    project: {}\n    backups: {{ schedule: every 30m, vault: vault }}\n",
            shop::file().display(),
            shop.project
        );
        std::fs::write(desk.project.path().join("recovery.yaml"), recovery).unwrap();
        desk
    }

    #[expect(clippy::disallowed_methods, reason = "the real program is what is run, and killed")]
    fn xtask(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(words).current_dir(self.project.path()).env("TMPDIR", self.temporary.path());
        command.env_remove("GITHUB_ACTIONS").env_remove("GITHUB_STEP_SUMMARY").stdin(Stdio::null());
        command
    }

    fn left(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.temporary.path()).unwrap();
        names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }
}

const LIVE: [&str; 5] = ["test-recovery", "--live", "--scenario", "total-loss", "--repeat"];

#[test]
fn docker_a_live_stack_is_proven_under_writes_and_nothing_of_it_changes() {
    // As large and as often as somebody wants; docs/benchmarks.md says what was tried.
    let (rows, runs) = (number("XTASK_LIVE_ROWS", 4000), number("XTASK_LIVE_RUNS", 1));
    let Some(shop) = Shop::open("docker_a_live_stack_is_proven_under_writes_and_nothing_of_it_changes", rows) else {
        return;
    };
    println!("{} bytes of database, {runs} runs", shop.number("SELECT pg_database_size('shop')"));
    let desk = Desk::of(&shop);
    let before = shop.state();
    let traffic = shop.traffic(3);
    let sold = shop.number("SELECT count(*) FROM sales.orders");
    let times = runs.to_string();
    let done = desk.xtask(&[LIVE.as_slice(), &[&times, "--report-dir", "report"]].concat()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    println!("{said}");
    assert!(done.status.success(), "{said}");
    assert!(shop.number("SELECT count(*) FROM sales.orders") > sold, "there were no writes meanwhile");
    traffic.stop();
    all_runs_are_equal(&desk.project.path().join("report/report.json"), runs);
    assert_eq!(shop.state(), before);
    assert_eq!(shop.events_since_opening(), Vec::<String>::new());
    shop.wait_until_no_session_of_ours();
    assert_eq!(desk.left(), Vec::<String>::new());
}

#[expect(clippy::disallowed_methods, reason = "how much is tried is for whoever runs the test")]
fn number(variable: &str, otherwise: u32) -> u32 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn all_runs_are_equal(report: &Path, runs: u32) {
    let report: xtask::domain::report::Report =
        serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    let [drill] = report.drills.as_slice() else { panic!("one store was drilled") };
    assert_eq!(drill.runs.len(), runs as usize);
    for run in &drill.runs {
        let proof = run.proof.as_ref().unwrap();
        assert!(proof.contents > 20 && proof.rows > 80_000 && proof.objects > 100, "{proof:?}");
        assert!(run.rpo_seconds.is_some_and(|loss| loss > 0.0), "{:?}", run.rpo_seconds);
    }
}

#[test]
fn docker_a_live_drill_that_is_killed_in_its_dump_leaves_nothing_after_a_sweep() {
    let Some(shop) = Shop::open("docker_a_live_drill_that_is_killed_in_its_dump_leaves_nothing_after_a_sweep", 500)
    else {
        return;
    };
    let desk = Desk::of(&shop);
    let before = shop.state();
    // Whoever changes this holds up the dump and the census, which both ask for its definition: the tool dies with both at work.
    let lock = shop.lock("sales.held_up");
    let mut tool = desk.xtask(&[LIVE.as_slice(), &["1"]].concat());
    let mut tool = tool.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    shop.wait_for(
        "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'xtask-dump' AND wait_event_type = 'Lock'",
    );
    tool.kill().unwrap();
    tool.wait().unwrap();
    assert_ne!(shop.ours(), Vec::<String>::new(), "the sidecar outlives the tool");
    assert_ne!(desk.left(), Vec::<String>::new(), "and so does its folder");
    let swept = desk.xtask(&["sweep"]).output().unwrap();
    assert!(swept.status.success(), "{}", String::from_utf8_lossy(&swept.stderr));
    assert_eq!(shop.ours(), Vec::<String>::new());
    assert_eq!(desk.left(), Vec::<String>::new());
    // The census waits too, and still sees that nobody waits for it.
    shop.wait_for("SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'xtask-snapshot'");
    drop(lock);
    shop.wait_until_no_session_of_ours();
    assert_eq!(shop.state(), before);
    assert_eq!(shop.events_since_opening(), Vec::<String>::new());
}
