//! The scenarios: a static list. One file a scenario, one line here; a test compares the folder with the list.

use crate::domain::scenario::Scenario;

mod partial_corruption;
mod point_in_time;
mod simple_loss;
mod total_loss;

/// Every scenario, in the order in which they are drilled.
pub static SCENARIOS: &[&Scenario] =
    &[&simple_loss::SCENARIO, &partial_corruption::SCENARIO, &total_loss::SCENARIO, &point_in_time::SCENARIO];

/// The scenario of this name; underscores are taken for hyphens.
pub fn find(name: &str) -> Option<&'static Scenario> {
    let name = name.replace('_', "-");
    SCENARIOS.iter().copied().find(|s| s.name == name)
}
