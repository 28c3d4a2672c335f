//! What recovery must achieve, and how an actual is judged against it. Schedules bound what no drill can show.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

pub use super::schedule::Schedule;

/// Objectives of one scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objective {
    /// Recovery time objective.
    pub rto: Duration,
    /// Recovery point objective.
    pub rpo: Duration,
}

impl Objective {
    /// From minutes.
    pub const fn minutes(rto: u64, rpo: u64) -> Self {
        Self { rto: Duration::from_secs(rto * 60), rpo: Duration::from_secs(rpo * 60) }
    }
}

/// A stack's own objectives, by scenario name; scenarios not named keep their defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Objectives(pub BTreeMap<String, Objective>);

impl Objectives {
    /// This stack's objective for a scenario.
    pub fn of(&self, scenario: &super::scenario::Scenario) -> Objective {
        self.0.get(scenario.name).copied().unwrap_or(scenario.objective)
    }
}

/// A number held against its objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The objective, in seconds.
    pub objective_seconds: f64,
    /// What was measured or computed, in seconds; `None` = infinite (nothing came back).
    pub actual_seconds: Option<f64>,
    /// Whether the actual is within the objective.
    pub met: bool,
}

/// Holds an actual against an objective. A missing actual never meets it.
pub fn judge(objective: Duration, actual: Option<f64>) -> Verdict {
    let objective_seconds = objective.as_secs_f64();
    Verdict { objective_seconds, actual_seconds: actual, met: actual.is_some_and(|a| a <= objective_seconds) }
}

/// The worst loss that the schedule allows: the longest gap between two backups plus the time a backup takes.
pub fn worst_rpo(schedule: &Schedule, backup: Duration) -> Duration {
    schedule.worst_gap() + backup
}

/// What `n` runs prove: with confidence `1 - 0.95^n`, 95 of 100 recoveries are no slower than the worst one seen.
/// Distribution-free (the maximum of n samples exceeds the 95th percentile with probability 1 - 0.95^n).
pub fn confidence(n: usize) -> f64 {
    1.0 - 0.95_f64.powi(i32::try_from(n).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_actual_never_meets_an_objective() {
        assert!(!judge(Duration::from_secs(60), None).met);
        assert!(judge(Duration::from_secs(60), Some(60.0)).met);
        assert!(!judge(Duration::from_secs(60), Some(60.1)).met);
    }

    #[test]
    fn a_daily_backup_cannot_promise_an_hour() {
        let daily: Schedule = "daily 02:00".parse().unwrap();
        assert!(worst_rpo(&daily, Duration::from_secs(30)) >= Duration::from_secs(24 * 3600 + 30));
    }

    #[test]
    fn confidence_follows_the_formula() {
        assert!((confidence(1) - 0.05).abs() < 1e-9);
        assert!((confidence(59) - 0.95).abs() < 0.005);
    }
}
