//! What a selective restore must leave behind: damaged objects as the backup held them, everything else as it was just before
//! the strike, and every row that is missing accounted for by its content: set aside in the quarantine, or taken by the strike
//! although no backup holds it.

use crate::domain::census::{Census, Entry};
use crate::domain::diagnosis::Diagnosis;
use crate::domain::outcome::Why;
use crate::domain::report::ProofRecord;
use std::collections::BTreeSet;

/// What an engine knows that the comparison needs.
pub(super) struct Rules<'a> {
    /// Whether an object is the drill's own marks: they are left out, because the ledger judges them.
    pub is_mark: &'a dyn Fn(&str) -> bool,
    /// The digest of two parts' rows together, where digests add up.
    pub sum: &'a dyn Fn(&str, &str) -> Option<String>,
    /// The rows that the strike took and that no backup holds.
    pub taken: &'a Census,
}

/// The census object that tells the rows of an object which a selective restore set aside.
fn aside(object: &str) -> String {
    format!("set aside of {object}")
}

impl Rules<'_> {
    /// How many rows of an object are gone for good and how many are set aside, if together with what is there they are
    /// exactly the content that was promised.
    fn account(&self, object: &str, promised: (u64, &str), there: (u64, &str), found: &Census) -> Option<(u64, u64)> {
        let missing = promised.0.checked_sub(there.0).filter(|missing| *missing > 0)?;
        let (gone, mut digest) = match self.taken.objects.get(object) {
            Some(Entry::Content { rows, digest }) => (*rows, (self.sum)(there.1, digest)?),
            _ => (0, there.1.to_owned()),
        };
        if let Some(Entry::Definition { digest: kept, .. }) = found.objects.get(&aside(object)) {
            digest = (self.sum)(&digest, kept)?;
        }
        (digest == promised.1).then_some((gone, missing.checked_sub(gone)?))
    }
}

/// Compares. `Err` is the first few differences.
pub(super) fn mended(
    rules: &Rules<'_>,
    backup: &Census,
    truth: &Census,
    diagnosis: &Diagnosis,
    found: &Census,
    quarantined: u64,
) -> Result<ProofRecord, Why> {
    let lost: BTreeSet<&str> = diagnosis.lost().collect();
    let mut wrong = Vec::new();
    let mut set_aside = 0;
    let mut short = Vec::new();
    let mut proof = ProofRecord { contents: 0, objects: 0, rows: 0, quarantined, unrecoverable: 0 };
    for (object, before) in truth.objects.iter().filter(|(object, _)| !(rules.is_mark)(object)) {
        let promised =
            if lost.contains(object.as_str()) { backup.objects.get(object).unwrap_or(before) } else { before };
        proof.objects += 1;
        match (promised, found.objects.get(object)) {
            (Entry::Content { rows, digest }, Some(now @ Entry::Content { rows: got, digest: is })) => {
                proof.contents += 1;
                proof.rows += got;
                if now == promised {
                    continue;
                }
                match rules.account(object, (*rows, digest), (*got, is), found) {
                    Some((gone, kept)) => {
                        proof.unrecoverable += gone;
                        set_aside += kept;
                        short.push(format!("{kept} of {object}"));
                    }
                    None => wrong.push(format!("{object}: content differs ({got} rows, {rows} promised)")),
                }
            }
            (Entry::Counter { high, .. }, Some(Entry::Counter { low: now, .. })) if now >= high => {}
            // A counter that went with its table comes back as the backup knows it.
            (_, Some(Entry::Counter { low: now, .. })) if of_lost(object, &lost) && backed_up(backup, object, *now) => {
            }
            (_, Some(now)) if now == promised => {}
            (_, Some(_)) => wrong.push(format!("{object}: differs")),
            (_, None) => wrong.push(format!("{object}: missing")),
        }
    }
    let ours =
        |object: &str| object.contains("xtask_quarantine") || object.starts_with(&aside("")) || (rules.is_mark)(object);
    for object in found.objects.keys().filter(|o| !truth.objects.contains_key(*o) && !ours(o)) {
        wrong.push(format!("{object}: was not there before"));
    }
    if set_aside != quarantined {
        let short = if short.is_empty() { "none".to_owned() } else { short.join(", ") };
        wrong.push(format!("{set_aside} rows are missing ({short}), but {quarantined} were set aside"));
    }
    match wrong.len() {
        0 if proof.contents == 0 => Err(Why::new("there is nothing to prove")),
        0 => Ok(proof),
        n => {
            wrong.truncate(5);
            Err(Why::new(format!("the mended store is not what it should be ({n} differences): {}", wrong.join("; "))))
        }
    }
}

