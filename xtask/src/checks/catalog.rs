//! Whether sets, catalog and audit log tell the same story.

use crate::domain::check::{Check, Judged};
use crate::domain::fact::BackupFacts;
use crate::domain::refusal::RefusalKind;

/// Nothing was taken, put back or changed behind this tool's back.
pub static CHECK: Check<BackupFacts> = Check {
    id: "catalog",
    title: "sets and catalog do not contradict each other",
    why: "a set that was taken away, copied or put back is seen here before it is needed",
    judge,
};

fn judge(facts: &BackupFacts) -> Judged {
    let mut judged = Judged::default();
    let verify = format!("cargo xtask verify {} all", facts.stack);
    let Some(sets) = facts.sets.or_unknown(&mut judged) else { return judged };
    let Some(contradictions) = facts.contradictions.or_unknown(&mut judged) else { return judged };
    for what in contradictions {
        judged.fail(what.clone(), verify.clone());
    }
    for set in sets.iter().filter(|set| set.damage.is_some()) {
        let why = set.damage.as_deref().unwrap_or_default();
        judged.fail(format!("set {}: {why}", set.id), verify.clone()).kind(RefusalKind::Integrity);
    }
    for name in &facts.strangers {
        let what = format!("{name:?} lies in the vault and is no backup set");
        judged.warn(what, "move it out of the vault, if it is not meant to be there");
    }
    if let Some((_, others @ 1..)) = facts.deeds.or_unknown(&mut judged) {
        let what =
            format!("{others} lines of the audit log are none: a run died while it wrote, or somebody changed it");
        judged.warn(what, format!("look at {}", facts.vault.join("audit.jsonl").display()));
    }
    if sets.is_empty() && judged.findings.is_empty() {
        return Judged::skip("there is no set");
    }
    judged.see(format!("{} sets and the catalog were compared", sets.len()));
    judged
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, sets};
    use super::*;
    use crate::domain::fact::Fact;

    #[test]
    fn f13_f14_a_contradiction_a_damaged_set_and_an_unreadable_log_are_red() {
        let (word, said) = asked(&CHECK, |facts| facts.contradictions = Fact::Known(vec!["set x is gone".into()]));
        assert!(word == "failed" && said.contains("set x is gone"), "{said}");
        let (word, said) = asked(&CHECK, |facts| sets(facts)[2].damage = Some("db.dump is missing".into()));
        assert!(word == "failed" && said.contains("db.dump is missing"), "{said}");
        assert_eq!(asked(&CHECK, |facts| facts.deeds = Fact::Unknown("is a link".into())).0, "broken");
    }

    #[test]
    fn strangers_and_torn_lines_are_told() {
        assert_eq!(asked(&CHECK, |facts| facts.strangers.push("notes".into())).0, "warning");
        assert_eq!(asked(&CHECK, |facts| facts.deeds = Fact::Known((Vec::new(), 1))).0, "warning");
        assert_eq!(asked(&CHECK, |facts| sets(facts).clear()).0, "skipped");
    }
}
