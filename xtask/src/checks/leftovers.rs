//! Whether runs that died left something behind.

use crate::domain::check::{Check, Judged};
use crate::domain::fact::{BackupFacts, Fact};

/// Nothing half-made lies in the vault.
pub static CHECK: Check<BackupFacts> = Check {
    id: "leftovers",
    title: "no run that died left something in the vault",
    why: "what is left takes room, and tells that a backup did not end",
    judge,
};

fn judge(facts: &BackupFacts) -> Judged {
    let mut judged = Judged::default();
    let Some(left) = facts.leftovers.or_unknown(&mut judged) else { return judged };
    if let (Fact::Known(Some(holder)), false) = (&facts.holder, left.is_empty()) {
        judged.see(format!("{} folders in the making, of {holder}", left.len()));
        return judged;
    }
    for name in left {
        judged.warn(format!("{name} was left by a run that died"), "the next backup removes it, or: cargo xtask sweep");
    }
    judged.see(format!("{} leftovers", left.len()));
    judged
}

#[cfg(test)]
mod tests {
    use super::super::tests::asked;
    use super::*;

    #[test]
    fn i3_what_a_dead_run_left_is_told_and_what_a_living_one_makes_is_not() {
        let left = |holder: Option<String>| {
            asked(&CHECK, |facts| {
                facts.leftovers = Fact::Known(vec![".partial-x".into()]);
                facts.holder = Fact::Known(holder);
            })
        };
        let (word, said) = left(None);
        assert!(word == "warning" && said.contains(".partial-x was left"), "{said}");
        assert_eq!(left(Some("run y".into())).0, "passed");
    }
}
