//! What every verb needs: the ports and the run's name.

use crate::ports::{Clock, Events, Sites};
use std::sync::Arc;

/// The ports, and the name that this run puts on everything it makes.
#[derive(Clone)]
pub struct World {
    /// The one clock of this run.
    pub clock: Arc<dyn Clock>,
    /// Where sites come from.
    pub sites: Arc<dyn Sites>,
    /// Whoever watches.
    pub events: Arc<dyn Events>,
    /// The run's id.
    pub run: String,
}
