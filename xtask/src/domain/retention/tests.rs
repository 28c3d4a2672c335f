//! The laws of retention, on random histories with failures and clock jumps, and against a model that counts instead of choosing.

use super::*;
use jiff::ToSpan;
use proptest::prelude::*;

const STORES: [&str; 3] = ["db", "files", "mail"];

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn days_later(time: Timestamp, days: i64) -> Timestamp {
    time + (days * 24).hours()
}

fn holding(stores: &[&str]) -> BTreeSet<String> {
    stores.iter().map(|s| (*s).to_owned()).collect()
}

fn set(at: Timestamp, state: State) -> Set {
    let id = at.strftime("%Y-%m-%d %H:%M").to_string();
    Set { id, at, stores: holding(&["db"]), origin: Origin::Running, state, in_use: false, on_hold: false }
}

/// One step of a history: so many seconds after the last one, with whatever went wrong.
fn step() -> impl Strategy<Value = (i64, Set)> {
    const DAY: i64 = 86_400;
    let gap = prop_oneof![
        4 => 0..DAY, // several a day
        4 => DAY - 3600..DAY + 3600,
        2 => 0..40 * DAY,
        1 => -900 * DAY..900 * DAY, // the clock was set
    ];
    let state = prop_oneof![6 => Just(State::Good), 2 => Just(State::Damaged), 1 => Just(State::Unknown)];
    let stores = prop_oneof![2 => Just(7_u8), 2 => 0..8_u8, 1 => Just(0)];
    (gap, state, stores, prop::bool::weighted(0.1), prop::bool::weighted(0.1)).prop_map(
        |(gap, state, mask, in_use, on_hold)| {
            let stores = STORES.iter().enumerate().filter(|(n, _)| mask & (1 << n) != 0);
            let stores = stores.map(|(_, store)| (*store).to_owned()).collect();
            (
                gap,
                Set {
                    id: String::new(),
                    at: Timestamp::UNIX_EPOCH,
                    stores,
                    origin: Origin::Running,
                    state,
                    in_use,
                    on_hold,
                },
            )
        },
    )
}

