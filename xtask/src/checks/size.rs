//! Whether the newest set holds as much as sets of this stack do: an empty dump is a success to the tool that makes it.

use crate::domain::check::{Check, Judged};
use crate::domain::display::{bytes, count};
use crate::domain::fact::{BackupFacts, Fact, SetFact};
use crate::domain::refusal::RefusalKind;

/// The newest set has objects and rows, and at least half of the usual size and rows, as a whole and of each store.
pub static CHECK: Check<BackupFacts> = Check {
    id: "size",
    title: "the newest set is as large as the sets before it",
    why: "a dump of an empty or wrong database succeeds; only its size and its rows tell",
    judge,
};

fn judge(facts: &BackupFacts) -> Judged {
    let mut judged = Judged::default();
    let Some(sets) = facts.sets.or_unknown(&mut judged) else { return judged };
    let sound = facts.sound(sets);
    let Some((newest, before)) = sound.split_last() else {
        return Judged::skip("there is no sound set to look at");
    };
    let look = format!("cargo xtask verify {} {} --level L4", facts.stack, newest.id);
    match &facts.content {
        Fact::Known(content) if content.is_empty() => {
            judged.fail(format!("set {} holds no store", newest.id), look.clone()).kind(RefusalKind::EmptyStore);
        }
        Fact::Known(content) => {
            for (store, held) in content {
                let may_be_empty = facts.stores.get(store).copied().unwrap_or(false);
                let (objects, rows) = (count(held.objects as u64), count(held.rows));
                if (held.objects == 0 || held.rows == 0) && !may_be_empty {
                    let what = format!("{store} in set {} holds {rows} rows in {objects} objects", newest.id);
                    judged.fail(what, look.clone()).kind(RefusalKind::EmptyStore);
                } else {
                    judged.see(format!("{store}: {rows} rows in {objects} objects"));
                }
            }
        }
        // Without a key nobody counts; whoever made the set did, and refused an empty store.
        Fact::Unknown(why) if newest.encrypted => judged.see(format!("rows were counted when it was made; now {why}")),
        Fact::Unknown(_) => drop(facts.content.or_unknown(&mut judged)),
    }
    if before.is_empty() {
        judged.see(format!("{} in the first set: nothing to compare with yet", bytes(newest.stored_bytes)));
        return judged;
    }
    let usual: Vec<&SetFact> = before.iter().rev().take(BackupFacts::USUAL).copied().collect();
    let mut shrunk = false;
    // One by one: a large store hides that a small one was lost.
    for (store, now) in &newest.store_bytes {
        let past = usual.iter().filter_map(|set| set.store_bytes.get(store).copied()).collect();
        shrunk |= compared(facts, &mut judged, store, (*now, past, "stored"), bytes, &look);
    }
    if let Fact::Known(content) = &facts.content {
        for (store, held) in content {
            let past = facts.rows_before.get(store).cloned().unwrap_or_default();
            shrunk |= compared(facts, &mut judged, store, (held.rows, past, "rows"), count, &look);
        }
    }
    let all: Vec<u64> = usual.iter().map(|set| set.stored_bytes).collect();
    let Some(median) = median(all.clone()) else { return judged };
    let (new, old) = (bytes(newest.stored_bytes), bytes(median));
    let sizes = format!("set {} has {new}, the median of the {} before it is {old}", newest.id, all.len());
    if !shrunk && newest.stored_bytes.saturating_mul(2) < median {
        judged.fail(format!("{sizes}: less than half"), look);
    } else {
        judged.see(sizes);
    }
    judged
}

/// Whether a store has less than half of what it usually has, which is then told: of one that may be empty as a warning.
fn compared(
    facts: &BackupFacts,
    judged: &mut Judged,
    store: &str,
    (now, past, what): (u64, Vec<u64>, &str),
    shown: fn(u64) -> String,
    look: &str,
) -> bool {
    let sets = past.len();
    let Some(median) = median(past) else { return false };
    if now.saturating_mul(2) >= median {
        return false;
    }
    let (now, median) = (shown(now), shown(median));
    let said = format!("{store}: {now} {what}, less than half of {median}, the median of the {sets} sets before");
    if facts.stores.get(store).copied().unwrap_or(false) {
        judged.warn(said, look);
    } else {
        judged.fail(said, look);
    }
    true
}

fn median(mut of: Vec<u64>) -> Option<u64> {
    of.sort_unstable();
    of.get(of.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, sets};
    use super::*;
    use crate::domain::fact::Content;

    #[test]
    fn f02_half_of_the_usual_size_is_the_limit() {
        let sized = |bytes| asked(&CHECK, |facts| sets(facts).last_mut().unwrap().stored_bytes = bytes).0;
        assert_eq!((sized(5_000_000).as_str(), sized(4_999_999).as_str()), ("passed", "failed"));
    }

    #[test]
    fn a_lost_store_is_seen_beside_a_large_one_by_its_bytes_and_by_its_rows() {
        let beside = |bytes: u64, empty| {
            asked(&CHECK, |facts| {
                facts.stores.insert("shop".into(), empty);
                let last = sets(facts).len() - 1;
                for (n, set) in sets(facts).iter_mut().enumerate() {
                    set.store_bytes.insert("shop".into(), if n == last { bytes } else { 5_000 });
                }
            })
        };
        let (word, said) = beside(2_499, false);
        assert!(word == "failed" && said.contains("shop: 2.50 kB stored, less than half of 5.00 kB"), "{said}");
        assert_eq!((beside(2_500, false).0.as_str(), beside(2_499, true).0.as_str()), ("passed", "warning"));
        let (word, said) = asked(&CHECK, |facts| {
            facts.content = Fact::Known([("db".to_owned(), Content { objects: 3, rows: 1 })].into());
        });
        assert!(word == "failed" && said.contains("db: 1 rows, less than half of 100"), "{said}");
    }

    #[test]
    fn f02_no_rows_or_no_objects_fail_unless_the_store_may_be_empty() {
        for held in [Content { objects: 0, rows: 0 }, Content { objects: 4, rows: 0 }] {
            let with = |empty| {
                asked(&CHECK, |facts| {
                    facts.content = Fact::Known([("db".to_owned(), held)].into());
                    facts.stores.insert("db".into(), empty);
                    facts.rows_before.clear();
                })
                .0
            };
            assert_eq!((with(false).as_str(), with(true).as_str()), ("failed", "passed"), "{held:?}");
        }
        assert_eq!(asked(&CHECK, |facts| facts.content = Fact::Known(Default::default())).0, "failed");
    }

    #[test]
    fn rows_that_nobody_can_count_are_broken_where_they_could_be() {
        let unread = |encrypted| {
            asked(&CHECK, |facts| {
                facts.content = Fact::Unknown("no key was given".into());
                sets(facts).last_mut().unwrap().encrypted = encrypted;
            })
            .0
        };
        assert_eq!((unread(true).as_str(), unread(false).as_str()), ("passed", "broken"));
        assert_eq!(asked(&CHECK, |facts| sets(facts).clear()).0, "skipped");
    }
}
