//! Every integration test, in one binary: one module a promise.

mod tidy;
