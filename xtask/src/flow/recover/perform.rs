//! The restore itself: every store beside and proven, then every exchange, then the question whether it answers. It must not ask for
//! permission: that has been done.

use super::{Order, Restored, Visit, refuse, say};
use crate::domain::census::{Census, Entry};
use crate::domain::refusal::RefusalKind;
use crate::domain::report::ProofRecord;
use crate::domain::timeline::{Phase, Stopwatch};
use crate::flow::child;
use crate::flow::prove::{self, Place};
use crate::flow::restore::{Into, shared, tables};
use crate::flow::world::World;
use anyhow::{Context, Result};
use std::time::Duration;

/// How long a service may take to answer after the exchange.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Restores every store.
pub(super) fn all(world: &World, order: &Order<'_>, visits: &[Visit<'_>]) -> Result<Vec<Restored>> {
    if !order.tables.is_empty() {
        return visits.iter().map(|visit| single(world, order, visit)).collect();
    }
    let mut proven = Vec::new();
    for visit in visits {
        let mut watch = Stopwatch::start(Phase::Provision, world.clock.now());
        let proof = beside(world, order, visit, &mut watch);
        proven.push((visit, watch, proof.with_context(|| format!("restore {} beside", visit.store.name))?));
    }
    // Nothing was touched until here; from here on each store changes in one step.
    let mut restored: Vec<Restored> = Vec::new();
    for (visit, mut watch, (proof, notes)) in proven {
        let names: Vec<String> = restored.iter().map(|done| done.store.clone()).collect();
        let already = || match names.as_slice() {
            [] => format!("{} is what it was", visit.store.name),
            names => format!("{} is what it was, but exchanged already: {}", visit.store.name, names.join(", ")),
        };
        watch.enter(visit.exchange.swap.phase, world.clock.now());
        say(world, format!("{}: {}", visit.store.name, visit.exchange.swap.title));
        child::plain_act(world, visit.site.as_ref(), visit.engine, &visit.exchange.swap).with_context(already)?;
        let previous = visit.exchange.previous.clone().filter(|_| visit.occupied);
        let mut done = answered(world, visit, watch, proof, previous)?;
        done.notes.extend(notes);
        restored.push(done);
    }
    Ok(restored)
}

fn into<'a>(order: &'a Order<'_>, visit: &'a Visit<'_>, target: &'a crate::domain::engine::Target) -> Into<'a> {
    Into {
        store: visit.store,
        engine: visit.engine,
        site: visit.site.as_ref(),
        target,
        set: order.set,
        component: visit.component,
    }
}

/// Restores under a name of this run's own, and proves it there.
fn beside(
    world: &World,
    order: &Order<'_>,
    visit: &Visit<'_>,
    watch: &mut Stopwatch,
) -> Result<(ProofRecord, Vec<String>)> {
    let target = &visit.exchange.beside;
    say(world, format!("{}: restoring beside, as {}", visit.store.name, called(target)));
    shared(world, into(order, visit, target), &visit.roles, watch)?;
    watch.enter(Phase::Prove, world.clock.now());
    let found = prove::census(world, Place { site: visit.site.as_ref(), engine: visit.engine, target })?;
    let own = |census: &Census| Census {
        objects: census
            .objects
            .iter()
            .filter(|(o, _)| !visit.engine.is_shared(o))
            .map(|(o, e)| (o.clone(), e.clone()))
            .collect(),
    };
    let proof = prove::equal(&own(&visit.component.census), &own(&found));
    let proof = proof.map_err(|why| refuse(RefusalKind::Integrity, why.message, why.hint.unwrap_or_default()))?;
    say(world, format!("{}: {} rows proven equal to the backup", visit.store.name, proof.rows));
    let differ = visit.component.census.differences(&found);
    let shared = differ.iter().filter(|d| visit.engine.is_shared(&d.object));
    let notes = shared.map(|d| format!("{}: {d}: it belongs to the server, and stays as it is", visit.store.name));
    Ok((proof, notes.collect()))
}

fn called(target: &crate::domain::engine::Target) -> &str {
    if target.name.is_empty() { &target.root } else { &target.name }
}

/// Asks the restored store the way its application does, and closes the account.
fn answered(
    world: &World,
    visit: &Visit<'_>,
    mut watch: Stopwatch,
    proof: ProofRecord,
    previous: Option<String>,
) -> Result<Restored> {
    watch.enter(Phase::Probe, world.clock.now());
    let place = Place { site: visit.site.as_ref(), engine: visit.engine, target: &visit.at };
    prove::probe(world, place, visit.store, ANSWER_WITHIN)
        .with_context(|| format!("{} was restored, but does not answer", visit.store.name))?;
    let notes = if previous.is_some() { visit.exchange.notes.clone() } else { Vec::new() };
    Ok(Restored {
        store: visit.store.name.clone(),
        rows: proof.rows,
        contents: proof.contents,
        previous,
        removal: visit.exchange.removal.clone(),
        place: visit.site.identity().name,
        notes: notes.into_iter().map(|note| format!("{}: {note}", visit.store.name)).collect(),
        timeline: watch.stop(world.clock.now()),
    })
}

/// Single tables, in place: one transaction, in which they are compared with the backup before it is committed.
fn single(world: &World, order: &Order<'_>, visit: &Visit<'_>) -> Result<Restored> {
    let mut watch = Stopwatch::start(Phase::Fetch, world.clock.now());
    let done = tables(world, into(order, visit, &visit.at), &order.tables, &mut watch);
    done.with_context(|| format!("restore tables of {}: the database is what it was", visit.store.name))?;
    let rows = order.tables.iter().filter_map(|object| match visit.component.census.objects.get(object) {
        Some(Entry::Content { rows, .. }) => Some(*rows),
        _ => None,
    });
    let contents = order.tables.len();
    let proof = ProofRecord { contents, objects: contents, rows: rows.sum(), quarantined: 0, unrecoverable: 0 };
    answered(world, visit, watch, proof, None)
}
