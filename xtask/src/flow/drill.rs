//! One drill: carries out a scenario's steps, keeps the clock of the recovery, and turns whatever happens into an outcome.
//! It must not know any engine.

use crate::archive::vault::{BackupSet, Vault};
use crate::domain::artifact::Component;
use crate::domain::diagnosis::Diagnosis;
use crate::domain::engine::{Engine, MarkTable, Target};
use crate::domain::event::Event;
use crate::domain::judgement::Subject;
use crate::domain::mark::{Ledger, MarkVerdict, Moment};
use crate::domain::objective::Objective;
use crate::domain::outcome::{Outcome, Why};
use crate::domain::protection::Encryption;
use crate::domain::report::{BackupRecord, Drill, ProofRecord, Run, StepRecord};
use crate::domain::scenario::{Origin, Scenario, Step, Strike};
use crate::domain::site::{Attachment, SiteIdentity, SiteSpec};
use crate::domain::stack::Compression;
use crate::domain::store::Store;
use crate::domain::timeline::{Phase, Stopwatch, Timeline};
use crate::domain::{census::Census, objective::Schedule};
use crate::flow::backup::Source;
use crate::flow::marks::MarkWriter;
use crate::flow::prove::{self, Place};
use crate::flow::strike::After;
use crate::flow::world::World;
use crate::flow::{backup, child, diagnose, restore, strike};
use crate::ports::{OwnedSite, Site};
use anyhow::{Context, Result, anyhow, ensure};
use std::path::PathBuf;
use std::time::Duration;

mod partial;
mod steps;

/// How long a server may take to become ready or a service to answer.
const READY_WITHIN: Duration = Duration::from_secs(180);

/// Where the data of a drill comes from, with what is needed to get it.
#[derive(Debug, Clone)]
pub enum Input {
    /// Synthetic data of about this many bytes.
    Rehearsal {
        /// The size of the synthetic data.
        bytes: u64,
    },
    /// The running store, read through this attachment.
    Live(Attachment),
    /// An existing set.
    Set(Box<BackupSet>),
}

impl Input {
    /// Its kind.
    pub fn origin(&self) -> Origin {
        match self {
            Self::Rehearsal { .. } => Origin::Rehearsal,
            Self::Live(_) => Origin::Live,
            Self::Set(_) => Origin::Set,
        }
    }
}

/// One store to put through one scenario.
pub struct Order<'a> {
    /// The stack's name.
    pub stack: &'a str,
    /// The store.
    pub store: &'a Store,
    /// Its engine.
    pub engine: &'static dyn Engine,
    /// The scenario.
    pub scenario: &'static Scenario,
    /// The data.
    pub input: Input,
    /// What must be achieved.
    pub objective: Objective,
    /// When the stack is backed up.
    pub schedule: Option<&'a Schedule>,
    /// How artifacts are compressed; `None` = as suits the engine.
    pub compression: Option<Compression>,
    /// How the stack's sets are encrypted: the drill's own set is too, with keys that nobody keeps.
    pub encryption: &'a Encryption,
    /// How long marks go on after the backup before the disaster.
    pub exposure: Duration,
    /// How many runs.
    pub repeat: usize,
}

impl Order<'_> {
    /// The report's row.
    pub fn subject(&self) -> Subject {
        Subject {
            stack: self.stack.to_owned(),
            store: self.store.name.clone(),
            engine: self.engine.name().to_owned(),
            scenario: self.scenario.name.to_owned(),
            input: self.input.origin().name().to_owned(),
        }
    }
}

/// Drills an order as often as it says and judges the runs.
pub fn drill(world: &World, order: &Order<'_>) -> Drill {
    let begun = world.clock.now();
    let steps = match order.scenario.steps_for(order.input.origin()) {
        Ok(steps) => steps,
        Err(why) => return order.subject().without_runs(Outcome::Skipped(Why::new(why))),
    };
    let mut runs = Vec::new();
    let mut tried = false;
    for number in 1..=order.repeat.max(1) {
        let of = if order.repeat > 1 { format!(" (run {number} of {})", order.repeat) } else { String::new() };
        let name = format!("{}/{} {}{of}", order.stack, order.store.name, order.scenario.name);
        world.events.tell(Event::DrillStarted { name: name.clone(), steps: steps.len() });
        let (run, something) = Driller::new(world, order).run(number, &steps);
        tried |= something;
        world.events.tell(Event::DrillFinished { name, outcome: run.outcome.word().to_owned() });
        runs.push(run);
    }
    let mut drill = order.subject().judged(runs, order.objective, order.schedule, world.clock.now() - begun);
    if !tried {
        // No backup and no disaster: nothing was measured, and `never` and `all lost` would be untrue.
        (drill.rto, drill.rpo) = (None, None);
    }
    drill
}