/// Whether a counter belongs to a lost table, by the name that servers give it: `sequence s.t_id_seq` belongs to `table s.t`.
fn of_lost(counter: &str, lost: &BTreeSet<&str>) -> bool {
    let tables = lost.iter().filter_map(|object| object.strip_prefix("table "));
    let name = counter.strip_prefix("sequence ").unwrap_or(counter);
    tables
        .into_iter()
        .any(|table| name.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
}

fn backed_up(backup: &Census, object: &str, now: i64) -> bool {
    matches!(backup.objects.get(object), Some(Entry::Counter { low, .. }) if now >= *low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::diagnosis::Damage;

    fn census(lines: &[(&str, u64, &str)]) -> Census {
        let objects = lines.iter().map(|(object, rows, digest)| {
            ((*object).to_owned(), Entry::Content { rows: *rows, digest: (*digest).to_owned() })
        });
        Census { objects: objects.collect() }
    }

    fn sum(one: &str, other: &str) -> Option<String> {
        Some((one.parse::<u64>().ok()? + other.parse::<u64>().ok()?).to_string())
    }

    /// A strike that took nothing for good.
    fn mended_by_sums(
        backup: &Census,
        truth: &Census,
        diagnosis: &Diagnosis,
        found: &Census,
        quarantined: u64,
    ) -> Result<ProofRecord, Why> {
        let rules = Rules { is_mark: &|_| false, sum: &sum, taken: &Census::default() };
        mended(&rules, backup, truth, diagnosis, found, quarantined)
    }

    fn dropped(object: &str) -> Diagnosis {
        Diagnosis { damages: vec![Damage::Missing { object: object.to_owned() }] }
    }

    #[test]
    fn lost_tables_come_from_the_backup_and_the_others_keep_their_newer_rows() {
        let backup = census(&[("table a", 5, "a5"), ("table b", 5, "b5")]);
        let truth = census(&[("table a", 6, "a6"), ("table b", 6, "b6")]);
        let found = census(&[("table a", 5, "a5"), ("table b", 6, "b6")]);
        assert!(mended_by_sums(&backup, &truth, &dropped("table a"), &found, 0).is_ok());
        let rolled_back = census(&[("table a", 5, "a5"), ("table b", 5, "b5")]);
        assert!(mended_by_sums(&backup, &truth, &dropped("table a"), &rolled_back, 0).is_err());
    }

    #[test]
    fn only_the_counter_of_a_lost_table_may_go_back() {
        let counter = |n: i64| Census {
            objects: [
                ("sequence s.a_id_seq".to_owned(), Entry::Counter { low: n, high: n }),
                ("table s.a".to_owned(), Entry::Content { rows: 5, digest: "a5".to_owned() }),
            ]
            .into(),
        };
        let judged =
            |lost: &str, now: i64| mended_by_sums(&counter(5), &counter(9), &dropped(lost), &counter(now), 0).is_ok();
        assert!(judged("table s.a", 9) && judged("table s.a", 5) && !judged("table s.a", 4));
        assert!(judged("table s.b", 9) && !judged("table s.b", 5));
    }

    #[test]
    fn missing_rows_must_be_in_the_quarantine_and_be_the_rows_that_are_missing() {
        let backup = census(&[("table a", 5, "50"), ("table b", 1, "1")]);
        let judged = |there: &str, set_aside: &str, quarantined: u64| {
            let mut found = census(&[("table a", 3, there), ("table b", 1, "1")]);
            let digest = set_aside.to_owned();
            found.objects.insert("set aside of table a".into(), Entry::Definition { table: None, digest });
            mended_by_sums(&backup, &backup, &dropped("table a"), &found, quarantined).is_ok()
        };
        assert!(judged("30", "20", 2));
        assert!(!judged("30", "20", 1) && !judged("30", "20", 0), "the restore says how many it set aside");
        assert!(!judged("30", "19", 2) && !judged("31", "20", 2), "one of the rows has changed");
        let found = census(&[("table a", 3, "30"), ("table b", 1, "1")]);
        assert!(mended_by_sums(&backup, &backup, &dropped("table a"), &found, 2).is_err(), "none is there");
    }

    #[test]
    fn a_row_may_be_gone_for_good_only_if_the_strike_took_it_and_no_backup_holds_it() {
        let (backup, truth) = (census(&[("table p", 5, "50")]), census(&[("table p", 6, "60")]));
        let judged = |taken: &[(&str, u64, &str)], found: (u64, &str)| {
            let rules = Rules { is_mark: &|_| false, sum: &sum, taken: &census(taken) };
            let found = census(&[("table p", found.0, found.1)]);
            mended(&rules, &backup, &truth, &Diagnosis::default(), &found, 0).map(|proof| proof.unrecoverable)
        };
        assert_eq!(judged(&[("table p", 1, "10")], (5, "50")), Ok(1));
        assert!(judged(&[], (5, "50")).is_err(), "nobody took it");
        assert!(judged(&[("table q", 1, "10")], (5, "50")).is_err());
        assert!(judged(&[("table p", 1, "10")], (4, "40")).is_err(), "one that the backup holds is gone too");
        assert!(judged(&[("table p", 1, "10")], (5, "49")).is_err(), "another row has changed");
    }

    #[test]
    fn a_changed_row_and_a_stray_table_are_seen() {
        let backup = census(&[("table a", 5, "a5")]);
        let none = Diagnosis::default();
        assert!(mended_by_sums(&backup, &backup, &none, &census(&[("table a", 5, "xx")]), 0).is_err());
        assert!(
            mended_by_sums(&backup, &backup, &none, &census(&[("table a", 5, "a5"), ("table z", 1, "z")]), 0).is_err()
        );
    }
}
