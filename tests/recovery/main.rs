//! Every integration test, in one binary: one module a promise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests may fail as tests do")]

mod contracts;
mod vault_under_fire;
