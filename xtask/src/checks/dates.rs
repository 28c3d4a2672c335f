//! Whether the times that sets bear can be true.

use crate::domain::check::{Check, Judged};
use crate::domain::fact::BackupFacts;

/// No set is dated in the future, and their numbers and times rise together.
pub static CHECK: Check<BackupFacts> = Check {
    id: "dates",
    title: "no set is dated in the future or out of order",
    why: "a wrong clock makes an old set look young, and no backup can be made until it is passed",
    judge,
};

fn judge(facts: &BackupFacts) -> Judged {
    let mut judged = Judged::default();
    let Some(sets) = facts.sets.or_unknown(&mut judged) else { return judged };
    if sets.is_empty() {
        return Judged::skip("there is no set");
    }
    for set in sets {
        let latest = set.as_of.map_or(set.at, |as_of| as_of.max(set.at));
        if latest > facts.now {
            let next =
                "set the clock right; if it is, leave this vault as it is and back up into a new one (backups.vault)";
            judged.fail(format!("set {} is dated in the future ({latest})", set.id), next);
        }
        // The data of an adopted set is older than the set; of another one it is of the same run.
        let apart = set.as_of.map(|as_of| as_of.duration_since(set.at).as_secs());
        if apart.is_some_and(|apart| apart < -1) && !set.adopted {
            let as_of = set.as_of.unwrap_or(set.at);
            let what = format!("set {} says that its data is of {as_of}, before it was begun", set.id);
            judged.fail(what, "a clock went backwards while it was made: make another set");
        }
    }
    let number = |id: &str| id.split('-').nth(1).and_then(|n| n.parse::<u64>().ok());
    for pair in sets.windows(2) {
        if let [before, after] = pair
            && number(&before.id) >= number(&after.id)
        {
            let what = format!("set {} is younger than {}, and its number is not higher", after.id, before.id);
            judged.warn(what, "a clock was wrong, or a set was put there by hand");
        }
    }
    judged.see(format!("{} sets in order", sets.len()));
    judged
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ago, asked, set, sets};
    use super::*;

    #[test]
    fn f41_a_set_from_the_future_is_red_whichever_of_its_times_says_so() {
        let (word, said) = asked(&CHECK, |facts| sets(facts).push(set(11, -9600)));
        assert!(word == "failed" && said.contains("dated in the future"), "{said}");
        assert_eq!(asked(&CHECK, |facts| sets(facts)[9].as_of = Some(ago(-1))).0, "failed");
    }

    #[test]
    fn f42_times_that_run_backwards_are_told() {
        assert_eq!(asked(&CHECK, |facts| sets(facts)[5].as_of = Some(ago(500))).0, "failed");
        assert_eq!(
            asked(&CHECK, |facts| {
                sets(facts)[5].as_of = Some(ago(500));
                sets(facts)[5].adopted = true;
            })
            .0,
            "passed"
        );
        assert_eq!(asked(&CHECK, |facts| *sets(facts) = vec![set(2, 9), set(2, 8)]).0, "warning");
    }
}
