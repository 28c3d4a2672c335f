//! Which set is meant. It must not know what is done with it.

use crate::archive::manifest;
use crate::archive::vault::{BackupSet, Vault};
use crate::domain::refusal::RefusalKind;
use crate::flow::recover::{refuse, say};
use crate::flow::world::World;
use anyhow::Result;

/// The set of this id, or the `latest`: the newest that was made of the stack as it ran, and not of what a restore was about to replace.
///
/// # Errors
/// As [`Vault::find`]; `NoBackup` where there are sets, but none of the stack as it ran; `Preflight` where sets must be signed and a newer
/// one would be passed over: what says so of it is signed by nobody.
pub fn chosen(world: &World, vault: &Vault, which: &str) -> Result<BackupSet> {
    if which != "latest" {
        return vault.find(which);
    }
    let mut passed = Vec::new();
    for listed in vault.list()?.into_iter().rev().filter(|listed| manifest::is_id(&listed.id)) {
        if vault.is_safety(&listed.id) {
            say(world, format!("passed over {}: it is of what an earlier restore replaced", listed.id));
            passed.push(listed.id);
            continue;
        }
        if !listed.public.as_ref().is_ok_and(|public| public.outline.adopted()) {
            if let Some(newer) = passed.first().filter(|_| vault.wants_signatures()) {
                let message = format!(
                    "set {newer} is newer than {}; a note says that it is of what an earlier restore replaced, and notes are signed by nobody",
                    listed.id
                );
                let hint = format!("name the set that you mean by its id: {} or {newer}", listed.id);
                return Err(refuse(RefusalKind::Preflight, message, hint));
            }
            // Also of a damaged one: it is never passed over silently.
            return vault.find(&listed.id);
        }
    }
    if !passed.is_empty() {
        let message = "the vault holds no set of the stack as it ran, only of what earlier restores replaced";
        let hint = format!("name the one that you mean by its id: {}", passed.join(", "));
        return Err(refuse(RefusalKind::NoBackup, message, hint));
    }
    // The error that names the vault and says how to make a set.
    vault.find("latest")
}
