//! What a fault is put into, and how its end is judged: the error, its exit code and hint, and what the vault holds afterwards.
//! It must not know which fault it was.

use crate::support::Hurried;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use xshell::{Shell, cmd};
use xtask::adapters::clock::SystemClock;
use xtask::adapters::directory::DirectorySites;
use xtask::adapters::sites::LocalSites;
use xtask::archive::vault::Vault;
use xtask::domain::engine::Target;
use xtask::domain::event::Event;
use xtask::domain::exec::Exec;
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::domain::site::SiteIdentity;
use xtask::domain::stack::Compression;
use xtask::domain::store::Store;
use xtask::engines;
use xtask::exit_code;
use xtask::flow::backup::{Source, Taken, backup};
use xtask::flow::world::World;
use xtask::ports::{Events, Running, Site, Sites};

/// The password that every store here has. Whatever is printed must not hold it.
pub const CANARY: &str = "canary-5d1f-must-not-be-printed";

pub struct Rig {
    pub world: World,
    folder: tempfile::TempDir,
}

struct Silent;

impl Events for Silent {
    fn tell(&self, _: Event) {}
}

impl Rig {
    /// Folders only.
    pub fn folders() -> Self {
        let hint = "this test needs none";
        Self::with(Err(Refusal::new(RefusalKind::DockerUnavailable, "no containers here", hint)), random())
    }

    pub fn with(containers: Result<Arc<dyn Sites>, Refusal>, run: String) -> Self {
        let directory = DirectorySites::new(&run, env!("CARGO_BIN_EXE_xtask").into(), None);
        let sites: Arc<dyn Sites> = Arc::new(LocalSites::new(directory, containers));
        let world = World { clock: Arc::new(SystemClock::start()), sites, events: Arc::new(Silent), run };
        Self { world, folder: tempfile::tempdir().unwrap() }
    }

    /// The same places, with a vault of its own and time that flies.
    pub fn hurried(other: &Self) -> Self {
        let clock = Arc::new(Hurried(SystemClock::start()));
        Self { world: World { clock, ..other.world.clone() }, folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The vault that backups go to unless a test has its own.
    pub fn vault(&self) -> PathBuf {
        self.path("vault")
    }

    pub fn backup(&self, store: &Store, site: &dyn Site, target: &Target) -> anyhow::Result<Taken> {
        self.backup_into(&self.vault(), store, site, target)
    }

    pub fn backup_into(&self, vault: &Path, store: &Store, site: &dyn Site, at: &Target) -> anyhow::Result<Taken> {
        let engine = engines::find(&store.engine).unwrap();
        let source = Source { store, engine, site, target: at };
        backup(&self.world, "shop", &[source], &Vault::at(vault), Some(Compression::None))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.world.sites.abandon().unwrap();
    }
}

pub fn random() -> String {
    let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(8).collect();
    format!("test-faults-{}", random.to_lowercase())
}

/// The error is of this kind, says these words, and its hint names what to do.
#[track_caller]
pub fn refused<T>(result: anyhow::Result<T>, kind: RefusalKind, says: &[&str], hints: &str) {
    let Err(error) = result else { panic!("no error at all, {kind:?} was expected") };
    let text = format!("{error:#}");
    assert_eq!(exit_code::of(&error), kind.exit_code(), "{kind:?} expected: {text}");
    for word in says {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
    let hint = exit_code::hint(&error).expect("a hint").to_owned();
    assert!(hint.contains(hints), "`{hints}` is not in the hint: {hint}");
    for shown in [text, format!("{error:?}"), hint] {
        assert!(!shown.contains(CANARY), "a secret was told: {shown}");
    }
}

/// The vault holds exactly this many sets, all sound to the last byte, and nothing else, and nobody holds its lock: I1 to I4 of
/// docs/reliability.md.
#[track_caller]
pub fn holds_only(vault: &Path, sets: usize) {
    if let Ok(lock) = std::fs::File::open(vault.join(".lock")) {
        let taken = rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive);
        assert!(taken.is_ok(), "I4: somebody holds the lock");
    }
    let all = std::fs::read_dir(vault).map(|entries| entries.map(|e| e.unwrap().file_name()).collect::<Vec<_>>());
    let ours = [".lock", "catalog.jsonl", "audit.jsonl"];
    let others: Vec<_> =
        all.unwrap_or_default().into_iter().filter(|name| ours.iter().all(|own| name != own)).collect();
    assert_eq!(others.len(), sets, "{others:?}");
    let listed = Vault::at(vault).list().unwrap();
    assert_eq!(listed.len(), sets, "{listed:?}");
    for set in listed {
        let read = Vault::at(vault).find(&set.id).unwrap().verify().unwrap();
        assert!(read > 0, "set {} verifies without being read", set.id);
    }
}

/// The thread that makes the fault, once it does.
type Made = Arc<Mutex<Option<JoinHandle<()>>>>;

/// A site at which something happens as soon as a program has written so many bytes.
pub struct Tripped<'a> {
    pub site: &'a dyn Site,
    pub program: &'static str,
    pub bytes: u64,
    /// The program's bound, instead of the hours that a large store may take.
    pub limit: Option<Duration>,
    /// The census that is taken beside the dump takes so many seconds more.
    pub slow_census: Option<u32>,
    fault: Arc<dyn Fn() + Send + Sync>,
    made: Made,
}

impl<'a> Tripped<'a> {
    /// Once `pg_dump` has written a quarter of a MiB, which is far from all, and far more than anything could keep back.
    pub fn dump(site: &'a dyn Site, fault: impl Fn() + Send + Sync + 'static) -> Self {
        let (fault, made) = (Arc::new(fault), Made::default());
        Self { site, program: "pg_dump", bytes: 256 << 10, limit: None, slow_census: None, fault, made }
    }

