//! Benchmark, not a test: our encrypted backup against `docker exec pg_dump | gzip`, `sha256sum`, `openssl enc`, and against `pg_dump`
//! alone into nothing; our reading of all stored bytes against `sha256sum`; our restore against `gunzip | docker exec -i psql`.
//! On one server, with the same data, in alternating rounds. Medians are printed.
//! Run: `cargo bench -p xtask --bench pipes --profile dev -- --size 1GB --rounds 3`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark that fails has no figures")]

mod baseline;
mod server;

use baseline::Pipes;
use server::Server;
use std::path::Path;
use std::time::Duration;
use xtask::archive::access::Access;
use xtask::archive::keys;
use xtask::archive::vault::Vault;
use xtask::domain::protection::{Encryption, Protection};
use xtask::domain::timeline::{Phase, Stopwatch, Timeline};
use xtask::flow::backup::{Source, backup};
use xtask::flow::restore;

/// What was asked for on the command line.
struct Wanted {
    size: u64,
    rounds: usize,
    only: Option<String>,
}

/// One side's times of each round, in seconds: on the clock, and of processors. The second hardly depends on what else runs; it is
/// that of this process, of its children, and of the server's container, and leaves out the Docker engine's own.
#[derive(Default)]
struct Times {
    clock: Vec<f64>,
    processor: Vec<f64>,
}

impl Times {
    fn time(&mut self, server: &Server, what: impl FnOnce()) {
        let before = server.processor_seconds();
        self.clock.push(timed(what));
        self.processor.push(server.processor_seconds() - before);
    }

    fn last(&self) -> String {
        let last = |all: &[f64]| all.last().copied().unwrap_or_default();
        format!("{:.1} s ({:.1} s of processors)", last(&self.clock), last(&self.processor))
    }
}

/// What was measured of ours.
#[derive(Default)]
struct Ours {
    backup: Times,
    /// Level L1 of `verify`, and `sha256sum` of the same file right before it.
    read: Times,
    digested: Times,
    restore: Times,
    stored: u64,
    phases: Vec<String>,
}

fn main() {
    let wanted = wanted();
    let Some(server) = Server::start() else { return };
    eprintln!("seeding {} MB …", wanted.size / 1_000_000);
    server.seed(wanted.size);
    let bytes = server.database_bytes();
    let folder = tempfile::tempdir().unwrap();
    let pipes = Pipes::new(server.container(), folder.path());

    let protection = protection(folder.path());
    let [mut backups, mut restores, mut custom, mut plain] = std::array::from_fn(|_| Times::default());
    let (mut artifact, mut ours) = (0, Ours::default());
    let does = |what: &str| wanted.only.as_deref().is_none_or(|only| only == what);
    for round in 1..=wanted.rounds {
        if does("alone") {
            let load = load();
            custom.time(&server, || pipes.dump_alone("custom"));
            plain.time(&server, || pipes.dump_alone("plain"));
            eprintln!("round {round} alone: custom {}, plain {} (load before: {load})", custom.last(), plain.last());
        }
        if does("theirs") {
            let load = load();
            backups.time(&server, || artifact = pipes.back_up());
            server.create("theirs");
            restores.time(&server, || pipes.restore("theirs"));
            server.drop("theirs");
            let (backup, restore) = (backups.last(), restores.last());
            eprintln!("round {round} pipes: backup {backup}, restore {restore} (load before: {load})");
        }
        if does("ours") {
            let load = load();
            ours_once(&server, folder.path(), &protection, &mut ours);
            let (backup, read, restore) = (ours.backup.last(), ours.read.last(), ours.restore.last());
            eprintln!("round {round} xtask: backup {backup}, L1 {read}, restore {restore} (load before: {load})");
        }
    }
    println!("machine: {} | load at the end: {}", server.machine(), load());
    println!("server:  {}", server.version());
    println!(
        "data:    {bytes} bytes in the database; {} rounds, medians; sets are encrypted and read back",
        wanted.rounds
    );
    let (us, them) = ((&ours.backup, ours.stored), (&backups, artifact));
    print("backup", "pg_dump | gzip, sha256sum, openssl enc", bytes, them, us, 2.5);
    print("backup", "pg_dump --format=custom alone", bytes, (&custom, 0), us, 1.0 / 1.3);
    print("backup", "pg_dump --format=plain alone", bytes, (&plain, 0), us, 1.0 / 1.3);
    print("L1", "sha256sum", ours.stored, (&ours.digested, ours.stored), (&ours.read, ours.stored), 1.0 / 1.2);
    print("restore", "gunzip | psql", bytes, (&restores, artifact), (&ours.restore, ours.stored), 1.3);
    println!("restore's phases in the last round: {}", ours.phases.join(", "));
}

