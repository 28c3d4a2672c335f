//! The toolkit behind `cargo xtask`: proves that a Compose stack can be recovered.
//!
//! Layers, each using only those below it (a tidy test holds this):
//!
//! - [`cli`], [`tasks`]: what was typed, one file a task;
//! - [`flow`]: the verbs: back up, restore, drill, publish; reaches the world through [`ports`] only;
//! - [`archive`]: bytes to disk and back: compress, digest, commit by one rename;
//! - [`engines`], [`scenarios`], [`checks`], [`reporters`]: static lists of descriptions and judgements; pure;
//! - [`ports`]: the doors to the world; [`adapters`] implement them and `main` wires them in;
//! - [`domain`]: what everything *is*; no I/O, no clock.

pub mod adapters;
pub mod archive;
pub mod checks;
pub mod cli;
pub mod domain;
pub mod engines;
pub mod exit_code;
pub mod flow;
pub mod ports;
pub mod reporters;
pub mod scenarios;
pub mod tasks;
