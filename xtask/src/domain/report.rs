//! The one record of a finished run. Every reporter renders this and nothing else; it holds no secret.
//! `report.json` is this structure; its `schema` grows by additions only (docs/report.md).

use super::check::CheckRecord;
use super::diagnosis::Damage;
use super::mark::MarkVerdict;
use super::mutation::MutationRecord;
use super::objective::Verdict;
use super::outcome::Outcome;
use super::site::{ImageIdentity, SiteIdentity};
use super::timeline::Timeline;
use serde::{Deserialize, Serialize};

/// The schema this code writes.
pub const SCHEMA: u32 = 1;

impl Report {
    /// What came of everything that was asked.
    pub fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        let drills = self.drills.iter().map(|d| &d.outcome);
        drills.chain(self.checks.iter().map(|c| &c.outcome)).chain(self.mutations.iter().map(|m| &m.outcome))
    }
}

/// A finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// `xtask` and its version.
    pub tool: String,
    /// The task (`test-recovery`).
    pub task: String,
    /// The run's id, also the label on everything it made.
    pub run: String,
    /// RFC 3339 UTC.
    pub started_at: String,
    /// In seconds, monotonic.
    pub duration_seconds: f64,
    /// What the numbers depend on.
    pub machine: Machine,
    /// Every image used, pulled or built.
    pub images: Vec<ImageIdentity>,
    /// Every drill, the skipped ones too.
    pub drills: Vec<Drill>,
    /// Every check that was asked, of every stack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckRecord>,
    /// How the verifier fared under attack, a record a stack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mutations: Vec<MutationRecord>,
    /// What was inferred, fetched or should be known.
    pub notes: Vec<String>,
    /// The process exit code that follows from the outcomes.
    pub exit_code: u8,
}

/// What the numbers depend on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Machine {
    /// How many processors may be used.
    pub cpus: usize,
    /// `linux x86_64`.
    pub platform: String,
    /// The container engine's version, when one was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker: Option<String>,
}

/// One store put through one scenario, once or several times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drill {
    /// The stack.
    pub stack: String,
    /// The store.
    pub store: String,
    /// Its engine.
    pub engine: String,
    /// The scenario.
    pub scenario: String,
    /// `rehearsal`, `live` or `set`.
    pub input: String,
    /// The worst of the runs and judgements.
    pub outcome: Outcome,
    /// Recovery time, the worst run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto: Option<Verdict>,
    /// Data loss, the worst run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo: Option<Verdict>,
    /// The loss that the declared schedule allows at worst; `None` when no schedule is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo_worst_case: Option<Verdict>,
    /// The declared schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Median recovery time over the runs that passed, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto_median_seconds: Option<f64>,
    /// What the number of runs proves, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<String>,
    /// Every run, the failed ones too.
    pub runs: Vec<Run>,
    /// In seconds, with everything around the recovery.
    pub duration_seconds: f64,
}

/// One run of a drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// From 1.
    pub number: usize,
    /// What came of it.
    pub outcome: Outcome,
    /// From the strike to the proof; `None` when it never got there (counted as infinite).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto_seconds: Option<f64>,
    /// The loss; `None` when nothing survived or it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo_seconds: Option<f64>,
    /// Where the loss comes from: `marks`, `snapshot` (live) or `manifest` (set).
    pub rpo_source: String,
    /// The recovery's phases.
    pub timeline: Timeline,
    /// What the marks say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marks: Option<MarkVerdict>,
    /// What the diagnosis found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damages: Vec<Damage>,
    /// The steps with their times.
    pub steps: Vec<StepRecord>,
    /// The backup of this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupRecord>,
    /// How many objects and rows were compared and found equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofRecord>,
    /// The sites that were used.
    pub sites: Vec<SiteIdentity>,
    /// Server logs, kept when the run did not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<String>,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// What it did.
    pub title: String,
    /// How long it took.
    pub seconds: f64,
    /// What went wrong, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a backup cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackupRecord {
    /// The set's id.
    pub id: String,
    /// From opening the snapshot to the rename.
    pub seconds: f64,
    /// Bytes before compression.
    pub plain_bytes: u64,
    /// Bytes stored.
    pub stored_bytes: u64,
    /// What it does not hold although people may expect it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<String>,
}

/// What was compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofRecord {
    /// Tables or files whose content was compared.
    pub contents: usize,
    /// Objects in all, definitions and counters among them.
    pub objects: usize,
    /// Rows (or files) compared.
    pub rows: u64,
    /// Rows that the selective restore had to set aside because what they refer to is in no backup.
    #[serde(default)]
    pub quarantined: u64,
    /// Rows that others referred to, that the disaster took and that no backup holds: lost for good.
    #[serde(default)]
    pub unrecoverable: u64,
}
