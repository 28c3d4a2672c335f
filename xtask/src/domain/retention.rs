//! Which backup sets are kept and which may go: one pure function from what a vault holds to a plan with its reasons.
//! It must not know how a set is found good, nor how one is removed.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// How many sets are kept. Days, weeks and months without a good set do not count: time that passes makes nothing old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// The newest good set of each of so many days.
    pub daily: u32,
    /// The newest good set of each of so many ISO weeks (Monday to Sunday).
    pub weekly: u32,
    /// The newest good set of each of so many months.
    pub monthly: u32,
    /// So many of the newest good sets are kept whatever else is said; at least 1.
    pub floor: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { daily: 7, weekly: 4, monthly: 12, floor: 2 }
    }
}

impl Policy {
    /// The floor, which is never nothing.
    pub fn floor(&self) -> usize {
        usize::try_from(self.floor).unwrap_or(usize::MAX).max(1)
    }
}

/// What was found out about a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is what was written.
    Good,
    /// It is not what was written.
    Damaged,
    /// That could not be known: it may be good.
    Unknown,
}

/// What a set was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The stack as it ran.
    Running,
    /// What a restore was about to replace: a state that somebody did not want.
    Safety,
    /// Another tool's archive: its data is older than the set.
    Adopted,
}

/// A set of a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Its id.
    pub id: String,
    /// When it was begun.
    pub at: Timestamp,
    /// The stores that it holds; empty when nobody can tell.
    pub stores: BTreeSet<String>,
    /// What it was made of.
    pub origin: Origin,
    /// What was found out about it.
    pub state: State,
    /// Somebody reads it at this moment.
    pub in_use: bool,
    /// A person wants it kept.
    pub on_hold: bool,
}

/// Why a set is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The newest good set of a store.
    Newest,
    /// One of the newest good sets of a store that are never removed.
    Floor,
    /// The newest good one of its day.
    Daily,
    /// The newest good one of its week.
    Weekly,
    /// The newest good one of its month.
    Monthly,
    /// It is of what a restore replaced, and the newest of these or younger than a week.
    Safety,
    /// A person wants it kept.
    OnHold,
    /// It is being read.
    InUse,
    /// It is dated in the future.
    Future,
    /// Whether it is good could not be known.
    Unknown,
    /// It is damaged, or not of the stack as it ran, and there are not yet as many newer good sets as the floor demands.
    NotReplaced,
}

impl Reason {
    /// A word or two for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Floor => "floor",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Safety => "of what a restore replaced",
            Self::OnHold => "on hold",
            Self::InUse => "being read",
            Self::Future => "dated in the future",
            Self::Unknown => "not known to be good",
            Self::NotReplaced => "not yet replaced",
        }
    }
}

/// What somebody should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flag {
    /// Dated in the future: a clock was wrong.
    Future,
    /// Not what was written.
    Damaged,
    /// Whether it is good could not be known.
    Unknown,
}

/// What is to become of one set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The set.
    pub id: String,
    /// Why it is kept; empty = it is to be removed.
    pub keep: BTreeSet<Reason>,
    /// What is remarkable about it, whether it is kept or not.
    pub flags: BTreeSet<Flag>,
}

impl Decision {
    /// Whether the set is to be removed.
    pub fn removes(&self) -> bool {
        self.keep.is_empty()
    }
}

/// How long a set of what a restore replaced stays, whatever comes after it.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What is to become of every set of a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// One a set, in the order in which they were given.
    pub decisions: Vec<Decision>,
    /// How many sets of the running stack count as good.
    pub good: usize,
}

impl Plan {
    /// The ids of the sets to be removed.
    pub fn removed(&self) -> impl Iterator<Item = &str> {
        self.decisions.iter().filter(|d| d.removes()).map(|d| d.id.as_str())
    }
}

