//! Pruning a vault: looks at every set, reads the newest ones until enough are found good, plans, and removes what no rule keeps.
//! It must not know the rules, nor how the result is told.

use crate::archive::vault::{Left, Listed, Vault};
use crate::domain::artifact::Outline;
use crate::domain::deed::Deed;
use crate::domain::event::Event;
use crate::domain::level::Level;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::retention::{Decision, Origin, Policy, Set, State, keepers, plan};
use crate::domain::standing::Standing;
use crate::flow::world::World;
use anyhow::Result;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The vault to prune.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// The stack whose sets it holds.
    pub stack: &'a str,
    /// The vault.
    pub vault: &'a Vault,
    /// How many sets it keeps.
    pub policy: Policy,
}

/// One set, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The set as the plan saw it.
    pub set: Set,
    /// Whether it was read to its last byte; what is good and was not read is good by its records.
    pub read: bool,
    /// Why it is not known to be good.
    pub why: Option<String>,
    /// Bytes on the disk, where its manifest says.
    pub stored_bytes: Option<u64>,
    /// What the plan says.
    pub decision: Decision,
    /// What came of a removal that was tried.
    pub done: Option<Result<(), Left>>,
}

/// An entry of the vault that is not named like a set: it counts for nothing and is never touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

/// What a prune found, and what it did.
#[derive(Debug)]
pub struct Pruned {
    /// When it was planned, in wall time.
    pub now: Timestamp,
    /// Every set, newest first.
    pub rows: Vec<Row>,
    /// What else lies in the vault.
    pub strangers: Vec<Stranger>,
    /// How many sets count as good.
    pub good: usize,
    /// What ended the removing before its end.
    pub failure: Option<anyhow::Error>,
}

/// What would be removed, by the sets' records alone: nothing is read.
///
/// # Errors
/// `Refusal` of kind `NoBackup` (no set at all) or `Storage`.
pub fn by_records(order: &Order<'_>, now: Timestamp) -> Result<Pruned> {
    planned(order, now, None, &mut BTreeMap::new())
}

/// What would be removed, after reading the newest sets of every store until as many are found good as the floor demands.
///
/// # Errors
/// As [`by_records`].
pub fn look(world: &World, order: &Order<'_>) -> Result<Pruned> {
    planned(order, world.clock.wall(), Some(world), &mut BTreeMap::new())
}

/// Removes what [`look`] says. Reading is done before the vault is locked, so that it keeps no backup waiting; what was
/// committed meanwhile is read under the lock.
///
/// # Errors
/// As [`by_records`], and `Locked` or `Preflight`. An error while removing is in the result, beside what was done.
pub fn apply(world: &World, order: &Order<'_>) -> Result<Pruned> {
    // A vault that is empty or in use is known before hours of reading, not after.
    by_records(order, world.clock.wall())?;
    drop(order.vault.removal(&world.run, world.clock.wall())?);
    let mut found = BTreeMap::new();
    planned(order, world.clock.wall(), Some(world), &mut found)?;
    let now = world.clock.wall();
    let removal = order.vault.removal(&world.run, now)?;
    let mut pruned = planned(order, now, Some(world), &mut found)?;
    for row in pruned.rows.iter().filter(|row| row.read && row.set.state != State::Unknown) {
        let damage = row.why.as_deref().filter(|_| row.set.state == State::Damaged);
        removal.remember(&row.set.id, damage)?;
    }
    // The oldest first: whatever stops this, what is left is what a shorter history would have left.
    for row in pruned.rows.iter_mut().rev().filter(|row| row.decision.removes()) {
        match removal.remove(&row.set.id) {
            Ok(done) => row.done = Some(done),
            Err(error) => {
                pruned.failure = Some(error.context(format!("remove backup set {}", row.set.id)));
                break;
            }
        }
    }
    Ok(pruned)
}

/// What reading a set to its last byte said, and the level up to which it says it.
type Found = BTreeMap<String, (Level, State, Option<String>)>;

fn planned(order: &Order<'_>, now: Timestamp, reader: Option<&World>, found: &mut Found) -> Result<Pruned> {
    let mut rows = Vec::new();
    let mut strangers = Vec::new();
    let (deeds, _) = order.vault.deeds()?;
    for listed in order.vault.list()? {
        match listed.at() {
            Some(at) => rows.push(row(order, &listed, at, &deeds)?),
            None => strangers.push(Stranger { why: listed.public.err().unwrap_or_default(), name: listed.id }),
        }
    }
    if rows.is_empty() {
        let message = format!("the vault of stack {} holds no backup set: there is nothing to prune", order.stack);
        let hint = format!("make one: `cargo xtask backup {}`", order.stack);
        return Err(Refusal::new(RefusalKind::NoBackup, message, hint).into());
    }
    let mut reading = Reading { order, deeds: &deeds, found };
    if let Some(world) = reader {
        reading.newest(world, now, &mut rows);
    }
    let plan = loop {
        let sets: Vec<Set> = rows.iter().map(|row| row.set.clone()).collect();
        let plan = plan(&sets, &order.policy, now);
        let Some(world) = reader else { break plan };
        // A set goes because another one keeps its place: that one must be known to be good, and if it is not, all is planned anew.
        let unread: Vec<usize> = keepers(&sets, &plan).into_iter().filter(|n| !rows[*n].read).collect();
        if unread.is_empty() {
            break plan;
        }
        unread.into_iter().for_each(|n| reading.one(world, &mut rows[n]));
    };
    for (row, decision) in rows.iter_mut().zip(plan.decisions) {
        row.decision = decision;
    }
    rows.reverse();
    Ok(Pruned { now, rows, strangers, good: plan.good, failure: None })
}

