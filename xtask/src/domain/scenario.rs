//! A scenario: a disaster and the way back, as a list of steps. It must not know how a step is carried out.

use super::objective::Objective;
use serde::{Deserialize, Serialize};

/// One step of a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Make a private site.
    Sandbox,
    /// Fill it with data (rehearsal).
    Seed,
    /// Begin writing marks.
    StartMarks,
    /// Back up through the production code.
    Backup,
    /// Read the stored set back and check every digest.
    Verify,
    /// Business as usual that the backup cannot hold.
    Churn,
    /// Keep writing marks for the exposure time, then note the ground truth.
    Expose,
    /// Destroy. The clock of the recovery starts here.
    Strike(Strike),
    /// Pretend the disaster (live and set inputs: nothing of the user's is touched). The clock starts here.
    Declare,
    /// Find out what is damaged.
    Diagnose,
    /// Make a fresh site; the struck one is gone.
    Provision,
    /// Restore everything.
    Restore,
    /// Restore what the diagnosis names.
    RestoreSelected,
    /// Compare with the census and the marks.
    Prove,
    /// Ask the service until it answers. The clock stops here.
    Probe,
}

/// A disaster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strike {
    /// The data is deleted; the server or folder stays.
    DeleteData,
    /// A table dropped, constraints violated, a page damaged.
    Corrupt,
    /// Container and volume, or the whole folder, are gone.
    DestroySite,
}

/// A disaster and the way back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scenario {
    /// Its name on the command line (`simple-loss`).
    pub name: &'static str,
    /// One line for help and documentation.
    pub about: &'static str,
    /// Its default objective.
    pub objective: Objective,
    /// The steps; empty when `unsupported`.
    pub steps: &'static [Step],
    /// Why it cannot be drilled yet: reported as skipped, never as green.
    pub unsupported: Option<&'static str>,
}

/// Where the data of a drill comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Deterministic synthetic data in a private site.
    Rehearsal,
    /// A running stack, read where it runs.
    Live,
    /// An existing backup set.
    Set,
}

impl Origin {
    /// Its lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rehearsal => "rehearsal",
            Self::Live => "live",
            Self::Set => "set",
        }
    }
}

impl Scenario {
    /// The steps for data of this origin; `Err` says why this scenario cannot be drilled with it.
    pub fn steps_for(&self, origin: Origin) -> Result<Vec<Step>, &'static str> {
        use Step::{Backup, Declare, Probe, Prove, Provision, Restore, Sandbox, Verify};
        if let Some(why) = self.unsupported {
            return Err(why);
        }
        let strike = self.steps.iter().find_map(|s| if let Step::Strike(strike) = s { Some(*strike) } else { None });
        let whole: &[Step] = match (origin, strike) {
            (Origin::Rehearsal, _) => return Ok(self.steps.to_vec()),
            (_, Some(Strike::Corrupt)) => {
                return Err("this strike knows the rehearsal's tables only; drill it without --live and --set");
            }
            (_, Some(Strike::DestroySite)) => &[Backup, Verify, Declare, Provision, Restore, Prove, Probe],
            _ => &[Backup, Verify, Sandbox, Declare, Restore, Prove, Probe],
        };
        Ok(whole.iter().copied().filter(|s| origin == Origin::Live || *s != Backup).collect())
    }
}

impl Step {
    /// A few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Sandbox => "make a private site",
            Self::Seed => "fill it with data",
            Self::StartMarks => "begin writing marks",
            Self::Backup => "back up",
            Self::Verify => "verify the stored set",
            Self::Churn => "write what the backup cannot hold",
            Self::Expose => "go on writing until the disaster",
            Self::Strike(Strike::DeleteData) => "strike: delete the data",
            Self::Strike(Strike::Corrupt) => "strike: damage parts of the data",
            Self::Strike(Strike::DestroySite) => "strike: destroy the site with its volume",
            Self::Declare => "declare the disaster (nothing of yours is touched)",
            Self::Diagnose => "diagnose",
            Self::Provision => "make a fresh site",
            Self::Restore => "restore",
            Self::RestoreSelected => "restore what is damaged",
            Self::Prove => "prove the data",
            Self::Probe => "ask the service",
        }
    }
}
