//! All the stacks that a configuration describes, and how one of them is named on the command line.

use super::compose::ComposeProject;
use super::coverage::Coverage;
use super::place::Place;
use super::refusal::{Refusal, RefusalKind};
use super::stack::Stack;
use super::suggest;
use std::path::PathBuf;

/// Everything that was configured or inferred.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// The stacks, in the order in which they are written.
    pub stacks: Vec<Stack>,
    /// Where they come from.
    pub source: Source,
    /// What concerns no single stack.
    pub notes: Vec<String>,
    /// For each stack, in the same order: what was read from Compose and what was concluded from it.
    pub findings: Vec<Findings>,
}

/// Where a project's description comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A `recovery.yaml`.
    Recovery(PathBuf),
    /// Compose files found in a folder; everything is inferred.
    Compose(Vec<PathBuf>),
}

/// What stands behind a stack.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings {
    /// The Compose project; `None` for a plain folder.
    pub compose: Option<ComposeProject>,
    /// Why the stores look as they do, for `init`.
    pub evidence: Vec<Evidence>,
    /// What of the Compose project is covered, and what is waived.
    pub coverage: Coverage,
    /// What the stack is declared to be (`production`, `staging`, …).
    pub environment: Option<String>,
}

/// One conclusion and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The store, or empty when it is about the whole stack.
    pub store: String,
    /// The key it explains (`database`).
    pub key: &'static str,
    /// Why, a few words without any secret (`POSTGRES_DB of service db`).
    pub because: String,
    /// Where that is written; `None` for a rule of the images themselves.
    pub at: Option<Place>,
}

impl Project {
    /// The stack of this name. `prod` and `staging` stand for the one stack whose name is that or ends in `-prod` or `-staging`.
    ///
    /// # Errors
    /// A configuration refusal that lists what is there.
    pub fn stack(&self, name: &str) -> anyhow::Result<&Stack> {
        let names: Vec<&str> = self.stacks.iter().map(|s| s.name.as_str()).collect();
        if let Some(stack) = self.stacks.iter().find(|s| s.name == name) {
            return Ok(stack);
        }
        if let "prod" | "staging" = name {
            let ending = format!("-{name}");
            let meant: Vec<&Stack> = self.stacks.iter().filter(|s| s.name.ends_with(&ending)).collect();
            match meant.as_slice() {
                [one] => return Ok(one),
                [] => {}
                many => {
                    let many: Vec<&str> = many.iter().map(|s| s.name.as_str()).collect();
                    let message = format!("`{name}` may mean any of {}", many.join(", "));
                    return Err(Refusal::new(RefusalKind::Configuration, message, "write the whole name").into());
                }
            }
        }
        let message = format!("there is no stack `{name}`");
        Err(Refusal::new(RefusalKind::Configuration, message, suggest::hint(name, &names)).into())
    }

    /// What was read from a stack's Compose files; `None` for a plain folder.
    pub fn compose(&self, stack: &Stack) -> Option<&ComposeProject> {
        self.findings(stack).and_then(|findings| findings.compose.as_ref())
    }

    /// What stands behind a stack.
    pub fn findings(&self, stack: &Stack) -> Option<&Findings> {
        self.stacks.iter().position(|s| s.name == stack.name).and_then(|i| self.findings.get(i))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::objective::Objectives;
    use crate::domain::stack::{Backups, Compression};

    pub(crate) fn project(names: &[&str]) -> Project {
        let stack = |name: &&str| Stack {
            name: (*name).to_owned(),
            folder: ".".into(),
            compose_files: Vec::new(),
            env_file: None,
            project: (*name).to_owned(),
            stores: Vec::new(),
            without_engine: Vec::new(),
            objectives: Objectives::default(),
            backups: Backups {
                schedule: None,
                vault: "backups".into(),
                compression: Compression::Zstd,
                protection: Default::default(),
                retention: Default::default(),
                max_skew: crate::domain::stack::MAX_SKEW,
            },
            binding: Default::default(),
            notes: Vec::new(),
            traefik: Default::default(),
        };
        let stacks = names.iter().map(stack).collect();
        Project { stacks, source: Source::Compose(Vec::new()), notes: Vec::new(), findings: Vec::new() }
    }

    #[test]
    fn the_short_names_of_old_are_accepted_while_they_are_unique() {
        let one = project(&["recyclic-prod", "recyclic-staging"]);
        assert_eq!(one.stack("prod").unwrap().name, "recyclic-prod");
        assert_eq!(one.stack("staging").unwrap().name, "recyclic-staging");
        let two = project(&["a-prod", "b-prod"]);
        assert!(two.stack("prod").unwrap_err().to_string().contains("a-prod, b-prod"));
        assert_eq!(project(&["prod", "a-prod"]).stack("prod").unwrap().name, "prod");
    }

    #[test]
    fn a_mistyped_stack_is_named_with_what_was_meant() {
        let error = project(&["recyclic-prod", "monsite"]).stack("monsitte").unwrap_err();
        assert_eq!(error.downcast_ref::<Refusal>().unwrap().hint, "did you mean `monsite`?");
    }
}
