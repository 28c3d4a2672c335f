//! Verifying a set, level by level, and saying how far it came. Archives are looked into only in a place that is thrown away, and
//! only after signature and digests were found right. It must not know which engine.

use crate::archive::vault::{BackupSet, Vault};
use crate::domain::artifact::Component;
use crate::domain::census::Entry;
use crate::domain::diagnosis::{Damage, Diagnosis};
use crate::domain::engine::{Engine, Feed};
use crate::domain::event::Event;
use crate::domain::level::Level;
use crate::domain::objective::Objective;
use crate::domain::outcome::Outcome;
use crate::domain::protection::Encryption;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::stack::Stack;
use crate::domain::store::{Location, Store};
use crate::flow::child;
use crate::flow::drill::{Input, Order, drill};
use crate::flow::world::World;
use anyhow::{Context, Result, anyhow};
use std::time::Duration;

/// The engine of this name; the tasks know them all.
pub type Engines = fn(&str) -> Option<&'static dyn Engine>;

/// How far a set came.
#[derive(Debug)]
pub struct Verified {
    /// The set.
    pub id: String,
    /// The highest level that it reached; `None` = not even the lowest.
    pub reached: Option<Level>,
    /// Why it did not reach the next one that was wanted.
    pub stopped_by: Option<anyhow::Error>,
    /// How long each level took, in seconds.
    pub took: Vec<(Level, f64)>,
    /// The stores of the stack that it holds.
    pub stores: Vec<String>,
    /// Those that it does not hold: nothing is known of them, whatever level it reached.
    pub lacks: Vec<String>,
}

/// It was restored, and what came back is not what was counted, or nothing came back: known to be wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unequal(pub String);

/// Verifies one set up to this level.
pub fn verify(world: &World, stack: &Stack, vault: &Vault, id: &str, wanted: Level, engines: Engines) -> Verified {
    let mut verified = Verified {
        id: id.to_owned(),
        reached: None,
        stopped_by: None,
        took: Vec::new(),
        stores: Vec::new(),
        lacks: Vec::new(),
    };
    let mut set = None;
    for level in Level::ALL.into_iter().filter(|level| *level <= wanted) {
        let begun = world.clock.now();
        let done = match level {
            Level::L0 => vault.outline(id).and_then(|(_, public)| {
                let holds = |store: &&Store| public.outline.components.iter().any(|c| c.store == store.name);
                verified.stores = stack.stores.iter().filter(holds).map(|store| store.name.clone()).collect();
                verified.lacks = stack.stores.iter().filter(|s| !holds(s)).map(|s| s.name.clone()).collect();
                public.outline.of_another(&stack.name).map_or(Ok(()), |what| Err(not_ours(what, stack).into()))
            }),
            Level::L1 => {
                vault.outline(id).and_then(|(folder, public)| vault.verify_stored(&folder, &public.outline)).map(drop)
            }
            Level::L2 => decoded(vault, id).map(|found| set = Some(found)),
            Level::L3 => found(set.as_ref()).and_then(|set| listed(world, stack, set, engines)),
            Level::L4 => found(set.as_ref()).and_then(|set| restored(world, stack, set, engines)),
        };
        verified.took.push((level, (world.clock.now() - begun).as_secs_f64()));
        if let Err(error) = done {
            verified.stopped_by = Some(error.context(format!("level {level}")));
            break;
        }
        verified.reached = Some(level);
    }
    verified
}

/// Notes beside the set that its bytes are not those that were written, or that they are again. While another run holds the vault only
/// the audit log tells of it.
pub fn remember(world: &World, vault: &Vault, verified: &Verified) {
    let kind = verified.stopped_by.as_ref().and_then(|error| Refusal::within(error)).map(|refusal| refusal.kind);
    let note = match (&verified.stopped_by, verified.reached) {
        (Some(error), Some(Level::L0 | Level::L1)) if kind == Some(RefusalKind::Integrity) => {
            Some(format!("{error:#}"))
        }
        (_, Some(reached)) if reached >= Level::L2 => None,
        _ => return,
    };
    if let Err(error) = vault.remember(&verified.id, note.as_deref(), &world.run, world.clock.wall()) {
        let what = if note.is_some() { "the damage is in the audit log alone" } else { "the old note of damage stays" };
        world.events.tell(Event::Note(format!("set {}: {what}: {error:#}", verified.id)));
    }
}

fn found(set: Option<&BackupSet>) -> Result<&BackupSet> {
    set.context("the set was not opened")
}

fn decoded(vault: &Vault, id: &str) -> Result<BackupSet> {
    let set = vault.find(id)?;
    set.verify()?;
    Ok(set)
}

