//! A stack about whose backups everything is right: each check's own test spoils one fact of it and must see its check go red.

use super::BACKUP_SYSTEM;
use crate::domain::check::{Check, CheckRecord};
use crate::domain::coverage::Coverage;
use crate::domain::deed::{Deed, Ending, What};
use crate::domain::fact::{BackupFacts, Committed, Content, Fact, KeyFile, KeyUse, Right, Room, SetFact, Thing};
use crate::domain::level::Level;
use crate::domain::protection::{Encryption, Protection};
use crate::domain::retention::Policy;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// A moment from which tests count.
pub fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// So many hours before [`now`].
pub fn ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}

/// A sound set of this age.
pub fn set(sequence: u64, hours: i64) -> SetFact {
    let at = ago(hours);
    SetFact {
        id: format!("{}-{sequence:06}-aaaa", at.strftime("%Y%m%dT%H%M%SZ")),
        at,
        as_of: Some(at),
        took: Some(Duration::from_secs(60)),
        stored_bytes: 10_000_000,
        store_bytes: [("db".to_owned(), 10_000_000)].into(),
        files: 6,
        stores: ["db".to_owned()].into(),
        adopted: false,
        encrypted: true,
        damage: None,
    }
}

/// A deed of this age.
pub fn deed(what: What, set: &str, level: Option<Level>, hours: i64) -> Deed {
    Deed { at: ago(hours).to_string(), set: Some(set.to_owned()), level, ..Deed::new(what, "shop") }
}

/// Ten days of a daily schedule, of which everything is right.
pub fn sound() -> BackupFacts {
    let sets: Vec<SetFact> = (0..10).map(|n| set(n + 1, 10 + 24 * (9 - n as i64))).collect();
    let newest = sets[9].id.clone();
    let right = |path: &str, of, mode| Right { path: path.into(), of, mode, ours: true };
    BackupFacts {
        stack: "shop".into(),
        now: now(),
        production: None,
        stores: [("db".to_owned(), false)].into(),
        coverage: Some(Coverage { places: vec!["volume data".into()], ..Coverage::default() }),
        schedule: Some("daily 02:00".parse().unwrap()),
        objectives: vec![("total-loss".into(), Duration::from_secs(26 * 3600))],
        policy: Policy::default(),
        protection: Protection {
            encryption: Encryption::Recipients(vec!["age1ops".into(), "age1escrow".into()]),
            identities: Vec::new(),
            signing_key: Some("sign.key".into()),
            trusted: vec!["RWx".into()],
            passphrase_file: None,
        },
        keys: vec![KeyFile {
            path: "sign.key".into(),
            named_as: KeyUse::Signing,
            holds: Fact::Known(KeyUse::Signing),
            trusted: Some(true),
        }],
        vault: "vault".into(),
        history: Fact::Known(sets.iter().map(|s| Committed { id: s.id.clone(), at: s.at, removed: false }).collect()),
        sets: Fact::Known(sets),
        strangers: Vec::new(),
        content: Fact::Known([("db".to_owned(), Content { objects: 3, rows: 100 })].into()),
        locked_out: None,
        rows_before: [("db".to_owned(), vec![100; 5])].into(),
        contradictions: Fact::Known(Vec::new()),
        rights: Fact::Known(vec![
            right("vault", Thing::Folder, 0o700),
            right("vault/set/db.dump", Thing::File, 0o600),
            right("/srv", Thing::Above, 0o755),
            right("sign.key", Thing::Key, 0o600),
        ]),
        room: Fact::Known(Room { bytes: 50_000_000_000, files: Some(1_000_000) }),
        leftovers: Fact::Known(Vec::new()),
        holder: Fact::Known(None),
        deeds: Fact::Known((
            vec![
                deed(What::Backup, &newest, None, 10),
                deed(What::Verify, &newest, Some(Level::L4), 9),
                Deed { target: Some("total-loss (set)".into()), ..deed(What::Drill, &newest, None, 8) },
            ],
            0,
        )),
    }
}

