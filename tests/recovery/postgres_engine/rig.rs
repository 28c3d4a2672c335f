//! A throw-away PostgreSQL server in a container, and the plainest possible performer of an engine's Execs.
//! It must not use the product's own adapters: it is there to judge what the engine describes.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use xtask::domain::artifact::{Component, Consistency, Fingerprint, Role, StoredFile};
use xtask::domain::census::{Census, Entry};
use xtask::domain::engine::{Act, Blow, Engine, Feed, Snapshot, Target};
use xtask::domain::exec::{Exec, Exit};
use xtask::domain::scenario::Strike;
use xtask::domain::site::SiteSpec;
use xtask::domain::stack::Compression;
use xtask::domain::store::Store;

#[expect(clippy::disallowed_methods, reason = "a test performs")]
fn docker(args: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(args);
    command
}

#[expect(clippy::disallowed_methods, reason = "a test performs")]
pub fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[expect(clippy::disallowed_methods, reason = "polls between two attempts")]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

pub fn engine() -> &'static dyn Engine {
    xtask::engines::find("postgres").expect("the engine is registered")
}

/// A server of its own. Removed on drop.
pub struct Rig {
    container: String,
    pub store: Store,
    pub at: Target,
    folder: tempfile::TempDir,
}

/// A backup as the flow would keep it: a component, and the files' plain bytes in a folder.
pub struct Kept {
    pub component: Component,
    pub folder: PathBuf,
}

/// Whatever a command did.
pub struct Done {
    pub exit: Exit,
    pub stdout: String,
}

