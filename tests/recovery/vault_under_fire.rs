//! A vault on a disk that fills up or may not be written, and runs that are killed: what was there stays, and nothing half-made is
//! ever listed. Parts that need root on Linux say so when they are skipped.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xtask::adapters::directory::DirectorySites;
use xtask::adapters::processes::{self, Environment};
use xtask::archive::pipeline;
use xtask::archive::vault::{BackupSet, Vault};
use xtask::domain::artifact::{Component, Consistency, FORMAT, Manifest, Role, SCHEMA, StoredFile};
use xtask::domain::exec::Exec;
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::domain::site::Attachment;
use xtask::domain::stack::Compression;
use xtask::ports::{Running, Sites};

const NOW: &str = "2026-11-20T12:00:00Z";

fn refusal(error: &anyhow::Error) -> &Refusal {
    error.chain().find_map(|c| c.downcast_ref()).unwrap_or_else(|| panic!("no refusal: {error:?}"))
}

/// A whole backup of these bytes; `before_commit` is called when everything is stored.
fn back_up(
    vault: &Vault,
    run: &str,
    plain: &mut dyn Read,
    kind: Compression,
    before_commit: impl FnOnce(),
) -> anyhow::Result<BackupSet> {
    let staging = vault.begin("shop", run, NOW.parse()?)?;
    let stored = pipeline::store(plain, &staging.path("db.db"), kind, None, &mut |_| {})?;
    let file = StoredFile {
        file: "db.db".to_owned(),
        role: Role::Data,
        compression: kind,
        stored: stored.stored,
        plain: stored.plain,
    };
    let component = Component {
        store: "db".to_owned(),
        engine: "opaque".to_owned(),
        as_of_window_ms: None,
        consistent_as_of: NOW.to_owned(),
        consistency: Consistency::Snapshot,
        facts: BTreeMap::new(),
        files: vec![file],
        census: Default::default(),
    };
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        schema: SCHEMA,
        requires: Vec::new(),
        previous: None,
        seal: None,
        binding: None,
        rest: None,
        id: staging.id().to_owned(),
        sequence: staging.sequence(),
        stack: "shop".to_owned(),
        tool: "xtask 0".to_owned(),
        started_at: NOW.to_owned(),
        finished_at: NOW.to_owned(),
        components: vec![component],
    };
    before_commit();
    staging.commit(manifest)
}

fn names(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|n| n != ".lock" && n != "catalog.jsonl").collect();
    names.sort();
    names
}

/// A small file system of its own, unmounted at the end.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// `Err` says why there can be none.
    fn mount() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("mounting needs root".to_owned());
        }
        let folder = tempfile::tempdir().unwrap();
        mount(&["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs"], folder.path())?;
        Ok(Self(folder))
    }

    fn remount(&self, options: &str) {
        mount(&["-o", &format!("remount,{options}")], self.0.path()).unwrap();
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let exec = Exec::site("umount").arg(self.0.path().to_str().unwrap());
        let ended = processes::run(&exec, None, Environment::Clean, b"", 1000).map(|o| o.exit);
        if !std::thread::panicking() {
            assert!(ended.as_ref().is_ok_and(|e| e.ok()), "{ended:?}");
        }
    }
}

fn mount(args: &[&str], at: &Path) -> Result<(), String> {
    let exec = Exec::site("mount").args(args.iter().copied()).arg(at.to_str().unwrap());
    match processes::run(&exec, None, Environment::Clean, b"", 1000) {
        Ok(output) if output.exit.ok() => Ok(()),
        Ok(output) => Err(output.exit.stderr),
        Err(error) => Err(format!("{error:#}")),
    }
}

#[test]
fn a_disk_that_fills_up_at_any_point_leaves_no_set_and_the_older_ones_intact() {
    let disk = match Tmpfs::mount() {
        Ok(disk) => disk,
        Err(why) => return println!("SKIPPED: {why}"),
    };
    let vault = Vault::at(disk.0.path());
    let old = back_up(&vault, "old", &mut &b"old rows"[..], Compression::None, || ()).unwrap();
    let plain: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (mut full, mut fitted) = (0, 0);
    for kib in (16..=180).step_by(4) {
        disk.remount(&format!("size={kib}k"));
        match back_up(&vault, "new", &mut &plain[..], Compression::None, || ()) {
            Ok(set) => {
                fitted += 1;
                set.verify().unwrap();
                std::fs::remove_dir_all(set.folder).unwrap();
            }
            Err(error) => {
                full += 1;
                let why = refusal(&error);
                assert_eq!(why.kind, RefusalKind::Storage, "{error:#}");
                assert!(why.message.contains("bytes free") && why.message.contains("more bytes needed"), "{why}");
            }
        }
        assert_eq!(names(disk.0.path()), std::slice::from_ref(&old.manifest.id), "{kib} KiB");
        old.verify().unwrap();
    }
    assert!(full > 10 && fitted > 3, "full {full} times, fitted {fitted} times");
}

