//! Whether the disk will take the sets to come, by what the sets so far took: bytes and files.

use crate::domain::check::{Check, Judged};
use crate::domain::display::{bytes, count, duration};
use crate::domain::fact::{BackupFacts, SetFact};
use crate::domain::refusal::RefusalKind;
use std::time::Duration;

/// The next set fits, and so do those of the next two weeks.
pub static CHECK: Check<BackupFacts> = Check {
    id: "space",
    title: "the disk has room for the sets to come",
    why: "a full disk ends backups silently, and mostly at night",
    judge,
};

/// The next set may be this much larger than the largest of the last ones, in percent.
const GROWTH: u64 = 120;
/// Free space must last this long, or it is told.
const AHEAD: Duration = Duration::from_secs(14 * 24 * 3600);
/// So many sets say what is usual.
const USUAL: usize = 10;

/// A kind of room: its unit, how much is free, what a set takes of it, and how a number of it is shown.
type Kind = (&'static str, Option<u64>, fn(&SetFact) -> u64, fn(u64) -> String);

fn judge(facts: &BackupFacts) -> Judged {
    let mut judged = Judged::default();
    let Some(room) = facts.room.or_unknown(&mut judged) else { return judged };
    let Some(sets) = facts.sets.or_unknown(&mut judged) else { return judged };
    let sound = facts.sound(sets);
    let last: Vec<&&SetFact> = sound.iter().rev().take(USUAL).collect();
    if last.is_empty() {
        return Judged::skip(format!("no set says how much room one needs; {} are free", bytes(room.bytes)));
    }
    // Where sets of a stack are not removed yet, each new one comes on top.
    let per_day = per_day(facts, &last);
    let kinds: [Kind; 2] =
        [("", Some(room.bytes), |set| set.stored_bytes, bytes), (" files", room.files, |set| set.files + 1, count)];
    for (unit, free, of, shown) in kinds {
        let Some(free) = free else {
            judged.see("the file system does not limit the number of files");
            continue;
        };
        let largest = last.iter().map(|set| of(set)).max().unwrap_or(0);
        let needed = largest.saturating_mul(GROWTH) / 100;
        let free_said = format!("{}{unit} free in {}", shown(free), facts.vault.display());
        if free < needed {
            let what = format!("{free_said}: the next set may need {}{unit}", shown(needed));
            judged.fail(what, "free space there, or point backups.vault at a larger disk").kind(RefusalKind::Storage);
            continue;
        }
        let rate = per_day.map(|sets| sets * largest as f64).filter(|rate| *rate > 0.0);
        let lasts = rate.map(|rate| free as f64 / rate * 24.0 * 3600.0);
        match lasts {
            Some(lasts) if lasts < AHEAD.as_secs_f64() => {
                let what =
                    format!("{free_said}: at {}{unit} a set this lasts {}", shown(largest), duration(lasts.floor()));
                judged.warn(what, format!("cargo xtask prune {}; or a larger disk", facts.stack));
                judged.see(free_said);
            }
            Some(lasts) => judged.see(format!("{free_said}, for {} at least", duration(lasts.floor()))),
            None => judged.see(free_said),
        }
    }
    judged
}

/// Sets a day: by the schedule, else by the sets themselves.
fn per_day(facts: &BackupFacts, last: &[&&SetFact]) -> Option<f64> {
    let day = 24.0 * 3600.0;
    if let Some(schedule) = &facts.schedule {
        return Some(day / schedule.worst_gap().as_secs_f64());
    }
    let (newest, oldest) = (last.first()?, last.last()?);
    let span = newest.at.duration_since(oldest.at).as_secs_f64();
    (last.len() > 1 && span > 0.0).then(|| (last.len() - 1) as f64 * day / span)
}

#[cfg(test)]
mod tests {
    use super::super::tests::asked;
    use super::*;
    use crate::domain::fact::{Fact, Room};

    fn with(bytes: u64, files: Option<u64>) -> (String, String) {
        asked(&CHECK, |facts| facts.room = Fact::Known(Room { bytes, files }))
    }

    #[test]
    fn f03_a_disk_that_the_next_set_may_fill_is_red_for_bytes_and_for_files() {
        let (word, said) = with(11_999_999, Some(1_000_000));
        assert!(word == "failed" && said.contains("the next set may need 12.0 MB"), "{said}");
        let (word, said) = with(50_000_000_000, Some(7));
        assert!(word == "failed" && said.contains("7 files free"), "{said}");
    }

    #[test]
    fn a_disk_that_lasts_less_than_two_weeks_is_told() {
        let (word, said) = with(130_000_000, Some(1_000_000));
        assert!(word == "warning" && said.contains("lasts 13 d"), "{said}");
        assert_eq!(with(150_000_000, None).0, "passed");
    }

    #[test]
    fn without_a_schedule_the_sets_say_how_often_they_come() {
        let (word, _) = asked(&CHECK, |facts| {
            facts.schedule = None;
            facts.room = Fact::Known(Room { bytes: 130_000_000, files: None });
        });
        assert_eq!(word, "warning");
    }
}
