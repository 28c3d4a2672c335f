//! Somebody's shop, started by Compose, with a client beside it that writes and looks; and what can be seen of its container.

use crate::docker_rig::{Rig, docker, random, skip};
use crate::env_files::compose;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);
const DATA: &str = include_str!("../../../fixtures/datasets/live.sql");
const TRAFFIC: &str = include_str!("../../../fixtures/datasets/traffic.sql");

/// The Compose file of the stack.
pub fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/stacks/live/compose.yaml").canonicalize().unwrap()
}

/// A running shop; taken down with its volume on drop.
pub struct Shop {
    pub project: String,
    compose: PathBuf,
    container: String,
    client: String,
    opened: String,
}

impl Shop {
    /// `None` after saying why there is none.
    pub fn open(test: &str, rows: u32) -> Option<Self> {
        let rig = Rig::new(test)?;
        let Some(compose) = compose() else {
            return skip(test, "no Compose 2 in .cache/xtask nor in XTASK_COMPOSE");
        };
        let project = format!("xtask-live-{}", random());
        let (container, client) = (format!("{project}-db-1"), format!("{project}-client"));
        let mut shop = Self { project, compose, container, client, opened: String::new() };
        shop.compose(&["up", "--detach", "--wait"]);
        // A client of its own, so that nothing but health checks ever runs in the shop's container.
        let network = format!("{}_inside", shop.project);
        let beside = ["run", "--detach", "--init", "--name", &shop.client, "--network", &network];
        let environment = ["--env", "PGPASSWORD=not-a-real-password", "--env", "PGHOST=db", "--env", "PGUSER=shop"];
        let rest = ["--env", "PGDATABASE=shop", "--label", "io.xtask.test=live", &rig.image, "sleep", "infinity"];
        docker(&[beside.as_slice(), &environment, &rest].concat()).expect("the client starts");
        let mut seeding = shop.psql(&["-v", &format!("rows={rows}")]);
        seeding.stdin.take().unwrap().write_all(DATA.as_bytes()).unwrap();
        assert!(seeding.wait().unwrap().success(), "the shop is filled");
        shop.opened = docker(&["info", "--format", "{{.SystemTime}}"]).unwrap();
        Some(shop)
    }

    #[expect(clippy::disallowed_methods, reason = "Compose is what starts a stack")]
    fn compose(&self, words: &[&str]) {
        let mut command = Command::new(&self.compose);
        command.arg("--file").arg(file()).args(words).env("LIVE_PROJECT", &self.project);
        let done = command.stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// A session of the client's that reads its script from standard input.
    #[expect(clippy::disallowed_methods, reason = "a client's session stays open")]
    fn psql(&self, words: &[&str]) -> Child {
        let mut command = Command::new("docker");
        command.args(["exec", "-i", &self.client, "psql", "-X", "-q", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1"]);
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn ask(&self, question: &str) -> String {
        docker(&["exec", &self.client, "psql", "-X", "-q", "-A", "-t", "-c", question]).expect("the shop answers")
    }

    /// A number that the database tells.
    pub fn number(&self, question: &str) -> u64 {
        self.ask(question).parse().unwrap()
    }

    /// Waits until the answer is yes.
    pub fn wait_for(&self, question: &str) {
        poll(question, || self.ask(question) == "t");
    }

    /// Waits until the server has no session that the tool began.
    pub fn wait_until_no_session_of_ours(&self) {
        self.wait_for("SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name LIKE 'xtask%'");
    }

    /// So many sessions that do business until they are stopped.
    pub fn traffic(&self, sessions: usize) -> Traffic {
        let over = Arc::new(AtomicBool::new(false));
        let clerk = |over: Arc<AtomicBool>, mut session: Child| {
            std::thread::spawn(move || {
                let mut stdin = session.stdin.take().unwrap();
                while !over.load(Ordering::SeqCst) && stdin.write_all(TRAFFIC.as_bytes()).is_ok() {}
                drop(stdin);
                assert!(session.wait().unwrap().success(), "the traffic ended early");
            })
        };
        // What is on its way already is still done: a pipe and the client's buffer hold a second or two of business.
        Traffic { clerks: (0..sessions).map(|_| clerk(over.clone(), self.psql(&[]))).collect(), over }
    }

    /// Makes a view and holds it in the middle of a change until it is dropped. Its tables stay free.
    pub fn lock(&self, view: &str) -> Lock {
        self.ask(&format!("CREATE VIEW {view} AS SELECT 1 AS one"));
        let mut session = self.psql(&[]);
        let script = format!("BEGIN; ALTER VIEW {view} RENAME COLUMN one TO uno;\n");
        session.stdin.as_mut().unwrap().write_all(script.as_bytes()).unwrap();
        let held =
            format!("FROM pg_locks WHERE relation = '{view}'::regclass AND mode = 'AccessExclusiveLock' AND granted");
        self.wait_for(&format!("SELECT count(*) = 1 {held}"));
        Lock(session)
    }

    /// What can be seen of the container from outside, and must stay.
    pub fn state(&self) -> String {
        let wanted =
            "{{.Id}} {{.State.Status}} {{.State.StartedAt}} {{.RestartCount}} {{json .NetworkSettings.Networks}}";
        let diff = docker(&["diff", &self.container]).unwrap();
        let mut diff: Vec<&str> = diff.lines().collect();
        diff.sort_unstable();
        format!("{}\n{diff:?}", docker(&["inspect", "--format", wanted, &self.container]).unwrap())
    }

    /// Everything that happened to the container since it was filled, but its own health checks.
    pub fn events_since_opening(&self) -> Vec<String> {
        let now = docker(&["info", "--format", "{{.SystemTime}}"]).unwrap();
        let of = format!("container={}", self.container);
        let events =
            docker(&["events", "--since", &self.opened, "--until", &now, "--filter", &of, "--format", "{{.Action}}"]);
        let own = |line: &&str| {
            !line.contains("pg_isready") && !line.starts_with("exec_die") && !line.starts_with("health_status")
        };
        events.unwrap().lines().filter(own).map(str::to_owned).collect()
    }

    /// Sidecars of the tool that share the shop's network.
    pub fn ours(&self) -> Vec<String> {
        let id = docker(&["inspect", "--format", "{{.Id}}", &self.container]).unwrap();
        let all = docker(&[
            "ps",
            "--all",
            "--quiet",
            "--filter",
            "label=io.xtask.managed=1",
            "--filter",
            "label=io.xtask.owner",
        ]);
        let all = all.unwrap();
        let shares = |name: &&str| {
            let mode = docker(&["inspect", "--format", "{{.HostConfig.NetworkMode}}", name]);
            mode.is_some_and(|mode| mode == format!("container:{id}"))
        };
        all.lines().filter(shares).map(str::to_owned).collect()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.client]);
        self.compose(&["down", "--volumes", "--timeout", "5"]);
    }
}

/// Sessions that do business.
pub struct Traffic {
    over: Arc<AtomicBool>,
    clerks: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// Lets each finish what it has begun.
    pub fn stop(mut self) {
        self.over.store(true, Ordering::SeqCst);
        for clerk in self.clerks.drain(..) {
            clerk.join().unwrap();
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

/// A view that nobody else gets at.
pub struct Lock(Child);

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

#[expect(clippy::disallowed_methods, reason = "a poll with a deadline reads a clock and pauses")]
fn poll(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "after {PATIENCE:?} still not: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
