//! The drill itself is attacked: each sabotage of a recovery must turn it red for its own reason, and an undisturbed control
//! must stay green. Every sabotage proves that it happened.

use crate::support::meddling::{Meddle, Meddling};
use crate::support::{Hurried, directories, rehearse, run_name, said, sqlite, world};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use xtask::adapters::clock::SystemClock;
use xtask::domain::engine::Engine;
use xtask::domain::exec::Exec;
use xtask::domain::report::Drill;
use xtask::domain::store::Store;
use xtask::flow::world::World;
use xtask::ports::{Site, Sites};

type Hook = Box<dyn Fn(&dyn Site, &Exec) -> Option<Meddle> + Send + Sync>;

/// A total loss with this hook at the fresh site, where everything is restored.
fn sabotaged(run: &str, sites: Arc<dyn Sites>, engine: &'static dyn Engine, store: &Store, hook: Hook) -> Drill {
    let meddling = Meddling::with(sites, move |purpose, site, exec| {
        Ok(if purpose == "fresh" { hook(site, exec).unwrap_or(Meddle::Let) } else { Meddle::Let })
    });
    let fired = meddling.fired();
    let drill = rehearse(&world(run, Arc::new(meddling)), engine, store, "total-loss");
    assert!(fired.load(Ordering::SeqCst) > 0, "the sabotage never happened: {:?}", drill.outcome);
    drill
}

/// Whether a command has this word among its arguments.
fn has(exec: &Exec, word: &str) -> bool {
    exec.args.iter().any(|arg| arg == word)
}

/// Flips one byte in the middle of the set's data file.
fn flip_a_byte(sets: &Path) {
    let set =
        std::fs::read_dir(sets).unwrap().map(|e| e.unwrap().path()).find(|p| p.join("manifest.json").exists()).unwrap();
    let files = std::fs::read_dir(&set).unwrap().map(|e| e.unwrap().path());
    let data = files.max_by_key(|p| std::fs::metadata(p).unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&data).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&data, bytes).unwrap();
}

/// A total loss in whose set one byte is flipped after it was verified, before it is fetched.
fn rotten(run: &str, sites: Arc<dyn Sites>, engine: &'static dyn Engine, store: &Store) -> Drill {
    let vault: Arc<Mutex<Option<PathBuf>>> = Arc::default();
    let seen = Arc::clone(&vault);
    let meddling = Meddling::with(sites, move |purpose, _, _| {
        let found = if purpose == "fresh" { vault.lock().unwrap().take() } else { None };
        Ok(found.map_or(Meddle::Let, |sets| {
            flip_a_byte(&sets);
            Meddle::Done
        }))
    })
    .watching(move |purpose, site| {
        if purpose == "vault" {
            *seen.lock().unwrap() = Some(PathBuf::from(site.scratch()).join("sets"));
        }
    });
    let fired = meddling.fired();
    let drill = rehearse(&world(run, Arc::new(meddling)), engine, store, "total-loss");
    assert_eq!(fired.load(Ordering::SeqCst), 1, "the byte was never flipped");
    drill
}

#[track_caller]
fn assert_red(drill: &Drill, because: &str) {
    assert_eq!(drill.outcome.word(), "failed", "{:?}", drill.outcome);
    assert!(said(drill).contains(because), "red for another reason than `{because}`: {}", said(drill));
    assert_eq!(drill.rto.as_ref().unwrap().actual_seconds, None, "what did not recover has no recovery time");
}

mod of_sqlite {
    use super::*;
    use rusqlite::Connection;

    fn meddle(hook: Hook) -> Drill {
        let run = run_name();
        let (engine, store) = sqlite();
        sabotaged(&run, directories(&run), engine, &store, hook)
    }

    /// Runs SQL at the site right before the census that proves the restored database.
    fn before_the_proof(sql: &'static str) -> Drill {
        meddle(Box::new(move |site, exec| {
            has(exec, "census").then(|| {
                let file = PathBuf::from(site.identity().name).join("app.db");
                Connection::open(file).unwrap().execute_batch(sql).unwrap();
                Meddle::Done
            })
        }))
    }

    #[test]
    fn an_undisturbed_control_is_green() {
        let drill = meddle(Box::new(|_, exec| has(exec, "census").then_some(Meddle::Done)));
        assert!(drill.outcome.passed(), "{}", said(&drill));
    }

    #[test]
    fn a_skipped_load_is_red() {
        assert_red(&meddle(Box::new(|_, exec| has(exec, "load").then_some(Meddle::Skip))), "restore");
    }

    #[test]
    fn a_dropped_table_is_red() {
        assert_red(&before_the_proof("DROP TABLE attachments"), "table main.attachments: missing");
    }

    #[test]
    fn one_changed_row_is_red() {
        let drill = before_the_proof("UPDATE products SET price_cents = price_cents + 1 WHERE id = 3");
        assert_red(&drill, "table main.products: content differs");
    }

    #[test]
    fn one_row_more_is_red() {
        let drill = before_the_proof(
            "INSERT INTO customers SELECT max(id) + 1, 'X', 'x@example.test', 'Nantes', 'new' FROM customers",
        );
        assert_red(&drill, "table main.customers: ");
    }

    #[test]
    fn one_flipped_byte_of_the_artifact_is_red() {
        let run = run_name();
        let (engine, store) = sqlite();
        let drill = rotten(&run, directories(&run), engine, &store);
        assert_red(&drill, "app.db.zst");
        assert_eq!(drill.outcome.why().unwrap().exit_code, Some(13));
    }

