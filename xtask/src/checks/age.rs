//! Whether the newest set is as young as the schedule says it must be. The thresholds follow from the schedule and from what backups
//! took; none is a number that somebody chose.

use crate::domain::check::{Check, Judged};
use crate::domain::display::duration;
use crate::domain::fact::BackupFacts;
use crate::domain::refusal::RefusalKind;
use std::time::Duration;

/// The newest sound set is no older than one interval, the time that a backup takes and some grace.
pub static CHECK: Check<BackupFacts> = Check {
    id: "age",
    title: "the newest set is as young as the schedule says",
    why: "a backup that stopped running is noticed here, not after the disaster",
    judge,
};

/// The least grace; otherwise it is a tenth of the interval.
const GRACE: Duration = Duration::from_secs(10 * 60);

fn judge(facts: &BackupFacts) -> Judged {
    let mut judged = Judged::default();
    let Some(sets) = facts.sets.or_unknown(&mut judged) else { return judged };
    let make = format!("cargo xtask backup {}", facts.stack);
    let sound = facts.sound(sets);
    let Some(newest) = sound.iter().rev().find(|set| !set.adopted) else {
        let what = format!("{} holds no sound backup set that was made of the running stack", facts.vault.display());
        judged.fail(what, make).kind(RefusalKind::NoBackup);
        return judged;
    };
    // Several sets may be of one second: their numbers, which their names hold, tell them apart.
    let mut later = sets.iter().rev().filter(|set| (set.at, &set.id) > (newest.at, &newest.id));
    if let Some(damaged) = later.find(|set| set.damage.is_some()) {
        let why = damaged.damage.as_deref().unwrap_or_default();
        let next = format!("cargo xtask verify {} {}; then {make}", facts.stack, damaged.id);
        judged.fail(format!("the newest set {} is damaged: {why}", damaged.id), next).kind(RefusalKind::Integrity);
    }
    for store in facts.stores.keys().filter(|store| !newest.stores.contains(*store)) {
        judged.fail(format!("the newest set {} holds nothing of store {store}", newest.id), make.clone());
    }
    // The data's own moment, which is a little before the set's name.
    let age = facts.now.duration_since(newest.as_of.unwrap_or(newest.at));
    let Ok(age) = Duration::try_from(age) else {
        judged.fail(format!("the data of {} is dated in the future", newest.id), "set the clock right");
        return judged;
    };
    let shown = |time: Duration| duration(time.as_secs() as f64);
    let of = format!("the newest set {} is {} old", newest.id, shown(age));
    let Some(schedule) = &facts.schedule else {
        let least = facts.objectives.iter().map(|(_, rpo)| *rpo).min().unwrap_or_default();
        if age > least {
            judged.fail(format!("{of}, the strictest objective is {}", shown(least)), make);
        } else {
            judged.see(format!("{of}, within the strictest objective of {}; no schedule is declared", shown(least)));
        }
        return judged;
    };
    let interval = schedule.worst_gap();
    let due = interval + facts.p95(sets);
    let missed = due + GRACE.max(interval / 10);
    let limits = format!("`{schedule}` makes one due after {}, missed after {}", shown(due), shown(missed));
    if age > missed {
        judged.fail(format!("{of}: a run was missed; {limits}"), format!("look why it did not run; then {make}"));
    } else {
        judged.see(format!("{of}; {limits}"));
        if age > due {
            judged.warn(format!("{of}: the next is late; {limits}"), "see whether it is running");
        }
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ago, asked, set, sets};
    use super::*;

    fn aged(hours: i64, minutes: i64) -> String {
        asked(&CHECK, |facts| {
            let newest = sets(facts).last_mut().unwrap();
            newest.at = ago(hours) - jiff::SignedDuration::from_mins(minutes);
            newest.as_of = Some(newest.at);
        })
        .0
    }

    #[test]
    fn flaw_3_a_daily_backup_is_green_all_day_late_for_a_while_and_then_missed() {
        let words: Vec<String> = (0..48).map(|hours| aged(hours, 0)).collect();
        assert!(words[..25].iter().all(|word| word == "passed"), "{words:?}");
        assert_eq!((aged(24, 2).as_str(), aged(26, 20).as_str()), ("warning", "warning"));
        assert!(words[27..].iter().all(|word| word == "failed"), "{words:?}");
    }

    #[test]
    fn no_set_at_all_and_only_adopted_ones_fail() {
        let (word, said) = asked(&CHECK, |facts| sets(facts).clear());
        assert_eq!(word, "failed");
        assert!(said.contains("cargo xtask backup shop"), "{said}");
        assert_eq!(asked(&CHECK, |facts| sets(facts).iter_mut().for_each(|s| s.adopted = true)).0, "failed");
    }

    #[test]
    fn f40_a_damaged_newest_set_is_told_and_does_not_count() {
        let (word, said) = asked(&CHECK, |facts| {
            sets(facts).push(crate::domain::fact::SetFact { damage: Some("is missing db.dump".into()), ..set(99, 1) });
        });
        assert_eq!(word, "failed");
        assert!(said.contains("is damaged: is missing db.dump"), "{said}");
    }

    #[test]
    fn a_store_that_the_newest_set_lacks_fails_and_without_a_schedule_the_objective_decides() {
        let (word, said) = asked(&CHECK, |facts| {
            facts.stores.insert("uploads".into(), false);
        });
        assert!(word == "failed" && said.contains("holds nothing of store uploads"), "{said}");
        let hour = Duration::from_secs(3600);
        let without = |objective| {
            asked(&CHECK, |facts| {
                facts.schedule = None;
                facts.objectives = vec![("total-loss".into(), objective)];
            })
            .0
        };
        assert_eq!((without(hour).as_str(), without(hour * 12).as_str()), ("failed", "passed"));
    }

    #[test]
    fn f14_f41_the_time_of_a_file_and_a_date_in_the_future_make_no_set_young() {
        let word = asked(&CHECK, |facts| {
            sets(facts).pop();
            sets(facts).pop();
            sets(facts).push(set(99, -9600));
        });
        assert_eq!(word.0, "failed", "{}", word.1);
    }
}
