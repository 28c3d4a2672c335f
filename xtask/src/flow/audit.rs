//! Writing down in a vault's audit log what was done to its sets. It must not decide what may be done.

use crate::archive::audit;
use crate::archive::vault::Vault;
use crate::domain::deed::{Deed, What};
use crate::domain::event::Event;
use crate::domain::level::Level;
use crate::domain::project::Project;
use crate::domain::report::{Drill, Report};
use crate::flow::world::World;
use anyhow::Result;

/// Writes a deed down; for what must not be done without a trace.
///
/// # Errors
/// As [`Vault::record`].
pub fn record(world: &World, vault: &Vault, deed: Deed) -> Result<()> {
    let manifest_sha256 = deed
        .manifest_sha256
        .clone()
        .or_else(|| deed.set.as_ref().and_then(|id| vault.outline(id).ok()).map(|(_, public)| public.sha256));
    let deed =
        Deed { at: world.clock.wall().to_string(), run: world.run.clone(), who: audit::who(), manifest_sha256, ..deed };
    vault.record(&deed)
}

/// Writes down what has happened already: a log that cannot be written is told, and undoes nothing.
pub fn note(world: &World, vault: &Vault, deed: Deed) {
    if let Err(error) = record(world, vault, deed) {
        world.events.tell(Event::Note(format!("the audit log could not be written: {error:#}")));
    }
}

/// Writes down how the drills of real data ended, each in the vault of its stack. A rehearsal says nothing of a vault.
pub fn drilled(world: &World, project: &Project, report: &Report) {
    for drill in report.drills.iter().filter(|drill| drill.input != "rehearsal") {
        let Some(stack) = project.stacks.iter().find(|stack| stack.name == drill.stack) else { continue };
        if let Some(deed) = of(drill) {
            note(world, &Vault::at(&stack.backups.vault), deed);
        }
    }
}

fn of(drill: &Drill) -> Option<Deed> {
    // A live drill makes a set of its own and throws it away.
    let set = drill.runs.iter().find_map(|run| run.backup.as_ref()).filter(|_| drill.input == "set");
    let deed = Deed::new(What::Drill, &drill.stack).to(format!("{} ({})", drill.scenario, drill.input));
    let deed = Deed {
        store: Some(drill.store.clone()),
        set: set.map(|backup| backup.id.clone()),
        level: drill.outcome.passed().then_some(Level::L4),
        ..deed
    };
    deed.came_to(&drill.outcome)
}
