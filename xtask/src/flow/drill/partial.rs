//! What a selective restore must leave behind: damaged objects as the backup held them, everything else as it was just before
//! the strike, and every row that is missing accounted for: set aside in the quarantine, or a row that others referred to, that
//! the strike took and that no backup holds.

use crate::domain::census::{Census, Entry};
use crate::domain::diagnosis::{Damage, Diagnosis};
use crate::domain::outcome::Why;
use crate::domain::report::ProofRecord;
use std::collections::BTreeSet;

/// Compares. `Err` is the first few differences.
///
/// The drill's own marks are left out: the ledger judges them.
pub(super) fn mended(
    is_mark: &dyn Fn(&str) -> bool,
    backup: &Census,
    truth: &Census,
    diagnosis: &Diagnosis,
    found: &Census,
    quarantined: u64,
) -> Result<ProofRecord, Why> {
    let lost: BTreeSet<&str> = diagnosis.lost().collect();
    let parents: BTreeSet<&str> = diagnosis
        .damages
        .iter()
        .filter_map(|d| if let Damage::Orphans { parent, .. } = d { Some(parent.as_str()) } else { None })
        .collect();
    let mut wrong = Vec::new();
    let mut gone = 0;
    let mut set_aside = 0;
    let mut short = Vec::new();
    let mut proof = ProofRecord { contents: 0, objects: 0, rows: 0, quarantined, unrecoverable: 0 };
    for (object, before) in truth.objects.iter().filter(|(object, _)| !is_mark(object)) {
        let promised =
            if lost.contains(object.as_str()) { backup.objects.get(object).unwrap_or(before) } else { before };
        proof.objects += 1;
        match (promised, found.objects.get(object)) {
            (Entry::Content { rows, .. }, Some(now @ Entry::Content { rows: got, .. })) => {
                proof.contents += 1;
                proof.rows += got;
                if now != promised {
                    match rows.checked_sub(*got).filter(|missing| *missing > 0) {
                        Some(missing) if parents.contains(object.as_str()) && !lost.contains(object.as_str()) => {
                            gone += missing;
                        }
                        Some(missing) => {
                            set_aside += missing;
                            short.push(format!("{missing} of {object}"));
                        }
                        None => wrong.push(format!("{object}: content differs ({got} rows, {rows} promised)")),
                    }
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
    let ours = |object: &str| object.contains("xtask_quarantine") || is_mark(object);
    for object in found.objects.keys().filter(|o| !truth.objects.contains_key(*o) && !ours(o)) {
        wrong.push(format!("{object}: was not there before"));
    }
    if set_aside != quarantined {
        let short = if short.is_empty() { "none".to_owned() } else { short.join(", ") };
        wrong.push(format!("{set_aside} rows are missing ({short}), but {quarantined} were set aside"));
    }
    // Whoever is gone for good was referred to, or it would not have been noticed: its orphans are among those set aside.
    if gone > quarantined {
        wrong.push(format!("{gone} rows that others refer to are gone, but only {quarantined} were set aside"));
    }
    proof.unrecoverable = gone;
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

    fn dropped(object: &str) -> Diagnosis {
        Diagnosis { damages: vec![Damage::Missing { object: object.to_owned() }] }
    }

    #[test]
    fn lost_tables_come_from_the_backup_and_the_others_keep_their_newer_rows() {
        let backup = census(&[("table a", 5, "a5"), ("table b", 5, "b5")]);
        let truth = census(&[("table a", 6, "a6"), ("table b", 6, "b6")]);
        let found = census(&[("table a", 5, "a5"), ("table b", 6, "b6")]);
        assert!(mended(&|_| false, &backup, &truth, &dropped("table a"), &found, 0).is_ok());
        let rolled_back = census(&[("table a", 5, "a5"), ("table b", 5, "b5")]);
        assert!(mended(&|_| false, &backup, &truth, &dropped("table a"), &rolled_back, 0).is_err());
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
        let judged = |lost: &str, now: i64| {
            mended(&|_| false, &counter(5), &counter(9), &dropped(lost), &counter(now), 0).is_ok()
        };
        assert!(judged("table s.a", 9) && judged("table s.a", 5) && !judged("table s.a", 4));
        assert!(judged("table s.b", 9) && !judged("table s.b", 5));
    }

    #[test]
    fn missing_rows_must_be_in_the_quarantine() {
        let backup = census(&[("table a", 5, "a5")]);
        let found = census(&[("table a", 3, "a3")]);
        assert!(mended(&|_| false, &backup, &backup, &dropped("table a"), &found, 2).is_ok());
        assert!(mended(&|_| false, &backup, &backup, &dropped("table a"), &found, 1).is_err());
        assert!(mended(&|_| false, &backup, &backup, &dropped("table a"), &found, 0).is_err());
    }

    #[test]
    fn a_row_that_others_referred_to_may_be_gone_for_good_if_no_backup_holds_it() {
        let backup = census(&[("table a", 5, "a5"), ("table p", 5, "p5")]);
        let truth = census(&[("table a", 6, "a6"), ("table p", 6, "p6")]);
        let found = census(&[("table a", 5, "a5+"), ("table p", 5, "p5+")]);
        let orphans = |parent: &str| Diagnosis {
            damages: vec![Damage::Orphans {
                object: "table a".to_owned(),
                constraint: "fk".to_owned(),
                parent: parent.to_owned(),
                rows: 1,
            }],
        };
        assert_eq!(mended(&|_| false, &backup, &truth, &orphans("table p"), &found, 1).unwrap().unrecoverable, 1);
        assert!(mended(&|_| false, &backup, &truth, &orphans("table q"), &found, 1).is_err());
        assert!(mended(&|_| false, &backup, &truth, &orphans("table p"), &found, 0).is_err());
    }

    #[test]
    fn a_changed_row_and_a_stray_table_are_seen() {
        let backup = census(&[("table a", 5, "a5")]);
        let none = Diagnosis::default();
        assert!(mended(&|_| false, &backup, &backup, &none, &census(&[("table a", 5, "xx")]), 0).is_err());
        assert!(
            mended(&|_| false, &backup, &backup, &none, &census(&[("table a", 5, "a5"), ("table z", 1, "z")]), 0)
                .is_err()
        );
    }
}