/// The sets of a sample, to be spoiled.
pub fn sets(facts: &mut BackupFacts) -> &mut Vec<SetFact> {
    match &mut facts.sets {
        Fact::Known(sets) => sets,
        Fact::Unknown(why) => panic!("{why}"),
    }
}

/// What a check says of a sample spoiled in this way: its word, and all its findings.
pub fn asked(check: &Check<BackupFacts>, spoil: impl FnOnce(&mut BackupFacts)) -> (String, String) {
    let mut facts = sound();
    spoil(&mut facts);
    let record = CheckRecord::of(check, "shop", &facts);
    let said: Vec<String> = record.findings.iter().map(|f| format!("{} [{}]", f.sentence(), f.next)).collect();
    (record.word().to_owned(), said.join("; ") + record.outcome.why().map_or("", |why| &why.message))
}

#[test]
fn of_a_sound_system_every_check_is_passed_and_says_what_it_saw() {
    for check in BACKUP_SYSTEM {
        let record = CheckRecord::of(check, "shop", &sound());
        assert_eq!((record.word(), record.findings.len()), ("passed", 0), "{}: {record:?}", check.id);
        assert!(!record.seen.is_empty() && !check.why.is_empty() && !check.title.is_empty(), "{}", check.id);
    }
}

#[test]
fn ids_are_unique_words() {
    for (n, check) in BACKUP_SYSTEM.iter().enumerate() {
        assert!(check.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", check.id);
        assert!(BACKUP_SYSTEM.iter().skip(n + 1).all(|other| other.id != check.id), "{}", check.id);
    }
}

#[test]
fn f58_of_a_vault_that_holds_nothing_no_check_that_asks_about_sets_is_passed() {
    let mut facts = sound();
    facts.sets = Fact::Known(Vec::new());
    facts.history = Fact::Known(Vec::new());
    facts.content = Fact::Known(Default::default());
    facts.deeds = Fact::Known((Vec::new(), 0));
    for check in BACKUP_SYSTEM {
        let word = CheckRecord::of(check, "shop", &facts).word();
        let about_sets = !["inventory", "schedule", "keys", "permissions", "leftovers", "lock"].contains(&check.id);
        assert_eq!(about_sets, word != "passed", "{}: {word}", check.id);
    }
    let outcomes: Vec<_> = BACKUP_SYSTEM.iter().map(|c| CheckRecord::of(c, "shop", &facts).outcome).collect();
    assert_ne!(crate::domain::outcome::exit_code(&outcomes), 0);
}

#[test]
fn what_could_not_be_gathered_is_broken_and_never_passed() {
    let unknown = || "the disk does not answer".to_owned();
    let mut facts = sound();
    facts.sets = Fact::Unknown(unknown());
    facts.history = Fact::Unknown(unknown());
    facts.contradictions = Fact::Unknown(unknown());
    facts.rights = Fact::Unknown(unknown());
    facts.room = Fact::Unknown(unknown());
    facts.leftovers = Fact::Unknown(unknown());
    facts.holder = Fact::Unknown(unknown());
    facts.deeds = Fact::Unknown(unknown());
    for check in BACKUP_SYSTEM.iter().filter(|c| !["inventory", "schedule", "keys"].contains(&c.id)) {
        assert_eq!(CheckRecord::of(check, "shop", &facts).word(), "broken", "{}", check.id);
    }
    // A deed that ended badly is nothing that was proven.
    let mut facts = sound();
    if let Fact::Known((deeds, _)) = &mut facts.deeds {
        deeds.iter_mut().for_each(|deed| deed.ending = Ending::Failed);
    }
    for id in ["verified", "drill"] {
        let check = BACKUP_SYSTEM.iter().find(|c| c.id == id).unwrap();
        assert_eq!(CheckRecord::of(check, "shop", &facts).word(), "failed", "{id}");
    }
}