fn history() -> impl Strategy<Value = Vec<Set>> {
    (0..1000_i64, prop::collection::vec(step(), 0..60)).prop_map(|(start, steps)| {
        let mut at = days_later(time("2024-02-27T02:00:00Z"), start);
        let dated = steps.into_iter().enumerate().map(|(n, (gap, set))| {
            at += gap.seconds();
            Set { id: format!("set-{n}"), at, ..set }
        });
        dated.collect()
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    (0..9_u32, 0..5_u32, 0..6_u32, 0..5_u32).prop_map(|(daily, weekly, monthly, floor)| Policy {
        daily,
        weekly,
        monthly,
        floor,
    })
}

/// Any time around the history, or long before or after it.
fn now() -> impl Strategy<Value = Timestamp> {
    (-2000..6000_i64, 0..86_400_i64).prop_map(|(days, s)| days_later(time("2024-02-27T02:00:00Z"), days) + s.seconds())
}

fn good(set: &Set, now: Timestamp) -> bool {
    set.state == State::Good && !set.stores.is_empty() && set.at <= now
}

/// The reasons of one set, by counting those that are newer.
fn expected(sets: &[Set], policy: &Policy, now: Timestamp, n: usize) -> BTreeSet<Reason> {
    let set = &sets[n];
    let floor = policy.floor.max(1) as usize;
    let newer = |store: &str| -> Vec<&Set> {
        let newer = sets.iter().enumerate().filter(|(m, s)| s.at > set.at || (s.at == set.at && *m > n));
        newer.map(|(_, s)| s).filter(|s| good(s, now) && s.stores.contains(store)).collect()
    };
    let mut reasons = BTreeSet::new();
    for store in set.stores.iter().filter(|_| good(set, now)) {
        let newer = newer(store);
        reasons.extend(newer.is_empty().then_some(Reason::Newest));
        reasons.extend((newer.len() < floor).then_some(Reason::Floor));
        let slots = [
            ("%F", policy.daily, Reason::Daily),
            ("%G %V", policy.weekly, Reason::Weekly),
            ("%Y %m", policy.monthly, Reason::Monthly),
        ];
        for (format, count, reason) in slots {
            let slot = |s: &Set| s.at.strftime(format).to_string();
            let later: BTreeSet<String> = newer.iter().map(|s| slot(s)).collect();
            reasons.extend((!later.contains(&slot(set)) && later.len() < count as usize).then_some(reason));
        }
    }
    let older = |x: &Set, m: usize| x.at < set.at || (x.at == set.at && m < n);
    let held_before =
        |store: &&str| sets.iter().enumerate().any(|(m, x)| older(x, m) && good(x, now) && x.stores.contains(*store));
    let may_hold: Vec<&str> = if set.stores.is_empty() {
        STORES.into_iter().filter(held_before).collect()
    } else {
        set.stores.iter().map(String::as_str).collect()
    };
    let any = sets.iter().enumerate().filter(|(m, x)| *m != n && !older(x, *m) && good(x, now)).count();
    let replaced = any >= floor && may_hold.iter().all(|store| newer(store).len() >= floor);
    reasons.extend((set.state == State::Damaged && !replaced).then_some(Reason::NotReplaced));
    let untold = set.state == State::Good && set.stores.is_empty();
    reasons.extend((set.state == State::Unknown || untold).then_some(Reason::Unknown));
    reasons.extend(set.on_hold.then_some(Reason::OnHold));
    reasons.extend(set.in_use.then_some(Reason::InUse));
    reasons.extend((set.at > now).then_some(Reason::Future));
    reasons
}

fn after(sets: &[Set], plan: &Plan) -> Vec<Set> {
    let kept = sets.iter().zip(&plan.decisions).filter(|(_, d)| !d.removes());
    kept.map(|(set, _)| set.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn f39_every_reason_is_the_one_that_the_model_counts(sets in history(), policy in policy(), now in now()) {
        let plan = plan(&sets, &policy, now);
        for (n, decision) in plan.decisions.iter().enumerate() {
            prop_assert_eq!(&decision.id, &sets[n].id);
            prop_assert_eq!(&decision.keep, &expected(&sets, &policy, now, n), "{:?}", sets[n]);
        }
        prop_assert_eq!(plan.good, sets.iter().filter(|s| good(s, now)).count());
    }

    #[test]
    fn f39_the_floor_and_the_newest_good_set_of_every_store_stay(sets in history(), policy in policy(), now in now()) {
        let left = after(&sets, &plan(&sets, &policy, now));
        for store in STORES {
            let of = |sets: &[Set]| -> Vec<Set> {
                sets.iter().filter(|s| good(s, now) && s.stores.contains(store)).cloned().collect()
            };
            let (before, after) = (of(&sets), of(&left));
            prop_assert!(after.len() >= before.len().min(policy.floor()), "{store}: {} of {}", after.len(), before.len());
            let newest = before.iter().enumerate().max_by_key(|(n, s)| (s.at, *n)).map(|(_, s)| &s.id);
            prop_assert!(newest.is_none_or(|id| after.iter().any(|s| s.id == *id)), "{store}: {newest:?}");
        }
    }

    #[test]
    fn f39_what_is_read_on_hold_unknown_or_of_the_future_stays_and_a_short_vault_loses_nothing(
        sets in history(), policy in policy(), now in now(),
    ) {
        let plan = plan(&sets, &policy, now);
        for (set, decision) in sets.iter().zip(&plan.decisions) {
            let untouchable = set.in_use || set.on_hold || set.state == State::Unknown || set.at > now;
            prop_assert!(!(untouchable && decision.removes()), "{set:?}");
            prop_assert!(!(plan.good < policy.floor() && decision.removes()), "{set:?}");
            let remarkable = set.at > now || set.state != State::Good || set.stores.is_empty();
            prop_assert_eq!(remarkable, !decision.flags.is_empty(), "{:?}", set);
        }
    }

    #[test]
    fn f39_pruning_twice_changes_nothing(sets in history(), policy in policy(), now in now()) {
        let left = after(&sets, &plan(&sets, &policy, now));
        let again = plan(&left, &policy, now);
        prop_assert_eq!(again.removed().count(), 0);
        prop_assert_eq!(after(&left, &again), left);
    }

    #[test]
    fn f39_pruning_after_every_backup_leaves_what_pruning_once_leaves(sets in history(), policy in policy()) {
        let mut sets = sets;
        for set in &mut sets {
            (set.in_use, set.on_hold) = (false, false);
        }
        sets.sort_by_key(|s| s.at);
        let mut vault = Vec::new();
        for set in &sets {
            vault.push(set.clone());
            vault = after(&vault, &plan(&vault, &policy, set.at));
        }
        let last = sets.last().map_or(Timestamp::UNIX_EPOCH, |s| s.at);
        prop_assert_eq!(vault, after(&sets, &plan(&sets, &policy, last)));
    }

    #[test]
    fn f39_a_clock_set_back_removes_only_what_the_right_one_removes(sets in history(), policy in policy(), a in now(), b in now()) {
        let removed = |now| plan(&sets, &policy, now).removed().map(str::to_owned).collect::<BTreeSet<_>>();
        prop_assert!(removed(a.min(b)).is_subset(&removed(a.max(b))));
    }

    #[test]
    fn f38_time_that_passes_makes_nothing_old(sets in history(), policy in policy(), years in 1..200_i64) {
        let last = sets.iter().map(|s| s.at).max().unwrap_or(Timestamp::UNIX_EPOCH);
        prop_assert_eq!(plan(&sets, &policy, last), plan(&sets, &policy, days_later(last, years * 365)));
    }

    #[test]
    fn f41_a_set_dated_in_the_future_is_flagged_and_changes_nothing_for_the_others(
        sets in history(), policy in policy(), now in now(), ahead in 1..400_000_000_i64, at in any::<prop::sample::Index>(),
    ) {
        let before = plan(&sets, &policy, now);
        let ahead = Set { id: "ahead".to_owned(), stores: holding(&STORES), ..set(now + ahead.seconds(), State::Good) };
        let place = at.index(sets.len() + 1);
        let mut with = sets;
        with.insert(place, ahead);
        let mut after = plan(&with, &policy, now);
        let decision = after.decisions.remove(place);
        prop_assert_eq!((decision.keep, decision.flags), (BTreeSet::from([Reason::Future]), BTreeSet::from([Flag::Future])));
        prop_assert_eq!(after, before);
    }
}

proptest! {
    #[test]
    fn sets_of_what_restores_replaced_and_adopted_ones_take_no_place_from_any_other(
        sets in history(), apart in history(), policy in policy(), now in now(), adopted in any::<bool>(),
    ) {
        let origin = if adopted { Origin::Adopted } else { Origin::Safety };
        let alone = plan(&sets, &policy, now);
        let apart = apart.into_iter().map(|set| Set { id: format!("apart-{}", set.id), origin, ..set });
        let all: Vec<Set> = apart.chain(sets).collect();
        let mut together = plan(&all, &policy, now);
        let short = together.good < policy.floor();
        prop_assert!(!short || together.removed().count() == 0, "a short vault loses nothing");
        together.decisions.retain(|decision| !decision.id.starts_with("apart-"));
        prop_assert_eq!(together, alone);
    }
}

#[test]
fn three_restores_a_day_after_the_accident_leave_every_set_from_before_it() {
    let policy = Policy { daily: 1, weekly: 0, monthly: 0, floor: 2 };
    let at = |text: &str| time(&format!("2026-11-{text}:00Z"));
    let mut sets = vec![set(at("18T02:00"), State::Good), set(at("19T02:00"), State::Good)];
    let safety = |text: &str| Set { origin: Origin::Safety, ..set(at(text), State::Good) };
    sets.extend([safety("19T10:00"), safety("19T11:00"), safety("19T12:00")]);
    let kept = |sets: &[Set], now: &str| {
        let plan = plan(sets, &policy, at(now));
        after(sets, &plan).iter().map(|s| s.id[8..].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(kept(&sets, "19T13:00").len(), 5, "of the last week all stay");
    // Long after, without a newer set of the running stack: nothing could take their place.
    assert_eq!(kept(&sets, "29T13:00").len(), 5);
    sets.extend([set(at("28T02:00"), State::Good), set(at("29T02:00"), State::Good)]);
    assert_eq!(kept(&sets, "29T13:00"), ["19 12:00", "28 02:00", "29 02:00"], "the newest of them stays");
}

/// A backup at two every night, pruned after each; what is left of the good ones at the end.
fn nights(first: &str, nights: i64, fails: impl Fn(i64) -> Option<State>) -> Vec<Set> {
    let mut vault = Vec::new();
    for night in 0..nights {
        let at = days_later(time(first), night);
        vault.extend(fails(night).map(|state| set(at, state)));
        vault = after(&vault, &plan(&vault, &Policy::default(), at));
        let good = vault.iter().filter(|s| s.state == State::Good).count() as i64;
        assert!(good >= 2.min(night + 1), "night {night}: {good} good sets");
    }
    vault
}

#[test]
fn f38_after_a_week_of_failures_the_sets_of_before_are_all_there() {
    // An age limit of seven days would have removed everything: the fault is real.
    let last = days_later(time("2026-10-01T02:00:00Z"), 29);
    for failed in [None, Some(State::Damaged)] {
        let vault = nights("2026-10-01T02:00:00Z", 30, |night| if night < 22 { Some(State::Good) } else { failed });
        let good: Vec<&Set> = vault.iter().filter(|s| s.state == State::Good).collect();
        assert!(good.iter().all(|s| s.at < days_later(last, -7)), "{good:?}");
        let ids: Vec<&str> = good.iter().map(|s| &s.id[..10]).collect();
        let wanted = ["04", "11", "16", "17", "18", "19", "20", "21", "22"].map(|day| format!("2026-10-{day}"));
        assert_eq!(ids, wanted);
    }
}

#[test]
fn years_of_nights_leave_days_weeks_and_months() {
    let vault = nights("2024-01-01T02:00:00Z", 1055, |_| Some(State::Good));
    let ids: Vec<&str> = vault.iter().map(|s| &s.id[..10]).collect();
    let months = ["2025-12-31", "2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30"];
    let more = ["2026-07-31", "2026-08-31", "2026-09-30", "2026-10-31", "2026-11-01", "2026-11-08", "2026-11-14"];
    let days = ["2026-11-15", "2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20"];
    assert_eq!(ids, [&months[..], &more[..], &days[..]].concat());
}

#[test]
fn weeks_are_iso_weeks_also_around_new_year() {
    let policy = Policy { daily: 0, weekly: 9, monthly: 0, floor: 1 };
    let days = ["2024-12-29", "2024-12-30", "2025-01-05", "2025-12-28", "2025-12-29", "2026-01-04", "2026-01-05"];
    let sets: Vec<Set> = days.iter().map(|d| set(time(&format!("{d}T23:59:59Z")), State::Good)).collect();
    let kept = after(&sets, &plan(&sets, &policy, time("2026-02-01T00:00:00Z")));
    let kept: Vec<&str> = kept.iter().map(|s| &s.id[..10]).collect();
    assert_eq!(kept, ["2024-12-29", "2025-01-05", "2025-12-28", "2026-01-04", "2026-01-05"]);
}

#[test]
fn a_set_of_some_stores_takes_no_place_from_one_of_all() {
    let mut sets = vec![set(time("2026-11-20T02:00:00Z"), State::Good)];
    sets[0].stores = holding(&["db", "files"]);
    sets.extend((3..20).map(|hour| set(time(&format!("2026-11-20T{hour:02}:00:00Z")), State::Good)));
    let plan = plan(&sets, &Policy { daily: 1, weekly: 0, monthly: 0, floor: 2 }, time("2026-11-21T00:00:00Z"));
    let wanted = BTreeSet::from([Reason::Newest, Reason::Floor, Reason::Daily]);
    assert_eq!(plan.decisions[0].keep, wanted, "it is the only one that holds `files`");
    assert_eq!(plan.removed().count(), 15);
}

#[test]
fn f40_a_corrupt_newest_set_is_not_counted_and_stays_until_it_is_replaced() {
    let at = |day| time(&format!("2026-11-{day}T02:00:00Z"));
    let policy = Policy { daily: 0, weekly: 0, monthly: 0, floor: 2 };
    let mut sets: Vec<Set> = (10..15).map(|day| set(at(day), State::Good)).collect();
    sets[4].state = State::Damaged;
    let removed = |sets: &[Set]| plan(sets, &policy, at(20)).removed().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(removed(&sets), ["2026-11-10 02:00", "2026-11-11 02:00"], "12 and 13 are the floor");
    sets.push(set(at(15), State::Good));
    assert_eq!(removed(&sets).last().unwrap(), "2026-11-12 02:00", "one newer good set is not enough");
    sets.push(set(at(16), State::Good));
    assert_eq!(removed(&sets).last().unwrap(), "2026-11-14 02:00", "now it is replaced");
}
