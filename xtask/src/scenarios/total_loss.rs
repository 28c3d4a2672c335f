//! Total loss: container and volume, or the whole folder, are gone. Restored into a fresh site.

use crate::domain::objective::Objective;
use crate::domain::scenario::{Scenario, Step, Strike};

/// The site is destroyed with its volume; a fresh one is made and everything is restored into it.
pub static SCENARIO: Scenario = Scenario {
    name: "total-loss",
    about: "container and volume are destroyed; everything is restored into a fresh site",
    objective: Objective::minutes(240, 60),
    steps: &[
        Step::Sandbox,
        Step::Seed,
        Step::StartMarks,
        Step::Backup,
        Step::Verify,
        Step::Churn,
        Step::Expose,
        Step::Strike(Strike::DestroySite),
        Step::Provision,
        Step::Restore,
        Step::Prove,
        Step::Probe,
    ],
    unsupported: None,
};
