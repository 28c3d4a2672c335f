//! What a backup waits for, how long, and what became of the tables meanwhile.

use super::rig::{Rig, Session, engine};
use super::seeded;
use xtask::domain::engine::{Act, Feed, Snapshot, Target};
use xtask::domain::refusal::RefusalKind;

/// A session that holds what this script locked, until it is told to commit.
fn migration(rig: &Rig, script: &str) -> Session {
    let mut session = rig.session(&engine().mark_session(&rig.at).exec);
    session.say(&format!("BEGIN; {script} SELECT 'locked';\n"));
    session.until(|line| (line == "locked").then_some(()));
    session
}

fn waits_for_a_lock(rig: &Rig, purpose: &str) -> bool {
    let ask = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name";
    rig.sql(&format!("{ask} = 'xtask-{purpose}';")) == "1"
}

const MIGRATION: &str = "LOCK TABLE shop.orders IN ACCESS EXCLUSIVE MODE;
CREATE SEQUENCE shop.born START 7; CREATE TABLE shop.born_too AS SELECT 1 AS id;
DROP SEQUENCE shop.countdown; DROP TABLE shop.nothing; ALTER TABLE shop.carts RENAME TO baskets;";

fn a_migration_meanwhile_is_in_the_backup(major: u32) {
    let Some(rig) = seeded(major) else { return };
    let mut migrating = migration(&rig, MIGRATION);
    let kept = std::thread::scope(|scope| {
        let taking = scope.spawn(|| rig.backup());
        rig.poll(|| waits_for_a_lock(&rig, "snapshot"));
        migrating.say("COMMIT;\n");
        taking.join().unwrap()
    });
    let objects = &kept.component.census.objects;
    assert!(objects.contains_key("sequence shop.born") && !objects.contains_key("sequence shop.countdown"));
    let copy = rig.beside("copy");
    rig.acts(&engine().restore(&copy, &kept.component), Some(&kept));
    assert_eq!(rig.differences_at(&copy, &kept), [""; 0]);
}

#[test]
fn postgres_15_backs_up_what_a_migration_made_while_it_waited() {
    a_migration_meanwhile_is_in_the_backup(15);
}

#[test]
fn postgres_17_backs_up_what_a_migration_made_while_it_waited() {
    a_migration_meanwhile_is_in_the_backup(17);
}

#[test]
fn a_table_that_a_migration_made_while_the_snapshot_waited_is_held_too() {
    let Some(rig) = seeded(17) else { return };
    let mut migrating = migration(&rig, MIGRATION);
    let Snapshot::Session { exec, open, close, .. } = engine().snapshot(&rig.at) else { panic!("no session") };
    let mut session = rig.session(&exec);
    session.say(&open);
    rig.poll(|| waits_for_a_lock(&rig, "snapshot"));
    migrating.say("COMMIT;\n");
    session.until(|line| line.starts_with("ready ").then_some(()));
    let held = |table: &str| {
        let of = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessShareLock' AND granted AND relation";
        rig.sql(&format!("{of} = '{table}'::regclass;"))
    };
    assert_eq!(["shop.born_too", "shop.orders", "shop.born", "shop.baskets"].map(held), ["1"; 4]);
    // Nobody can drop a sequence before its value is read again.
    let mut dropping = rig.session(&engine().mark_session(&rig.at).exec);
    dropping.say("DROP SEQUENCE shop.born; SELECT 'dropped';\n");
    rig.poll(|| waits_for_a_lock(&rig, "marks"));
    session.say(&close);
    let late = session.until(|line| (line == "end").then_some(())).0;
    assert!(late.contains("sequence shop.born\""), "{late}");
    dropping.until(|line| (line == "dropped").then_some(()));
}

/// The same act, where a lock is waited for a second instead of a minute.
fn in_haste(mut act: Act) -> Act {
    let Feed::Text(script) = &mut act.feed else { panic!("no script") };
    let hasty = script.replacen("lock_timeout = '60s'", "lock_timeout = '1s'", 1);
    assert_ne!(&hasty, script, "{}: waits for a lock without end", act.title);
    *script = hasty;
    act
}

/// Locks every table the way a migration may.
const EVERYTHING: &str = "DO $$ DECLARE next regclass; BEGIN
FOR next IN SELECT oid FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text IN ('shop', 'xtask_drill') LOOP
EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', next); END LOOP; END $$;";

#[test]
fn no_question_and_no_census_waits_for_a_lock_without_end() {
    let Some(rig) = seeded(17) else { return };
    let _migrating = migration(&rig, EVERYTHING);
    let filled = engine().before_dump(&rig.at).pop().unwrap().act;
    for act in [filled, engine().census(&rig.at), engine().diagnose(&rig.at)] {
        let act = in_haste(act);
        let done = rig.attempt(&act, None);
        assert!(!done.exit.ok(), "{}: {}", act.title, done.stdout);
        let refusal = engine().explain(&act.exec, &done.exit).unwrap();
        assert_eq!(refusal.kind, RefusalKind::Producer, "{refusal}");
        assert!(refusal.message.contains("lock timeout"), "{}: {refusal}", act.title);
    }
    // A lock that nobody lets go of is not tried for again.
    let Snapshot::Session { exec, open, .. } = engine().snapshot(&rig.at) else { panic!("no session") };
    let act = in_haste(Act::text(xtask::domain::timeline::Phase::Load, "hold", exec, open));
    let done = rig.attempt(&act, None);
    let refusal = engine().explain(&act.exec, &done.exit).unwrap();
    assert!(refusal.message.contains("lock timeout"), "{refusal}");
    assert_eq!(done.exit.stderr.matches("lock timeout").count(), 1, "{}", done.exit.stderr);
}

/// Its tables are nobody's business but the extension's; a dump does not read them.
const PRIVATE: &str = "CREATE SCHEMA private; CREATE TABLE private.state (id int PRIMARY KEY);
INSERT INTO private.state VALUES (1); GRANT SELECT ON private.state TO PUBLIC; REVOKE ALL ON SCHEMA private FROM PUBLIC;";

#[test]
fn a_role_that_pg_dump_accepts_may_back_up_beside_an_extension_that_is_closed_to_it() {
    let Some(rig) = Rig::start(17) else { return };
    rig.extension("private", PRIVATE);
    rig.sql("CREATE ROLE reader LOGIN; CREATE TABLE mine AS SELECT 1 AS id; GRANT SELECT ON mine TO reader; CREATE EXTENSION private;");
    let reader = Target { user: "reader".into(), ..rig.at.clone() };
    for question in engine().before_dump(&reader) {
        let answer = rig.act(&question.act, None);
        assert_eq!((question.judge)(&answer, &rig.store), Ok(()));
    }
    let kept = rig.backup_at(&reader);
    let copy = rig.beside("copy");
    rig.acts(&engine().restore(&copy, &kept.component), Some(&kept));
    assert_eq!(rig.differences_at(&copy, &kept), [""; 0]);
    let told = engine().lacks(&kept.component);
    assert!(told.iter().any(|t| t.contains(" private.state belong")), "{told:?}");
    // What pg_dump would fail on is refused before.
    rig.sql("UPDATE pg_extension SET extconfig = ARRAY['private.state'::regclass], extcondition = ARRAY[''] WHERE extname = 'private';");
    let refused = engine().before_dump(&reader).into_iter().find_map(|question| {
        let answer = rig.act(&question.act, None);
        (question.judge)(&answer, &rig.store).err()
    });
    assert_eq!(refused.unwrap().message, "role reader may not read table private.state");
}
