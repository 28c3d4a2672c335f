//! Whether the next backup could take the vault's lock.

use crate::domain::check::{Check, Judged};
use crate::domain::fact::BackupFacts;

/// The lock is free; who holds it is told.
pub static CHECK: Check<BackupFacts> = Check {
    id: "lock",
    title: "the vault's lock is free",
    why: "a run that hangs with the lock keeps every later backup from being made",
    judge,
};

fn judge(facts: &BackupFacts) -> Judged {
    let mut judged = Judged::default();
    let Some(holder) = facts.holder.or_unknown(&mut judged) else { return judged };
    match holder {
        Some(holder) => {
            judged.see(format!("held by {holder}"));
            judged.warn(
                format!("the vault is in use by {holder}"),
                "wait for that run; if it hangs, end it: a lock never outlives its process",
            );
        }
        None => judged.see("free"),
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::super::tests::asked;
    use super::*;
    use crate::domain::fact::Fact;

    #[test]
    fn f33_whoever_holds_the_lock_is_named() {
        let (word, said) = asked(&CHECK, |facts| facts.holder = Fact::Known(Some("run x (pid 7)".into())));
        assert!(word == "warning" && said.contains("run x (pid 7)"), "{said}");
        assert_eq!(asked(&CHECK, |facts| facts.holder = Fact::Unknown("cannot be opened".into())).0, "broken");
    }
}
