//! Addressing a store at somebody's running site. It must not know what is done there.

use crate::domain::engine::{Engine, Target};
use crate::domain::store::Store;
use crate::ports::Site;

/// How the store is addressed at this attached site.
pub fn target(engine: &dyn Engine, store: &Store, site: &dyn Site) -> Target {
    let at = Target { scratch: site.scratch(), ..engine.attached_target(store) };
    match site.address() {
        Some(address) => engine.reached_at(at, &address),
        None => at,
    }
}
