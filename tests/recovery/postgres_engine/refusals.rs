//! What goes wrong on real servers, and whether the engine knows its name: each fault is made, then the refusal is read.

use super::rig::{Kept, Rig, engine};
use super::seeded;
use std::process::Stdio;
use xtask::domain::engine::{Act, Preflight, Target};
use xtask::domain::exec::Exec;
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::domain::secret::Secret;
use xtask::domain::store::{Location, Store};
use xtask::domain::timeline::Phase;

/// Asks until something is refused: by a judge, or by a known cause of a failed question.
fn refused(rig: &Rig, store: &Store, questions: Vec<Preflight>) -> Option<Refusal> {
    questions.into_iter().find_map(|question| {
        let done = rig.attempt(&question.act, None);
        match done.exit.ok() {
            true => (question.judge)(&done.stdout, store).err(),
            false => {
                Some(engine().explain(&question.act.exec, &done.exit).unwrap_or_else(|| panic!("{}", done.exit.stderr)))
            }
        }
    })
}

fn store_named(rig: &Rig, name: &str) -> (Store, Target) {
    let mut store = rig.store.clone();
    let Location::Database { database, .. } = &mut store.location else { panic!() };
    *database = name.into();
    let at = engine().owned_target(&store);
    (store, at)
}

fn before_dump(rig: &Rig, at: &Target) -> Option<Refusal> {
    refused(rig, &rig.store, engine().before_dump(at))
}

fn explained(rig: &Rig, act: &Act, kept: Option<&Kept>) -> Refusal {
    let done = rig.attempt(act, kept);
    assert!(!done.exit.ok(), "{} succeeded", act.title);
    engine().explain(&act.exec, &done.exit).unwrap_or_else(|| panic!("{}", done.exit.stderr))
}

#[test]
fn what_a_dump_needs_is_refused_by_name_when_it_is_not_there() {
    let Some(rig) = seeded(17) else { return };
    assert_eq!(before_dump(&rig, &rig.at), None);

    let (store, at) = store_named(&rig, "shpo");
    let refusal = refused(&rig, &store, engine().before_dump(&at)).unwrap();
    assert_eq!(refusal.kind, RefusalKind::MissingStore);
    assert!(refusal.message.contains("postgres, shop"), "{refusal}");

    rig.sql("CREATE DATABASE hollow;");
    let (store, at) = store_named(&rig, "hollow");
    assert_eq!(refused(&rig, &store, engine().before_dump(&at)).unwrap().kind, RefusalKind::EmptyStore);
    let allowed = Store { allow_empty: true, ..store };
    assert_eq!(refused(&rig, &allowed, engine().before_dump(&at)), None);

    // The server asks for a password on its own address, not on 127.0.0.1.
    let address = rig.address();
    let wrong = Target { host: address.clone(), password: Some(Secret::new("wrong")), ..rig.at.clone() };
    let refusal = before_dump(&rig, &wrong).unwrap();
    assert_eq!(
        (refusal.kind, refusal.message.contains("password authentication failed")),
        (RefusalKind::AccessDenied, true)
    );
    assert!(!format!("{refusal:?}").contains("wrong\""));

    let app = Target { host: address, user: "shop_app".into(), password: Some(Secret::new("drill")), ..rig.at.clone() };
    let refusal = before_dump(&rig, &app).unwrap();
    assert!(
        refusal.message.contains("may not read") && refusal.hint.contains("GRANT pg_read_all_data TO shop_app;"),
        "{refusal:?}"
    );
    rig.sql("GRANT pg_read_all_data TO shop_app;");
    let refusal = before_dump(&rig, &app).unwrap();
    assert!(
        refusal.message.contains("row-level security") && refusal.hint.contains("ALTER ROLE shop_app BYPASSRLS;"),
        "{refusal:?}"
    );
    rig.sql("ALTER ROLE shop_app BYPASSRLS;");
    assert!(before_dump(&rig, &app).unwrap().message.contains("large objects"));
    rig.sql("SELECT lo_unlink(oid) FROM pg_largeobject_metadata;");
    assert_eq!(before_dump(&rig, &app), None);
    // A role that can read everything can be backed up with, passwords left out.
    let kept = rig.backup_at(&app);
    let fresh = rig.beside("copy");
    rig.acts(&engine().restore(&fresh, &kept.component), Some(&kept));
    assert_eq!(rig.differences_at(&fresh, &kept), [""; 0]);
}

