//! Whole drills pass on sound stores, say what they measured, and leave nothing behind.

use crate::support::meddling::{Meddle, Meddling};
use crate::support::{directories, order, rehearse, run_name, said, sqlite, uploads, world};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use xtask::adapters::directory::DirectorySites;
use xtask::adapters::sites::LocalSites;
use xtask::domain::engine::Engine;
use xtask::domain::event::Event;
use xtask::domain::protection::Encryption;
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::domain::report::Drill;
use xtask::domain::scenario::Step;
use xtask::domain::secret::Secret;
use xtask::domain::site::Attachment;
use xtask::domain::store::Store;
use xtask::flow::drill::{Input, Order, drill};
use xtask::flow::world::World;
use xtask::ports::{Events, Sites};
use xtask::scenarios::SCENARIOS;

/// What must hold of every drill that passed.
fn assert_measured(drill: &Drill) {
    assert!(drill.outcome.passed(), "{}/{}: {}", drill.engine, drill.scenario, said(drill));
    let [run] = drill.runs.as_slice() else { panic!("one run was ordered") };
    let sum: f64 = run.timeline.spans.iter().map(|s| s.seconds).sum();
    let rto = run.rto_seconds.unwrap();
    assert!(rto > 0.0 && (sum - rto).abs() < 1e-6, "phases sum to {sum}, the recovery took {rto}");
    let marks = run.marks.as_ref().unwrap();
    assert!(marks.last_survivor >= 3, "marks were written before the backup, and they survive: {marks:?}");
    assert!(marks.lost >= 1, "marks were written after the backup, and they are lost: {marks:?}");
    assert!(run.rpo_seconds.unwrap() > 0.0);
    let proof = run.proof.as_ref().unwrap();
    assert!(proof.contents >= 2 && proof.rows > 10, "{proof:?}");
}

fn every_scenario(engine: &'static dyn Engine, store: &Store) {
    let run = run_name();
    let sites = directories(&run);
    for scenario in SCENARIOS.iter().filter(|s| s.unsupported.is_none()) {
        let drill = rehearse(&world(&run, sites.clone()), engine, store, scenario.name);
        assert_measured(&drill);
        let damages = drill.runs[0].damages.len();
        assert_eq!(damages > 0, scenario.name == "partial-corruption", "{}: {damages} damages", scenario.name);
    }
    assert_eq!(left_behind(&run), Vec::<String>::new());
}

/// Folders of this run in the temporary folder.
pub fn left_behind(run: &str) -> Vec<String> {
    let names =
        std::fs::read_dir(std::env::temp_dir()).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains(run)).collect()
}

#[test]
fn sqlite_recovers_from_every_scenario_and_leaves_nothing_behind() {
    let (engine, store) = sqlite();
    every_scenario(engine, &store);
}

#[test]
fn files_recover_from_every_scenario_and_leave_nothing_behind() {
    let (engine, store) = uploads();
    every_scenario(engine, &store);
}

#[test]
fn flaw_02_a_scenario_that_nothing_supports_is_skipped_with_its_reason() {
    let (engine, store) = sqlite();
    let run = run_name();
    let drill = rehearse(&world(&run, directories(&run)), engine, &store, "point-in-time");
    assert!(drill.outcome.skipped() && said(&drill).contains("WAL"), "{:?}", drill.outcome);
}

#[test]
fn every_run_of_a_repeated_drill_is_reported() {
    let (engine, store) = sqlite();
    let run = run_name();
    let repeated = xtask::flow::drill::Order { repeat: 3, ..order(engine, &store, "simple-loss") };
    let drill = drill(&world(&run, directories(&run)), &repeated);
    assert!(drill.outcome.passed(), "{}", said(&drill));
    assert_eq!(drill.runs.iter().map(|r| r.number).collect::<Vec<_>>(), [1, 2, 3]);
    let worst = drill.runs.iter().filter_map(|r| r.rto_seconds).fold(0.0, f64::max);
    assert_eq!(drill.rto.unwrap().actual_seconds, Some(worst));
    assert!(drill.confidence.unwrap().contains("14 % confidence"));
}

#[test]
fn f57_flaw_01_a_schedule_that_contradicts_the_objective_fails_the_drill_that_recovered() {
    let (engine, store) = sqlite();
    let run = run_name();
    let daily = "daily 02:00".parse().unwrap();
    let contradiction = xtask::flow::drill::Order { schedule: Some(&daily), ..order(engine, &store, "simple-loss") };
    let drill = drill(&world(&run, directories(&run)), &contradiction);
    assert_eq!(drill.outcome.word(), "failed");
    assert!(drill.runs[0].outcome.passed(), "the recovery itself works");
    assert!(said(&drill).contains("`daily 02:00` allows a loss of 24.0 h"), "{}", said(&drill));
}

#[cfg(feature = "docker")]
mod docker_drills {
    use super::*;
    use crate::support::{everywhere, postgres};

    #[test]
    fn postgres_recovers_from_every_scenario_and_leaves_nothing_behind() {
        let run = run_name();
        let Some(sites) = everywhere("postgres_recovers_from_every_scenario_and_leaves_nothing_behind", &run) else {
            return;
        };
        let (engine, store) = postgres();
        for scenario in SCENARIOS.iter().filter(|s| s.unsupported.is_none()) {
            let drill = rehearse(&world(&run, sites.clone()), engine, &store, scenario.name);
            assert_measured(&drill);
            let image = drill.runs[0].sites[0].image.as_ref().unwrap();
            assert!(image.digest.starts_with("sha256:"), "{image:?}");
        }
        assert_eq!(crate::docker_rig::labelled(&run), Vec::<String>::new());
        assert_eq!(left_behind(&run), Vec::<String>::new());
    }
}

