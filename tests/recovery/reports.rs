//! The reporters and the publisher, from outside: golden files, readers of the formats, and what happens when a sink fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests: a panic is the red light")]

mod golden;
mod junit_reads;
mod publishing;
mod samples;
mod schema;
mod validated;
