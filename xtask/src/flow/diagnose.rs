//! Diagnosing a struck store: read everything, compare with what the backup promises to hold.

use crate::domain::census::Census;
use crate::domain::diagnosis::Diagnosis;
use crate::domain::engine::{Engine, Target};
use crate::flow::child::plain_act;
use crate::flow::world::World;
use crate::ports::Site;
use anyhow::Result;

/// What is damaged, and the census of what can be read.
pub fn diagnose(
    world: &World,
    site: &dyn Site,
    engine: &dyn Engine,
    target: &Target,
    backup: &Census,
) -> Result<(Diagnosis, Census)> {
    let text = plain_act(world, site, engine, &engine.diagnose(target))?;
    Diagnosis::parse(&text, backup).map_err(anyhow::Error::msg)
}
