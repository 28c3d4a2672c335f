//! Whether the newest set holds as much as sets of this stack do: an empty dump is a success to the tool that makes it.

use crate::domain::check::{Check, Judged};
use crate::domain::display::{bytes, count};
use crate::domain::fact::{BackupFacts, Fact};
use crate::domain::refusal::RefusalKind;

/// The newest set has objects and rows, and at least half of the usual size.
pub static CHECK: Check<BackupFacts> = Check {
    id: "size",
    title: "the newest set is as large as the sets before it",
    why: "a dump of an empty or wrong database succeeds; only its size and its rows tell",
    judge,
};

/// So many sets before the newest say what is usual.
const USUAL: usize = 5;

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
    let mut usual: Vec<u64> = before.iter().rev().take(USUAL).map(|set| set.stored_bytes).collect();
    usual.sort_unstable();
    let Some(median) = usual.get(usual.len() / 2).copied() else {
        judged.see(format!("{} in the first set: nothing to compare with yet", bytes(newest.stored_bytes)));
        return judged;
    };
    let sizes = format!(
        "set {} has {}, the median of the {} before it is {}",
        newest.id,
        bytes(newest.stored_bytes),
        usual.len(),
        bytes(median)
    );
    if newest.stored_bytes.saturating_mul(2) < median {
        judged.fail(format!("{sizes}: less than half"), look);
    } else {
        judged.see(sizes);
    }
    judged
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
    fn f02_no_rows_or_no_objects_fail_unless_the_store_may_be_empty() {
        for held in [Content { objects: 0, rows: 0 }, Content { objects: 4, rows: 0 }] {
            let with = |empty| {
                asked(&CHECK, |facts| {
                    facts.content = Fact::Known([("db".to_owned(), held)].into());
                    facts.stores.insert("db".into(), empty);
                })
                .0
            };
            assert_eq!((with(false).as_str(), with(true).as_str()), ("failed", "passed"));
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
