//! The timeline of one recovery: contiguous phases that sum to the total by construction.

use super::mark::Moment;
use serde::{Deserialize, Serialize};

/// A stage of a recovery, in the usual order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Noticing the loss and finding out what is damaged.
    Detect,
    /// Making a place to restore into.
    Provision,
    /// Bringing the artifact there, its digest checked on the way.
    Fetch,
    /// Loading rows.
    Load,
    /// Building indexes and constraints, rebuilding statistics.
    Index,
    /// Comparing with the census.
    Prove,
    /// Asking the service until it answers.
    Probe,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Self; 7] =
        [Self::Detect, Self::Provision, Self::Fetch, Self::Load, Self::Index, Self::Prove, Self::Probe];

    /// Its lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Provision => "provision",
            Self::Fetch => "fetch",
            Self::Load => "load",
            Self::Index => "index",
            Self::Prove => "prove",
            Self::Probe => "probe",
        }
    }
}

/// Time spent in one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Which phase.
    pub phase: Phase,
    /// How long, in seconds.
    pub seconds: f64,
}

/// A stopwatch that is always in exactly one phase, so that the spans sum to the total.
#[derive(Debug, Clone)]
pub struct Stopwatch {
    begun: Moment,
    since: Moment,
    current: Phase,
    nanos: [u128; Phase::ALL.len()],
}

impl Stopwatch {
    /// Starts in `phase` at `at` (the strike).
    pub fn start(phase: Phase, at: Moment) -> Self {
        Self { begun: at, since: at, current: phase, nanos: [0; Phase::ALL.len()] }
    }

    /// Leaves the current phase and enters another; phases may be entered more than once.
    pub fn enter(&mut self, phase: Phase, at: Moment) {
        self.nanos[self.current as usize] += at.saturating_sub(self.since).as_nanos();
        self.since = at;
        self.current = phase;
    }

    /// The spans so far and the total, both in seconds, as of `at`.
    pub fn stop(mut self, at: Moment) -> Timeline {
        self.enter(self.current, at);
        let spans = Phase::ALL
            .iter()
            .filter(|p| self.nanos[**p as usize] > 0)
            .map(|p| Span { phase: *p, seconds: self.nanos[*p as usize] as f64 / 1e9 })
            .collect();
        Timeline { spans, total_seconds: at.saturating_sub(self.begun).as_secs_f64() }
    }
}

/// A finished recovery's phases.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Timeline {
    /// In the order of [`Phase::ALL`]; phases that took no time are left out.
    pub spans: Vec<Span>,
    /// From the strike to the proof.
    pub total_seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn phases_sum_to_the_total() {
        let at = Duration::from_millis;
        let mut watch = Stopwatch::start(Phase::Detect, at(1_000));
        watch.enter(Phase::Load, at(1_250));
        watch.enter(Phase::Prove, at(3_250));
        watch.enter(Phase::Load, at(3_300));
        let timeline = watch.stop(at(4_000));
        assert_eq!(timeline.total_seconds, 3.0);
        let sum: f64 = timeline.spans.iter().map(|s| s.seconds).sum();
        assert!((sum - 3.0).abs() < 1e-9);
        assert_eq!(timeline.spans.iter().map(|s| s.phase.name()).collect::<Vec<_>>(), ["detect", "load", "prove"]);
    }
}