/// A set by its records.
fn row(order: &Order<'_>, listed: &Listed, at: Timestamp, deeds: &[Deed]) -> Result<Row> {
    let look = order.vault.look(listed)?;
    let (state, why) = match (look.doubt, &listed.public) {
        (Some(doubt), _) => (State::Unknown, Some(doubt)),
        (None, Err(damage)) => (State::Damaged, Some(damage.clone())),
        (None, Ok(public)) if public.outline.stack != order.stack => {
            (State::Unknown, Some(format!("belongs to stack {}", public.outline.stack)))
        }
        // Found by an earlier run, and not to be forgotten because newer sets fill the floor by now.
        (None, Ok(_)) if look.known_damage.is_some() => (State::Damaged, look.known_damage),
        (None, Ok(_)) => match damage(deeds, order.stack, &listed.id) {
            Some((level, why)) => (as_found_at(level), Some(why)),
            None => (State::Good, None),
        },
    };
    let manifest = listed.public.as_ref().ok().map(|public| &public.outline);
    let stores = manifest.map(|m| m.components.iter().map(|c| c.store.clone()).collect()).unwrap_or_default();
    let origin = match manifest {
        _ if order.vault.is_safety(&listed.id) => Origin::Safety,
        Some(outline) if outline.adopted() => Origin::Adopted,
        _ => Origin::Running,
    };
    let id = listed.id.clone();
    Ok(Row {
        decision: Decision { id: id.clone(), keep: Default::default(), flags: Default::default() },
        set: Set { id, at, stores, origin, state, in_use: look.in_use, on_hold: look.on_hold },
        read: false,
        why,
        stored_bytes: manifest.map(stored_bytes),
        done: None,
    })
}

fn stored_bytes(manifest: &Outline) -> u64 {
    manifest.components.iter().flat_map(|c| &c.files).map(|file| file.stored.bytes).sum()
}

/// The damage that a verification found, and no later one has disproved.
fn damage(deeds: &[Deed], stack: &str, id: &str) -> Option<(Level, String)> {
    let of_set = deeds.iter().filter(|deed| deed.stack == stack && deed.set.as_deref() == Some(id));
    let (deed, level) = Standing::of(of_set, |_| true).damage?;
    let why = deed.why.clone().unwrap_or_else(|| "it did not say why".to_owned());
    Some((level, format!("a verification at {} found: {why}", deed.at)))
}

/// The damage of its bytes that a verification found, and no later one has disproved.
pub fn found_by_verify(deeds: &[Deed], stack: &str, id: &str) -> Option<String> {
    damage(deeds, stack, id).filter(|(level, _)| as_found_at(*level) == State::Damaged).map(|(_, why)| why)
}

/// Bytes that are other ones are damage. A set whose bytes are right and which did not come back equal may still be the best that there is.
fn as_found_at(level: Level) -> State {
    if level <= Level::L2 { State::Damaged } else { State::Unknown }
}

/// What reading needs to know, and what it said.
struct Reading<'r, 'o> {
    order: &'r Order<'o>,
    deeds: &'r [Deed],
    found: &'r mut Found,
}

impl Reading<'_, '_> {
    /// Reads sets, newest first, as long as one of their stores has fewer good ones than the floor demands. The floor is thereby
    /// made of sets that were read just now.
    fn newest(&mut self, world: &World, now: Timestamp, rows: &mut [Row]) {
        let mut good: BTreeMap<String, usize> = BTreeMap::new();
        // What has a manifest can be read; what was damaged once may only have been read badly.
        let readable = |row: &&mut Row| {
            let counts = row.set.origin == Origin::Running && row.set.at <= now;
            counts && row.set.state != State::Unknown && row.stored_bytes.is_some()
        };
        for row in rows.iter_mut().rev().filter(readable) {
            let short = |store: &String| good.get(store).is_none_or(|n| *n < self.order.policy.floor());
            if !row.set.stores.iter().any(short) {
                continue;
            }
            self.one(world, row);
            if row.set.state == State::Good {
                row.set.stores.iter().for_each(|store| *good.entry(store.clone()).or_default() += 1);
            }
        }
    }

    fn one(&mut self, world: &World, row: &mut Row) {
        let vault = self.order.vault;
        let (level, state, why) = self.found.entry(row.set.id.clone()).or_insert_with(|| {
            world.events.tell(Event::Note(format!("reading backup set {} to its last byte", row.set.id)));
            read(vault, &row.set.id)
        });
        row.read = true;
        let known = damage(self.deeds, self.order.stack, &row.set.id).filter(|(found_at, _)| *found_at > *level);
        (row.set.state, row.why) = match known {
            // What was found at a higher level than this reading reaches is not disproved by it.
            Some((found_at, why)) if *state == State::Good => (as_found_at(found_at), Some(why)),
            _ => (*state, why.clone()),
        };
    }
}

/// Only bytes that are known to be other ones are damage; a disk that does not answer may do so again, and a set that the keys of this
/// host do not open may be opened by others.
fn read(vault: &Vault, id: &str) -> (Level, State, Option<String>) {
    let mut level = Level::L2;
    let read = vault.open(id).and_then(|set| set.verify()).or_else(|error| match Refusal::within(&error) {
        // The key is better not on this host; every stored byte can be compared without it.
        Some(refusal) if refusal.kind == RefusalKind::WrongKey && vault.keyless() => {
            level = Level::L1;
            vault.outline(id).and_then(|(folder, public)| vault.verify_stored(&folder, &public.outline))
        }
        _ => Err(error),
    });
    match read {
        Ok(_) => (level, State::Good, None),
        Err(error) => {
            let damaged = Refusal::within(&error).is_some_and(|refusal| refusal.kind == RefusalKind::Integrity);
            (level, if damaged { State::Damaged } else { State::Unknown }, Some(format!("{error:#}")))
        }
    }
}
