//! Losses that counting alone would not show: each must turn a drill red although every number seems to add up.

use crate::support::meddling::{Meddle, Meddling};
use crate::support::{directories, rehearse, run_name, said, sqlite, world};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use xtask::domain::report::Drill;

/// A drill of the embedded database in which SQL is run at the struck site right before these verbs, each of which waits for
/// it. The database is the site's own, or a file of its scratch folder.
fn before(verbs: &'static [&'static str], scratch: Option<&'static str>, scenario: &str, sql: &'static str) -> Drill {
    let run = run_name();
    let (engine, store) = sqlite();
    let one_by_one = Mutex::new(());
    let meddling = Meddling::with(directories(&run), move |purpose, site, exec| {
        let meant = purpose == "drill" && exec.args.get(1).is_some_and(|word| verbs.contains(&word.as_str()));
        Ok(if meant {
            let file = match scratch {
                Some(name) => PathBuf::from(site.scratch()).join(name),
                None => PathBuf::from(site.identity().name).join("app.db"),
            };
            let _turn = one_by_one.lock().unwrap();
            Connection::open(file)?.execute_batch(sql)?;
            Meddle::Done
        } else {
            Meddle::Let
        })
    });
    let fired = meddling.fired();
    let drill = rehearse(&world(&run, Arc::new(meddling)), engine, &store, scenario);
    assert!(fired.load(Ordering::SeqCst) > 0, "the sabotage never happened: {}", said(&drill));
    drill
}

#[track_caller]
fn assert_red(drill: &Drill, because: &str) {
    assert_eq!(drill.outcome.word(), "failed", "{:?} {:?}", drill.outcome, drill.runs[0].proof);
    assert!(said(drill).contains(because), "red for another reason than `{because}`: {}", said(drill));
}

#[test]
fn a_backup_that_lacks_writes_from_before_its_snapshot_is_red_although_its_census_agrees() {
    let forget = "DELETE FROM xtask_mark_kept WHERE seq > 1; DELETE FROM xtask_mark_struck WHERE seq > 1;";
    let drill = before(&["census-copy", "read"], Some("copy.db"), "total-loss", forget);
    assert_red(&drill, "marks were acknowledged before the backup's snapshot, but it ends at mark 1");
}

#[test]
fn rows_that_the_backup_holds_may_not_stay_lost() {
    // With their parents out of reach, all of their rows are set aside: the keys hold and the sums agree.
    let drill = before(
        &["finish"],
        Some("backup.db"),
        "partial-corruption",
        "PRAGMA foreign_keys = OFF; DELETE FROM customers",
    );
    assert_red(&drill, "table main.customers");
}

#[test]
fn a_changed_row_is_seen_in_a_table_from_which_others_were_set_aside() {
    let change = "UPDATE orders SET total_cents = total_cents + 1 WHERE id = 3";
    assert_red(&before(&["census"], None, "partial-corruption", change), "table main.orders");
}

#[test]
fn a_changed_row_is_seen_in_a_table_that_lost_rows_for_good() {
    let change = "UPDATE customers SET name = name || '!' WHERE id = 30";
    assert_red(&before(&["census"], None, "partial-corruption", change), "table main.customers");
}
