//! Plays histories: from a seed to what happened, and from many seeds to what was found. It must not know what is promised.

use super::faults::{Fault, Tally};
use super::history::{History, VAULT};
use super::runs::Broken;
use super::sabotage::Sabotage;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Plays the history of this seed. What was promised and did not hold comes with all that happened before.
pub fn play(seed: u64, tally: &Arc<Tally>, sabotage: Sabotage) -> Result<(), String> {
    let mut history = History::new(seed, Arc::clone(tally), sabotage);
    let played = catch_unwind(AssertUnwindSafe(|| all(&mut history)));
    let broken = match played {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(broken)) => broken,
        Err(panic) => {
            let said = panic.downcast_ref::<String>().cloned();
            format!("a panic: {}", said.unwrap_or_else(|| format!("{:?}", panic.downcast_ref::<&str>())))
        }
    };
    let told: String = history.told.iter().map(|line| format!("  {line}\n")).collect();
    Err(format!("seed {seed}: {broken}\n{told}"))
}

fn all(history: &mut History) -> Result<(), Broken> {
    // The first set is usually made in peace, so that there is something to lose.
    if !history.once_in(4) {
        history.back_up(None, None)?;
        history.look()?;
    }
    for _ in 0..history.rng.u32(3..9) {
        history.time_passes();
        one(history)?;
        history.look()?;
        if history.once_in(4) {
            history.power_cut();
            history.look()?;
        }
    }
    end(history)
}

/// One run, and perhaps a fault.
fn one(history: &mut History) -> Result<(), Broken> {
    let jumped = jump(history);
    let faulty = history.rng.u8(..5) < 3;
    let plan = |history: &mut History, kind| faulty.then(|| history.disk_fault(kind));
    let done = match history.rng.u8(..32) {
        0..14 => {
            let plan = plan(history, "backup");
            history.back_up(plan, None)
        }
        14..18 => {
            let fault = history.pick(&[
                Fault::ProducerExit,
                Fault::ProducerKilled,
                Fault::ProducerLies,
                Fault::ProducerCut,
                Fault::ProducerBreaks,
                Fault::ProducerEmpty,
                Fault::ProducerTimeout,
                Fault::ProducerAbsent,
                Fault::Stall,
            ]);
            history.back_up(None, Some(fault))
        }
        18..24 => {
            let plan = plan(history, "prune");
            history.prune(plan, None)
        }
        24 => {
            let plan = plan(history, "prune");
            history.prune_while_read(plan)
        }
        25 | 26 => {
            let plan = plan(history, "verify");
            history.verify_all(plan)
        }
        27 | 28 => {
            let plan = plan(history, "hold");
            history.hold(plan)
        }
        29 => {
            let plan = plan(history, "sweep");
            history.sweep(plan)
        }
        30 => history.while_locked(),
        _ => {
            rot(history);
            history.verify_all(None)
        }
    };
    // Somebody notices, and sets the clock right again.
    if let Some(hours) = jumped {
        history.clock.jump(-hours);
    }
    done
}

fn jump(history: &mut History) -> Option<i64> {
    if !history.once_in(16) {
        return None;
    }
    let years = 10 * 365 * 24;
    let (fault, hours) = history.pick(&[
        (Fault::HourAhead, 1),
        (Fault::HourBack, -1),
        (Fault::HourBack, -1),
        (Fault::YearsBack, -years),
        (Fault::YearsAhead, years),
    ]);
    history.tally.fired(fault);
    history.tell(fault.words());
    history.clock.jump(hours);
    Some(hours)
}

/// A bit of a stored file flips, and nobody is told.
fn rot(history: &mut History) {
    let ids: Vec<String> = history.known.iter().filter(|(_, k)| !k.rotten).map(|(id, _)| id.clone()).collect();
    if ids.is_empty() {
        return;
    }
    let id = ids[history.rng.usize(..ids.len())].clone();
    let files: Vec<String> = {
        let state = history.machine.state();
        let inside = format!("{VAULT}/{id}/");
        let mut files: Vec<String> = state.all_files().into_iter().map(|(path, _)| path).collect();
        files.retain(|path| path.starts_with(&inside));
        files.sort();
        files
    };
    if files.is_empty() {
        return;
    }
    let file = files[history.rng.usize(..files.len())].clone();
    let flips = history.sabotage != Sabotage::Digests;
    if !flips || history.machine.rot(Path::new(&file), &mut history.rng) {
        history.tally.fired(Fault::Rot);
        history.tell(format!("a bit of {file} flips"));
        if let Some(known) = history.known.get_mut(&id) {
            known.rotten = true;
        }
    }
}

/// Peace returns: a backup and a verification without any fault, and a last power cut.
fn end(history: &mut History) -> Result<(), Broken> {
    let sets = history.known.len();
    history.back_up(None, None)?;
    history.look()?;
    if history.known.len() > sets {
        history.look_at_the_end()?;
    }
    history.power_cut();
    history.look()?;
    history.verify_all(None)
}

/// Plays many histories on all processors; says how many, and which were found broken, in the order of
/// their seeds. It ends when so many were.
pub fn many(seeds: &[u64], tally: &Arc<Tally>, sabotage: Sabotage, most: usize) -> (u64, Vec<String>) {
    let (next, played, found) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::new(Vec::new()));
    // Every run waits for threads of its own; meanwhile others can play.
    let threads = std::thread::available_parallelism().map_or(1, usize::from) * 2;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    played.fetch_add(1, Ordering::Relaxed);
                    if let Err(broken) = play(*seed, tally, sabotage) {
                        let mut found = found.lock().unwrap();
                        found.push((*seed, broken));
                        if found.len() >= most {
                            next.store(seeds.len() as u64, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let mut found: Vec<(u64, String)> = found.into_inner().unwrap();
    found.sort();
    (played.into_inner(), found.into_iter().map(|(_, broken)| broken).collect())
}
