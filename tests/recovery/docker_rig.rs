//! What the tests with a real Docker engine stand on: an engine or a skip by name, a site, and the `docker` command line as a
//! witness that shares no code with the adapter.

use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;
use xshell::{Shell, cmd};
use xtask::adapters::docker::{DockerSites, NoRecipes, RunIdentity};
use xtask::domain::exec::{Exec, Exit};
use xtask::domain::site::{ContainerSpec, Reach, SiteSpec};
use xtask::ports::{OwnedSite, Site, Sites};

/// Images that hold the usual small programs and whose entry point runs any command it is given.
pub const IMAGES: [&str; 4] =
    ["localhost/xtask-postgres:15", "localhost/xtask-postgres:17", "postgres:15", "postgres:17"];

pub struct Rig {
    pub sites: DockerSites,
    pub run: RunIdentity,
    pub image: String,
}

impl Rig {
    /// `None` after saying why; with `XTASK_REQUIRE_DOCKER=1` the test fails instead.
    pub fn new(test: &str) -> Option<Self> {
        let run = RunIdentity::of_this_process(format!("test-{}", random())).unwrap();
        let sites = DockerSites::connect(&run, Arc::new(NoRecipes)).unwrap();
        if let Err(error) = sites.containers() {
            return skip(test, &format!("{error:#}"));
        }
        match IMAGES.iter().find(|image| docker(&["image", "inspect", image]).is_some()) {
            Some(image) => Some(Self { sites, run, image: (*image).to_owned() }),
            None => skip(test, "no PostgreSQL image on the engine; run: cargo xtask images build"),
        }
    }

    pub fn spec(&self) -> ContainerSpec {
        ContainerSpec {
            image: self.image.clone(),
            engine: "postgres".to_owned(),
            env: vec![],
            secret_env: vec![],
            user: None,
            reach: Reach::PrivateNetwork,
            command: ["sleep", "infinity"].map(str::to_owned).to_vec(),
            data: "/var/lib/postgresql/data".to_owned(),
            scratch: "/xtask-scratch".to_owned(),
        }
    }

    pub fn open(&self) -> Box<dyn OwnedSite> {
        self.sites.open(&SiteSpec::Container(self.spec()), "test").unwrap()
    }

    /// Everything on the engine with this run's label, one line each.
    pub fn left(&self) -> Vec<String> {
        labelled(&self.run.run)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.sites.abandon().unwrap();
    }
}

pub fn labelled(run: &str) -> Vec<String> {
    let filter = format!("label=io.xtask.run={run}");
    let lists: [&[&str]; 3] = [
        &["ps", "-a", "--format", "container {{.Names}}", "--filter"],
        &["volume", "ls", "--format", "volume {{.Name}}", "--filter"],
        &["network", "ls", "--format", "network {{.Name}}", "--filter"],
    ];
    let all = lists.iter().map(|args| docker(&[args, [filter.as_str()].as_slice()].concat()).expect("docker lists"));
    all.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment whether Docker may be missing")]
pub fn skip<T>(test: &str, why: &str) -> Option<T> {
    println!("SKIPPED {test}: {why}");
    let required = std::env::var("XTASK_REQUIRE_DOCKER").is_ok_and(|v| v == "1");
    assert!(!required, "XTASK_REQUIRE_DOCKER=1, but {test} cannot run: {why}");
    None
}

/// The `docker` command's trimmed output, `None` when it failed.
pub fn docker(args: &[&str]) -> Option<String> {
    let shell = Shell::new().unwrap();
    cmd!(shell, "docker {args...}").quiet().ignore_stderr().read().ok()
}

pub fn random() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(10).collect::<String>().to_lowercase()
}

/// Runs a command to its end.
pub fn run(site: &dyn Site, exec: Exec) -> (String, anyhow::Result<Exit>) {
    let mut running = site.start(&exec.timeout(Duration::from_secs(60))).unwrap();
    drop(running.stdin.take());
    let mut text = String::new();
    let read = running.stdout.read_to_string(&mut text);
    let exit = running.control.wait();
    assert!(read.is_ok() || exit.is_err(), "reading failed ({read:?}) but the exit is {exit:?}");
    (text, exit)
}

/// Runs a command that must succeed and returns what it says.
pub fn said(site: &dyn Site, words: &[&str]) -> String {
    let (text, exit) = run(site, Exec::site(words[0]).args(words[1..].iter().copied()));
    let exit = exit.unwrap();
    assert!(exit.ok(), "{words:?}: {exit:?}");
    text.trim().to_owned()
}

pub fn sh(script: &str) -> Exec {
    Exec::site("sh").arg("-c").arg(script)
}

/// Bytes that do not compress or repeat, the same for the same length.
pub fn noise(length: u64, mut sink: impl FnMut(&[u8])) -> String {
    let mut random = fastrand::Rng::with_seed(7);
    let (mut left, mut hash, mut block) = (length, Sha256::new(), vec![0; 100_000]);
    while left > 0 {
        random.fill(&mut block);
        let n = block.len().min(usize::try_from(left).unwrap());
        hash.update(&block[..n]);
        sink(&block[..n]);
        left -= n as u64;
    }
    hex(&hash.finalize())
}

pub fn digest_of(mut from: impl Read) -> (u64, String) {
    let (mut hash, mut block, mut length) = (Sha256::new(), vec![0; 100_000], 0);
    loop {
        let n = from.read(&mut block).unwrap();
        if n == 0 {
            return (length, hex(&hash.finalize()));
        }
        hash.update(&block[..n]);
        length += n as u64;
    }
}

pub fn write_all(mut to: Box<dyn Write + Send>, bytes: &[u8]) {
    to.write_all(bytes).unwrap();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
