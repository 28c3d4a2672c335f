//! Questions before a dump and before a restore, with the pure judgement of the answers.
//! It must not know who asks.

use crate::domain::artifact::Component;
use crate::domain::engine::{Preflight, Target};

/// Questions before a dump.
pub fn before_dump(_at: &Target) -> Vec<Preflight> {
    Vec::new()
}

/// Questions before a restore into this target.
pub fn before_restore(_at: &Target, _from: &Component) -> Vec<Preflight> {
    Vec::new()
}