    #[test]
    fn a_hole_in_the_marks_is_red_although_the_census_agrees() {
        let drill = meddle(Box::new(|_, exec| has(exec, "marks").then(|| Meddle::Answer("1\n3\n".to_owned()))));
        assert_red(&drill, "mark 2 is missing although mark 3 survived");
    }

    #[test]
    fn flaw_25_a_service_that_answers_nothing_is_red_at_the_deadline_and_not_before() {
        // Two empty answers first: a service may need a moment.
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let drill = meddle(Box::new(move |_, exec| {
            let early = has(exec, "probe") && asked.fetch_add(1, Ordering::SeqCst) < 2;
            early.then(|| Meddle::Answer(String::new()))
        }));
        assert!(drill.outcome.passed(), "{}", said(&drill));
        // One that never says anything is given up: three minutes are a second here.
        let (engine, store) = sqlite();
        let run = run_name();
        let mute = Meddling::with(directories(&run), |_, _, exec| {
            Ok(if has(exec, "probe") { Meddle::Answer(String::new()) } else { Meddle::Let })
        });
        let fired = mute.fired();
        let hurried = World { clock: Arc::new(Hurried(SystemClock::start())), ..world(&run, Arc::new(mute)) };
        let drill = rehearse(&hurried, engine, &store, "total-loss");
        assert_eq!(drill.outcome.word(), "failed", "{:?}", drill.outcome);
        let why = said(&drill);
        assert!(why.contains("did not answer within 180 s") && why.contains("answered nothing"), "{why}");
        assert!(fired.load(Ordering::SeqCst) > 3, "asked again and again until then");
    }

    #[test]
    fn a_delay_in_the_restore_is_a_longer_recovery_by_just_that() {
        let times = |delay: u64| {
            let recoveries = (0..3).map(|_| {
                let drill = meddle(Box::new(move |_, exec| {
                    has(exec, "load").then(|| {
                        let clock = xtask::adapters::clock::SystemClock::start();
                        xtask::ports::Clock::sleep(&clock, Duration::from_secs(delay));
                        Meddle::Done
                    })
                }));
                assert!(drill.outcome.passed(), "{}", said(&drill));
                drill.runs[0].rto_seconds.unwrap()
            });
            // Noise only ever adds: the quickest of three is the least disturbed.
            recoveries.fold(f64::INFINITY, f64::min)
        };
        let moved = times(2) - times(0);
        assert!((1.7..2.3).contains(&moved), "a delay of 2 s moved the recovery time by {moved} s");
    }
}

#[cfg(feature = "docker")]
mod docker_of_postgres {
    use super::*;
    use crate::support::{everywhere, postgres};

    fn psql(site: &dyn Site, sql: &str) {
        crate::docker_rig::said(
            site,
            &["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "xtask_owner", "-d", "app", "-c", sql],
        );
    }

    fn before_the_proof(sites: Arc<dyn Sites>, run: &str, sql: &'static str) -> Drill {
        let (engine, store) = postgres();
        let census = engine.census(&engine.owned_target(&store)).exec;
        let done = std::sync::atomic::AtomicBool::new(false);
        let swapped = std::sync::atomic::AtomicBool::new(false);
        sabotaged(
            run,
            sites,
            engine,
            &store,
            Box::new(move |site, exec| {
                // The restored database has its real name once the last restoring command is over: the next psql is the proof.
                if exec.args.iter().any(|a| a.contains("analyze") || a.contains("pg_restore"))
                    || exec.program_name() == "vacuumdb"
                {
                    swapped.store(true, Ordering::SeqCst);
                }
                let proof =
                    swapped.load(Ordering::SeqCst) && exec.args == census.args && exec.program == census.program;
                (proof && exists(site) && !done.swap(true, Ordering::SeqCst)).then(|| {
                    psql(site, sql);
                    Meddle::Done
                })
            }),
        )
    }

    /// Whether the restored database already stands under its real name with rows in it.
    fn exists(site: &dyn Site) -> bool {
        let sql = "SELECT to_regclass('shop.customers') IS NOT NULL";
        let (text, _) = crate::docker_rig::run(
            site,
            Exec::site("psql").args(["-X", "-A", "-t", "-U", "xtask_owner", "-d", "app", "-c", sql]),
        );
        text.trim() == "t"
    }

    #[test]
    fn a_sabotaged_restore_is_red_for_its_own_reason() {
        let run = run_name();
        let Some(sites) = everywhere("a_sabotaged_restore_is_red_for_its_own_reason", &run) else { return };
        let (engine, store) = postgres();
        let skipped = sabotaged(
            &run,
            sites.clone(),
            engine,
            &store,
            Box::new(|_, exec| {
                (exec.program_name() == "pg_restore" && has(exec, "--section=data")).then_some(Meddle::Skip)
            }),
        );
        assert_red(&skipped, " 0 rows instead of ");
        let dropped = before_the_proof(sites.clone(), &run, "DROP TABLE shop.documents CASCADE");
        assert_red(&dropped, "table shop.documents: missing");
        let changed =
            before_the_proof(sites.clone(), &run, "UPDATE shop.customers SET name = name || '!' WHERE id = 3");
        assert_red(&changed, "table shop.customers: content differs");
        let rotten = rotten(&run, sites, engine, &store);
        assert_red(&rotten, "db.dump.zst");
        assert_eq!(rotten.outcome.why().unwrap().exit_code, Some(13));
        assert_eq!(crate::docker_rig::labelled(&run), Vec::<String>::new());
    }
}
