//! Partial corruption: some of the data is damaged, newer rows elsewhere must stay.

use crate::domain::objective::Objective;
use crate::domain::scenario::{Scenario, Step, Strike};

/// A table dropped, constraints violated, a page damaged; diagnosis, then only what is damaged is restored.
pub static SCENARIO: Scenario = Scenario {
    name: "partial-corruption",
    about: "a table dropped, constraints violated, a page damaged; only what the diagnosis names is restored",
    objective: Objective::minutes(120, 60),
    steps: &[
        Step::Sandbox,
        Step::Seed,
        Step::StartMarks,
        Step::Backup,
        Step::Verify,
        Step::Churn,
        Step::Expose,
        Step::Strike(Strike::Corrupt),
        Step::Diagnose,
        Step::RestoreSelected,
        Step::Prove,
        Step::Probe,
    ],
    unsupported: None,
};