impl Rig {
    /// A ready server of this major version, or `None`, said aloud, where there is no engine or image.
    pub fn start(major: u32) -> Option<Rig> {
        let image = format!("localhost/xtask-postgres:{major}");
        let there = docker(&["image", "inspect", &image]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            assert_ne!(setting("XTASK_REQUIRE_DOCKER").as_deref(), Some("1"), "{image} is not on this machine");
            println!("SKIPPED postgres engine on {major}: {image} is not on this machine");
            return None;
        }
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let me = std::process::id();
        let container = format!("xtask-test-pg-{me}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut store = engine().rehearsal_store(Some(&image));
        store.name = format!("pg{major}");
        let SiteSpec::Container(spec) = engine().site(&store) else { panic!("not a container") };
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let started = stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap();
        let owner = format!("io.xtask.owner={}:{me}:{started}", boot.trim());
        let run = format!("io.xtask.run=test-{me}");
        let mut command = docker(&["run", "--detach", "--name", &container, "--label", "io.xtask.managed=1"]);
        command.args(["--label", &run, "--label", &owner, "--volume", &spec.data, "--volume", &spec.scratch]);
        for (key, value) in &spec.env {
            command.arg("--env").arg(format!("{key}={value}"));
        }
        for (key, value) in &spec.secret_env {
            command.arg("--env").arg(key).env(key, value.expose());
        }
        let out = command.arg(&spec.image).args(&spec.command).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let at = engine().owned_target(&store);
        let rig = Rig { container, store, at, folder: tempfile::tempdir().unwrap() };
        rig.wait();
        Some(rig)
    }

    /// Polls until the engine's own readiness says yes.
    pub fn wait(&self) {
        self.poll(|| self.run(&engine().ready(&self.at), Stdio::null()).exit.ok());
    }

    /// Asks again and again, for a minute or more, until the answer is yes.
    pub fn poll(&self, yes: impl Fn() -> bool) {
        for _ in 0..600 {
            if yes() {
                return;
            }
            pause();
        }
        panic!("{}: this never came true", self.container);
    }

    /// The server's own address, where it asks for a password.
    pub fn address(&self) -> String {
        let format = "{{.NetworkSettings.IPAddress}}";
        let out = docker(&["inspect", "--format", format, &self.container]).output().unwrap();
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    fn command(&self, exec: &Exec) -> Command {
        let mut command = docker(&["exec", "--interactive"]);
        for (key, value) in &exec.env {
            command.arg("--env").arg(format!("{key}={value}"));
        }
        for (key, value) in &exec.secret_env {
            command.arg("--env").arg(key).env(key, value.expose());
        }
        command.arg(&self.container).arg(exec.program_name()).args(&exec.args);
        command
    }

    pub fn run(&self, exec: &Exec, stdin: Stdio) -> Done {
        let out = self.command(exec).stdin(stdin).output().unwrap();
        let exit = Exit {
            code: out.status.code().unwrap_or(-1),
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
            declared_bytes: None,
        };
        Done { exit, stdout: String::from_utf8_lossy(&out.stdout).into_owned() }
    }

    /// One act with its feed; the exit status is the caller's to judge.
    pub fn attempt(&self, act: &Act, kept: Option<&Kept>) -> Done {
        // A file of its own: acts run side by side.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let path = self.folder.path().join(format!("feed-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        let file = |path: &PathBuf| Stdio::from(File::open(path).unwrap());
        let stdin = match &act.feed {
            Feed::Nothing => Stdio::null(),
            Feed::Text(text) => {
                std::fs::write(&path, text).unwrap();
                file(&path)
            }
            Feed::Data => file(&kept.unwrap().folder.join("data")),
            Feed::Extra(name) => file(&kept.unwrap().folder.join(name)),
        };
        self.run(&act.exec, stdin)
    }

    /// One act that must succeed; its standard output.
    pub fn act(&self, act: &Act, kept: Option<&Kept>) -> String {
        let done = self.attempt(act, kept);
        assert!(done.exit.ok(), "{}: {}\n{}", act.title, act.exec.command_line(), done.exit.stderr);
        done.stdout
    }

    pub fn acts(&self, acts: &[Act], kept: Option<&Kept>) -> String {
        acts.iter().map(|act| self.act(act, kept)).collect()
    }

    /// SQL on the store's database.
    pub fn sql(&self, script: &str) -> String {
        let act = Act::text(xtask::domain::timeline::Phase::Load, "sql", self.psql(), script);
        self.act(&act, None).trim().to_owned()
    }

    fn psql(&self) -> Exec {
        let mut exec = engine().census(&self.at).exec;
        exec.env.retain(|(key, _)| key != "PGAPPNAME");
        exec
    }

    /// Gives the server an extension made of this script.
    pub fn extension(&self, name: &str, script: &str) {
        let folder = self.sql("SELECT setting FROM pg_catalog.pg_config WHERE name = 'SHAREDIR';");
        let control = "default_version = '1'\nrelocatable = false\n".to_owned();
        for (ending, text) in [(".control", control), ("--1.sql", script.to_owned())] {
            let write = Exec::site("dd").arg(format!("of={folder}/extension/{name}{ending}"));
            self.act(&Act::text(xtask::domain::timeline::Phase::Load, "write", write, text), None);
        }
    }

    /// Another database of the same server, as a target to restore into.
    pub fn beside(&self, name: &str) -> Target {
        Target { name: name.into(), ..self.at.clone() }
    }

    /// Two clients that run this script over and over.
    pub fn writers(&self, script: &str) -> Writers<'_> {
        let file = "/xtask/writers.sql";
        let act = Act::text(
            xtask::domain::timeline::Phase::Load,
            "write",
            Exec::site("dd").arg(format!("of={file}")),
            script,
        );
        self.act(&act, None);
        let bench =
            Exec::site("pgbench").args(["-n", "-c", "2", "-T", "3600", "-h", &self.at.host, "-U", &self.at.user]);
        let child =
            self.command(&bench.args(["-f", file, &self.at.name])).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let before = self.orders();
        Writers { child: child.unwrap(), rig: self, before }
    }

    fn orders(&self) -> u64 {
        self.sql("SELECT max(id) FROM shop.orders;").parse().unwrap()
    }

    pub fn differences_at(&self, at: &Target, kept: &Kept) -> Vec<String> {
        let found = Census::parse(&self.act(&engine().census(at), None)).unwrap();
        kept.component.census.differences(&found).iter().map(ToString::to_string).collect()
    }

    pub fn census(&self) -> Census {
        Census::parse(&self.act(&engine().census(&self.at), None)).unwrap()
    }

    /// A session that stays open.
    pub fn session(&self, exec: &Exec) -> Session {
        let mut child = self.command(exec).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Session { child, lines }
    }

    /// What the flow does: snapshot, dump and census side by side, close.
    pub fn backup(&self) -> Kept {
        self.backup_at(&self.at)
    }

    pub fn backup_at(&self, at: &Target) -> Kept {
        let folder = tempfile::tempdir().unwrap().keep();
        let facts = self.act(&engine().facts(at), None);
        let Snapshot::Session { exec, open, census, close } = engine().snapshot(at) else { panic!("no session") };
        let mut session = self.session(&exec);
        session.say(&open);
        let id = session.until(|line| line.strip_prefix("ready ").map(str::to_owned)).1;
        let mut dump = engine().dump(at);
        dump.args.iter_mut().for_each(|arg| *arg = arg.replace("{snapshot}", &id));
        let data = File::create(folder.join("data")).unwrap();
        let mut dumping = self.command(&dump).stdin(Stdio::null()).stdout(data).spawn().unwrap();
        session.say(&census);
        let text = session.until(|line| (line == "end").then_some(())).0;
        assert!(dumping.wait().unwrap().success());
        session.say(&close);
        let after = Census::parse(&session.until(|line| (line == "end").then_some(())).0).unwrap();
        session.finish();
        let mut census = Census::parse(&text).unwrap();
        for (object, entry) in &mut census.objects {
            if let (Entry::Counter { high, .. }, Some(Entry::Counter { high: later, .. })) =
                (entry, after.objects.get(object))
            {
                *high = *later;
            }
        }
        let mut files = vec![stored("data", Role::Data)];
        for (name, exec) in engine().extras(at) {
            let out = self.run(&exec, Stdio::null());
            assert!(out.exit.ok(), "{name}: {}", out.exit.stderr);
            std::fs::write(folder.join(name), out.stdout).unwrap();
            files.push(stored(name, Role::Extra(name.into())));
        }
        let component = Component {
            store: self.store.name.clone(),
            engine: "postgres".into(),
            as_of_window_ms: None,
            consistent_as_of: String::new(),
            consistency: Consistency::Snapshot,
            facts: facts.lines().filter_map(|l| l.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect(),
            files,
            census,
        };
        Kept { component, folder }
    }

    pub fn strike(&self, strike: Strike) {
        let mut found = String::new();
        for blow in engine().strike(&self.at, strike).unwrap() {
            match blow {
                Blow::Run(mut act) => {
                    act.exec.args.iter_mut().for_each(|arg| *arg = arg.replace("{lookup}", &found));
                    self.act(&act, None);
                }
                Blow::Lookup(act) => found = self.act(&act, None).trim().to_owned(),
                Blow::Restart => {
                    assert!(docker(&["restart", &self.container]).output().unwrap().status.success());
                    self.wait();
                }
                Blow::DestroySite => panic!("use another rig"),
            }
        }
    }

    pub fn restore(&self, kept: &Kept) {
        self.acts(&engine().restore(&self.at, &kept.component), Some(kept));
    }

    /// What differs from what the backup promises.
    pub fn differences(&self, kept: &Kept) -> Vec<String> {
        kept.component.census.differences(&self.census()).iter().map(ToString::to_string).collect()
    }
}

fn stored(file: &str, role: Role) -> StoredFile {
    let nothing = Fingerprint { bytes: 0, sha256: String::new() };
    StoredFile { file: file.into(), role, compression: Compression::None, stored: nothing.clone(), plain: nothing }
}

/// Clients that write until they are stopped.
pub struct Writers<'a> {
    child: Child,
    rig: &'a Rig,
    before: u64,
}

impl Writers<'_> {
    /// Ends them; how many orders they made.
    pub fn stop(mut self) -> u64 {
        self.rig.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgbench';");
        self.child.wait().unwrap();
        self.rig.orders() - self.before
    }
}

/// An open session.
pub struct Session {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Session {
    pub fn say(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Reads lines until one of them is what `wanted` looks for; the lines before it, and what was found.
    pub fn until<T>(&mut self, wanted: impl Fn(&str) -> Option<T>) -> (String, T) {
        let mut before = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "the session ended:\n{before}");
            match wanted(line.trim_end()) {
                Some(found) => return (before, found),
                None => before.push_str(&line),
            }
        }
    }

    /// Whether the session ends by itself without another word.
    pub fn ends(mut self) -> bool {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap() == 0 && !self.child.wait().unwrap().success()
    }

    pub fn finish(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", "--volumes", &self.container]).output();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
