//! The whole orchestration of backup, verify, prune and hold on a disk in memory, through thousands of histories of seeded faults:
//! see docs/simulator.md. Production's code runs; only the disk, the clock and the stores' commands are simulated.

mod disk;
mod faults;
mod history;
mod layers;
mod machine;
mod play;
mod promises;
mod runs;
mod sabotage;
mod world;

use faults::{Fault, Tally};
use sabotage::Sabotage;
use std::sync::Arc;

/// How many histories are played when nobody says otherwise.
const RUNS: u64 = 240;
/// A guard whose absence nobody noticed in so many histories is not tried at all.
const MISSED: u64 = 600;
/// Below so many, a kind of fault may by chance not have happened.
const ENOUGH: u64 = 200;

#[expect(clippy::disallowed_methods, reason = "how much is played, and what is played again, is said from outside")]
fn wanted(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}: `{text}` is no number")))
}

fn nothing_is(found: &[String]) {
    let again = "to see one again: XTASK_SIM_SEED=<seed> cargo nextest run -p xtask simulator::a_history";
    assert!(found.is_empty(), "{}\n{again}; keep it: add it to tests/recovery/simulator/seeds.txt", found.join("\n"));
}

#[test]
fn whatever_goes_wrong_no_history_breaks_a_promise() {
    if wanted("XTASK_SIM_SEED").is_some() {
        println!("SKIPPED: only the history of XTASK_SIM_SEED is wanted");
        return;
    }
    let (first, runs) = (wanted("XTASK_SIM_FROM").unwrap_or(0), wanted("XTASK_SIM_RUNS").unwrap_or(RUNS));
    let seeds: Vec<u64> = (first..first + runs).collect();
    let tally = Arc::new(Tally::default());
    #[expect(clippy::disallowed_methods, reason = "told, never judged")]
    let begun = std::time::Instant::now();
    let (played, found) = play::many(&seeds, &tally, Sabotage::Nothing, 5);
    let seconds = begun.elapsed().as_secs_f64();
    println!("{played} histories in {seconds:.1} s, {:.0} a second; faults that happened:", played as f64 / seconds);
    for fault in Fault::ALL {
        println!("{:8}  {}", tally.of(*fault), fault.words());
    }
    nothing_is(&found);
    if runs >= ENOUGH {
        let never: Vec<_> = Fault::ALL.iter().filter(|fault| tally.of(**fault) == 0).collect();
        assert!(never.is_empty(), "these faults never happened, so nothing was proven about them: {never:?}");
    }
}

#[test]
fn a_history_that_once_broke_a_promise_breaks_none_now() {
    let tally = Arc::new(Tally::default());
    let pinned =
        include_str!("simulator/seeds.txt").lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let seeds: Vec<u64> = match wanted("XTASK_SIM_SEED") {
        Some(seed) => vec![seed],
        None => pinned.map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect(),
    };
    assert!(!seeds.is_empty());
    nothing_is(&play::many(&seeds, &tally, Sabotage::Nothing, 5).1);
}

#[test]
fn a_seed_says_everything_that_happens() {
    let told = |seed| {
        let mut history = history::History::new(seed, Arc::default(), Sabotage::Nothing);
        let fault = history.disk_fault("backup");
        let ended = history.back_up(Some(fault), None).and_then(|()| history.back_up(None, None));
        (history.told, ended)
    };
    for seed in 0..20 {
        assert_eq!(told(seed), told(seed), "seed {seed}");
    }
}

#[test]
fn every_guard_that_is_missing_is_noticed() {
    let seeds: Vec<u64> = (0..MISSED).collect();
    let missed: Vec<Sabotage> = Sabotage::ALL
        .into_iter()
        .filter(|sabotage| {
            let (played, found) = play::many(&seeds, &Arc::default(), *sabotage, 1);
            let first = found.first().and_then(|text| text.lines().next()).unwrap_or("nothing is noticed");
            println!("{:12}  {played:5} histories  {first}", format!("{sabotage:?}"));
            found.is_empty()
        })
        .collect();
    assert!(missed.is_empty(), "nobody noticed that these are missing: {missed:?}");
}
