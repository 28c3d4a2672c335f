//! What a selective restore must leave behind: damaged objects as the backup held them, everything else as it was just before
//! the strike, and every row that is missing accounted for by the quarantine.

use crate::domain::census::{Census, Entry};
use crate::domain::diagnosis::Diagnosis;
use crate::domain::outcome::Why;
use crate::domain::report::ProofRecord;
use std::collections::BTreeSet;

/// Compares. `Err` is the first few differences.
pub(super) fn mended(
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
    let mut proof = ProofRecord { contents: 0, objects: 0, rows: 0, quarantined };
    for (object, before) in &truth.objects {
        let promised =
            if lost.contains(object.as_str()) { backup.objects.get(object).unwrap_or(before) } else { before };
        proof.objects += 1;
        match (promised, found.objects.get(object)) {
            (Entry::Content { rows, .. }, Some(now @ Entry::Content { rows: got, .. })) => {
                proof.contents += 1;
                proof.rows += got;
                if now != promised {
                    match rows.checked_sub(*got).filter(|missing| *missing > 0) {
                        Some(missing) => {
                            set_aside += missing;
                            short.push(format!("{missing} of {object}"));
                        }
                        None => wrong.push(format!("{object}: content differs ({got} rows, {rows} promised)")),
                    }
                }
            }
            (Entry::Counter { high, .. }, Some(Entry::Counter { low: now, .. })) if now >= high => {}
            (_, Some(now)) if now == promised => {}
            (_, Some(_)) => wrong.push(format!("{object}: differs")),
            (_, None) => wrong.push(format!("{object}: missing")),
        }
    }
    for object in found.objects.keys().filter(|o| !truth.objects.contains_key(*o) && !o.contains("xtask_quarantine")) {
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
        assert!(mended(&backup, &truth, &dropped("table a"), &found, 0).is_ok());
        let rolled_back = census(&[("table a", 5, "a5"), ("table b", 5, "b5")]);
        assert!(mended(&backup, &truth, &dropped("table a"), &rolled_back, 0).is_err());
    }

    #[test]
    fn missing_rows_must_be_in_the_quarantine() {
        let backup = census(&[("table a", 5, "a5")]);
        let found = census(&[("table a", 3, "a3")]);
        assert!(mended(&backup, &backup, &dropped("table a"), &found, 2).is_ok());
        assert!(mended(&backup, &backup, &dropped("table a"), &found, 1).is_err());
        assert!(mended(&backup, &backup, &dropped("table a"), &found, 0).is_err());
    }

    #[test]
    fn a_changed_row_and_a_stray_table_are_seen() {
        let backup = census(&[("table a", 5, "a5")]);
        let none = Diagnosis::default();
        assert!(mended(&backup, &backup, &none, &census(&[("table a", 5, "xx")]), 0).is_err());
        assert!(mended(&backup, &backup, &none, &census(&[("table a", 5, "a5"), ("table z", 1, "z")]), 0).is_err());
    }
}