    /// Waits for the end of the fault; whether there was one, and it was made.
    pub fn fired(&self) -> bool {
        let making = self.made.lock().unwrap().take();
        making.is_some_and(|making| making.join().is_ok())
    }
}

impl Site for Tripped<'_> {
    fn identity(&self) -> SiteIdentity {
        self.site.identity()
    }

    fn start(&self, exec: &Exec) -> anyhow::Result<Running> {
        let tripped = exec.program_name() == self.program;
        let limit = self.limit.filter(|_| tripped).unwrap_or(exec.timeout);
        let mut running = self.site.start(&exec.clone().timeout(limit))?;
        if let Some(seconds) = self.slow_census.filter(|_| exec.env.iter().any(|(_, value)| value == "xtask-snapshot"))
        {
            running.stdin = running.stdin.map(|stdin| Box::new(Slow { stdin, seconds, texts: 0 }) as _);
        }
        if tripped {
            let (fault, made) = (Arc::clone(&self.fault), Arc::clone(&self.made));
            running.stdout = Box::new(Wire { stdout: running.stdout, left: self.bytes, fault, made, happening: None });
        }
        Ok(running)
    }

    fn logs(&self, lines: usize) -> anyhow::Result<String> {
        self.site.logs(lines)
    }

    fn scratch(&self) -> String {
        self.site.scratch()
    }
}

/// The input of a snapshot session: what is written second is the question for the census.
struct Slow {
    stdin: Box<dyn Write + Send>,
    seconds: u32,
    texts: usize,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.texts += 1;
        if self.texts == 2 {
            writeln!(self.stdin, "SELECT pg_sleep({}) AS slept \\gset", self.seconds)?;
        }
        self.stdin.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stdin.flush()
    }
}

struct Wire {
    stdout: Box<dyn Read + Send>,
    left: u64,
    fault: Arc<dyn Fn() + Send + Sync>,
    made: Made,
    happening: Option<Receiver<()>>,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        // A trickle while it happens: the engine does not let go of a command whose output nobody takes, and a dump must not
        // come to its end before its fault.
        let most = buffer.len().min(16 << 10);
        let n = self.stdout.read(&mut buffer[..most])?;
        self.left = self.left.saturating_sub(n as u64);
        if self.left == 0 && self.happening.is_none() {
            let (fault, (sender, receiver)) = (Arc::clone(&self.fault), channel());
            *self.made.lock().unwrap() = Some(std::thread::spawn(move || {
                // Dropped at the end, whatever that is.
                let _sender: Sender<()> = sender;
                fault();
            }));
            self.happening = Some(receiver);
        }
        if let Some(happening) = &self.happening {
            let _ = happening.recv_timeout(Duration::from_millis(25));
        }
        Ok(n)
    }
}

/// A file system of its own at a folder. Unmounted on drop.
pub struct Mounted(PathBuf);

impl Mounted {
    /// `None`, said aloud, for those who may not mount.
    pub fn tmpfs(test: &str, at: PathBuf, options: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let shell = Shell::new().unwrap();
        let done = cmd!(shell, "mount -t tmpfs -o {options} none {at}").quiet().ignore_stderr().run();
        if done.is_err() {
            println!("SKIPPED {test}: this user may not mount a small file system");
            return None;
        }
        Some(Self(at))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn remount(&self, options: &str) {
        let (shell, at) = (Shell::new().unwrap(), &self.0);
        cmd!(shell, "mount -o remount,{options} {at}").quiet().run().unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let (shell, at) = (Shell::new().unwrap(), &self.0);
        cmd!(shell, "umount {at}").quiet().run().unwrap();
    }
}