/// The state of one run.
struct Driller<'a> {
    world: &'a World,
    order: &'a Order<'a>,
    target: Target,
    attached: Option<Box<dyn Site>>,
    site: Option<Box<dyn OwnedSite>>,
    vault: Option<Box<dyn OwnedSite>>,
    marks: Option<MarkWriter>,
    ledger: Option<Ledger>,
    set: Option<BackupSet>,
    consistent_at: Option<Moment>,
    truth: Option<Census>,
    taken: Census,
    diagnosis: Diagnosis,
    watch: Option<Stopwatch>,
    struck_at: Option<Moment>,
    quarantined: u64,
    // What the report keeps.
    timeline: Option<Timeline>,
    verdict: Option<MarkVerdict>,
    backup: Option<BackupRecord>,
    proof: Option<ProofRecord>,
    sites: Vec<SiteIdentity>,
    rpo_seconds: Option<f64>,
}

impl<'a> Driller<'a> {
    fn new(world: &'a World, order: &'a Order<'a>) -> Self {
        let set = if let Input::Set(set) = &order.input { Some(set.as_ref()) } else { None };
        Self {
            world,
            order,
            target: order.engine.owned_target(order.store),
            attached: None,
            site: None,
            vault: None,
            marks: None,
            ledger: None,
            set: set.cloned(),
            consistent_at: None,
            truth: None,
            taken: Census::default(),
            diagnosis: Diagnosis::default(),
            watch: None,
            struck_at: None,
            quarantined: 0,
            timeline: None,
            verdict: None,
            backup: set.map(|set| backup::record(set, order)),
            proof: None,
            sites: Vec::new(),
            rpo_seconds: None,
        }
    }

    /// The run, and whether there was ever something to recover from or after: a set, or a disaster.
    fn run(mut self, number: usize, steps: &[Step]) -> (Run, bool) {
        let mut records = Vec::new();
        let mut outcome = Outcome::Passed;
        for (at, step) in steps.iter().enumerate() {
            let title = step.title().to_owned();
            self.world.events.tell(Event::StepStarted { number: at + 1, title: title.clone() });
            let begun = self.world.clock.now();
            let done = self.step(*step);
            let took = self.world.clock.now() - begun;
            let error = done.as_ref().err().map(|e| format!("{e:#}"));
            records.push(StepRecord { title: title.clone(), seconds: took.as_secs_f64(), error: error.clone() });
            self.world.events.tell(Event::StepFinished { number: at + 1, title: title.clone(), took, error });
            if let Err(error) = done {
                let why = Why::from_error(&error.context(title));
                outcome = if is_verdict(*step) { Outcome::Failed(why) } else { Outcome::Broken(why) };
                break;
            }
        }
        let logs = if outcome.passed() { None } else { self.logs() };
        drop(self.marks.take());
        let tried = self.struck_at.is_some() || self.set.is_some();
        if let Err(error) = self.clean_up() {
            let error = error.context("clean up");
            match &mut outcome {
                Outcome::Passed => outcome = Outcome::Broken(Why::from_error(&error)),
                // What was wrong before stays the reason.
                Outcome::Failed(why) | Outcome::Broken(why) | Outcome::Skipped(why) => {
                    why.message.push_str(&format!("; and then: {error:#}"));
                }
            }
        }
        let recovered = outcome.passed();
        let run = Run {
            number,
            outcome,
            rto_seconds: self.timeline.as_ref().filter(|_| recovered).map(|t| t.total_seconds),
            rpo_seconds: self.rpo_seconds.filter(|_| recovered),
            rpo_source: rpo_source(self.order.input.origin()).to_owned(),
            timeline: self.timeline.take().unwrap_or_default(),
            marks: self.verdict.take(),
            damages: std::mem::take(&mut self.diagnosis.damages),
            steps: records,
            backup: self.backup.take(),
            proof: self.proof.take(),
            sites: std::mem::take(&mut self.sites),
            logs,
        };
        (run, tried)
    }

    /// Removes what the run made; a left-over is an error, not a shrug.
    fn clean_up(&mut self) -> Result<()> {
        self.set = None;
        for site in [self.site.take(), self.vault.take()].into_iter().flatten() {
            site.destroy()?;
        }
        Ok(())
    }

    fn logs(&self) -> Option<String> {
        let site: &dyn Site = match (&self.site, &self.attached) {
            (Some(site), _) => site.as_site(),
            (None, Some(site)) => site.as_ref(),
            (None, None) => return None,
        };
        site.logs(60).ok().filter(|text| !text.trim().is_empty())
    }
}

fn rpo_source(origin: Origin) -> &'static str {
    match origin {
        Origin::Rehearsal => "marks",
        Origin::Live => "snapshot",
        Origin::Set => "manifest",
    }
}

/// Whether a failing step says something of the stack's recoverability (`Failed`) or only that nothing could be known (`Broken`).
fn is_verdict(step: Step) -> bool {
    matches!(
        step,
        Step::Backup
            | Step::Verify
            | Step::Diagnose
            | Step::Restore
            | Step::RestoreSelected
            | Step::Prove
            | Step::Probe
    )
}
