//! Benchmark, not a test: our backup against `docker exec pg_dump | gzip` + `sha256sum`, our restore against
//! `gunzip | docker exec -i psql`; on one server, with the same data, in alternating rounds. Medians are printed.
//! Run: `cargo bench -p xtask --bench pipes --profile dev -- --size 1GB --rounds 3`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark that fails has no figures")]

mod baseline;
mod server;

use baseline::Pipes;
use server::Server;
use std::path::Path;
use std::time::Duration;
use xtask::archive::vault::Vault;
use xtask::domain::timeline::{Phase, Stopwatch, Timeline};
use xtask::flow::backup::{Source, backup};
use xtask::flow::restore;

/// What was asked for on the command line.
struct Wanted {
    size: u64,
    rounds: usize,
    only: Option<String>,
}

/// One side's time, in seconds, of each round.
type Times = Vec<f64>;

fn main() {
    let wanted = wanted();
    let Some(server) = Server::start() else { return };
    eprintln!("seeding {} MB …", wanted.size / 1_000_000);
    server.seed(wanted.size);
    let bytes = server.database_bytes();
    let folder = tempfile::tempdir().unwrap();
    let pipes = Pipes::new(server.container(), folder.path());

    let (mut theirs, mut ours) = ((Times::new(), Times::new()), (Times::new(), Times::new()));
    let (mut artifact, mut phases) = ((0, 0), Vec::new());
    let does = |what: &str| wanted.only.as_deref().is_none_or(|only| only == what);
    for round in 1..=wanted.rounds {
        if does("theirs") {
            let load = load();
            theirs.0.push(timed(|| artifact.0 = pipes.back_up()));
            server.create("theirs");
            theirs.1.push(timed(|| pipes.restore("theirs")));
            server.drop("theirs");
            let (backup, restore) = (last(&theirs.0), last(&theirs.1));
            eprintln!("round {round} pipes: backup {backup:.1} s, restore {restore:.1} s (load before: {load})");
        }
        if does("ours") {
            let load = load();
            let (backup, restore, stored, timeline) = ours_once(&server, folder.path());
            ours.0.push(backup);
            ours.1.push(restore);
            artifact.1 = stored;
            eprintln!("round {round} xtask: backup {backup:.1} s, restore {restore:.1} s (load before: {load})");
            eprintln!("    {}", spans(&timeline));
            phases = timeline.spans;
        }
    }
    println!("machine: {} | load at the end: {}", server.machine(), load());
    println!("server:  {}", server.version());
    println!("data:    {bytes} bytes in the database; {} rounds, medians", wanted.rounds);
    print("backup", "pg_dump | gzip, sha256sum", bytes, (&theirs.0, artifact.0), (&ours.0, artifact.1), 2.0);
    print("restore", "gunzip | psql", bytes, (&theirs.1, artifact.0), (&ours.1, artifact.1), 1.3);
    println!("restore's phases in the last round: {}", spans(&Timeline { spans: phases, total_seconds: 0.0 }));
}

/// Backs up and restores with the product; returns the seconds of both, the stored bytes and the restore's phases.
fn ours_once(server: &Server, folder: &Path) -> (f64, f64, u64, Timeline) {
    let vault = folder.join("vault");
    let (store, engine) = (&server.store, server.engine);
    let source = Source { store, engine, site: server.site(), target: &server.target };
    let mut taken = None;
    let back_up = timed(|| taken = Some(backup(&server.world, "bench", &[source], &Vault::at(&vault), None).unwrap()));
    let taken = taken.unwrap();
    let target = server.named("ours");
    let component = taken.set.manifest.component(&store.name).unwrap();
    let into = restore::Into { store, engine, site: server.site(), target: &target, set: &taken.set, component };
    let mut watch = Stopwatch::start(Phase::Provision, server.world.clock.now());
    let restore = timed(|| restore::whole(&server.world, into, &mut watch).unwrap());
    let timeline = watch.stop(server.world.clock.now());
    let same = server.census(&target);
    assert_eq!(component.census.differences(&same), [], "the restored copy is not the backup's");
    server.drop("ours");
    std::fs::remove_dir_all(&vault).unwrap();
    (back_up, restore, taken.record.stored_bytes, timeline)
}

fn print(what: &str, by: &str, bytes: u64, theirs: (&Times, u64), ours: (&Times, u64), target: f64) {
    if theirs.0.is_empty() || ours.0.is_empty() {
        return;
    }
    let (them, us) = (median(theirs.0), median(ours.0));
    let line = |name: &str, seconds: f64, stored: u64| {
        let rate = bytes as f64 / 1e6 / seconds;
        println!("{what:8} {name:28} {seconds:7.2} s {rate:7.1} MB/s   artifact {stored} bytes");
    };
    line(by, them, theirs.1);
    line("xtask", us, ours.1);
    let (ratio, verdict) = (them / us, if them / us >= target { "met" } else { "MISSED" });
    println!("{what:8} {ratio:.2}x as fast; target {target}x: {verdict}");
}

fn spans(timeline: &Timeline) -> String {
    timeline.spans.iter().map(|s| format!("{} {:.1} s", s.phase.name(), s.seconds)).collect::<Vec<_>>().join(", ")
}

fn median(times: &Times) -> f64 {
    let mut sorted = times.clone();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    f64::midpoint(low, high)
}

fn last(times: &Times) -> f64 {
    *times.last().unwrap()
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
            other => panic!("`{other}`: there are --size 1GB, --rounds 3 and --only ours|theirs"),
        }
    }
    wanted
}
