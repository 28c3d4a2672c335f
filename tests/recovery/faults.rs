//! What goes wrong when backing up and restoring: each fault is made for real, must be seen to have happened, and must end in a
//! message of its own, a documented exit code, and a vault in which nothing half-made looks like a backup.

mod cli;
mod clocks;
pub mod desk;
#[cfg(feature = "docker")]
pub mod docker_cli;
#[cfg(feature = "docker")]
mod docker_dump;
#[cfg(feature = "docker")]
mod docker_kills;
#[cfg(feature = "docker")]
mod docker_lies;
#[cfg(feature = "docker")]
mod docker_network;
#[cfg(feature = "docker")]
mod docker_restore;
#[cfg(feature = "docker")]
pub mod docker_server;
mod files;
mod full_disk;
pub mod killed;
mod lies;
mod races;
mod retention;
mod rig;
mod stores;
mod together;
mod vaults;
