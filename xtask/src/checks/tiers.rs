//! Whether the days, weeks and months that the policy keeps are all there, as far back as the vault's own history goes.

use crate::domain::check::{Check, Judged};
use crate::domain::fact::{BackupFacts, Committed, SetFact};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::time::Duration;

/// Each tier of the retention policy holds what its history says it should.
pub static CHECK: Check<BackupFacts> = Check {
    id: "tiers",
    title: "every day, week and month that the policy keeps is there",
    why: "damage that is noticed late needs an old set, and only then does anybody look for one",
    judge,
};

const DAY: u64 = 24 * 3600;

/// A tier: its word, how many, how long its slots are at least, and the slot of a date.
type Tier = (&'static str, u32, Duration, fn(Date) -> String);

fn judge(facts: &BackupFacts) -> Judged {
    let mut judged = Judged::default();
    let Some(sets) = facts.sets.or_unknown(&mut judged) else { return judged };
    let Some(history) = facts.history.or_unknown(&mut judged) else { return judged };
    let sound = facts.sound(sets);
    let policy = &facts.policy;
    let tiers: [Tier; 3] = [
        ("daily", policy.daily, Duration::from_secs(DAY), |date| date.to_string()),
        ("weekly", policy.weekly, Duration::from_secs(7 * DAY), |date| {
            let week = date.iso_week_date();
            format!("week {}-W{:02}", week.year(), week.week())
        }),
        ("monthly", policy.monthly, Duration::from_secs(28 * DAY), |date| date.strftime("%Y-%m").to_string()),
    ];
    for (word, count, length, slot) in tiers {
        let wanted = wanted(facts, sets, history, length, slot, count);
        let missing: Vec<&(String, Left)> = wanted.iter().filter(|(name, _)| !held(&sound, slot, name)).collect();
        for (name, left) in &missing {
            let what = format!("{word}: no sound set of {name}");
            match left {
                Left::Removed => judged.warn(
                    format!("{what}: it was removed by this tool, under another policy"),
                    "nothing brings it back; see docs/retention.md for what the policy keeps",
                ),
                Left::Gone => judged.fail(
                    format!("{what}: one was made and is gone or damaged"),
                    format!("cargo xtask verify {} all", facts.stack),
                ),
                Left::Never => judged.fail(
                    format!("{what}: the schedule wanted one, and none was made"),
                    "look why backups did not run in that time",
                ),
            };
        }
        if !wanted.is_empty() {
            judged.see(format!("{word}: {} of {}", wanted.len() - missing.len(), wanted.len()));
        }
    }
    if judged.seen.is_empty() && judged.findings.is_empty() {
        return Judged::skip("no set was ever made: no tier can be expected");
    }
    judged
}

/// What became of the sets of a slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    Never,
    Removed,
    Gone,
}

fn date(at: jiff::Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

fn held(sound: &[&SetFact], slot: fn(Date) -> String, name: &str) -> bool {
    sound.iter().any(|set| slot(date(set.at)) == name)
}

/// The newest slots that should hold a set: those in which one was committed and, where the schedule is dense enough, every one
/// since the first.
fn wanted(
    facts: &BackupFacts,
    sets: &[SetFact],
    history: &[Committed],
    length: Duration,
    slot: fn(Date) -> String,
    count: u32,
) -> Vec<(String, Left)> {
    let listed = sets.iter().map(|set| (set.at, false));
    let known: Vec<(Date, bool)> = history
        .iter()
        .map(|line| (line.at, line.removed))
        .chain(listed)
        .filter(|(at, _)| *at <= facts.now)
        .map(|(at, removed)| (date(at), removed))
        .collect();
    let mut slots: BTreeMap<Date, (String, Left)> = BTreeMap::new();
    let mut put = |day: Date, left: Left| {
        let name = slot(day);
        match slots.values_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = (*known).max(left),
            None => drop(slots.insert(day, (name, left))),
        }
    };
    let dense = facts.schedule.as_ref().is_some_and(|schedule| schedule.worst_gap() <= length);
    let today = date(facts.now);
    if let (true, Some(first)) = (dense, known.iter().map(|(day, _)| *day).min()) {
        // The slot of today may still be waiting for its run.
        let days = first.series(jiff::Span::new().days(1)).take_while(|day| *day < today);
        days.filter(|day| slot(*day) != slot(today)).for_each(|day| put(day, Left::Never));
    }
    for (day, removed) in known {
        put(day, if removed { Left::Removed } else { Left::Gone });
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    slots.into_values().rev().take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ago, asked, sets};
    use super::*;
    use crate::domain::fact::Fact;

    fn lines(facts: &mut BackupFacts) -> &mut Vec<Committed> {
        match &mut facts.history {
            Fact::Known(lines) => lines,
            Fact::Unknown(why) => panic!("{why}"),
        }
    }

    #[test]
    fn flaw_4_a_month_without_its_set_is_a_failure_and_not_healthy() {
        // The first set is of September; none is left of October, and the newest are of these days.
        let (word, said) = asked(&CHECK, |facts| {
            let (id, at) = ("20260901T020000Z-000001-aaaa".to_owned(), "2026-09-01T02:00:00Z".parse().unwrap());
            lines(facts).insert(0, Committed { id: id.clone(), at, removed: false });
            let old = SetFact { id, at, as_of: Some(at), ..super::super::tests::set(1, 1) };
            sets(facts).insert(0, old);
        });
        assert_eq!(word, "failed");
        assert!(said.contains("monthly: no sound set of 2026-10: the schedule wanted one"), "{said}");
        assert!(said.contains("weekly: no sound set of week 2026-W45"), "{said}");
        assert!(!said.contains("2026-09"), "{said}");
    }

    #[test]
    fn a_missed_day_and_a_vanished_one_fail_and_a_removed_one_is_told() {
        let without = |removed: Option<bool>| {
            asked(&CHECK, |facts| {
                let gone = sets(facts).remove(7);
                match removed {
                    None => lines(facts).retain(|line| line.id != gone.id),
                    Some(removed) => lines(facts).iter_mut().for_each(|l| l.removed = l.id == gone.id && removed),
                }
            })
        };
        let (word, said) = without(None);
        assert!(word == "failed" && said.contains("daily: no sound set of 2026-11-18: the schedule wanted"), "{said}");
        let (word, said) = without(Some(false));
        assert!(word == "failed" && said.contains("is gone or damaged"), "{said}");
        assert_eq!(without(Some(true)).0, "warning");
    }

    #[test]
    fn f39_what_the_policy_lets_go_is_not_missed_and_today_may_still_come() {
        assert_eq!(asked(&CHECK, |facts| drop(sets(facts).drain(..3))).0, "passed");
        let (word, said) = asked(&CHECK, |facts| {
            facts.now = ago(-11);
        });
        assert_eq!((word.as_str(), said.as_str()), ("passed", ""), "a new day has begun, its run has not");
        assert_eq!(
            asked(&CHECK, |facts| {
                sets(facts).clear();
                lines(facts).clear();
            })
            .0,
            "skipped"
        );
    }
}
