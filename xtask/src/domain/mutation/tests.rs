//! The plan is seeded, covers every class and every file, and keeps to its budget; a record of nothing is never green.

use super::*;
use crate::domain::outcome::Outcome;
use std::collections::{BTreeMap, BTreeSet};

fn subject() -> Subject {
    let shape = |name: &str, bytes, part| Shape { name: name.into(), bytes, part };
    Subject {
        files: vec![
            shape("db.dump.zst.age", 100_000, Part::Artifact),
            shape("manifest.json", 900, Part::Record),
            shape("manifest.sha256", 80, Part::Record),
            shape("manifest.sig", 300, Part::Signature),
        ],
        before: Some(vec!["db.dump.zst.age".into()]),
        trusted: true,
        unlocked: true,
        lines: vec![300, 310],
        remade: Ok(25),
        budget: u64::MAX,
    }
}

#[test]
fn the_same_seed_gives_the_same_mutants_and_another_one_others() {
    let one = plan(&subject(), 7, 500);
    assert_eq!(one, plan(&subject(), 7, 500));
    assert_ne!(one, plan(&subject(), 8, 500));
    assert_eq!(one.iter().map(|m| m.number).collect::<Vec<_>>(), (1..=500).collect::<Vec<_>>());
}

#[test]
fn five_hundred_mutants_are_of_every_class_and_reach_every_file() {
    let all = plan(&subject(), 1, 500);
    let classes: BTreeSet<Class> = all.iter().map(|m| m.class).collect();
    assert_eq!(classes.len(), Class::ALL.len(), "{classes:?}");
    for file in subject().files {
        for needle in ["cut to", "turned", "appended", "removed", "replaced"] {
            let found = all.iter().any(|m| m.to_string().contains(&file.name) && m.to_string().contains(needle));
            assert!(found, "{}: {needle}", file.name);
        }
    }
    assert_eq!(all.iter().filter(|m| Class::REMADE.contains(&m.class)).count(), 25);
}

#[test]
fn what_cannot_be_tried_is_left_out_with_its_reason_and_its_share_goes_to_others() {
    let bare = Subject {
        before: None,
        trusted: false,
        unlocked: false,
        lines: vec![300],
        remade: Err("no engine answers".into()),
        ..subject()
    };
    let all = plan(&bare, 1, 500);
    assert_eq!(all.len(), 500);
    for class in Class::ALL {
        assert_eq!(class.hindered(&bare).is_some(), !all.iter().any(|m| m.class == class), "{class:?}");
    }
    assert!(!all.iter().any(|m| m.to_string().contains("manifest.sig")), "nobody's signature counts");
}

#[test]
fn few_mutants_are_of_every_class_and_one_of_them_is_in_the_data() {
    for seed in 1..40 {
        let few = plan(&subject(), seed, 19);
        let classes: BTreeSet<Class> = few.iter().map(|m| m.class).collect();
        assert_eq!(classes.len(), Class::ALL.len(), "{seed}: {classes:?}");
        assert!(in_artifacts(&few.iter().collect::<Vec<_>>(), &subject()) > 0, "{seed}");
        assert_eq!(plan(&subject(), seed, 1)[0].class, Class::Truncated, "those that are made anew come last");
        let none = Subject { budget: 0, ..subject() };
        assert_eq!(in_artifacts(&plan(&none, seed, 500).iter().collect::<Vec<_>>(), &none), 0, "{seed}");
    }
}

#[test]
fn a_class_that_was_open_and_not_tried_makes_it_no_score() {
    let class = |class, applied, left_out: Option<&str>| ClassRecord {
        class,
        applied,
        killed: applied,
        by: BTreeMap::new(),
        left_out: left_out.map(str::to_owned),
    };
    let judged = |left_out| {
        let mut record = MutationRecord::without("shop", 1, Outcome::Passed);
        record.classes = vec![class(Class::Flipped, 5, None), class(Class::Replayed, 0, left_out)];
        record.controls = 2;
        record.judged()
    };
    assert_eq!((judged(Some("no set before it")).outcome, judged(None).score), (Outcome::Passed, None));
    let said = judged(None).outcome;
    assert!(said.word() == "skipped" && said.why().unwrap().message.contains("replayed"), "{said:?}");
    assert_eq!(judged(Some("x")).no_score(crate::domain::outcome::Why::new("one")).score, None);
}

#[test]
fn a_spent_budget_leaves_large_files_alone_and_the_number_of_mutants_as_it_was() {
    let mut large = subject();
    large.files[0].bytes = 10_000_000_000;
    large.budget = 50_000_000_000;
    let all = plan(&large, 3, 500);
    assert_eq!(all.len(), 500);
    let dear =
        all.iter().filter(|m| matches!(&m.change, Change::Flip(f, ..) | Change::Truncate(f, _) if f.starts_with("db")));
    let dear = dear.count();
    assert!((1..=8).contains(&dear), "{dear}");
}

#[test]
fn a_record_is_green_only_when_something_was_refused_and_nothing_else_went_wrong() {
    let class =
        |applied, killed| ClassRecord { class: Class::Flipped, applied, killed, by: BTreeMap::new(), left_out: None };
    let record = |applied, killed, controls| {
        let mut record = MutationRecord::without("shop", 1, Outcome::Passed);
        record.classes = vec![class(applied, killed)];
        record.controls = controls;
        record
    };
    assert_eq!(record(5, 5, 2).judged().outcome, Outcome::Passed);
    assert_eq!(record(5, 5, 0).judged().outcome.word(), "broken", "a verifier that refuses everything");
    assert_eq!(record(0, 0, 2).judged().outcome.word(), "broken");
    let mut alarm = record(5, 5, 2);
    alarm.false_alarms.push("level L1: x".into());
    assert_eq!(alarm.judged().outcome.word(), "failed");
    let mut survived = record(5, 4, 2);
    survived.survivors.push(Survivor {
        mutant: 3,
        class: Class::Flipped,
        what: "bit 1".into(),
        said: "reached L2".into(),
        replay: "cargo xtask …".into(),
    });
    let survived = survived.judged();
    assert_eq!((survived.outcome.word(), survived.score), ("failed", Some(0.8)));
}