/// Plans what becomes of these sets. Of two with the same time the later one in the list is the newer.
///
/// The rules are applied for each store by itself, over the good sets that hold it, so that a set of some stores only never
/// takes the place of one that holds them all. A set is removed when no rule keeps it for any store. What is not good counts for
/// nothing; a damaged set goes once there are as many newer good sets of everything that it may hold as the floor demands,
/// because until then it may be the best that there is. A set dated in the future counts for nothing and stays.
///
/// Only sets of the stack as it ran count. Of what restores replaced, the newest one and those of the last week stay; adopted ones are
/// under the same rules among themselves; and none of either goes before enough newer ones of the running stack could replace it.
pub fn plan(sets: &[Set], policy: &Policy, now: Timestamp) -> Plan {
    let good = newest_first(sets, now, Origin::Running);
    let mut keep = vec![BTreeSet::new(); sets.len()];
    for origin in [Origin::Running, Origin::Safety, Origin::Adopted] {
        let these = newest_first(sets, now, origin);
        let stores: BTreeSet<&str> = these.iter().flat_map(|&n| &sets[n].stores).map(String::as_str).collect();
        for store in stores {
            let holding: Vec<usize> = these.iter().copied().filter(|&n| sets[n].stores.contains(store)).collect();
            let kept = match origin {
                Origin::Safety => recent(sets, &holding, now),
                Origin::Running | Origin::Adopted => chosen(sets, &holding, policy),
            };
            for (n, reason) in kept {
                keep[n].insert(reason);
            }
        }
    }
    let replaced = |n: usize| {
        let newer = |g: usize| (sets[g].at, g) > (sets[n].at, n);
        let enough = |store: Option<&str>| {
            let holds = |g: usize| store.is_none_or(|store| sets[g].stores.contains(store));
            good.iter().filter(|&&g| newer(g) && holds(g)).count() >= policy.floor()
        };
        // Where nobody can tell what it holds, it may hold whatever the sets before it did.
        let before = || good.iter().filter(|&&g| !newer(g)).flat_map(|&g| &sets[g].stores).collect();
        let may_hold = if sets[n].stores.is_empty() { before() } else { BTreeSet::from_iter(&sets[n].stores) };
        enough(None) && may_hold.into_iter().all(|store| enough(Some(store)))
    };
    let decisions = keep.into_iter().enumerate().map(|(n, mut keep)| {
        let set = &sets[n];
        let mut flags = BTreeSet::new();
        let mut is = |holds: bool, reason: Option<Reason>, flag: Option<Flag>| {
            keep.extend(reason.filter(|_| holds));
            flags.extend(flag.filter(|_| holds));
        };
        is(set.on_hold, Some(Reason::OnHold), None);
        is(set.in_use, Some(Reason::InUse), None);
        is(set.at > now, Some(Reason::Future), Some(Flag::Future));
        is(unknown(set), Some(Reason::Unknown), Some(Flag::Unknown));
        is(set.state == State::Damaged, None, Some(Flag::Damaged));
        let waits = set.state == State::Damaged || (set.origin != Origin::Running && counts(set, now));
        is(waits && !replaced(n), Some(Reason::NotReplaced), None);
        Decision { id: set.id.clone(), keep, flags }
    });
    Plan { decisions: decisions.collect(), good: good.len() }
}

/// The sets because of which others go: of each set that is to be removed, those that keep its day, week or month for one of its stores.
pub fn keepers(sets: &[Set], plan: &Plan) -> BTreeSet<usize> {
    let date = |n: usize| sets[n].at.to_zoned(TimeZone::UTC).date();
    let mut found = BTreeSet::new();
    for gone in (0..sets.len()).filter(|&n| plan.decisions[n].removes()) {
        let keeps = |&n: &usize| {
            let same = |(_, slot, reason): &(u32, Slot, Reason)| {
                plan.decisions[n].keep.contains(reason) && slot(date(n)) == slot(date(gone))
            };
            !sets[n].stores.is_disjoint(&sets[gone].stores) && slots(&Policy::default()).iter().any(same)
        };
        found.extend((0..sets.len()).filter(keeps));
    }
    found
}

/// What counts of the sets that were made of this.
fn newest_first(sets: &[Set], now: Timestamp, origin: Origin) -> Vec<usize> {
    let mut these: Vec<usize> =
        (0..sets.len()).filter(|&n| counts(&sets[n], now) && sets[n].origin == origin).collect();
    these.sort_by_key(|&n| Reverse((sets[n].at, n)));
    these
}

/// Of what restores replaced, given newest first: the last one, and those of the last week.
fn recent(sets: &[Set], holding: &[usize], now: Timestamp) -> Vec<(usize, Reason)> {
    let young = |n: usize| now.duration_since(sets[n].at) < WEEK;
    let kept = holding.iter().enumerate().filter(|(place, n)| *place == 0 || young(**n));
    kept.map(|(_, n)| (*n, Reason::Safety)).collect()
}

/// Whether a set counts for anything.
fn counts(set: &Set, now: Timestamp) -> bool {
    set.state == State::Good && !unknown(set) && set.at <= now
}

/// A good set that holds nothing is none: whatever said so did not look.
fn unknown(set: &Set) -> bool {
    set.state == State::Unknown || (set.state == State::Good && set.stores.is_empty())
}

/// What the rules keep of the good sets of one store, given newest first.
fn chosen(sets: &[Set], holding: &[usize], policy: &Policy) -> Vec<(usize, Reason)> {
    let mut chosen: Vec<(usize, Reason)> = holding.first().map(|&n| (n, Reason::Newest)).into_iter().collect();
    chosen.extend(holding.iter().take(policy.floor()).map(|&n| (n, Reason::Floor)));
    for (count, slot, reason) in slots(policy) {
        let mut last = None;
        let newest_of_its_slot = holding.iter().copied().filter(|&n| {
            let slot = slot(sets[n].at.to_zoned(TimeZone::UTC).date());
            last.replace(slot) != Some(slot)
        });
        chosen.extend(newest_of_its_slot.take(usize::try_from(count).unwrap_or(usize::MAX)).map(|n| (n, reason)));
    }
    chosen
}

/// How many days, weeks and months are kept, and how each is told from the next.
fn slots(policy: &Policy) -> [(u32, Slot, Reason); 3] {
    [
        (policy.daily, |d| (d.year(), d.day_of_year()), Reason::Daily),
        (policy.weekly, |d| (d.iso_week_date().year(), d.iso_week_date().week().into()), Reason::Weekly),
        (policy.monthly, |d| (d.year(), d.month().into()), Reason::Monthly),
    ]
}

/// The day, week or month of a date, in UTC; newer ones never compare equal to older ones.
type Slot = fn(Date) -> (i16, i16);

#[cfg(test)]
mod tests;
