//! One file a task: its arguments and `run`. `cli.rs` names each of them once.

pub mod ci;
