//! Restoring one component of a set into a site: questions first, then the engine's acts, each in its phase.

use crate::archive::vault::BackupSet;
use crate::domain::artifact::Component;
use crate::domain::diagnosis::Diagnosis;
use crate::domain::engine::{Act, Engine, Feed, Target};
use crate::domain::store::Store;
use crate::domain::timeline::{Phase, Stopwatch};
use crate::flow::child::{act, plain_act};
use crate::flow::world::World;
use crate::ports::Site;
use anyhow::{Context, Result, anyhow};
use std::io::Read;

/// Where and from what.
#[derive(Clone, Copy)]
pub struct Into<'a> {
    /// The store's description.
    pub store: &'a Store,
    /// What we know about its kind.
    pub engine: &'a dyn Engine,
    /// The site to restore into.
    pub site: &'a dyn Site,
    /// How it is addressed there.
    pub target: &'a Target,
    /// The set.
    pub set: &'a BackupSet,
    /// The store's component in it.
    pub component: &'a Component,
}

/// Restores everything. The watch notes how long each phase took.
pub fn whole(world: &World, into: Into<'_>, watch: &mut Stopwatch) -> Result<()> {
    by(world, into, &into.engine.restore(into.target, into.component), watch)
}

/// As [`whole`], at a server that others use too: of the set's roles only these are brought back.
pub fn shared(world: &World, into: Into<'_>, roles: &str, watch: &mut Stopwatch) -> Result<()> {
    by(world, into, &into.engine.restore_shared(into.target, into.component, roles), watch)
}

fn by(world: &World, into: Into<'_>, acts: &[Act], watch: &mut Stopwatch) -> Result<()> {
    for question in into.engine.before_restore(into.target, into.component) {
        watch.enter(Phase::Provision, world.clock.now());
        let answer = plain_act(world, into.site, into.engine, &question.act).context(question.title)?;
        (question.judge)(&answer, into.store).context(question.title)?;
    }
    acts.iter().try_for_each(|step| perform(world, into, step, watch).map(drop))
}

/// Replaces single tables, all of them or none; what the acts printed.
pub fn tables(world: &World, into: Into<'_>, wanted: &[String], watch: &mut Stopwatch) -> Result<String> {
    let mut contents = String::new();
    for step in into.engine.stage(into.target) {
        contents = perform(world, into, &step, watch)?;
    }
    let there = match into.engine.tables(into.target, wanted) {
        Some(question) => plain_act(world, into.site, into.engine, &question)?,
        None => String::new(),
    };
    let acts = into.engine.restore_tables(into.target, into.component, wanted, (&contents, &there))?;
    acts.iter().map(|step| perform(world, into, step, watch)).collect()
}

/// Restores what the diagnosis names; returns how many rows had to be set aside (`quarantined=<n>` lines).
pub fn selected(world: &World, into: Into<'_>, diagnosis: &Diagnosis, watch: &mut Stopwatch) -> Result<u64> {
    let mut contents = String::new();
    for step in into.engine.stage(into.target) {
        contents = perform(world, into, &step, watch)?;
    }
    let mut quarantined = 0;
    for step in into.engine.restore_selected(into.target, into.component, diagnosis, &contents)? {
        for line in perform(world, into, &step, watch)?.lines() {
            if let Some(rows) = line.trim().strip_prefix("quarantined=") {
                quarantined += rows.parse::<u64>().with_context(|| format!("{}: `{line}`", step.title))?;
            }
        }
    }
    Ok(quarantined)
}

fn perform(world: &World, into: Into<'_>, step: &Act, watch: &mut Stopwatch) -> Result<String> {
    watch.enter(step.phase, world.clock.now());
    act(world, into.site, into.engine, step, &|feed| open(into, feed))
}

fn open(into: Into<'_>, feed: &Feed) -> Result<(Box<dyn Read + Send>, Option<u64>)> {
    let file = match feed {
        Feed::Data => into.component.data(),
        Feed::Extra(name) => into.component.extra(name),
        Feed::Nothing | Feed::Text(_) => None,
    };
    let file = file.ok_or_else(|| anyhow!("the set holds no {feed:?} for {}", into.component.store))?;
    Ok((into.set.plain(file)?, Some(file.plain.bytes)))
}
