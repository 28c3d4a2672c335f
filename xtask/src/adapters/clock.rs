//! The system's clocks: one monotonic anchor for a whole run, wall time for names and display.
#![expect(clippy::disallowed_methods, reason = "this adapter is the one reader of the system's clocks")]

use crate::domain::mark::Moment;
use crate::ports::Clock;
use std::time::{Duration, Instant};

/// The system's clocks, anchored when made.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// Starts the run's clock.
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        self.0.elapsed()
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
