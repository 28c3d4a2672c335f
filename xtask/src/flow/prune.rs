//! Pruning a vault: looks at every set, reads the newest ones until enough are found good, plans, and removes what no rule keeps.
//! It must not know the rules, nor how the result is told.

use crate::archive::vault::{Left, Listed, Vault};
use crate::domain::artifact::Outline;
use crate::domain::event::Event;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::retention::{Decision, Origin, Policy, Set, State, plan};
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

/// What reading a set to its last byte said.
type Found = BTreeMap<String, (State, Option<String>)>;

fn planned(order: &Order<'_>, now: Timestamp, reader: Option<&World>, found: &mut Found) -> Result<Pruned> {
    let mut rows = Vec::new();
    let mut strangers = Vec::new();
    for listed in order.vault.list()? {
        match listed.at() {
            Some(at) => rows.push(row(order, &listed, at)?),
            None => strangers.push(Stranger { why: listed.public.err().unwrap_or_default(), name: listed.id }),
        }
    }
    if rows.is_empty() {
        let message = format!("the vault of stack {} holds no backup set: there is nothing to prune", order.stack);
        let hint = format!("make one: `cargo xtask backup {}`", order.stack);
        return Err(Refusal::new(RefusalKind::NoBackup, message, hint).into());
    }
    if let Some(world) = reader {
        read_newest(world, order, now, &mut rows, found);
    }
    let sets: Vec<Set> = rows.iter().map(|row| row.set.clone()).collect();
    let plan = plan(&sets, &order.policy, now);
    for (row, decision) in rows.iter_mut().zip(plan.decisions) {
        row.decision = decision;
    }
    rows.reverse();
    Ok(Pruned { now, rows, strangers, good: plan.good, failure: None })
}

/// A set by its records.
fn row(order: &Order<'_>, listed: &Listed, at: Timestamp) -> Result<Row> {
    let look = order.vault.look(listed)?;
    let (state, why) = match (look.doubt, &listed.public) {
        (Some(doubt), _) => (State::Unknown, Some(doubt)),
        (None, Err(damage)) => (State::Damaged, Some(damage.clone())),
        (None, Ok(public)) if public.outline.stack != order.stack => {
            (State::Unknown, Some(format!("belongs to stack {}", public.outline.stack)))
        }
        // Found by an earlier run, and not to be forgotten because newer sets fill the floor by now.
        (None, Ok(_)) if look.known_damage.is_some() => (State::Damaged, look.known_damage),
        (None, Ok(_)) => (State::Good, None),
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

/// Reads sets, newest first, as long as one of their stores has fewer good ones than the floor demands. The floor is thereby
/// made of sets that were read just now.
fn read_newest(world: &World, order: &Order<'_>, now: Timestamp, rows: &mut [Row], found: &mut Found) {
    let mut good: BTreeMap<String, usize> = BTreeMap::new();
    // What has a manifest can be read; what was damaged once may only have been read badly.
    let readable = |row: &&mut Row| {
        let counts = row.set.origin == Origin::Running && row.set.at <= now;
        counts && row.set.state != State::Unknown && row.stored_bytes.is_some()
    };
    for row in rows.iter_mut().rev().filter(readable) {
        let short = |store: &String| good.get(store).is_none_or(|n| *n < order.policy.floor());
        if !row.set.stores.iter().any(short) {
            continue;
        }
        let read = found.entry(row.set.id.clone()).or_insert_with(|| {
            world.events.tell(Event::Note(format!("reading backup set {} to its last byte", row.set.id)));
            read(order.vault, &row.set.id)
        });
        row.read = true;
        (row.set.state, row.why) = read.clone();
        if row.set.state == State::Good {
            row.set.stores.iter().for_each(|store| *good.entry(store.clone()).or_default() += 1);
        }
    }
}

/// Only bytes that are known to be other ones are damage; a disk that does not answer may do so again.
fn read(vault: &Vault, id: &str) -> (State, Option<String>) {
    let read = vault.open(id).and_then(|set| set.verify()).or_else(|error| match Refusal::within(&error) {
        // The key is better not on this host; every stored byte can be compared without it.
        Some(refusal) if refusal.kind == RefusalKind::WrongKey => {
            vault.outline(id).and_then(|(folder, public)| vault.verify_stored(&folder, &public.outline))
        }
        _ => Err(error),
    });
    match read {
        Ok(_) => (State::Good, None),
        Err(error) => {
            let damaged = Refusal::within(&error).is_some_and(|refusal| refusal.kind == RefusalKind::Integrity);
            (if damaged { State::Damaged } else { State::Unknown }, Some(format!("{error:#}")))
        }
    }
}