#[test]
fn the_time_to_make_an_image_ready_is_not_recovery_even_when_the_first_site_is_the_fresh_one() {
    let (engine, store) = sqlite();
    let (run, folder) = (run_name(), tempfile::tempdir().unwrap());
    let db = rusqlite::Connection::open(folder.path().join("app.db")).unwrap();
    db.execute_batch("CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)").unwrap();
    drop(db);
    let pulled = std::sync::atomic::AtomicBool::new(false);
    let sites = Meddling::with(directories(&run), |_, _, _| Ok(Meddle::Let)).preparing(move || {
        // As a pull: it takes its time once.
        if !pulled.swap(true, std::sync::atomic::Ordering::SeqCst) {
            xtask::ports::Clock::sleep(&xtask::adapters::clock::SystemClock::start(), Duration::from_secs(5));
        }
    });
    let live = xtask::flow::drill::Order {
        input: Input::Live(Attachment::Folder(folder.path().to_owned())),
        ..order(engine, &store, "total-loss")
    };
    let drill = drill(&world(&run, std::sync::Arc::new(sites)), &live);
    assert!(drill.outcome.passed(), "{}", said(&drill));
    assert!(drill.duration_seconds >= 5.0, "nothing took its time");
    let rto = drill.runs[0].rto_seconds.unwrap();
    assert!(rto < 5.0, "five seconds of preparation are in the recovery time of {rto} s");
}

/// The drill's own clock is real: what is waited for is measured.
#[test]
fn writes_that_go_on_longer_after_the_backup_are_a_larger_loss() {
    let (engine, store) = sqlite();
    let run = run_name();
    let sites = directories(&run);
    let loss = |exposure: u64| {
        let held = xtask::flow::drill::Order {
            exposure: Duration::from_secs(exposure),
            ..order(engine, &store, "simple-loss")
        };
        let drill = drill(&world(&run, sites.clone()), &held);
        assert!(drill.outcome.passed(), "{}", said(&drill));
        drill.runs[0].rpo_seconds.unwrap()
    };
    let moved = loss(30) - loss(0);
    assert!((29.0..31.0).contains(&moved), "thirty seconds more of exposure moved the loss by {moved} s");
}

/// What was run at the drill's sites, without repetition: the program, and for the own tools engine and verb.
fn ran(
    engine: &'static dyn xtask::domain::engine::Engine,
    store: &xtask::domain::store::Store,
    scenario: &str,
) -> Vec<String> {
    let run = run_name();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let note = std::sync::Arc::clone(&seen);
    let sites = Meddling::with(directories(&run), move |_, _, exec| {
        note.lock().unwrap().insert(format!("__tool {}", exec.args[..2].join(" ")));
        Ok(Meddle::Let)
    });
    let drill = drill(&world(&run, std::sync::Arc::new(sites)), &order(engine, store, scenario));
    assert!(drill.outcome.passed(), "{}", said(&drill));
    let seen = seen.lock().unwrap();
    seen.iter().cloned().collect()
}

#[test]
fn the_plan_names_every_command_that_a_drill_runs() {
    for (engine, store) in [sqlite(), uploads()] {
        for scenario in ["simple-loss", "partial-corruption", "total-loss"] {
            let plan = xtask::flow::plan::plan(&order(engine, &store, scenario));
            let ran = ran(engine, &store, scenario);
            assert!(ran.len() > 8, "{ran:?}");
            for command in ran {
                assert!(plan.contains(&command), "{scenario}: `{command}` is run, and not in the plan:\n{plan}");
            }
        }
    }
}

/// Notes what lies in the vault of a drill when its backup has been made.
#[derive(Default)]
struct Peeping(Mutex<Vec<String>>, PathBuf);

impl Events for Peeping {
    fn tell(&self, event: Event) {
        let Event::StepFinished { title, .. } = event else { return };
        if title == Step::Backup.title() {
            files(&self.1, &mut self.0.lock().unwrap());
        }
    }
}

fn files(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => files(&entry.path(), found),
            false => found.push(entry.file_name().to_string_lossy().into_owned()),
        }
    }
}

#[test]
fn the_set_of_a_drill_is_encrypted_where_the_stacks_sets_are() {
    let (engine, store) = sqlite();
    for (encryption, wanted) in [
        (Encryption::Off, false),
        (Encryption::Recipients(vec!["age1ofsomebodywhoisnotasked".into()]), true),
        (Encryption::Passphrase(Secret::new("of somebody who is not asked")), true),
    ] {
        let (run, base) = (run_name(), tempfile::tempdir().unwrap());
        let sites = DirectorySites::new(&run, PathBuf::from(env!("CARGO_BIN_EXE_xtask")), Some(base.path().to_owned()));
        let none = Refusal::new(RefusalKind::DockerUnavailable, "this test has no engine", "none");
        let sites: Arc<dyn Sites> = Arc::new(LocalSites::new(sites, Err(none)));
        let peeping = Arc::new(Peeping(Mutex::default(), base.path().to_owned()));
        let world = World { events: Arc::clone(&peeping) as _, ..world(&run, sites) };
        let drill = drill(&world, &Order { encryption: &encryption, ..order(engine, &store, "total-loss") });
        assert_measured(&drill);
        let seen = peeping.0.lock().unwrap();
        let data: Vec<_> = seen.iter().filter(|name| name.starts_with("app.db.zst")).collect();
        assert_eq!(data, [if wanted { "app.db.zst.age" } else { "app.db.zst" }], "{seen:?}");
        assert_eq!(seen.iter().any(|name| name.starts_with("key-")), wanted, "{seen:?}");
    }
}
