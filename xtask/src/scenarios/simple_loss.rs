//! Simple loss: the data is gone, the server or folder is still there. Restored where it was.

use crate::domain::objective::Objective;
use crate::domain::scenario::{Scenario, Step, Strike};

/// The data is deleted; everything is restored into the same place.
pub static SCENARIO: Scenario = Scenario {
    name: "simple-loss",
    about: "the data is deleted; everything is restored where it was",
    objective: Objective::minutes(30, 60),
    steps: &[
        Step::Sandbox,
        Step::Seed,
        Step::StartMarks,
        Step::Backup,
        Step::Verify,
        Step::Churn,
        Step::Expose,
        Step::Strike(Strike::DeleteData),
        Step::Restore,
        Step::Prove,
        Step::Probe,
    ],
    unsupported: None,
};
