//! A stack with a protected vault, used through the program as people use it, and what must hold of it after every fault: the
//! invariants I1 to I8 of docs/reliability.md. It must not know which fault it was.
#![expect(clippy::disallowed_methods, reason = "what was killed is waited for until a deadline")]

use super::rig::CANARY;
use crate::support::program;
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeSet;
use std::fs::{File, read_dir};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long what was killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Desk {
    folder: TempDir,
    temporary: TempDir,
    /// The Docker engine's address; without one there is none.
    engine: Option<String>,
    /// The container whose database is backed up.
    service: Option<String>,
}

/// What a run left in the vault at the moment of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Left {
    Nothing,
    Folder,
    Data,
    Manifest,
    Signature,
    Set,
    Line,
}

impl Desk {
    /// With an SQLite database of so many random KiB.
    pub fn sqlite(kib: u32) -> Self {
        let desk = Self::new(None, None);
        super::files::database(&desk.at("app.db"), kib);
        desk.describe("    folder: .\n    stores:\n      app: { engine: sqlite, path: app.db }\n");
        desk
    }

    /// With the database `shop` of this Compose project, which runs already.
    #[cfg(feature = "docker")]
    pub fn postgres(project: &str, container: &str, image: &str, password: &str) -> Self {
        let engine = crate::docker_rig::docker(&["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]);
        let desk = Self::new(engine, Some(container.to_owned()));
        std::fs::write(desk.at("password"), password).unwrap();
        std::fs::write(desk.at("compose.yaml"), format!("name: {project}\nservices:\n  db:\n    image: {image}\n"))
            .unwrap();
        desk.describe(
            "    compose: [compose.yaml]\n    stores:\n      app:\n        engine: postgres\n        service: db\n        \
             database: shop\n        user: keeper\n        password_file: password\n",
        );
        desk
    }

    fn new(engine: Option<String>, service: Option<String>) -> Self {
        let desk =
            Self { folder: tempfile::tempdir().unwrap(), temporary: tempfile::tempdir().unwrap(), engine, service };
        let words = [["keys", "encryption", "escrow.key"], ["keys", "signing", "sign.key"]];
        let publics = words.map(|words| {
            let said = text(&desk.run(&words).stdout);
            let words = said.split(|c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c)).map(str::to_owned);
            words.into_iter().find(|w| w.starts_with("age1") || w.starts_with("RW")).expect("a public key")
        });
        std::fs::write(desk.at("publics"), publics.join("\n")).unwrap();
        desk
    }

    /// Writes `recovery.yaml` with these stores.
    fn describe(&self, stores: &str) {
        let publics = std::fs::read_to_string(self.at("publics")).unwrap();
        let (recipient, signer) = publics.split_once('\n').unwrap();
        let backups = format!(
            "    backups:\n      vault: vault\n      encryption: {{ recipients: [{recipient}] }}\n      signing_key: sign.key\n      \
             trusted_signers: [{signer}]\n      identity_files: [escrow.key]\n"
        );
        std::fs::write(self.at("recovery.yaml"), format!("stacks:\n  shop:\n{stores}{backups}")).unwrap();
    }

    /// Adds to the stack's `backups:`.
    pub fn also(&self, line: &str) {
        let text = std::fs::read_to_string(self.at("recovery.yaml")).unwrap();
        std::fs::write(self.at("recovery.yaml"), format!("{text}      {line}\n")).unwrap();
    }

    /// The vault is elsewhere.
    pub fn vault_at(&self, folder: &Path) {
        let text = std::fs::read_to_string(self.at("recovery.yaml")).unwrap();
        let text = text.replace("vault: vault\n", &format!("vault: {}\n", folder.display()));
        std::fs::write(self.at("recovery.yaml"), text).unwrap();
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn vault(&self) -> PathBuf {
        let text = std::fs::read_to_string(self.at("recovery.yaml")).unwrap();
        let line = text.lines().find_map(|l| l.trim().strip_prefix("vault: ")).expect("a vault").to_owned();
        self.at(&line)
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = program(self.folder.path(), self.temporary.path(), words);
        if let Some(engine) = &self.engine {
            command.env("DOCKER_HOST", engine);
        }
        command
    }

    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Begins a backup whose words nobody reads.
    pub fn begin(&self) -> Child {
        self.command(&["backup", "shop"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The exit code must be this; returns everything that was said, which holds no secret.
    #[track_caller]
    pub fn ends(&self, code: i32, words: &[&str]) -> String {
        let done = self.run(words);
        let said = text(&done.stdout) + &text(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{words:?}: {said}");
        assert!(!said.contains(CANARY), "a secret was told: {said}");
        said
    }

    /// The names of the sets, oldest first.
    pub fn sets(&self) -> Vec<String> {
        let mut sets: Vec<String> = self.names().into_iter().filter(|n| !n.starts_with('.')).collect();
        sets.retain(|name| !["catalog.jsonl", "audit.jsonl"].contains(&name.as_str()));
        sets.sort();
        sets
    }

    fn names(&self) -> Vec<String> {
        let names = read_dir(self.vault()).map(|all| all.map(|e| e.unwrap().file_name().into_string().unwrap()));
        names.map(Iterator::collect).unwrap_or_default()
    }

    /// How far a run came that began when there were so many sets.
    pub fn left(&self, sets: usize) -> Left {
        if self.sets().len() > sets {
            let catalog = std::fs::read_to_string(self.vault().join("catalog.jsonl")).unwrap_or_default();
            let last = self.sets().pop().unwrap();
            return if catalog.contains(&last) { Left::Line } else { Left::Set };
        }
        let Some(partial) = self.names().into_iter().find(|n| n.starts_with(".partial-")) else { return Left::Nothing };
        let files: BTreeSet<String> = read_dir(self.vault().join(partial))
            .map(|all| all.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect())
            .unwrap_or_default();
        match files {
            files if files.contains("manifest.sig") => Left::Signature,
            files if files.contains("manifest.json") => Left::Manifest,
            files if !files.is_empty() => Left::Data,
            _ => Left::Folder,
        }
    }

    /// What must hold after any fault, whatever became of the run with this process id; `before` were the sets then.
    #[track_caller]
    pub fn assert_invariants(&self, before: &[String], pid: u32, fault: &str) {
        // I4: the lock can be taken at once.
        if let Ok(lock) = File::open(self.vault().join(".lock")) {
            let taken = flock(&lock, FlockOperation::NonBlockingLockExclusive);
            assert!(taken.is_ok(), "I4, {fault}: somebody holds the lock");
        }
        // I6: nobody works on.
        self.eventually(&format!("I6, {fault}: no process is left"), || self.working().is_empty());
        // I1 and I2: what was committed is there, and all that is listed is whole to its last byte.
        let sets = self.sets();
        let gone: Vec<_> = before.iter().filter(|set| !sets.contains(set)).collect();
        assert!(gone.is_empty(), "I1, {fault}: {gone:?} gone");
        if !sets.is_empty() {
            let done = self.run(&["verify", "shop", "all", "--level", "L2"]);
            let said = text(&done.stdout) + &text(&done.stderr);
            assert_eq!(done.status.code(), Some(0), "I1 and I2, {fault}: {said}");
            let all = format!("{0} of {0} sets reached L2", sets.len());
            assert!(said.contains(&all), "I1 and I2, {fault}: {said}");
        }
        // I3: the rest is known by its name, and a sweep removes it.
        let known = |name: &String| {
            [".lock", "catalog.jsonl", "audit.jsonl", ".restore-lock"].contains(&name.as_str()) || sets.contains(name)
        };
        let left = |name: &String| name.starts_with(".partial-") || name.starts_with(".trash-");
        let strange: Vec<_> = self.names().into_iter().filter(|n| !known(n) && !left(n)).collect();
        assert!(strange.is_empty(), "I3, {fault}: {strange:?}");
        let swept = self.run(&["sweep"]);
        assert_eq!(swept.status.code(), Some(0), "I3, {fault}: {}{}", text(&swept.stdout), text(&swept.stderr));
        assert!(!self.names().iter().any(left), "I3, {fault}: {:?}", self.names());
        let temporary: Vec<_> = read_dir(self.temporary.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(temporary.is_empty(), "I3, {fault}: {temporary:?}");
        self.assert_nothing_in_containers(pid, fault);
        self.assert_no_secret(fault);
    }

    /// I5: nothing on the engine is the run's. I7: the server has no session of it, and its container no process.
    #[cfg(feature = "docker")]
    #[track_caller]
    fn assert_nothing_in_containers(&self, pid: u32, fault: &str) {
        let Some(service) = &self.service else { return };
        assert_eq!(crate::docker_killed::of_owner(pid), Vec::<String>::new(), "I5, {fault}");
        let ask = "SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL AND pid <> pg_backend_pid()";
        let words = ["exec", service, "psql", "-h", "127.0.0.1", "-XAtqU", "keeper", "-d", "shop", "-c", ask];
        let none = || crate::docker_rig::docker(&words).is_some_and(|count| count == "0");
        self.eventually(&format!("I7, {fault}: no session is left"), none);
        let strangers = crate::docker_rig::docker(&["exec", service, "sh", "-c", STRANGERS]).expect("the service runs");
        assert_eq!(strangers, "", "I7, {fault}: processes in the service's container");
    }

    #[cfg(not(feature = "docker"))]
    fn assert_nothing_in_containers(&self, _: u32, _: &str) {}

    /// I8: what is in the vault can be shown to anybody.
    #[track_caller]
    fn assert_no_secret(&self, fault: &str) {
        let files = |folder: PathBuf| read_dir(folder).into_iter().flatten().filter_map(|e| Some(e.ok()?.path()));
        let sets: Vec<PathBuf> = files(self.vault()).collect();
        let all = sets.iter().filter(|p| p.is_dir()).flat_map(|set| files(set.clone()));
        for file in all.chain(sets.iter().filter(|p| p.is_file()).cloned()) {
            let bytes = std::fs::read(&file).unwrap_or_default();
            let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
            assert!(!found, "I8, {fault}: a secret in {}", file.display());
        }
    }

    /// Processes that have one of our folders for their own, in their words, or open.
    fn working(&self) -> Vec<String> {
        let ours = [self.folder.path(), self.temporary.path()];
        let inside = |path: &Path| ours.iter().any(|folder| path.starts_with(folder));
        let linked = |path: PathBuf| std::fs::read_link(path).is_ok_and(|to| inside(&to));
        let named = |path: PathBuf| {
            let words = text(&std::fs::read(path).unwrap_or_default());
            ours.iter().any(|folder| words.contains(folder.to_str().unwrap()))
        };
        let works = |pid: &Path| {
            let mut open = read_dir(pid.join("fd")).into_iter().flatten().filter_map(|e| Some(e.ok()?.path()));
            linked(pid.join("cwd")) || named(pid.join("cmdline")) || named(pid.join("environ")) || open.any(linked)
        };
        let own = PathBuf::from(format!("/proc/{}", std::process::id()));
        let processes = read_dir("/proc").unwrap().filter_map(|e| Some(e.ok()?.path()));
        let processes = processes.filter(|p| *p != own && p.join("fd").exists());
        processes
            .filter(|pid| works(pid))
            .map(|pid| text(&std::fs::read(pid.join("cmdline")).unwrap_or_default()))
            .collect()
    }

    #[track_caller]
    pub fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "{what}; {:?}", self.working());
            std::thread::yield_now();
        }
    }
}

/// Names of what runs in a container beside its server and the asking shell.
#[cfg(feature = "docker")]
const STRANGERS: &str = r#"for p in /proc/[0-9]*; do [ "${p#/proc/}" = $$ ] && continue; read -r c <"$p/comm" || continue; case "$c" in postgres|docker-init|tini|entrypoint*) ;; *) printf '%s ' "$c";; esac; done 2>/dev/null"#;

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
