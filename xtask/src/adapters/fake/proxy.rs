//! A web and an engine that are made up: they answer what a test says and keep a record of what was asked.

use crate::domain::landscape::Landscape;
use crate::domain::web::{Answer, Ask, Unanswered};
use crate::ports::{Surroundings, Web};
use anyhow::{Result, anyhow};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a made-up web answers.
type Answers = dyn Fn(&Ask) -> Result<Answer, Unanswered> + Send + Sync;

/// A web that answers by this function.
pub struct FakeWeb {
    answers: Box<Answers>,
    asked: Mutex<Vec<Ask>>,
}

impl FakeWeb {
    /// Answers so.
    pub fn new(answers: impl Fn(&Ask) -> Result<Answer, Unanswered> + Send + Sync + 'static) -> Self {
        Self { answers: Box::new(answers), asked: Mutex::default() }
    }

    /// All that was asked, in no order.
    pub fn asked(&self) -> Vec<Ask> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Web for FakeWeb {
    fn ask(&self, ask: &Ask, _within: Duration) -> Result<Answer, Unanswered> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(ask.clone());
        (self.answers)(ask)
    }
}

/// Surroundings that look so, or why they cannot be looked at.
pub struct FakeSurroundings(pub Result<Landscape, String>);

impl Surroundings for FakeSurroundings {
    fn look(&self, _project: &str) -> Result<Landscape> {
        self.0.clone().map_err(|why| anyhow!(why))
    }
}
