//! Bytes to disk and back: one pass through compression and two digests, committed by one rename.
//! It must not know what the bytes mean, which site they come from, or what time it is.

pub mod access;
pub mod audit;
pub mod catalog;
mod checked;
mod digest;
pub mod disk;
pub mod foreign;
pub mod keys;
mod lock;
pub mod manifest;
pub mod pipeline;
mod reading;
mod set;
pub mod set_key;
pub mod signature;
mod staging;
pub mod vault;
