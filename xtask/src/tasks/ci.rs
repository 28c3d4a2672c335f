//! `cargo xtask ci`: everything that must hold before a change is kept, in one command that needs only the Rust toolchain.
//! Every step runs even when an earlier one failed, so that one run shows all there is to mend.

mod closing;
mod steps;
mod tools;
pub mod workflows;

use crate::adapters::cargo::{Ended, Output, run as start};
use crate::adapters::clock::SystemClock;
use crate::adapters::provision::Provisioner;
use crate::domain::event::Event;
use crate::domain::exec::Exec;
use crate::domain::outcome::{Outcome, Why, exit_code};
use crate::ports::{Clock, Events};
use anyhow::{Context, Result};
use closing::Done;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steps::{Step, Without};
use tools::Tool;

/// What `cargo xtask ci` takes.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Fail instead of skipping by name when this is missing; may be given more than once
    #[arg(long, value_enum, value_name = "WHAT")]
    pub require: Vec<Need>,
    /// Run only this step; may be given more than once
    #[arg(long, value_enum, value_name = "STEP")]
    pub only: Vec<Step>,
}

/// What a run can insist on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Need {
    /// A container engine: tests that need one fail without it
    Docker,
    /// The tools that steps and tests use
    Tools,
    /// The database of known vulnerabilities
    Advisories,
}

impl Need {
    /// The variable by which tests learn of it.
    fn variable(self) -> &'static str {
        match self {
            Self::Docker => "XTASK_REQUIRE_DOCKER",
            Self::Tools => "XTASK_REQUIRE_TOOLS",
            Self::Advisories => "XTASK_REQUIRE_ADVISORIES",
        }
    }
}

struct Ci<'a> {
    args: &'a Args,
    root: &'a Path,
    cache: PathBuf,
    clock: SystemClock,
}

/// What [`run`] would do: every step with its command lines. Runs and fetches nothing.
pub fn plan(args: &Args, root: &Path) -> String {
    let cache = root.join(tools::CACHE);
    let mut text = String::new();
    for step in chosen(args) {
        text.extend(["== ", step.name(), " ==\n"]);
        let asked = step.precondition(&cache).map(|(exec, _)| exec);
        for exec in asked.into_iter().chain(step.commands(&cache)) {
            text.extend(["$ ", &insisting(args, exec).command_line(), "\n"]);
        }
    }
    text
}

/// The steps that were asked for.
fn chosen(args: &Args) -> Vec<Step> {
    if args.only.is_empty() { Step::USUAL.to_vec() } else { args.only.clone() }
}

/// The command with what tests must not skip in its environment.
fn insisting(args: &Args, exec: Exec) -> Exec {
    args.require.iter().fold(exec, |exec, need| exec.env(need.variable(), "1"))
}

/// Tells on standard output what is being fetched.
struct Aloud;

impl Events for Aloud {
    fn tell(&self, event: Event) {
        if let Event::Note(text) | Event::ImagePreparing { what: text } = event {
            // A closed output ends the run at its next line; a note is not worth more.
            let _ = say(text);
        }
    }
}

/// Runs the steps in the repository at `root` and returns the exit code: 0 all passed, 1 a step failed, 3 a step could not be judged.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Args, root: &Path) -> Result<u8> {
    let ci = Ci { args, root, cache: root.join(tools::CACHE), clock: SystemClock::start() };
    let steps = chosen(args);
    let missing = ci.set_up(&steps)?;
    let mut done = Vec::new();
    let mut skipped = Vec::new();
    for step in steps {
        let began = ci.clock.now();
        say(format!("\n== {} ==", step.name()))?;
        let mut runner = Vec::new();
        let mut outcome = ci.perform(step, &missing, &mut runner)?;
        if step == Step::Tests && !matches!(outcome, Outcome::Broken(_)) {
            match ci.skipped_tests() {
                Ok(lines) => skipped = lines,
                Err(error) => outcome = worse(outcome, Outcome::Broken(Why::from_error(&error))),
            }
        }
        let took = ci.clock.now().saturating_sub(began);
        say(format!("== {}: {} in {:.1} s", step.name(), outcome.word(), took.as_secs_f64()))?;
        done.push(Done { name: step.name(), outcome, took, runner });
    }
    let code = exit_code(done.iter().map(|d| &d.outcome));
    let took = ci.clock.now();
    say(closing::text(&done, &skipped, took))?;
    let word = if code == 0 { "passed" } else { "did not pass" };
    say(format!("ci {word} in {:.0} s; exit code {code}", took.as_secs_f64()))?;
    Ok(code)
}

