//! Whether the newest set was read to its last byte, and how long ago each store was last restored from a set of this vault and found
//! equal.

use crate::domain::check::{Check, Judged};
use crate::domain::deed::{Deed, Ending, What};
use crate::domain::display::duration;
use crate::domain::fact::{BackupFacts, Committed, Fact, SetFact};
use crate::domain::level::Level;
use crate::domain::protection::Encryption;
use crate::domain::standing::Standing;
use jiff::Timestamp;

/// The newest set is known to L2, a key that is here opens it, and each store came back from some set within a week.
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
    let command = |level: Level| format!("cargo xtask verify {} {} --level {level}", facts.stack, newest.id);
    let of_newest = deeds.iter().filter(|d| d.set.as_deref() == Some(&newest.id) && d.stack == facts.stack);
    let standing = Standing::of(of_newest, |deed| when(deed, facts.now).is_some());
    if let Some(bad) = standing.failure {
        let why = bad.why.as_deref().unwrap_or("it did not say why");
        let next = command(if bad.level < Some(Level::L2) { Level::L2 } else { Level::L4 });
        judged.fail(format!("the last verification of {} did not pass: {why}", newest.id), next);
    }
    match standing.reached {
        Some(reached) if reached >= Level::L2 => judged.see(format!("{} reached {reached}", newest.id)),
        // The failure says it.
        _ if standing.failure.is_some() => {}
        Some(reached) => {
            judged.fail(format!("{} is known to {reached} only", newest.id), command(Level::L2));
        }
        None => {
            let what = format!("nothing is written down of any reading of {}", newest.id);
            judged.fail(what, command(Level::L2));
        }
    }
    if let Some(why) = &facts.locked_out {
        let what = format!("the configured key does not open {}: {why}", newest.id);
        judged.fail(what, "name the identity that opens it: `identity_files:` below `backups:` in recovery.yaml");
    }
    let stores = if facts.stores.is_empty() { newest.stores.iter().collect() } else { facts.stores.keys().collect() };
    restored(facts, (sets, deeds), newest, stores, &mut judged);
    judged
}

/// Whether each store came back from a set of this vault, which somebody who can open it must have restored.
fn restored(
    facts: &BackupFacts,
    (sets, deeds): (&[SetFact], &[Deed]),
    newest: &SetFact,
    stores: Vec<&String>,
    judged: &mut Judged,
) {
    let next = format!("cargo xtask verify {} {} --level L4", facts.stack, newest.id);
    let ever: &[Committed] = if let Fact::Known(history) = &facts.history { history } else { &[] };
    // A live drill makes a set of its own, with a key of its own: it says nothing of any set here.
    let here = |id: &&String| sets.iter().any(|s| s.id == **id) || ever.iter().any(|s| s.id == **id);
    let proves = |d: &&Deed| {
        let of_ours = d.stack == facts.stack && d.set.as_ref().filter(here).is_some();
        of_ours && d.level == Some(Level::L4) && d.ending == Ending::Passed && d.what != What::Restore
    };
    let proofs: Vec<&Deed> = deeds.iter().filter(proves).filter(|d| when(d, facts.now).is_some()).collect();
    let keyless =
        facts.protection.identities.is_empty() && !matches!(facts.protection.encryption, Encryption::Passphrase(_));
    if proofs.is_empty() && newest.encrypted && keyless {
        let what = "nothing here shows that anybody can open these sets: they are encrypted, no key is on this host, and none \
                    of them was ever restored";
        judged.fail(what, format!("{next}   (on a host that has the key)"));
    }
    let ago = |at: Timestamp| duration(facts.now.duration_since(at).as_secs() as f64);
    for store in stores {
        let last = proofs.iter().filter(|d| holds(d, sets, store)).filter_map(|d| when(d, facts.now)).max();
        match last {
            Some(at) if facts.now.duration_since(at).as_hours() <= RESTORED_WITHIN_DAYS * 24 => {
                judged.see(format!("{store}: a set was restored and found equal {} ago", ago(at)));
            }
            Some(at) => {
                let what = format!(
                    "{store}: no set with it was restored and found equal for {} (the limit is {RESTORED_WITHIN_DAYS} d)",
                    ago(at)
                );
                judged.fail(what, next.clone());
            }
            None => {
                judged.fail(format!("{store}: no set with it was ever restored and found equal"), next.clone());
            }
        }
    }
}

