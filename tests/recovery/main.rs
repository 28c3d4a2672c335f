//! Every integration test, in one binary: one module a promise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by a panic")]

mod tidy;
