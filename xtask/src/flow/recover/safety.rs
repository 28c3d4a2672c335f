//! The backup of what a restore is about to replace. It must not know what is restored.

use super::{Goal, Order, Visit, refuse, say};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::flow::backup::{Source, backup};
use crate::flow::child::plain_act;
use crate::flow::world::World;
use anyhow::{Context, Result};

const HINT: &str =
    "mend it first; or, if nobody needs what is there, --without-safety-backup (it still stays under its other name)";

/// What can be backed up; or why it cannot, where it was said that this does not matter. And what has to be told.
type Ready<'v> = (std::result::Result<Vec<Source<'v>>, String>, Vec<String>);

/// Looks which of the stores can be backed up. Where there is something it is backed up, also when no row is in it; where there is
/// nothing at all, nothing is replaced.
///
/// # Errors
/// One of them cannot be backed up.
pub(super) fn ready<'v>(world: &World, order: &Order<'_>, visits: &'v [Visit<'_>]) -> Result<Ready<'v>> {
    let (mut sources, mut notes) = (Vec::new(), Vec::new());
    if order.goal != Goal::Live {
        return Ok((Ok(sources), notes));
    }
    for visit in visits {
        if !visit.occupied {
            notes.push(format!("no safety backup of {}, which holds nothing", visit.store.name));
            continue;
        }
        let Visit { as_it_is: store, engine, site, at, .. } = visit;
        let mut found = Ok(());
        for question in engine.before_dump(at) {
            found = plain_act(world, site.as_ref(), *engine, &question.act)
                .and_then(|answer| Ok((question.judge)(&answer, store)?))
                .context(question.title);
            if found.is_err() {
                break;
            }
        }
        match found {
            Ok(()) => sources.push(Source { store, engine: *engine, site: site.as_ref(), target: at }),
            Err(error) if order.without_safety_backup => {
                let why = format!("{} cannot be backed up: {error:#}", store.name);
                notes.push(format!("NO SAFETY BACKUP was taken: {why}"));
                say(world, format!("going on WITHOUT a safety backup: {why}"));
                return Ok((Err(why), notes));
            }
            Err(error) => {
                let message = format!("what is there now of {} cannot be backed up: {error:#}", store.name);
                return Err(refuse(RefusalKind::Preflight, message, HINT));
            }
        }
    }
    if order.without_safety_backup && !sources.is_empty() {
        let why = "it was not wanted".to_owned();
        notes.push("NO SAFETY BACKUP was taken: --without-safety-backup".to_owned());
        say(world, "going on WITHOUT a safety backup, as asked");
        return Ok((Err(why), notes));
    }
    Ok((Ok(sources), notes))
}

/// Backs up what is there now, into the stack's vault; the set's id and the moment whose data it is.
///
/// # Errors
/// As a backup; nothing was touched then.
pub(super) fn back_up(world: &World, order: &Order<'_>, sources: &[Source<'_>]) -> Result<(String, String)> {
    say(world, "backing up what is there now");
    let taken = backup(world, &order.stack.name, sources, order.vault, Some(order.stack.backups.compression));
    let taken = taken.map_err(|error| {
        let kind = Refusal::within(&error).map_or(RefusalKind::Preflight, |refusal| refusal.kind);
        refuse(kind, format!("what is there now could not be backed up, and nothing was touched: {error:#}"), HINT)
    })?;
    order.vault.note_safety(&taken.record.id, &world.run)?;
    say(world, format!("what is there now is in set {}", taken.record.id));
    let moments = taken.set.manifest.components.iter().map(|component| component.consistent_as_of.clone());
    Ok((taken.record.id, moments.min().unwrap_or_default()))
}
