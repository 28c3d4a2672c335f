//! Who made a thing: the labels on everything in the engine, and the process behind a label.
//! It must not know how things are listed or removed.

use crate::adapters::owner::Owner;
use anyhow::Result;
use std::collections::HashMap;

/// On everything we make; never sufficient to remove it, since our images pass it on to anybody's containers.
pub(super) const MANAGED: &str = "io.xtask.managed";
pub(super) const RUN: &str = "io.xtask.run";
pub(super) const OWNER: &str = "io.xtask.owner";
/// A process id means nothing outside its own namespace (a run inside a container that shares the engine's socket).
const NAMESPACE: &str = "io.xtask.pidns";

/// A run and the process behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunIdentity {
    /// The run's id.
    pub run: String,
    /// The process that runs it.
    pub owner: Owner,
}

impl RunIdentity {
    /// This process as the owner of this run. Fails where there is no `/proc`.
    pub fn of_this_process(run: impl Into<String>) -> Result<Self> {
        Ok(Self { run: run.into(), owner: Owner::this_process()? })
    }

    /// The labels of everything this run makes.
    pub fn labels(&self) -> HashMap<String, String> {
        HashMap::from([
            (MANAGED.to_owned(), "1".to_owned()),
            (RUN.to_owned(), self.run.clone()),
            (OWNER.to_owned(), self.owner.to_string()),
            (NAMESPACE.to_owned(), self.owner.namespace.clone()),
        ])
    }
}

/// Reads the labels of a thing; `None` when it names no owner, and so is not ours.
pub(super) fn owner_of(labels: &HashMap<String, String>) -> Option<Owner> {
    let owner: Owner = labels.get(OWNER)?.parse().ok()?;
    Some(Owner { namespace: labels.get(NAMESPACE).cloned().unwrap_or_default(), ..owner })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_labels_of_a_run_name_its_owner() {
        let run = RunIdentity::of_this_process("r1").unwrap();
        assert_eq!(owner_of(&run.labels()), Some(run.owner));
    }

    #[test]
    fn what_names_no_proper_owner_is_nobodys() {
        for label in ["", "boot", "boot:1", "boot:1:2:3", ":1:2", "boot:x:2"] {
            assert_eq!(owner_of(&HashMap::from([(OWNER.to_owned(), label.to_owned())])), None, "{label}");
        }
        assert_eq!(owner_of(&HashMap::from([(MANAGED.to_owned(), "1".to_owned())])), None);
    }
}
