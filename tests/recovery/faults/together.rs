//! Runs of one vault that meet: several backups at once, one that stands still while another comes, and backups, prunings and
//! verifications all at the same time, some of them killed.

use super::desk::{Desk, Left, text};
use super::killed::times;
use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Output, Stdio};

const AT_ONCE: usize = 20;

fn begin(desk: &Desk, words: &[&str]) -> Child {
    desk.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn said(done: &Output) -> String {
    text(&done.stdout) + &text(&done.stderr)
}

#[test]
fn f33_of_twenty_backups_at_once_each_makes_a_whole_set_or_is_told_who_holds_the_vault() {
    let desk = Desk::sqlite(1000);
    desk.ends(0, &["backup", "shop"]);
    let before = desk.sets();
    let all: Vec<Child> = (0..AT_ONCE).map(|_| begin(&desk, &["backup", "shop"])).collect();
    let pid = all[0].id();
    let ended: Vec<Output> = all.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    let made = ended.iter().filter(|done| done.status.code() == Some(0)).count();
    let refused: Vec<&Output> = ended.iter().filter(|done| done.status.code() == Some(11)).collect();
    assert!(made >= 1 && made + refused.len() == AT_ONCE, "{:?}", ended.iter().map(said).collect::<Vec<_>>());
    assert!(!refused.is_empty(), "no two of them met");
    for done in refused {
        let said = said(done);
        assert!(said.contains("is in use by") && said.contains("hint: wait for that run"), "{said}");
    }
    assert_eq!(desk.sets().len(), before.len() + made, "a set for each that ended well");
    desk.assert_invariants(&before, pid, "twenty backups at once");
}

#[test]
fn f33_a_backup_that_stands_still_at_any_phase_keeps_the_vault_and_goes_on_afterwards() {
    let desk = Desk::sqlite(2000);
    desk.ends(0, &["backup", "shop"]);
    for phase in [Left::Folder, Left::Data, Left::Manifest] {
        let stood = (0..20).any(|_| {
            let before = desk.sets();
            let mut first = begin(&desk, &["backup", "shop"]);
            let pid = Pid::from_child(&first);
            while desk.left(before.len()) < phase && first.try_wait().unwrap().is_none() {
                std::hint::spin_loop();
            }
            kill_process(pid, Signal::STOP).unwrap();
            let stopped = || std::fs::read_to_string(format!("/proc/{}/stat", first.id())).unwrap_or_default();
            desk.eventually("the first stands still or is over", || {
                [") T ", ") Z "].iter().any(|s| stopped().contains(s))
            });
            let at = desk.left(before.len());
            let met = stopped().contains(") T ") && at >= phase && at < Left::Set;
            if met {
                let refusal = desk.ends(11, &["backup", "shop"]);
                assert!(refusal.contains(&format!("(pid {})", first.id())), "{refusal}");
                desk.ends(0, &["verify", "shop", "all"]);
            }
            kill_process(pid, Signal::CONT).unwrap();
            let done = first.wait_with_output().unwrap();
            assert_eq!(done.status.code(), Some(0), "{}", said(&done));
            assert_eq!(desk.sets().len(), before.len() + 1, "it goes on and makes its set");
            met
        });
        assert!(stood, "no backup could be stopped at {phase:?}");
    }
    desk.assert_invariants(&desk.sets(), 0, "backups that stood still");
}

#[test]
fn f36_backups_prunings_and_verifications_at_once_take_nothing_from_each_other_even_when_some_are_killed() {
    let desk = Desk::sqlite(300);
    desk.also("retention: { daily: 2, weekly: 0, monthly: 0, floor: 2 }");
    for _ in 0..3 {
        desk.ends(0, &["backup", "shop"]);
    }
    let (mut killed, mut locked, mut pruned) = (0, 0, 0);
    let rounds = times("XTASK_ROUNDS", 12);
    // On an idle machine a task may be over before it can be killed: then there are more rounds.
    let mut round = 0;
    while round < rounds || (killed == 0 && round < rounds * 4) {
        let before = desk.sets();
        let newest = before.last().unwrap().clone();
        let tasks: [&[&str]; 4] =
            [&["backup", "shop"], &["prune", "shop", "--apply"], &["verify", "shop", "latest"], &["backup", "shop"]];
        // In any order, each some turns after the one before it.
        let mut order = [0, 1, 2, 3];
        fastrand::shuffle(&mut order);
        let mut all: Vec<(usize, Child)> = Vec::new();
        for number in order {
            all.push((number, begin(&desk, tasks[number])));
            for _ in 0..fastrand::u32(0..2000) {
                let _ = desk.left(before.len());
            }
        }
        let victim = if round % 2 == 0 { Some(fastrand::usize(..4)) } else { None };
        if let Some((_, child)) = all.iter_mut().find(|(number, _)| Some(*number) == victim) {
            child.kill().unwrap();
        }
        let pid = all[0].1.id();
        for (number, child) in all {
            let done = child.wait_with_output().unwrap();
            let (code, said) = (done.status.code(), said(&done));
            // The newest set may change between a look and the next, and is never one that fails.
            let fine = match code {
                None => victim == Some(number),
                Some(0) => true,
                Some(11) => number != 2,
                _ => false,
            };
            assert!(fine, "round {round}, {:?} ended with {code:?}: {said}", tasks[number]);
            killed += usize::from(code.is_none());
            locked += usize::from(code == Some(11));
        }
        let after = desk.sets();
        pruned += before.iter().filter(|set| !after.contains(set)).count();
        assert!(after.len() >= 2, "round {round}: the floor of two sets was not kept: {after:?}");
        assert!(
            after.contains(&newest) || after.iter().filter(|set| **set > newest).count() >= 2,
            "round {round}: {after:?}"
        );
        desk.assert_invariants(&after, pid, &format!("round {round} of everything at once"));
        round += 1;
    }
    println!("{killed} killed, {locked} refused because of a lock, {pruned} sets pruned");
    assert!(killed > 0 && locked > 0 && pruned > 0, "{killed} killed, {locked} locked, {pruned} pruned");
}
