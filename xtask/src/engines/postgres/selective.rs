//! The partial way back: restores what a diagnosis names and leaves newer rows elsewhere alone.
//! It must not know how the damage was found.

use super::client;
use super::restore::{staged, write_file};
use crate::domain::artifact::Component;
use crate::domain::diagnosis::Diagnosis;
use crate::domain::engine::{Act, Target};
use crate::domain::exec::Exec;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::timeline::Phase;

/// Stages the archive and prints its table of contents.
pub fn stage(at: &Target) -> Vec<Act> {
    vec![
        Act::data(Phase::Fetch, "stage the archive", write_file(&staged(at))),
        Act::run(
            Phase::Fetch,
            "list what it holds",
            Exec::site("pg_restore").arg("--list").arg(staged(at)).env("LC_ALL", "C"),
        ),
    ]
}

/// Restores what the diagnosis names.
pub fn restore_selected(
    at: &Target,
    _from: &Component,
    _diagnosis: &Diagnosis,
    _contents: &str,
) -> Result<Vec<Act>, Refusal> {
    let _ = client::ident(&at.name);
    Err(Refusal::new(RefusalKind::Preflight, "selective restore is not described yet", "restore everything"))
}