/// Whether what was restored held this store. An old line says no stores, and then the set does, if it is still there.
fn holds(deed: &Deed, sets: &[SetFact], store: &str) -> bool {
    if let Some(only) = &deed.store {
        return only == store;
    }
    if !deed.stores.is_empty() {
        return deed.stores.iter().any(|held| held == store);
    }
    sets.iter().find(|set| Some(&set.id) == deed.set.as_ref()).is_none_or(|set| set.stores.contains(store))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, deed, sets};
    use super::*;

    fn with(change: impl Fn(&str) -> Vec<Deed>) -> (String, String) {
        asked(&CHECK, |facts| {
            let newest = sets(facts).last().unwrap().id.clone();
            facts.deeds = Fact::Known((change(&newest), 0));
        })
    }

    /// The set before the newest.
    fn older() -> String {
        sets(&mut super::super::tests::sound())[8].id.clone()
    }

    #[test]
    fn a_proof_that_names_no_set_of_this_vault_is_none() {
        let drill = |id: Option<&str>| Deed {
            set: id.map(str::to_owned),
            store: Some("db".into()),
            target: Some("total-loss (live)".into()),
            ..deed(What::Drill, "", Some(Level::L4), 1)
        };
        for of in [None, Some("20200101T000000Z-000001-aaaa")] {
            let (word, said) = with(|id| vec![deed(What::Backup, id, None, 10), drill(of)]);
            assert!(word == "failed" && said.contains("anybody can open"), "{said}");
            assert!(said.contains("db: no set with it was ever restored"), "{said}");
        }
        assert_eq!(with(|id| vec![deed(What::Backup, id, None, 10), drill(Some(id))]).0, "passed");
    }

    #[test]
    fn a_proof_is_of_the_stores_that_were_restored() {
        let of = |stores: &[&str]| {
            let stores: Vec<String> = stores.iter().map(|s| (*s).to_owned()).collect();
            with(|id| {
                let verified = Deed { stores: stores.clone(), ..deed(What::Verify, id, Some(Level::L4), 1) };
                vec![deed(What::Backup, id, None, 10), verified]
            })
            .0
        };
        assert_eq!([of(&["db"]), of(&["up"]), of(&[])], ["passed", "failed", "passed"]);
    }

    #[test]
    fn a_configured_key_that_does_not_open_the_newest_set_fails() {
        let (word, said) = asked(&CHECK, |facts| facts.locked_out = Some("no key in a opens it".into()));
        assert!(word == "failed" && said.contains("does not open") && said.contains("no key in a"), "{said}");
    }

    #[test]
    fn a_look_from_outside_undoes_no_failure() {
        let bad = |id: &str| Deed {
            ending: Ending::Failed,
            why: Some("bad bytes".into()),
            ..deed(What::Verify, id, Some(Level::L1), 3)
        };
        let then = |level: Option<Level>| {
            with(|id| {
                let later = level.map(|level| deed(What::Verify, id, Some(level), 1));
                let first = [deed(What::Backup, id, None, 10), deed(What::Verify, id, Some(Level::L4), 9), bad(id)];
                first.into_iter().chain(later).collect()
            })
        };
        for level in [None, Some(Level::L0), Some(Level::L1)] {
            let (word, said) = then(level);
            assert!(word == "failed" && said.contains("bad bytes"), "{level:?}: {said}");
        }
        assert_eq!(then(Some(Level::L2)).0, "passed");
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
            with(|id| vec![deed(What::Backup, id, None, 10), deed(What::Verify, &older(), Some(Level::L4), hours)]).0
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
        let (word, said) = with(|id| {
            vec![deed(What::Verify, id, Some(Level::L1), 9), deed(What::Verify, &older(), Some(Level::L4), 9)]
        });
        assert!(word == "failed" && said.contains("is known to L1 only"), "{said}");
    }
}
