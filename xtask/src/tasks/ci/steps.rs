//! The steps of `cargo xtask ci` as data: a name, what it is for, the commands. It must not know how they are run.

use super::tools::Tool;
use crate::domain::exec::Exec;
use std::path::Path;
use std::time::Duration;

/// A step of `cargo xtask ci`, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Step {
    /// Formatting.
    Format,
    /// Lints of everything, warnings being errors.
    Clippy,
    /// The same without the Docker adapter.
    ClippyWithoutDocker,
    /// The crate builds without the Docker adapter.
    BuildWithoutDocker,
    /// Banned crates, licenses, sources.
    Policy,
    /// Known vulnerabilities.
    Advisories,
    /// Examples in the documentation, among them those that must not compile.
    Doctests,
    /// Every other test.
    Tests,
    /// The bodies of the drill workflows, executed on this host. Runs only when asked for by `--only workflows`.
    Workflows,
}

/// What a step does without one of its tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Without {
    /// It cannot be known whether the step would pass.
    Broken,
    /// The step is skipped by name.
    Skipped,
    /// The step runs; a test of it says by name that it was skipped.
    TestSkips,
}

/// Where the test runner writes its JUnit file, below the repository's root (`.config/nextest.toml`, profile `ci`).
pub const JUNIT: &str = "target/nextest/ci/junit.xml";

/// A build of everything from nothing on two slow cores stays well below this.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(20 * 60);

impl Step {
    /// What runs when nothing was chosen.
    pub const USUAL: [Self; 8] = [
        Self::Format,
        Self::Clippy,
        Self::ClippyWithoutDocker,
        Self::BuildWithoutDocker,
        Self::Policy,
        Self::Advisories,
        Self::Doctests,
        Self::Tests,
    ];

    /// Its name on the command line and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Clippy => "clippy",
            Self::ClippyWithoutDocker => "clippy-without-docker",
            Self::BuildWithoutDocker => "build-without-docker",
            Self::Policy => "policy",
            Self::Advisories => "advisories",
            Self::Doctests => "doctests",
            Self::Tests => "tests",
            Self::Workflows => "workflows",
        }
    }

    /// The tools it needs beyond cargo, rustfmt and clippy.
    pub fn tools(self) -> &'static [(Tool, Without)] {
        match self {
            Self::Policy | Self::Advisories => &[(Tool::Deny, Without::Skipped)],
            Self::Tests => &[
                (Tool::Nextest, Without::Broken),
                (Tool::Deny, Without::TestSkips),
                (Tool::Zizmor, Without::TestSkips),
            ],
            Self::Workflows => &[(Tool::Act, Without::Skipped)],
            _ => &[],
        }
    }

    /// A command that tells whether the step can be done at all: when it fails, the step is skipped by name.
    pub fn precondition(self, cache: &Path) -> Option<(Exec, &'static str)> {
        match self {
            Self::Advisories => {
                let fetch = deny(cache).args(["fetch", "db"]).timeout(Duration::from_secs(60));
                Some((fetch, "the advisory database cannot be fetched"))
            }
            _ => None,
        }
    }

    /// The commands; the step passed when all of them end with 0.
    pub fn commands(self, cache: &Path) -> Vec<Exec> {
        let clippy = |features: &[&str]| {
            let exec = cargo(&["clippy", "--locked", "--keep-going", "--workspace", "--all-targets"])
                .args(features.iter().copied());
            exec.args(["--", "--deny", "warnings"])
        };
        match self {
            Self::Format => vec![cargo(&["fmt", "--all", "--check"])],
            Self::Clippy => vec![clippy(&[])],
            Self::ClippyWithoutDocker => vec![clippy(&["--no-default-features"])],
            Self::BuildWithoutDocker => vec![cargo(&["check", "--locked", "--workspace", "--no-default-features"])],
            Self::Policy => vec![deny(cache).args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"])],
            Self::Advisories => vec![deny(cache).args(["check", "advisories"])],
            Self::Doctests => vec![cargo(&["test", "--locked", "--workspace", "--doc"])],
            Self::Tests => {
                let nextest = tool(cache, "cargo-nextest").args(["nextest", "run", "--locked", "--workspace"]);
                vec![nextest.args(["--profile", "ci"]).timeout(COMMAND_TIMEOUT)]
            }
            Self::Workflows => super::workflows::commands(&tool(cache, "act"), cache),
        }
    }
}

/// A tool: the copy in the project's cache when there is one, else whatever the PATH says.
pub fn tool(cache: &Path, name: &str) -> Exec {
    let cached = super::tools::places(cache, name).into_iter().find(|p| p.is_file());
    let program = cached.map_or_else(|| name.to_owned(), |p| p.display().to_string());
    Exec::site(program).timeout(COMMAND_TIMEOUT)
}

/// Cargo itself.
pub fn cargo(args: &[&str]) -> Exec {
    Exec::site("cargo").args(args.iter().copied()).timeout(COMMAND_TIMEOUT)
}

fn deny(cache: &Path) -> Exec {
    tool(cache, "cargo-deny").arg("--workspace")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn names_are_those_of_the_command_line() {
        for step in Step::value_variants() {
            let typed = step.to_possible_value().map(|v| v.get_name().to_owned());
            assert_eq!(typed.as_deref(), Some(step.name()));
        }
    }

    #[test]
    fn everything_but_the_workflows_runs_by_default() {
        let left_out: Vec<_> = Step::value_variants().iter().filter(|s| !Step::USUAL.contains(s)).collect();
        assert_eq!(left_out, [&Step::Workflows]);
    }

    #[test]
    fn every_step_has_a_command_and_no_command_writes_the_lock_file() {
        for step in Step::value_variants() {
            let commands = step.commands(Path::new("/nowhere"));
            assert!(!commands.is_empty(), "{step:?}");
            for line in commands.iter().map(Exec::command_line).filter(|l| l.starts_with("cargo ")) {
                assert!(line.contains("--locked") || line.starts_with("cargo fmt"), "{line}");
            }
        }
    }
}
