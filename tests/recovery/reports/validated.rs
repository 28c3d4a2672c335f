//! The report of a validation as it would be left: checks of each kind, and a verifier that let two mutants pass; and the report
//! of a verification of three sets.

use super::samples::{NASTY, report};
use std::collections::BTreeMap;
use xtask::domain::check::{Check, CheckRecord, Judged};
use xtask::domain::mutation::{Class, ClassRecord, MutationRecord, Survivor};
use xtask::domain::outcome::Outcome;
use xtask::domain::place::Place;
use xtask::domain::refusal::RefusalKind;
use xtask::domain::report::Report;

fn asked(id: &'static str, judge: fn(&()) -> Judged) -> CheckRecord {
    let title = "what is asked";
    CheckRecord::of(&Check { id, title, why: "what happens to those who do not ask", judge }, "recyclic-prod", &())
}

pub fn validated() -> Report {
    let checks = vec![
        asked("passed", |()| {
            let mut judged = Judged::default();
            judged.see("3 sets");
            judged
        }),
        asked("warning", |()| {
            let mut judged = Judged::default();
            judged.see("a lock");
            judged.warn("the vault is in use by run x", "wait for that run");
            judged
        }),
        asked("failed", |()| {
            let mut judged = Judged::default();
            let place = Place::new("docker-compose.prod.yml", 12, 7);
            judged.fail("volume uploads is covered by no store", "describe a store for it, or waive it").at(&place);
            judged.fail(NASTY, "look");
            judged
        }),
        asked("skipped", |()| Judged::skip("there is no set")),
        asked("broken", |()| {
            let mut judged = Judged::default();
            judged.unknown("the disk does not answer", "look at it");
            judged
        }),
    ];
    let class = |class, applied, killed, by: &[(&str, u64)], left_out: Option<&str>| ClassRecord {
        class,
        applied,
        killed,
        by: by.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect::<BTreeMap<_, _>>(),
        left_out: left_out.map(str::to_owned),
    };
    let survivor = |mutant, what: &str| Survivor {
        mutant,
        class: Class::CatalogRemoved,
        what: what.to_owned(),
        said: "not refused: reached L2".to_owned(),
        replay: format!("cargo xtask validate-backup-system recyclic-prod --seed 42 --mutants 500 --mutant {mutant}"),
    };
    let mut record = MutationRecord::without("recyclic-prod", 42, Outcome::Passed);
    record.set = Some("20261120T010000Z-000123-k7q2".to_owned());
    record.mutants = 500;
    record.controls = 20;
    record.classes = vec![
        class(Class::Flipped, 490, 490, &[("L0", 190), ("L1", 300)], None),
        class(Class::CatalogRemoved, 10, 8, &[("catalog", 8)], None),
        class(Class::WrongKey, 0, 0, &[], Some("the set is not encrypted, or no key is here that opens it")),
        class(Class::Replayed, 0, 0, &[], None),
    ];
    record.survivors = vec![survivor(8, "the catalog's line 1 of these sets taken out"), survivor(75, NASTY)];
    record.notes = vec!["2 of 20 unchanged copies were read to L2, the others to L0".to_owned()];
    record.duration_seconds = 26.5;
    let mut report = report(Vec::new(), 1);
    report.task = "validate-backup-system".to_owned();
    report.images = Vec::new();
    report.checks = checks;
    report.mutations = vec![record.judged()];
    report
}

pub fn verified() -> Report {
    let of = |set: &str, judged: Judged| {
        let check =
            ("verify-l2", "the set reaches L2: every byte decrypts", "what nobody has read back may have gone bad");
        CheckRecord::judged(check, "recyclic-prod", Some(set), judged)
    };
    let mut whole = Judged::default();
    whole.see("L0 in 0.01 s");
    whole.see("L2 in 1.20 s");
    let mut damaged = Judged::default();
    damaged.see("L0 in 0.01 s");
    damaged
        .fail("level L1: db.dump.zst is not what was written", "restore from another set")
        .kind(RefusalKind::Integrity);
    let mut closed = Judged::default();
    closed.unknown(NASTY, "name a key in identity_files").kind(RefusalKind::WrongKey);
    let mut report = report(Vec::new(), 1);
    report.task = "verify".to_owned();
    report.images = Vec::new();
    report.checks = vec![
        of("20261118T010000Z-000121-k7q2", whole),
        of("20261119T010000Z-000122-k7q2", damaged),
        of("20261120T010000Z-000123-k7q2", closed),
    ];
    report
}
