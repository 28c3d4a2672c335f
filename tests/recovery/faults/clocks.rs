//! Clocks that jump, and people that travel: names are in UTC and in order, whatever the time zone; a clock that goes back is an
//! error; and a duration is never negative.

use super::desk::{Desk, text};
use super::files::{attached, database};
use super::rig::{Rig, holds_only, refused};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use xtask::adapters::clock::SystemClock;
use xtask::domain::mark::Moment;
use xtask::domain::refusal::RefusalKind;
use xtask::ports::Clock;

/// A clock on the wall that is set by so many seconds each time that somebody looks; durations are real.
struct Set {
    own: SystemClock,
    wall: AtomicI64,
    each: AtomicI64,
}

impl Set {
    fn at(time: &str) -> Arc<Self> {
        let second = time.parse::<jiff::Timestamp>().unwrap().as_second();
        Arc::new(Self { own: SystemClock::start(), wall: AtomicI64::new(second), each: AtomicI64::new(0) })
    }

    fn to(&self, time: &str) {
        self.wall.store(time.parse::<jiff::Timestamp>().unwrap().as_second(), Ordering::SeqCst);
    }
}

impl Clock for Set {
    fn now(&self) -> Moment {
        self.own.now()
    }

    fn wall(&self) -> jiff::Timestamp {
        let each = self.each.load(Ordering::SeqCst);
        jiff::Timestamp::from_second(self.wall.fetch_add(each, Ordering::SeqCst)).unwrap()
    }

    fn sleep(&self, time: Duration) {
        self.own.sleep(time);
    }
}

fn shop(clock: &Arc<Set>) -> Rig {
    let mut rig = Rig::folders();
    rig.world.clock = clock.clone();
    std::fs::create_dir(rig.path("data")).unwrap();
    database(&rig.path("data/app.db"), 1);
    rig
}

fn backup(rig: &Rig) -> anyhow::Result<xtask::flow::backup::Taken> {
    let (store, site, at) = attached(rig, &rig.path("data"), "app.db");
    rig.backup(&store, site.as_ref(), &at)
}

#[test]
fn f42_sets_of_any_date_have_names_in_utc_and_in_order_and_a_clock_that_goes_back_is_an_error() {
    // Both ends of the epoch of 32 bits, a leap second's eve, and both nights in which Paris changes its clocks.
    let dates = [
        ("1970-01-01T00:00:00Z", "19700101T000000Z-000001-"),
        ("2016-12-31T23:59:59Z", "20161231T235959Z-000002-"),
        ("2026-03-29T00:59:59Z", "20260329T005959Z-000003-"),
        ("2026-03-29T01:00:00Z", "20260329T010000Z-000004-"),
        ("2026-10-25T00:30:00Z", "20261025T003000Z-000005-"),
        ("2026-10-25T01:30:00Z", "20261025T013000Z-000006-"),
        ("2038-01-19T03:14:08Z", "20380119T031408Z-000007-"),
        ("2100-02-28T23:59:59Z", "21000228T235959Z-000008-"),
    ];
    let clock = Set::at(dates[0].0);
    let rig = shop(&clock);
    let mut made: Vec<String> = Vec::new();
    for (date, name) in dates {
        clock.to(date);
        let id = backup(&rig).unwrap().set.manifest.id;
        assert!(id.starts_with(name), "{date}: {id}");
        assert!(made.iter().all(|before| *before < id), "{id} does not come after {made:?}");
        made.push(id);
    }
    holds_only(&rig.vault(), dates.len());
    for (back, why) in [("2100-02-28T22:59:59Z", "an hour"), ("2090-02-28T23:59:59Z", "ten years"), (dates[0].0, "all")]
    {
        clock.to(back);
        refused(
            backup(&rig),
            RefusalKind::Preflight,
            &["the clock went backwards", "2100-02-28T23:59:59Z"],
            "set the clock right",
        );
        holds_only(&rig.vault(), dates.len());
        assert!(!why.is_empty());
    }
    // The same second again is no step back: the number goes on.
    clock.to(dates[7].0);
    assert!(backup(&rig).unwrap().set.manifest.id.starts_with("21000228T235959Z-000009-"));
}

#[test]
fn f42_the_time_zone_of_a_run_changes_no_name_and_no_order() {
    let desk = Desk::sqlite(1);
    let zones = ["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Pacific/Pago_Pago"];
    for zone in zones {
        let before = SystemClock::start().wall().to_string();
        let done = desk.command(&["backup", "shop"]).env("TZ", zone).output().unwrap();
        assert!(done.status.success(), "{zone}: {}", text(&done.stderr));
        let newest = desk.sets().pop().unwrap();
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).take(14).collect::<String>();
        let (earliest, named) = (digits(&before), digits(&newest));
        assert!(
            named >= earliest && named <= digits(&SystemClock::start().wall().to_string()),
            "{zone}: {newest}, not {before}"
        );
    }
    let sequence: Vec<String> = desk.sets().iter().map(|set| set[17..23].to_owned()).collect();
    assert_eq!(sequence, ["000001", "000002", "000003", "000004", "000005", "000006"]);
    let kept = |zone: &str| {
        let done = desk.command(&["prune", "shop", "--json"]).env("TZ", zone).output().unwrap();
        let said: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(said["sets"].as_array().unwrap().len(), zones.len(), "{said}");
        said["sets"].clone()
    };
    // A day apart, on either side of the date line.
    assert_eq!(kept("Pacific/Apia"), kept("Pacific/Pago_Pago"), "what is kept depends on where one stands");
    desk.assert_invariants(&desk.sets(), 0, "other time zones");
}

#[test]
fn f43_a_clock_that_is_set_back_in_the_middle_of_a_run_makes_no_duration_negative() {
    for step in [-3600, 3600, -86_400 * 3650] {
        let clock = Set::at("2026-11-20T12:00:00Z");
        let rig = shop(&clock);
        clock.each.store(step, Ordering::SeqCst);
        let begun = rig.world.clock.now();
        let taken = backup(&rig).unwrap();
        let real = (rig.world.clock.now() - begun).as_secs_f64();
        let manifest = &taken.set.manifest;
        let moved: Vec<i64> = [&manifest.started_at, &manifest.finished_at]
            .map(|t| t.parse::<jiff::Timestamp>().unwrap().as_second())
            .to_vec();
        assert!((moved[1] - moved[0]).signum() == step.signum(), "the clock was not set: {moved:?}");
        assert!(taken.record.seconds > 0.0 && taken.record.seconds <= real, "{} s of {real} s", taken.record.seconds);
        taken.set.verify().unwrap();
    }
}
