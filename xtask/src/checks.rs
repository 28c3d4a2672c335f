//! The checks: a static list for each task that asks. One file a check, one line here; a test compares the folder with the lists.
//! A check is a pure judgement over facts; `flow::survey` gathers them.

use crate::domain::check::Check;
use crate::domain::fact::BackupFacts;

mod age;
mod catalog;
mod dates;
mod drill;
mod inventory;
mod keys;
mod leftovers;
mod lock;
mod permissions;
mod schedule;
mod size;
mod space;
#[cfg(test)]
mod tests;
mod tiers;
mod traefik;
mod verified;

/// What `validate-backup-system` asks of each stack, in the order in which it is told.
pub static BACKUP_SYSTEM: &[&Check<BackupFacts>] = &[
    &inventory::CHECK,
    &schedule::CHECK,
    &age::CHECK,
    &size::CHECK,
    &tiers::CHECK,
    &verified::CHECK,
    &drill::CHECK,
    &catalog::CHECK,
    &dates::CHECK,
    &keys::CHECK,
    &permissions::CHECK,
    &space::CHECK,
    &leftovers::CHECK,
    &lock::CHECK,
];

pub use traefik::TRAEFIK;
