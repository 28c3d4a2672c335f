//! Bytes to disk and back: one pass through compression and two digests, committed by one rename.
//! It must not know what the bytes mean, which site they come from, or what time it is.

mod checked;
mod digest;
mod disk;
mod lock;
pub mod manifest;
pub mod pipeline;
mod set;
mod staging;
pub mod vault;
