//! `cargo xtask sweep`: removes what runs that died left behind, and nothing else.

use crate::flow::world::World;
use anyhow::Result;
use std::io::Write;

/// No arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {}

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
