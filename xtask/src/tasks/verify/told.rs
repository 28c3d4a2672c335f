//! What a verification tells in files: each set as a check of its own, and whether sets and catalog agree as one more.
//! It must not know how a set is verified.

use crate::domain::check::{CheckRecord, Judged};
use crate::domain::level::Level;
use crate::domain::mark::Moment;
use crate::domain::outcome::exit_code;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::report::{Report, SCHEMA};
use crate::domain::stack::Stack;
use crate::exit_code::PASSED;
use crate::flow::verify::{Unequal, Verified};
use crate::flow::world::World;
use jiff::Timestamp;

const WHY_SETS: &str = "what nobody has read back may have gone bad on the disk, however well the backup went";
const WHY_VAULT: &str = "a set that was taken away, copied or put back is seen here before it is needed";

/// What is known so far.
pub struct Told {
    begun: Moment,
    started: Timestamp,
    stack: String,
    wanted: Level,
    sets: Vec<CheckRecord>,
    vault: Option<CheckRecord>,
    notes: Vec<String>,
}

impl Told {
    /// Nothing yet.
    pub fn new(world: &World, stack: &Stack, wanted: Level) -> Self {
        Self {
            begun: world.clock.now(),
            started: world.clock.wall(),
            stack: stack.name.clone(),
            wanted,
            sets: Vec::new(),
            vault: None,
            notes: stack.notes.iter().map(|note| format!("{}: {note}", stack.name)).collect(),
        }
    }

    /// What should be known besides.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// How far a set came.
    pub fn set(&mut self, set: &Verified) {
        let mut judged = Judged::default();
        for (level, seconds) in set.took.iter().filter(|(level, _)| Some(*level) <= set.reached) {
            judged.see(format!("{level} in {seconds:.2} s: {}", level.about()));
        }
        if let Some(error) = &set.stopped_by {
            self.find(&mut judged, error);
        }
        self.record(&set.id, judged);
    }

    /// What kept this from being looked at.
    pub fn nothing(&mut self, which: &str, error: &anyhow::Error) {
        let mut judged = Judged::default();
        self.find(&mut judged, error);
        self.record(which, judged);
    }

    /// What sets and catalog say of each other.
    pub fn contradictions(&mut self, all: &[String]) {
        let mut judged = Judged::default();
        for what in all {
            judged.fail(what.clone(), format!("cargo xtask validate-backup-system {}", self.stack));
        }
        judged.see("sets and catalog were compared");
        let check = ("catalog", "sets and catalog do not contradict each other", WHY_VAULT);
        self.vault = Some(CheckRecord::judged(check, &self.stack, None, judged));
    }

    /// A set that is damaged or not there is known to be wrong; what kept it from being read leaves it unknown.
    fn find(&self, judged: &mut Judged, error: &anyhow::Error) {
        use RefusalKind::{BadArtifact, EmptyStore, Integrity, NoBackup};
        let what = format!("{error:#}");
        match Refusal::within(error) {
            Some(Refusal { kind: kind @ (Integrity | NoBackup | BadArtifact | EmptyStore), hint, .. }) => {
                judged.fail(what, hint.clone()).kind(*kind);
            }
            Some(Refusal { kind, hint, .. }) => {
                judged.unknown(what, hint.clone()).kind(*kind);
            }
            None if error.is::<Unequal>() => {
                judged.fail(what, "restore from another set, and find out what changed this one");
            }
            None => {
                judged.unknown(what, format!("mend that: cargo xtask verify {} --level {}", self.stack, self.wanted));
            }
        }
    }

    fn record(&mut self, set: &str, judged: Judged) {
        let id = format!("verify-{}", self.wanted.to_string().to_lowercase());
        let title = format!("the set reaches {}: {}", self.wanted, self.wanted.about());
        self.sets.push(CheckRecord::judged((&id, &title, WHY_SETS), &self.stack, Some(set), judged));
    }

    /// The sets say the exit code; that they contradict the catalog counts where they are all whole.
    pub fn report(self, world: &World) -> Report {
        let ended = |checks: &[CheckRecord]| exit_code(checks.iter().map(|check| &check.outcome));
        let of_sets = ended(&self.sets);
        let checks: Vec<CheckRecord> = self.sets.into_iter().chain(self.vault).collect();
        Report {
            schema: SCHEMA,
            tool: concat!("xtask ", env!("CARGO_PKG_VERSION")).to_owned(),
            task: "verify".to_owned(),
            run: world.run.clone(),
            started_at: self.started.to_string(),
            duration_seconds: (world.clock.now() - self.begun).as_secs_f64(),
            machine: world.sites.machine(),
            images: Vec::new(),
            drills: Vec::new(),
            exit_code: if of_sets == PASSED { ended(&checks) } else { of_sets },
            checks,
            mutations: Vec::new(),
            notes: self.notes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    fn word(error: anyhow::Error) -> &'static str {
        let mut told = Told {
            begun: Moment::default(),
            started: Timestamp::UNIX_EPOCH,
            stack: "shop".to_owned(),
            wanted: Level::L4,
            sets: Vec::new(),
            vault: None,
            notes: Vec::new(),
        };
        told.nothing("latest", &error);
        told.sets[0].word()
    }

    #[test]
    fn what_came_back_unequal_is_known_to_be_wrong_and_what_could_not_be_tried_is_not_known() {
        let unequal = Err::<(), _>(Unequal("restore app: 3 rows, not 4".to_owned())).context("level L4");
        assert_eq!(word(unequal.unwrap_err()), "failed");
        let refused = |kind| anyhow::Error::new(Refusal::new(kind, "x", "y")).context("level L2");
        assert_eq!(word(refused(RefusalKind::Integrity)), "failed");
        assert_eq!(word(refused(RefusalKind::WrongKey)), "broken");
        assert_eq!(word(refused(RefusalKind::DockerUnavailable)), "broken");
        assert_eq!(word(anyhow::anyhow!("the disk does not answer")), "broken");
    }
}
