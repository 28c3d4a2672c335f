//! Clearing what a restore that died left behind: databases, files and folders of its own names, and nothing else.
//! It must not know any engine.

use super::{Aim, Goal};
use crate::archive::vault::{Restoring, Vault};
use crate::domain::exchange::Wish;
use crate::domain::stack::Stack;
use crate::flow::recover::say;
use crate::flow::world::World;
use crate::flow::{child, visit};
use anyhow::{Context, Result, anyhow};

/// Clears what every restore of this stack left of these stores that died; its journals tell. Only for whoever has the right to restore.
/// Unless these are all stores, a journal that tells of another one stays: one that cannot be reached now hinders nobody.
///
/// # Errors
/// What could not be cleared: a store that cannot be reached, or is no longer described.
pub fn clear_all(
    world: &World,
    stack: &Stack,
    vault: &Vault,
    restoring: &Restoring<'_>,
    (aims, all): (&[Aim<'_>], bool),
) -> Result<Vec<String>> {
    let mut cleared = Vec::new();
    if !vault.has_unfinished_restores()? {
        return Ok(cleared);
    }
    // Its sidecars first: a program of it that still runs would hold what is to be dropped.
    world.sites.sweep().context("remove the containers of runs that died")?;
    for (run, intents) in restoring.unfinished()? {
        let mut left = Vec::new();
        for intent in &intents {
            let aim = aims.iter().find(|aim| aim.store.name == intent.store);
            if aim.is_none() && !all {
                left.push(intent.store.as_str());
                continue;
            }
            let aim = aim.ok_or_else(|| {
                anyhow!(
                    "a restore that died had store {} in hand, which stack {} does not have now: describe it in recovery.yaml as it was",
                    intent.store,
                    stack.name
                )
            })?;
            let cleared = one(world, aim, &Goal::of(&intent.to), &run);
            cleared.with_context(|| format!("clear what the restore of run {run} left of {}", intent.store))?;
        }
        if !left.is_empty() {
            say(
                world,
                format!("what the restore of run {run} left of {} stays until `cargo xtask sweep`", left.join(", ")),
            );
            continue;
        }
        restoring.end(&run)?;
        say(world, format!("cleared what the restore of run {run} left, which died"));
        cleared.push(format!("what the restore of run {run} left of stack {}", stack.name));
    }
    Ok(cleared)
}

fn one(world: &World, aim: &Aim<'_>, goal: &Goal, run: &str) -> Result<()> {
    let (site, mut at) = visit::replaceable(world, aim.engine, aim.store, &aim.to)?;
    if let Goal::Named(name) = goal {
        at = visit::named(aim.store, &at, name)?;
    }
    for act in aim.engine.clear(&at, &Wish::tag_of(run)) {
        for line in child::plain_act(world, site.as_ref(), aim.engine, &act)?.lines() {
            say(world, line);
        }
    }
    Ok(())
}

/// For a sweep: clears the stack when no restore is at work there. What was cleared, and why something was not.
pub fn unfinished(world: &World, stack: &Stack, vault: &Vault, aims: &[Aim<'_>]) -> Result<Vec<String>> {
    if !vault.has_unfinished_restores()? {
        return Ok(Vec::new());
    }
    let restoring = vault.restoring(&world.run, world.clock.wall())?;
    clear_all(world, stack, vault, &restoring, (aims, true))
}
