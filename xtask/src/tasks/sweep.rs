//! `cargo xtask sweep`: removes what runs that died left behind, and nothing else.

use crate::archive::vault::Vault;
use crate::domain::project::Project;
use crate::flow::world::World;
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
