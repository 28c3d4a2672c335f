//! Bytes to disk and back: one pass through compression and two digests, committed by one rename.

pub mod pipeline;
pub mod vault;
