//! Whether the recovery itself was drilled lately, with the stack's own data.

use super::verified::when;
use crate::domain::check::{Check, Judged};
use crate::domain::deed::{Deed, Ending, What};
use crate::domain::display::duration;
use crate::domain::fact::BackupFacts;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Each store's last drill of real data passed, within a month.
pub static CHECK: Check<BackupFacts> = Check {
    id: "drill",
    title: "the recovery of every store was drilled lately",
    why: "a way back that nobody has walked for months has changed since",
    judge,
};

/// How long a drill proves something for.
const DRILLED_WITHIN_DAYS: i64 = 31;

fn judge(facts: &BackupFacts) -> Judged {
    let mut judged = Judged::default();
    let Some((deeds, _)) = facts.deeds.or_unknown(&mut judged) else { return judged };
    if facts.stores.is_empty() {
        return Judged::skip("the stack has no store to drill");
    }
    let next = format!("cargo xtask test-recovery --stack {} --set latest", facts.stack);
    for store in facts.stores.keys() {
        let of_store = |d: &&_| is_drill_of(d, &facts.stack, store);
        // The newest drill of each scenario counts: a later failure undoes an earlier success.
        let mut last = BTreeMap::new();
        for deed in deeds.iter().filter(of_store) {
            if let Some(at) = when(deed, facts.now) {
                last.insert(deed.target.as_deref().unwrap_or_default(), (at, deed));
            }
        }
        for (target, (_, deed)) in last.iter().filter(|(_, (_, deed))| deed.ending != Ending::Passed) {
            let why = deed.why.as_deref().unwrap_or("it did not say why");
            judged.fail(format!("{store}: the last drill of {target} did not pass: {why}"), next.clone());
        }
        let passed = last.values().filter(|(_, deed)| deed.ending == Ending::Passed).map(|(at, _)| *at).max();
        let ago = passed.map(|at| facts.now.duration_since(at));
        match ago {
            Some(ago) if ago.as_hours() <= DRILLED_WITHIN_DAYS * 24 => {
                judged.see(format!("{store}: {} ago{}", duration(ago.as_secs() as f64), of_what(&last)));
            }
            Some(ago) => {
                let ago = duration(ago.as_secs() as f64);
                judged.fail(
                    format!("{store}: the last drill that passed was {ago} ago (the limit is {DRILLED_WITHIN_DAYS} d)"),
                    next.clone(),
                );
            }
            None => {
                judged.fail(format!("{store}: its recovery was never drilled with its own data"), next.clone());
            }
        }
    }
    judged
}

/// Whether a set of the vault came back, or only the running data through a set that was made and thrown away for it.
fn of_what(last: &BTreeMap<&str, (Timestamp, &Deed)>) -> &'static str {
    let passed = || last.values().map(|(_, deed)| deed).filter(|deed| deed.ending == Ending::Passed);
    if passed().any(|deed| deed.set.is_some()) {
        ", from a set"
    } else {
        ", of the running data alone: no set of the vault was opened"
    }
}

fn is_drill_of(deed: &Deed, stack: &str, store: &str) -> bool {
    deed.what == What::Drill && deed.stack == stack && deed.store.as_deref().is_none_or(|of| of == store)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, deed};
    use super::*;
    use crate::domain::fact::Fact;

    fn with(deeds: Vec<Deed>) -> (String, String) {
        asked(&CHECK, |facts| facts.deeds = Fact::Known((deeds, 0)))
    }

    fn drill(store: &str, target: &str, hours: i64) -> Deed {
        Deed { store: Some(store.into()), target: Some(target.into()), ..deed(What::Drill, "x", None, hours) }
    }

    #[test]
    fn flaw_52_a_month_without_a_drill_is_red() {
        assert_eq!(with(vec![drill("db", "total-loss (set)", 31 * 24)]).0, "passed");
        assert_eq!(with(vec![drill("db", "total-loss (set)", 31 * 24 + 2)]).0, "failed");
        let (word, said) = with(vec![drill("other", "total-loss (set)", 1)]);
        assert!(word == "failed" && said.contains("db: its recovery was never drilled"), "{said}");
    }

    #[test]
    fn a_later_failure_undoes_an_earlier_success_of_the_same_scenario() {
        let failed = |target| Deed { ending: Ending::Failed, why: Some("not equal".into()), ..drill("db", target, 1) };
        let (word, said) = with(vec![drill("db", "total-loss (set)", 9), failed("total-loss (set)")]);
        assert!(word == "failed" && said.contains("total-loss (set) did not pass: not equal"), "{said}");
        let mended = vec![failed("total-loss (set)"), drill("db", "total-loss (set)", 0)];
        assert_eq!(with(mended).0, "passed");
    }

    #[test]
    fn every_store_needs_its_own() {
        let (word, _) = asked(&CHECK, |facts| {
            facts.stores.insert("uploads".into(), false);
            facts.deeds = Fact::Known((vec![drill("db", "total-loss (set)", 1)], 0));
        });
        assert_eq!(word, "failed");
    }
}
