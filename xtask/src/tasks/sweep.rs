//! `cargo xtask sweep`: removes what runs that died left behind, and nothing else.

use crate::archive::vault::Vault;
use crate::domain::project::Project;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::stack::Stack;
use crate::flow::recover;
use crate::flow::world::World;
use crate::ports::Swept;
use crate::tasks::restore::everything;
use anyhow::Result;
use std::io::Write;
use std::path::Path;

/// No arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {}

/// What would be done, as text. Which things are dead is known only while sweeping.
pub fn plan(temporary: &Path) -> String {
    let folders = temporary.join("xtask-*");
    format!(
        "list containers, networks and volumes with the label io.xtask.managed=1, and this user's folders {}\n\
         list what a backup left in the making (.partial-*) in the vaults of this project's stacks\n\
         list what a restore that died left beside its stores (_restore_), as its journal in the vault says\n\
         leave alone what belongs to a living process, or names no owner\n\
         remove the others\n",
        folders.display()
    )
}

/// Sweeps and says what went and what stayed; as JSON: `{"removed": […], "kept": […], "unseen": […]}`, texts all of them.
///
/// In the vaults of the project's stacks, what a killed backup left in the making goes too.
pub fn run(world: &World, project: Result<Project>, json: bool, out: &mut dyn Write) -> Result<u8> {
    let mut swept = world.sites.sweep()?;
    match project {
        Ok(project) => {
            for stack in &project.stacks {
                let removed = Vault::at(&stack.backups.vault).sweep(&world.run, world.clock.wall())?;
                swept.removed.extend(removed.iter().map(|path| path.display().to_string()));
                unfinished(world, stack, &mut swept);
            }
        }
        Err(why) => swept.unseen.push(format!("vaults: {why:#}")),
    }
    if json {
        let said = serde_json::json!({ "removed": swept.removed, "kept": swept.kept, "unseen": swept.unseen });
        writeln!(out, "{said:#}")?;
        return Ok(crate::exit_code::PASSED);
    }
    for name in &swept.removed {
        writeln!(out, "removed  {name}")?;
    }
    for name in &swept.kept {
        writeln!(out, "kept     {name} (its run is alive)")?;
    }
    for what in &swept.unseen {
        writeln!(out, "not looked at: {what}")?;
    }
    writeln!(out, "{} removed, {} kept", swept.removed.len(), swept.kept.len())?;
    Ok(crate::exit_code::PASSED)
}

/// Clears what a restore of this stack left that died. One that is at work keeps what is its own.
fn unfinished(world: &World, stack: &Stack, swept: &mut Swept) {
    let vault = Vault::at(&stack.backups.vault);
    match recover::unfinished(world, stack, &vault, &everything(stack)) {
        Ok(cleared) => swept.removed.extend(cleared),
        Err(error) if Refusal::within(&error).is_some_and(|r| r.kind == RefusalKind::Locked) => {
            swept.kept.push(format!("what a restore of {} is at", stack.name));
        }
        Err(error) => swept.unseen.push(format!("what a restore of {} left: {error:#}", stack.name)),
    }
}