impl Ci<'_> {
    /// Looks for every tool that the steps use and fetches what is missing; returns what could not be had, with the reason.
    fn set_up(&self, steps: &[Step]) -> Result<Vec<(Tool, Why)>> {
        say("== set-up ==".to_owned())?;
        let mut wanted: Vec<Tool> = Vec::new();
        for (tool, _) in steps.iter().flat_map(|s| s.tools()) {
            if !wanted.contains(tool) {
                wanted.push(*tool);
            }
        }
        let mut missing = Vec::new();
        for tool in wanted {
            if let Err(error) = tools::provide(tool, self.root, &self.cache, &mut say) {
                say(format!("{}: cannot be had: {error:#}", tool.program()))?;
                missing.push((tool, Why::from_error(&error)));
            }
        }
        if steps.contains(&Step::Tests) {
            self.set_up_tests()?;
        }
        Ok(missing)
    }

    /// What tests want that is not a program of the build: database images and Compose. Without them tests skip by name.
    fn set_up_tests(&self) -> Result<()> {
        let provisioner = Provisioner::new(self.cache.clone(), Arc::new(self.clock));
        match provisioner.compose_plugin(&Aloud) {
            Ok(program) => say(format!("docker compose: {}", program.display()))?,
            Err(error) => say(format!("docker compose: cannot be had: {error:#}"))?,
        }
        let program = std::env::current_exe().context("find this program")?;
        let images = Exec::site(program.display().to_string()).args(["images", "build", "--if-missing"]);
        let images = images.timeout(steps::COMMAND_TIMEOUT);
        say("$ cargo xtask images build --if-missing".to_owned())?;
        let ended = start(&images, self.root, Output::Shown);
        if !ended.is_ok_and(|ended| ended.code == 0) {
            say("database images: cannot be had; what needs them is skipped by name".to_owned())?;
        }
        Ok(())
    }

    fn perform(&self, step: Step, missing: &[(Tool, Why)], runner: &mut Vec<String>) -> Result<Outcome> {
        for (tool, without) in step.tools() {
            let Some((_, why)) = missing.iter().find(|(t, _)| t == tool) else { continue };
            match without {
                Without::Broken => return Ok(Outcome::Broken(why.clone())),
                Without::Skipped => return Ok(self.skip(Need::Tools, why.clone())),
                Without::TestSkips => {}
            }
        }
        if let Some((exec, why)) = step.precondition(&self.cache) {
            say(format!("$ {}", exec.command_line()))?;
            if !start(&exec, self.root, Output::Kept).is_ok_and(|ended| ended.code == 0) {
                return Ok(self.skip(Need::Advisories, Why::new(why)));
            }
        }
        if step == Step::Tests {
            remove_stale(&self.root.join(steps::JUNIT))?;
        }
        let mut outcome = Outcome::Passed;
        for exec in step.commands(&self.cache) {
            let exec = insisting(self.args, exec);
            say(format!("$ {}", exec.command_line()))?;
            let ended = start(&exec, self.root, Output::Shown);
            if matches!(step, Step::Tests | Step::Doctests)
                && let Ok(ended) = &ended
            {
                runner.extend(closing::runner_lines(&ended.lines));
            }
            outcome = worse(outcome, judge(&exec, ended));
        }
        Ok(outcome)
    }

    fn skip(&self, need: Need, why: Why) -> Outcome {
        if self.args.require.contains(&need) { Outcome::Failed(why) } else { Outcome::Skipped(why) }
    }

    fn skipped_tests(&self) -> Result<Vec<String>> {
        let path = self.root.join(steps::JUNIT);
        let junit = std::fs::read_to_string(&path).with_context(|| format!("read {}", steps::JUNIT))?;
        closing::skipped_tests(&junit)
    }
}

fn judge(exec: &Exec, ended: Result<Ended>) -> Outcome {
    match ended {
        Ok(ended) if ended.code == 0 => Outcome::Passed,
        Ok(ended) => Outcome::Failed(Why::new(format!("exit {}: {}", ended.code, exec.command_line()))),
        Err(error) => Outcome::Broken(Why::from_error(&error)),
    }
}

/// The first of two outcomes unless the second is worse: failed, then broken, then skipped, then passed.
fn worse(a: Outcome, b: Outcome) -> Outcome {
    let rank = |o: &Outcome| match o {
        Outcome::Passed => 0,
        Outcome::Skipped(_) => 1,
        Outcome::Broken(_) => 2,
        Outcome::Failed(_) => 3,
    };
    if rank(&b) > rank(&a) { b } else { a }
}

/// An earlier run's junit file must not pass for this run's.
fn remove_stale(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn say(line: String) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("write standard output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_fails_its_step_and_one_that_cannot_start_breaks_it() {
        let exec = Exec::site("cargo").arg("fmt");
        let ended = |code| Ok(Ended { code, lines: Vec::new() });
        assert_eq!(judge(&exec, ended(0)), Outcome::Passed);
        assert_eq!(judge(&exec, ended(1)), Outcome::Failed(Why::new("exit 1: cargo fmt")));
        assert!(matches!(judge(&exec, Err(anyhow::anyhow!("start cargo"))), Outcome::Broken(_)));
    }

    #[test]
    fn a_later_success_does_not_hide_an_earlier_failure() {
        let failed = Outcome::Failed(Why::new("x"));
        assert_eq!(worse(failed.clone(), Outcome::Passed), failed);
        assert_eq!(worse(Outcome::Passed, failed.clone()), failed);
        assert_eq!(worse(failed.clone(), Outcome::Broken(Why::new("y"))), failed);
    }

    #[test]
    fn what_is_required_fails_instead_of_being_skipped() {
        let root = Path::new("/nowhere");
        let of = |require: &[Need]| {
            let args = Args { require: require.to_vec(), only: Vec::new() };
            let ci = Ci { args: &args, root, cache: root.into(), clock: SystemClock::start() };
            ci.skip(Need::Tools, Why::new("not here"))
        };
        assert!(of(&[Need::Docker]).skipped());
        assert!(matches!(of(&[Need::Tools]), Outcome::Failed(_)));
    }

    #[test]
    fn the_plan_shows_every_step_with_what_it_insists_on() {
        let args = Args { require: vec![Need::Docker], only: Vec::new() };
        let plan = plan(&args, Path::new("/nowhere"));
        assert_eq!(plan.lines().filter(|l| l.starts_with("== ")).count(), Step::USUAL.len());
        assert!(plan.contains("$ XTASK_REQUIRE_DOCKER=1 cargo-nextest nextest run"), "{plan}");
    }
}