#[test]
fn a_disk_that_may_not_be_written_is_called_that() {
    let disk = match Tmpfs::mount() {
        Ok(disk) => disk,
        Err(why) => return println!("SKIPPED: {why}"),
    };
    let vault = Vault::at(disk.0.path());
    let old = back_up(&vault, "old", &mut &b"old rows"[..], Compression::Zstd, || ()).unwrap();
    disk.remount("ro");
    let error = back_up(&vault, "new", &mut &b"rows"[..], Compression::Zstd, || ()).unwrap_err();
    assert_eq!(refusal(&error).kind, RefusalKind::Storage);
    assert!(refusal(&error).hint.contains("writable"), "{error:#}");
    old.verify().unwrap();
}

/// Tells a test that it runs in a process of its own, as a part of itself.
const PART: &str = "XTASK_TEST_PART";

#[expect(clippy::disallowed_methods, reason = "a test learns from its environment that it is a part of itself")]
fn is_part() -> bool {
    std::env::var(PART).is_ok()
}

/// Runs a test's other part in a process of its own, with `folder` as its own folder.
fn part(folder: &Path, name: &str) -> (DirectorySites, Running) {
    let own = std::env::current_exe().unwrap();
    let sites = DirectorySites::new("part", PathBuf::from("/bin/false"), None);
    let site = sites.attach(&Attachment::Folder(folder.to_owned())).unwrap();
    let test = format!("vault_under_fire::{name}");
    let exec = Exec::site(own.to_str().unwrap())
        .args(["--exact", &test, "--nocapture"])
        .env(PART, "1")
        .timeout(Duration::from_secs(900));
    let running = site.start(&exec).unwrap();
    // The process must outlive the site, so the site must not be dropped before it: both end with the test.
    std::mem::forget(site);
    (sites, running)
}

fn read_until(stdout: &mut dyn Read, word: &str) -> String {
    let mut said = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&said).contains(word) {
        assert_eq!(stdout.read(&mut byte).unwrap(), 1, "ended: {}", String::from_utf8_lossy(&said));
        said.extend(byte);
    }
    String::from_utf8(said).unwrap()
}

fn stops_before_the_rename() {
    let _ = back_up(&Vault::at(Path::new("vault")), "killed", &mut &b"rows"[..], Compression::Zstd, || {
        println!("stored");
        std::thread::park();
    });
}

#[test]
fn a_run_that_is_killed_before_its_rename_leaves_nothing() {
    if is_part() {
        return stops_before_the_rename();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault");
    let vault = Vault::at(&path);
    let (sites, mut running) = part(folder.path(), "a_run_that_is_killed_before_its_rename_leaves_nothing");
    read_until(&mut running.stdout, "stored");
    let error = vault.begin("shop", "second", NOW.parse().unwrap()).unwrap_err();
    assert_eq!(refusal(&error).kind, RefusalKind::Locked);
    assert!(error.to_string().contains("run killed (pid "), "{error:#}");
    running.control.kill().unwrap();

    assert_eq!(names(&path), [".partial-killed"], "the fault has happened");
    assert!(vault.list().unwrap().is_empty());
    let set = back_up(&vault, "third", &mut &b"rows"[..], Compression::Zstd, || ()).unwrap();
    assert_eq!((names(&path), set.manifest.sequence), (vec![set.manifest.id.clone()], 1));
    sites.abandon().unwrap();
}

/// A text that compresses, made while it is read.
fn long_text(megabytes: u64) -> impl Read {
    let mut random = fastrand::Rng::with_seed(3);
    let block: Vec<u8> = (0..1_000_003).map(|_| b"0011\t\n"[random.usize(..6)]).collect();
    std::io::Read::take(Endless { block, at: 0 }, megabytes * 1_000_000)
}

struct Endless {
    block: Vec<u8>,
    at: usize,
}

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = (&self.block[self.at..]).read(into)?;
        self.at = (self.at + n) % self.block.len();
        Ok(n)
    }
}

fn stores_a_long_text_and_tells_its_memory() {
    let vault = Vault::at(Path::new("vault"));
    let kinds = [(Compression::Zstd, 120), (Compression::Gzip, 40), (Compression::None, 120)];
    for (n, (kind, megabytes)) in kinds.into_iter().enumerate() {
        back_up(&vault, &format!("run-{n}"), &mut long_text(megabytes), kind, || ()).unwrap();
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    println!("peak {} kB;", peak.split_whitespace().next().unwrap());
}

#[test]
fn memory_stays_flat_however_much_is_stored() {
    if is_part() {
        return stores_a_long_text_and_tells_its_memory();
    }
    let folder = tempfile::tempdir().unwrap();
    let (sites, mut running) = part(folder.path(), "memory_stays_flat_however_much_is_stored");
    let said = read_until(&mut running.stdout, " kB;");
    let peak: u64 = said.split("peak ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((1_000..48_000).contains(&peak), "{peak} kB for 120 MB");
    sites.abandon().unwrap();
}