#[test]
fn an_older_client_and_an_older_server_are_refused() {
    let (Some(newer), Some(older)) = (seeded(17), Rig::start(15)) else { return };
    let across = Target {
        host: newer.address(),
        password: Some(Secret::new("only-for-this-private-network")),
        ..newer.at.clone()
    };
    assert_eq!(before_dump(&older, &across).unwrap().kind, RefusalKind::VersionMismatch);
    let mut dump = engine().dump(&across);
    dump.args.retain(|arg| !arg.starts_with("--snapshot"));
    let refusal = explained(&older, &Act::run(Phase::Load, "dump", dump), None);
    assert_eq!(refusal.kind, RefusalKind::VersionMismatch);
    assert!(refusal.message.contains("17.") && refusal.message.contains("15."), "{refusal}");

    let kept = newer.backup();
    let refusal = refused(&older, &older.store, engine().before_restore(&older.at, &kept.component)).unwrap();
    assert_eq!(refusal.kind, RefusalKind::VersionMismatch);
}

#[test]
fn a_restore_is_refused_where_data_is_or_where_something_is_missing() {
    let Some(rig) = seeded(17) else { return };
    let mut kept = rig.backup();
    let refusal = refused(&rig, &rig.store, engine().before_restore(&rig.at, &kept.component)).unwrap();
    assert_eq!(refusal.kind, RefusalKind::TargetNotEmpty);
    // Even when nobody asked before: the last act refuses, and what was there is as it was.
    let before = rig.census();
    let mut acts = engine().restore(&rig.at, &kept.component);
    let last = acts.pop().unwrap();
    rig.acts(&acts, Some(&kept));
    assert_eq!(explained(&rig, &last, None).kind, RefusalKind::TargetNotEmpty);
    assert_eq!(before.differences(&rig.census()), []);

    rig.strike(xtask::domain::scenario::Strike::DeleteData);
    assert_eq!(refused(&rig, &rig.store, engine().before_restore(&rig.at, &kept.component)), None);
    kept.component.facts.insert("extensions".into(), "citext 1.6, postgis 3.5, vector 0.8".into());
    let refusal = refused(&rig, &rig.store, engine().before_restore(&rig.at, &kept.component)).unwrap();
    assert_eq!(refusal.kind, RefusalKind::MissingCapability);
    assert!(refusal.message.ends_with("postgis, vector"), "{refusal}");
    kept.component.facts.insert("collate".into(), "tlh_QO.utf8".into());
    let acts = engine().restore(&rig.at, &kept.component);
    let create = acts.iter().find(|act| act.title.starts_with("create a database")).unwrap();
    assert_eq!(explained(&rig, create, Some(&kept)).kind, RefusalKind::MissingCapability);
}

#[test]
fn a_full_disk_a_damaged_archive_and_a_killed_dump_are_told_apart() {
    let Some(rig) = seeded(17) else { return };
    let kept = rig.backup();
    let run = |args: &[&str]| rig.run(&Exec::site(args[0]).args(args[1..].iter().copied()), Stdio::null());
    run(&["mkdir", "/full"]);
    run(&["ln", "-s", "/dev/full", "/full/data.dump"]);
    let full = Target { scratch: "/full".into(), ..rig.at.clone() };
    assert_eq!(explained(&rig, &engine().restore(&full, &kept.component)[0], Some(&kept)).kind, RefusalKind::Storage);

    let stage = engine().stage(&rig.at);
    rig.act(&stage[0], Some(&kept));
    run(&["truncate", "--size=3", "/xtask/data.dump"]);
    assert_eq!(explained(&rig, &stage[1], None).kind, RefusalKind::BadArtifact);

    // The dump waits for this lock until its server process is ended.
    let mut holder = rig.session(&engine().mark_session(&rig.at).exec);
    holder.say("BEGIN; LOCK TABLE shop.orders IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n");
    holder.until(|line| (line == "locked").then_some(()));
    let mut dump = engine().dump(&rig.at);
    dump.args.retain(|arg| !arg.starts_with("--snapshot"));
    let refusal = std::thread::scope(|scope| {
        let dumping = scope.spawn(|| explained(&rig, &Act::run(Phase::Load, "dump", dump.clone()), None));
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'xtask-dump' AND wait_event_type = 'Lock';";
        rig.poll(|| rig.sql(end) == "1");
        dumping.join().unwrap()
    });
    assert_eq!(refusal.kind, RefusalKind::Producer);
}
