//! The world outside: everything that does I/O on behalf of the ports. Only `main` and tests name these types.

pub mod beneath;
pub mod cargo;
pub mod clock;
pub mod config;
pub mod data_tool;
pub mod dice;
pub mod directory;
#[cfg(feature = "docker")]
pub mod docker;
pub mod environment;
pub mod fake;
pub mod owner;
pub mod passphrase;
pub mod processes;
pub mod provision;
pub mod signals;
pub mod sites;
pub mod sqlite;
pub mod terminal;
pub mod tree;
pub mod web;
