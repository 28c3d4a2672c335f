//! Point in time: listed because the old documents promise it, unsupported because nothing archives WAL yet.

use crate::domain::objective::Objective;
use crate::domain::scenario::Scenario;

/// Recovery to a chosen moment.
pub static SCENARIO: Scenario = Scenario {
    name: "point-in-time",
    about: "recovery to a chosen moment (unsupported)",
    objective: Objective::minutes(240, 60),
    steps: &[],
    unsupported: Some("recovery to a chosen moment needs archived WAL, which no engine here keeps yet"),
};
