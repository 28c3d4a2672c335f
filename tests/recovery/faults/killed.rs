//! A backup that is killed or told to end: at each of its phases, and at random moments of its real duration. The vault keeps
//! every set, holds no half of one, and is free at once.
#![expect(clippy::disallowed_methods, reason = "the real program is timed and killed, as often as somebody wants")]

use super::desk::{Desk, Left};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// As many as this variable says; docs/reliability.md says what was tried.
pub fn times(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// Lets a backup go on for so long, or to its end.
fn go_on(backup: &mut Child, moment: Duration) {
    let deadline = Instant::now() + moment;
    while Instant::now() < deadline && backup.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// How long a backup takes: the median of three.
fn duration(desk: &Desk) -> Duration {
    let mut taken: Vec<Duration> = std::iter::repeat_with(|| {
        let begun = Instant::now();
        desk.ends(0, &["backup", "shop"]);
        begun.elapsed()
    })
    .take(3)
    .collect();
    taken.sort();
    taken[1]
}

fn by_kill(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::KILL.as_raw())
}

/// Kills so many backups of new desks, each at a random moment, and looks at the invariants after each. A desk serves for some
/// kills, so that each of them finds sets to lose. Returns how far the killed ones came.
pub fn killed_at_random(kills: usize, new: &dyn Fn() -> Desk) -> BTreeMap<Left, usize> {
    let mut left = BTreeMap::new();
    let (mut killed, mut over) = (0, 0);
    while killed < kills {
        let desk = new();
        let mut whole = duration(&desk);
        let enough = kills.min(killed + 20);
        while killed < enough {
            let before = desk.sets();
            let moment = whole.mul_f64(fastrand::f64() * 1.1);
            let mut backup = desk.begin();
            go_on(&mut backup, moment);
            backup.kill().unwrap();
            let dead = by_kill(backup.wait().unwrap());
            let at = desk.left(before.len());
            desk.assert_invariants(
                &before,
                backup.id(),
                &format!("killed {moment:?} after the start of {whole:?} ({at:?})"),
            );
            // A set that was there at the kill is whole and stays.
            assert_eq!(desk.sets().len() > before.len(), at >= Left::Set, "{at:?}");
            if dead {
                *left.entry(at).or_default() += 1;
                killed += 1;
            } else {
                // The machine is faster than when the time was taken.
                whole = whole.min(moment.max(whole.mul_f64(0.7)));
                over += 1;
            }
            assert!(
                over <= 2 * kills + 10,
                "backups are over before they can be killed: {killed} were, {over} were not"
            );
        }
        desk.ends(0, &["backup", "shop"]);
        eprintln!("{killed} killed so far, by how far they came: {left:?}; {over} more had ended before");
    }
    let committed: usize = left.iter().filter(|(at, _)| **at >= Left::Set).map(|(_, n)| n).sum();
    println!(
        "{kills} killed, {committed} of them after their commit, by how far they came: {left:?}; {over} more had ended before"
    );
    left
}

#[test]
fn f04_a_backup_that_is_killed_at_random_moments_loses_no_set_and_leaves_no_half() {
    let left = killed_at_random(times("XTASK_KILLS", 5), &|| Desk::sqlite(3000));
    let kills: usize = left.values().sum();
    assert!(kills < 20 || left.len() >= 2, "all kills met the same phase: {left:?}");
}

/// Kills a backup as soon as it came so far; whether it died of that, and how far it was then.
fn killed_when(desk: &Desk, phase: Left) -> (bool, Left) {
    let before = desk.sets();
    let mut backup = desk.begin();
    while desk.left(before.len()) < phase && backup.try_wait().unwrap().is_none() {
        std::hint::spin_loop();
    }
    backup.kill().unwrap();
    let killed = by_kill(backup.wait().unwrap());
    let at = desk.left(before.len());
    desk.assert_invariants(&before, backup.id(), &format!("killed when {phase:?} was there, at {at:?}"));
    (killed, at)
}

#[test]
fn f04_a_backup_that_is_killed_at_each_phase_loses_no_set_and_leaves_no_half() {
    let desk = Desk::sqlite(2000);
    desk.ends(0, &["backup", "shop"]);
    for phase in [Left::Folder, Left::Data, Left::Manifest, Left::Signature, Left::Set] {
        // The last phases are short: a kill may come after the end, and then another is tried.
        let met = (0..20).any(|_| {
            let (killed, at) = killed_when(&desk, phase);
            killed && at >= phase
        });
        assert!(met, "no backup died in or after {phase:?}");
        desk.ends(0, &["backup", "shop"]);
    }
}

#[test]
fn f08_a_backup_that_is_told_to_end_does_so_with_its_code_within_ten_seconds() {
    let desk = Desk::sqlite(3000);
    let whole = duration(&desk);
    let signals = [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)];
    let (mut told, mut ended) = (0, 0);
    for round in 0..18 {
        let (signal, code) = signals[round % 3];
        let before = desk.sets();
        let mut backup = desk.begin();
        // From its first files on, it watches for signals.
        while desk.left(before.len()) < Left::Folder && backup.try_wait().unwrap().is_none() {
            std::hint::spin_loop();
        }
        go_on(&mut backup, whole.mul_f64(fastrand::f64() * 0.8));
        let begun = Instant::now();
        // Every second time it is asked twice.
        for _ in 0..=(round / 3) % 2 {
            if backup.try_wait().unwrap().is_none() {
                kill_process(Pid::from_child(&backup), signal).unwrap();
            }
        }
        let status = backup.wait().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10), "{signal:?}: it took {:?} to end", begun.elapsed());
        match status.code() {
            Some(0) => ended += 1,
            found => {
                assert_eq!(found, Some(code), "{signal:?}: {status}");
                told += 1;
            }
        }
        desk.assert_invariants(&before, backup.id(), &format!("{signal:?} in round {round}"));
    }
    println!("{told} ended by their signal, {ended} were over");
    assert!(told >= 9, "only {told} of 18 were still at work when they were told to end");
}
