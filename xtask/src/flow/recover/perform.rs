//! The restore itself: every store beside and proven, then every exchange, then the question whether it answers. It must not ask for
//! permission: that has been done.

use super::{Order, Restored, Visit, refuse, say};
use crate::domain::census::{Census, Entry};
use crate::domain::refusal::{Refusal, RefusalKind};
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
        let already = match names.as_slice() {
            [] => String::new(),
            names => format!("; exchanged already: {}", names.join(", ")),
        };
        watch.enter(visit.exchange.swap.phase, world.clock.now());
        say(world, format!("{}: {}", visit.store.name, visit.exchange.swap.title));
        let mut told = exchanged(world, visit, &already)?;
        if let (Some(after), true) = (&visit.exchange.after, visit.occupied)
            && let Err(error) = child::plain_act(world, visit.site.as_ref(), visit.engine, after)
        {
            let removal = &visit.exchange.removal;
            told.push(format!(
                "{}: what was there before is still there: {error:#}; remove it: {removal}",
                visit.store.name
            ));
        }
        let previous = visit.exchange.previous.clone().filter(|_| visit.occupied);
        let mut done = answered(world, visit, watch, proof, previous)
            .with_context(|| format!("{} was exchanged{already}", visit.store.name))?;
        if visit.occupied {
            done.notes.extend(visit.exchange.notes.iter().map(|note| format!("{}: {note}", visit.store.name)));
        }
        done.notes.extend(told.into_iter().chain(notes));
        restored.push(done);
    }
    Ok(restored)
}

/// Lets the two change places; what went wrong after that point. An end that was not heard is asked for, and never guessed.
fn exchanged(world: &World, visit: &Visit<'_>, already: &str) -> Result<Vec<String>> {
    let name = &visit.store.name;
    let ask = |act| child::plain_act(world, visit.site.as_ref(), visit.engine, act);
    let error = match ask(&visit.exchange.swap) {
        Ok(answer) => return Ok(noted(name, &answer)),
        Err(error) => error,
    };
    let answer = visit.exchange.landed.as_ref().and_then(|question| ask(question).ok());
    let landed = answer.and_then(|answer| match answer.trim() {
        "landed=true" => Some(true),
        "landed=false" => Some(false),
        _ => None,
    });
    // A cause that is known was found before anything changed.
    match landed.or(Refusal::within(&error).map(|_| false)) {
        Some(true) => Ok(vec![format!("{name}: the exchange took place, though its end was not heard: {error:#}")]),
        Some(false) => Err(error.context(format!("{name} is what it was{already}"))),
        None => Err(error.context(format!(
            "whether {name} is what it was or the restored one is unknown: look for what is called _restore_ or _before_ there{already}"
        ))),
    }
}

/// The lines that a command wants people to read.
fn noted(name: &str, answer: &str) -> Vec<String> {
    answer.lines().filter_map(|line| line.trim().strip_prefix("note=")).map(|note| format!("{name}: {note}")).collect()
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
    // What was proven to hold nothing, as its backup did, may be empty.
    let store = if proof.rows == 0 { &visit.as_it_is } else { visit.store };
    prove::probe(world, place, store, ANSWER_WITHIN)
        .with_context(|| format!("{} was restored, but does not answer", visit.store.name))?;
    Ok(Restored {
        store: visit.store.name.clone(),
        rows: proof.rows,
        contents: proof.contents,
        previous,
        removal: visit.exchange.removal.clone(),
        place: visit.site.identity().name,
        notes: Vec::new(),
        timeline: watch.stop(world.clock.now()),
    })
}

/// Single tables, in place: one transaction, in which they are compared with the backup before it is committed.
fn single(world: &World, order: &Order<'_>, visit: &Visit<'_>) -> Result<Restored> {
    let mut watch = Stopwatch::start(Phase::Fetch, world.clock.now());
    let done = tables(world, into(order, visit, &visit.at), &order.tables, &mut watch);
    let said = done
        .with_context(|| format!("restore tables of {}, in one transaction: all of it or nothing", visit.store.name))?;
    let rows = order.tables.iter().filter_map(|object| match visit.component.census.objects.get(object) {
        Some(Entry::Content { rows, .. }) => Some(*rows),
        _ => None,
    });
    let contents = order.tables.len();
    let proof = ProofRecord { contents, objects: contents, rows: rows.sum(), quarantined: 0, unrecoverable: 0 };
    let mut done = answered(world, visit, watch, proof, None)?;
    done.notes.extend(noted(&visit.store.name, &said));
    Ok(done)
}
