//! Marks: numbered, committed writes made during a drill. The marks that survive tell the data loss.
//! One clock gives every moment here (law 6); this file holds no clock of its own.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// A moment on the run's monotonic clock: time since the run began.
pub type Moment = Duration;

/// What was acknowledged, in order. Sequence numbers start at 1 and have no gaps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    acked: Vec<Moment>,
    /// The last number sent; it may be in flight.
    sent: u64,
}

impl Ledger {
    /// Notes that a mark is on its way and returns its number.
    pub fn send(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// Notes that the engine acknowledged the commit of the oldest unacknowledged mark.
    pub fn ack(&mut self, at: Moment) {
        self.acked.push(at);
    }

    /// How many marks were acknowledged.
    pub fn acked(&self) -> u64 {
        self.acked.len() as u64
    }

    /// How many marks were acknowledged at this moment.
    pub fn acked_by(&self, at: Moment) -> u64 {
        self.acked.partition_point(|acked| *acked <= at) as u64
    }

    /// When mark `seq` was acknowledged.
    pub fn acked_at(&self, seq: u64) -> Option<Moment> {
        usize::try_from(seq.checked_sub(1)?).ok().and_then(|i| self.acked.get(i)).copied()
    }
}

/// What the surviving marks say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MarkVerdict {
    /// Marks acknowledged before the strike.
    pub acknowledged: u64,
    /// The last mark of the gap-free prefix that survived; 0 = none.
    pub last_survivor: u64,
    /// Acknowledged marks that are gone.
    pub lost: u64,
    /// The time between the last survivor's acknowledgement and the strike, in seconds; `None` when no mark survived.
    pub rpo_seconds: Option<f64>,
    /// What makes the marks a corruption rather than a loss: a hole in the prefix, or a mark that was never written.
    pub corruption: Option<String>,
}

/// Judges the marks found after a restore. `strike` is on the ledger's clock.
pub fn judge(ledger: &Ledger, survivors: &[u64], strike: Moment) -> MarkVerdict {
    let found: BTreeSet<u64> = survivors.iter().copied().collect();
    let prefix = (1..).take_while(|seq| found.contains(seq)).last().unwrap_or(0);
    let beyond: Vec<u64> = found.iter().copied().filter(|seq| *seq > prefix).collect();
    let corruption = if found.len() != survivors.len() {
        Some(format!("{} marks are stored twice", survivors.len() - found.len()))
    } else if let Some(phantom) = found.iter().find(|seq| **seq > ledger.sent || **seq == 0) {
        Some(format!("mark {phantom} was never written"))
    } else {
        beyond.first().map(|next| format!("mark {} is missing although mark {next} survived", prefix + 1))
    };
    let acknowledged = ledger.acked();
    let last_survivor = prefix.min(acknowledged);
    let rpo = ledger.acked_at(last_survivor).map(|at| strike.saturating_sub(at));
    MarkVerdict {
        acknowledged,
        last_survivor,
        lost: acknowledged - last_survivor,
        rpo_seconds: rpo.map(|d| d.as_secs_f64()),
        corruption,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(seconds: &[u64]) -> Ledger {
        let mut ledger = Ledger::default();
        for s in seconds {
            ledger.send();
            ledger.ack(Duration::from_secs(*s));
        }
        ledger
    }

    #[test]
    fn the_loss_is_the_time_since_the_last_survivor() {
        let verdict = judge(&ledger(&[1, 2, 3, 4]), &[1, 2], Duration::from_secs(10));
        assert_eq!((verdict.last_survivor, verdict.lost, verdict.rpo_seconds), (2, 2, Some(8.0)));
        assert_eq!(verdict.corruption, None);
    }

    #[test]
    fn what_was_acknowledged_by_a_moment_is_counted() {
        let ledger = ledger(&[1, 2, 4]);
        assert_eq!([0, 1, 3, 4, 9].map(|s| ledger.acked_by(Duration::from_secs(s))), [0, 1, 2, 3, 3]);
    }

    #[test]
    fn a_hole_is_corruption_and_so_is_a_phantom_or_a_double() {
        let ledger = ledger(&[1, 2, 3, 4]);
        let strike = Duration::from_secs(10);
        assert_eq!(judge(&ledger, &[1, 3], strike).corruption.unwrap(), "mark 2 is missing although mark 3 survived");
        assert_eq!(judge(&ledger, &[1, 2, 3, 4, 5], strike).corruption.unwrap(), "mark 5 was never written");
        assert_eq!(judge(&ledger, &[1, 1, 2], strike).corruption.unwrap(), "1 marks are stored twice");
    }

    #[test]
    fn a_mark_in_flight_may_survive() {
        let mut ledger = ledger(&[1, 2]);
        ledger.send();
        let verdict = judge(&ledger, &[1, 2, 3], Duration::from_secs(5));
        assert_eq!((verdict.corruption, verdict.lost, verdict.rpo_seconds), (None, 0, Some(3.0)));
    }

    #[test]
    fn no_survivor_has_no_recovery_point() {
        assert_eq!(judge(&ledger(&[1]), &[], Duration::from_secs(5)).rpo_seconds, None);
    }
}
