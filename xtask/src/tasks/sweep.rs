//! `cargo xtask sweep`: removes what runs that died left behind, and nothing else.

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
         leave alone what belongs to a living process, or names no owner\n\
         remove the others\n",
        folders.display()
    )
}

/// Sweeps and says what went and what stayed.
pub fn run(world: &World, out: &mut dyn Write) -> Result<u8> {
    let swept = world.sites.sweep()?;
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
