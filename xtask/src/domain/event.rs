//! What happens during a run, in order, for whoever watches. Reporters of finished runs read the `Report` instead.

use super::site::ImageIdentity;
use std::time::Duration;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Something worth a line: what is being fetched, what was inferred, what is skipped.
    Note(String),
    /// An image is being pulled or built; can take minutes.
    ImagePreparing {
        /// What is wanted and what is being done.
        what: String,
    },
    /// An image is ready.
    ImageReady(ImageIdentity),
    /// A drill begins.
    DrillStarted {
        /// `stack/store scenario (run 1 of 3)`.
        name: String,
        /// How many steps it has.
        steps: usize,
    },
    /// A step begins.
    StepStarted {
        /// Its number from 1.
        number: usize,
        /// What it does.
        title: String,
    },
    /// Bytes went by in the current step.
    Progress {
        /// So far.
        bytes: u64,
        /// In all, when known.
        total: Option<u64>,
    },
    /// A step ended.
    StepFinished {
        /// Its number from 1.
        number: usize,
        /// What it did.
        title: String,
        /// How long it took.
        took: Duration,
        /// What went wrong, if anything.
        error: Option<String>,
    },
    /// A drill ended.
    DrillFinished {
        /// As in `DrillStarted`.
        name: String,
        /// `passed`, `failed`, `skipped`, `broken`.
        outcome: String,
    },
}
