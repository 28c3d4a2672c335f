//! Which set is meant. It must not know what is done with it.

use crate::archive::manifest;
use crate::archive::vault::{BackupSet, Vault};
use crate::flow::recover::say;
use crate::flow::world::World;
use anyhow::Result;

/// The set of this id, or the `latest`: the newest that was made of the stack as it ran, and not of what a restore was about to replace.
///
/// # Errors
/// As [`Vault::find`].
pub fn chosen(world: &World, vault: &Vault, which: &str) -> Result<BackupSet> {
    if which != "latest" {
        return vault.find(which);
    }
    for listed in vault.list()?.into_iter().rev().filter(|listed| manifest::is_id(&listed.id)) {
        if vault.is_safety(&listed.id) {
            say(world, format!("passed over {}: it is of what an earlier restore replaced", listed.id));
            continue;
        }
        if !listed.public.as_ref().is_ok_and(|public| public.outline.adopted()) {
            // Also of a damaged one: it is never passed over silently.
            return vault.find(&listed.id);
        }
    }
    // The error that names the vault and says how to make a set.
    vault.find("latest")
}
