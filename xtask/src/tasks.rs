//! One file per `cargo xtask <task>`: its arguments, and what it asks of flow.

pub mod adopt;
pub mod backup;
pub mod ci;
pub mod images;
pub mod init;
pub mod keys;
pub mod prune;
pub mod restore;
pub mod rewrap;
pub mod sweep;
pub mod test_recovery;
pub mod tool;
pub mod validate_backup_system;
pub mod validate_traefik;
pub mod verify;
