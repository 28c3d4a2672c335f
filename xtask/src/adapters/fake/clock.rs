//! A clock that only moves when it is told to, so that tests say what time it is.

use crate::domain::mark::Moment;
use crate::ports::Clock;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A clock that stands still until it is advanced; sleeping advances it.
#[derive(Debug)]
pub struct ManualClock {
    began: jiff::Timestamp,
    now: Mutex<Moment>,
}

impl ManualClock {
    /// Stands at zero; the wall clock shows `wall`.
    pub fn at(wall: jiff::Timestamp) -> Self {
        Self { began: wall, now: Mutex::default() }
    }

    /// Moves on.
    pub fn advance(&self, time: Duration) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }
}

/// Stands at zero; the wall clock shows 2026-11-20T01:00:00Z.
impl Default for ManualClock {
    fn default() -> Self {
        Self::at(jiff::Timestamp::constant(1_795_136_400, 0))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wall(&self) -> jiff::Timestamp {
        self.began.saturating_add(self.now()).unwrap_or(self.began)
    }

    fn sleep(&self, time: Duration) {
        self.advance(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_move_together_and_only_when_told() {
        let clock = ManualClock::default();
        assert_eq!((clock.now(), clock.wall().to_string()), (Duration::ZERO, "2026-11-20T01:00:00Z".to_owned()));
        clock.sleep(Duration::from_millis(1500));
        clock.advance(Duration::from_millis(500));
        assert_eq!((clock.now().as_secs(), clock.wall().to_string()), (2, "2026-11-20T01:00:02Z".to_owned()));
    }
}