/// Encrypted for one reader, whose identity is there for the restore.
fn protection(folder: &Path) -> Protection {
    let identity = folder.join("identity");
    let encryption = Encryption::Recipients(vec![keys::make(&identity).unwrap()]);
    Protection { encryption, identities: vec![identity], ..Protection::default() }
}

/// Backs up, reads all stored bytes, and restores, with the product.
fn ours_once(server: &Server, folder: &Path, protection: &Protection, ours: &mut Ours) {
    let path = folder.join("vault");
    let vault = Vault::with(&path, Access::of(protection).unwrap());
    let (store, engine) = (&server.store, server.engine);
    let source = Source { store, engine, site: server.site(), target: &server.target };
    let mut taken = None;
    ours.backup.time(server, || taken = Some(backup(&server.world, "bench", &[source], &vault, None).unwrap()));
    let taken = taken.unwrap();
    ours.stored = taken.record.stored_bytes;
    let component = taken.set.manifest.component(&store.name).unwrap();
    let largest = component.files.iter().max_by_key(|f| f.stored.bytes).unwrap();
    ours.digested.time(server, || baseline::digest(&taken.set.folder.join(&largest.file)));
    let (set, public) = vault.outline("latest").unwrap();
    ours.read.time(server, || assert!(vault.verify_stored(&set, &public.outline).unwrap() >= ours.stored));
    let target = server.named("ours");
    let into = restore::Into { store, engine, site: server.site(), target: &target, set: &taken.set, component };
    let mut watch = Stopwatch::start(Phase::Provision, server.world.clock.now());
    ours.restore.time(server, || restore::whole(&server.world, into, &mut watch).unwrap());
    ours.phases = spans(&watch.stop(server.world.clock.now()));
    let same = server.census(&target);
    assert_eq!(component.census.differences(&same), [], "the restored copy is not the backup's");
    server.drop("ours");
    std::fs::remove_dir_all(&path).unwrap();
}

fn print(what: &str, by: &str, bytes: u64, theirs: (&Times, u64), ours: (&Times, u64), target: f64) {
    if theirs.0.clock.is_empty() || ours.0.clock.is_empty() {
        return;
    }
    let line = |name: &str, (times, stored): (&Times, u64)| {
        let (seconds, processor) = (median(&times.clock), median(&times.processor));
        let rate = bytes as f64 / 1e6 / seconds;
        println!(
            "{what:8} {name:40} {seconds:7.2} s {rate:7.1} MB/s   {processor:7.2} s of processors   {stored} bytes stored"
        );
        (seconds, processor)
    };
    let (them, us) = (line(by, theirs), line("xtask", ours));
    let (ratio, verdict) = (them.0 / us.0, if them.0 / us.0 >= target { "met" } else { "MISSED" });
    println!("{what:8} {ratio:.2}x as fast; target {target:.2}x: {verdict}; {:.2}x by processors", them.1 / us.1);
}

fn spans(timeline: &Timeline) -> Vec<String> {
    timeline.spans.iter().map(|s| format!("{} {:.1} s", s.phase.name(), s.seconds)).collect()
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    f64::midpoint(low, high)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn timed(what: impl FnOnce()) -> f64 {
    let begun = std::time::Instant::now();
    what();
    begun.elapsed().max(Duration::from_micros(1)).as_secs_f64()
}

/// The machine's load averages: what else ran meanwhile is part of every figure.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn wanted() -> Wanted {
    let mut wanted = Wanted { size: 100_000_000, rounds: 3, only: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} wants a value"));
        match word.as_str() {
            "--size" => wanted.size = xtask::tasks::test_recovery::size(&value()).expect("a size such as 1GB"),
            "--rounds" => wanted.rounds = value().parse().expect("a number of rounds"),
            "--only" => wanted.only = Some(value()),
            "--bench" => {}
            other => panic!("`{other}`: there are --size 1GB, --rounds 3 and --only ours|theirs|alone"),
        }
    }
    wanted
}