/// Of a set, or a part of one, that is none of this stack's.
pub fn not_ours(what: String, stack: &Stack) -> Refusal {
    let hint = format!("correct `vault:` or the store of stack {} in recovery.yaml", stack.name);
    Refusal::new(RefusalKind::Preflight, what, hint)
}

/// Whether a part of a set is of the database that the store names.
///
/// # Errors
/// `Refusal` of kind `Preflight`.
pub fn same_database(stack: &Stack, store: &Store, component: &Component) -> Result<(), Refusal> {
    let Location::Database { database, .. } = &store.location else { return Ok(()) };
    component.of_another_database(database).map_or(Ok(()), |what| Err(not_ours(what, stack)))
}

/// The stores of a set, each with its component and engine.
fn parts<'a>(
    stack: &'a Stack,
    set: &'a BackupSet,
    engines: Engines,
) -> Result<Vec<(&'a Store, &'a Component, &'static dyn Engine)>> {
    let part = |component: &'a Component| {
        let name = &component.store;
        let store = stack.stores.iter().find(|s| s.name == *name && s.engine == component.engine);
        let store = store.ok_or_else(|| {
            let message = format!("the set holds {name} ({}), which stack {} has not", component.engine, stack.name);
            Refusal::new(RefusalKind::Configuration, message, "describe that store in recovery.yaml as it was")
        })?;
        same_database(stack, store, component)?;
        let engine = engines(&component.engine).ok_or_else(|| anyhow!("no engine is called {}", component.engine))?;
        Ok((store, component, engine))
    };
    set.manifest.components.iter().map(part).collect()
}

/// Stages every archive in a place of its own, has it listed there, and looks for everything that was counted.
fn listed(world: &World, stack: &Stack, set: &BackupSet, engines: Engines) -> Result<()> {
    for (store, component, engine) in parts(stack, set, engines)? {
        list(world, set, store, component, engine).with_context(|| format!("list the archive of {}", store.name))?;
    }
    Ok(())
}

fn list(world: &World, set: &BackupSet, store: &Store, from: &Component, engine: &'static dyn Engine) -> Result<()> {
    let spec = engine.site(store);
    world.sites.prepare_image(&spec, world.events.as_ref())?;
    let site = world.sites.open(&spec, "verify")?;
    let mut target = engine.owned_target(store);
    target.scratch = site.scratch();
    let open = |feed: &Feed| {
        let file = match feed {
            Feed::Extra(name) => from.extra(name),
            _ => from.data(),
        };
        let file = file.context("the set has no such file")?;
        Ok((set.plain(file)?, Some(file.plain.bytes)))
    };
    let mut contents = String::new();
    for act in engine.stage(&target) {
        contents = child::act(world, site.as_site(), engine, &act, &open)?;
    }
    // Tables and files: what an engine can bring back one by one. The rest (large objects, rows of extensions) L4 looks at.
    let single = |object: &str| object.starts_with("table ") || object.starts_with("file ");
    let objects = from.census.objects.iter();
    let counted = objects.filter(|(object, entry)| matches!(entry, Entry::Content { .. }) && single(object));
    let damages = counted.map(|(object, _)| Damage::Missing { object: object.clone() }).collect();
    // Whoever can plan to bring everything back has found everything.
    engine.restore_selected(&target, from, &Diagnosis { damages }, &contents)?;
    site.destroy()
}

/// The drill that is the proof: everything restored into a fresh place and compared.
fn restored(world: &World, stack: &Stack, set: &BackupSet, engines: Engines) -> Result<()> {
    let scenario = crate::scenarios::find("total-loss").context("there is no scenario of a total loss")?;
    for (store, _, engine) in parts(stack, set, engines)? {
        let order = Order {
            stack: &stack.name,
            store,
            engine,
            scenario,
            input: Input::Set(Box::new(set.clone())),
            // What is asked here is whether it comes back, not how fast.
            objective: Objective::minutes(u64::MAX / 120, u64::MAX / 120),
            schedule: None,
            compression: None,
            encryption: &Encryption::Off,
            exposure: Duration::ZERO,
            repeat: 1,
        };
        match drill(world, &order).outcome {
            Outcome::Passed => {}
            Outcome::Failed(why) if why.exit_code.is_none() => {
                return Err(Unequal(format!("restore {}: {}", store.name, why.message)).into());
            }
            Outcome::Failed(why) | Outcome::Broken(why) | Outcome::Skipped(why) => {
                let kind = why.exit_code.and_then(|code| RefusalKind::from_exit_code(i32::from(code)));
                let message = format!("restore {}: {}", store.name, why.message);
                return Err(match kind {
                    Some(kind) => Refusal::new(kind, message, why.hint.unwrap_or_default()).into(),
                    None => anyhow!(message),
                });
            }
        }
    }
    Ok(())
}
