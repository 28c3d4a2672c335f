//! Whether the newest set was read to its last byte, and how long ago a set of this stack was last restored and found equal.

use crate::domain::check::{Check, Judged};
use crate::domain::deed::{Deed, Ending, What};
use crate::domain::display::duration;
use crate::domain::fact::BackupFacts;
use crate::domain::level::Level;
use jiff::Timestamp;

/// The newest set is known to L2, and some set reached L4 within a week.
pub static CHECK: Check<BackupFacts> = Check {
    id: "verified",
    title: "the newest set was read back, and a set was restored lately",
    why: "only a set that came back equal is known to come back",
    judge,
};

/// How long a restore proves something for.
const RESTORED_WITHIN_DAYS: i64 = 7;

/// When a deed was done; `None` for a line that names no time, or one in the future: it proves nothing.
pub(super) fn when(deed: &Deed, now: Timestamp) -> Option<Timestamp> {
    deed.at.parse::<Timestamp>().ok().filter(|at| *at <= now)
}

fn judge(facts: &BackupFacts) -> Judged {
    let mut judged = Judged::default();
    let Some(sets) = facts.sets.or_unknown(&mut judged) else { return judged };
    let Some((deeds, _)) = facts.deeds.or_unknown(&mut judged) else { return judged };
    let sound = facts.sound(sets);
    let Some(newest) = sound.last() else { return Judged::skip("there is no sound set to have been verified") };
    let of_newest = || deeds.iter().filter(|d| d.set.as_deref() == Some(&newest.id) && d.stack == facts.stack);
    // Every commit reads back what it wrote, to L2.
    let level = |d: &&Deed| match d.what {
        What::Backup | What::Adopt => Some(Level::L2),
        What::Verify | What::Drill | What::Restore => d.level,
        _ => None,
    };
    let passed = |d: &&Deed| d.ending == Ending::Passed && when(d, facts.now).is_some();
    let command = |level: Level| format!("cargo xtask verify {} {} --level {level}", facts.stack, newest.id);
    if let Some(bad) = of_newest().rfind(|d| d.what == What::Verify).filter(|d| d.ending != Ending::Passed) {
        let why = bad.why.as_deref().unwrap_or("it did not say why");
        judged.fail(format!("the last verification of {} did not pass: {why}", newest.id), command(Level::L2));
    }
    match of_newest().filter(passed).filter_map(|d| level(&d)).max() {
        Some(reached) if reached >= Level::L2 => judged.see(format!("{} reached {reached}", newest.id)),
        Some(reached) => {
            judged.fail(format!("{} is known to {reached} only", newest.id), command(Level::L2));
        }
        None => {
            let what = format!("nothing is written down of any reading of {}", newest.id);
            judged.fail(what, command(Level::L2));
        }
    }
    let restored = |d: &&Deed| d.stack == facts.stack && d.level == Some(Level::L4) && d.what != What::Restore;
    let last = deeds.iter().filter(restored).filter(passed).filter_map(|d| when(d, facts.now)).max();
    let ago = |at: Timestamp| duration(facts.now.duration_since(at).as_secs() as f64);
    match last {
        Some(at) if facts.now.duration_since(at).as_hours() <= RESTORED_WITHIN_DAYS * 24 => {
            judged.see(format!("a set was restored and found equal {} ago", ago(at)));
        }
        Some(at) => {
            let what =
                format!("no set was restored and found equal for {} (the limit is {RESTORED_WITHIN_DAYS} d)", ago(at));
            judged.fail(what, command(Level::L4));
        }
        None => {
            judged.fail("no set of this stack was ever restored and found equal", command(Level::L4));
        }
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, deed, sets};
    use super::*;
    use crate::domain::fact::Fact;

    fn with(change: impl Fn(&str) -> Vec<Deed>) -> (String, String) {
        asked(&CHECK, |facts| {
            let newest = sets(facts).last().unwrap().id.clone();
            facts.deeds = Fact::Known((change(&newest), 0));
        })
    }

    #[test]
    fn a_set_that_nobody_read_and_one_that_nobody_restored_fail() {
        let (word, said) = with(|_| Vec::new());
        assert_eq!(word, "failed");
        assert!(said.contains("nothing is written down") && said.contains("was ever restored"), "{said}");
        let (word, said) = with(|id| vec![deed(What::Backup, id, None, 10)]);
        assert!(word == "failed" && said.contains("--level L4") && !said.contains("nothing is written"), "{said}");
    }

    #[test]
    fn flaw_52_a_restore_proves_something_for_a_week() {
        let restored = |hours| {
            with(|id| vec![deed(What::Backup, id, None, 10), deed(What::Verify, "older", Some(Level::L4), hours)]).0
        };
        assert_eq!((restored(7 * 24).as_str(), restored(7 * 24 + 2).as_str()), ("passed", "failed"));
        assert_eq!(restored(-5), "failed", "a proof from the future proves nothing");
    }

    #[test]
    fn a_verification_that_ended_badly_is_not_forgotten_for_an_earlier_good_one() {
        let (word, said) = with(|id| {
            let bad = Deed {
                ending: Ending::Failed,
                why: Some("is missing db.dump".into()),
                ..deed(What::Verify, id, None, 1)
            };
            vec![deed(What::Backup, id, None, 10), deed(What::Verify, id, Some(Level::L4), 9), bad]
        });
        assert!(word == "failed" && said.contains("did not pass: is missing db.dump"), "{said}");
    }

    #[test]
    fn l1_is_not_enough() {
        let (word, said) =
            with(|id| vec![deed(What::Verify, id, Some(Level::L1), 9), deed(What::Verify, "x", Some(Level::L4), 9)]);
        assert!(word == "failed" && said.contains("is known to L1 only"), "{said}");
    }
}
