//! Runs this host's own package clients to their end: bounded, checked, their last words kept for whoever can read them.
//! It must not know what apt or dpkg say.

use crate::adapters::processes::{self, Child, Environment};
use crate::domain::exec::Exec;
use crate::ports::Clock;
use anyhow::{Context, Result, bail, ensure};
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// An answer longer than this is refused.
const MOST_ANSWER: u64 = 64 << 20;

/// A child that failed.
#[derive(Debug, thiserror::Error)]
#[error("{program}: exit {code}: {said}")]
pub(super) struct ChildFailed {
    pub(super) program: String,
    /// The exit status; a death by signal n is 128 + n.
    pub(super) code: i32,
    /// The end of its standard error.
    pub(super) said: String,
}

/// Starts children and remembers the running ones.
pub(super) struct Children {
    clock: Arc<dyn Clock>,
    running: Mutex<Vec<Weak<Child>>>,
    abandoned: AtomicBool,
}

impl Children {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, running: Mutex::default(), abandoned: AtomicBool::new(false) }
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Runs a child to its end and returns what it printed.
    ///
    /// # Errors
    /// [`ChildFailed`], a `Refusal` of kind `Timeout` or `MissingCapability` (no such program), or output that is no text.
    pub(super) fn ask(&self, exec: &Exec, environment: Environment) -> Result<String> {
        self.stream(exec, environment, |out| {
            let mut text = Vec::new();
            out.take(MOST_ANSWER + 1).read_to_end(&mut text)?;
            if text.len() as u64 > MOST_ANSWER {
                bail!("{} printed more than {MOST_ANSWER} bytes", exec.program_name());
            }
            String::from_utf8(text).with_context(|| format!("{}: its output is not UTF-8", exec.program_name()))
        })
    }

    /// Runs a child while `take` reads its standard output. What `take` returned counts only if the child ended well.
    ///
    /// # Errors
    /// As [`Children::ask`], and those of `take`.
    pub(super) fn stream<T>(
        &self,
        exec: &Exec,
        environment: Environment,
        take: impl FnOnce(&mut dyn Read) -> Result<T>,
    ) -> Result<T> {
        // What these programs say is read by us before anybody else, so they say it in English.
        let exec = exec.clone().env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        let command = processes::command(&exec, Path::new(""), None, environment);
        let (running, child) = processes::start(command, exec.program_name(), exec.input, exec.timeout)?;
        self.remember(&child);
        // Asked after the child is known to `abandon`: of the two, one sees the other.
        ensure!(!self.abandoned.load(Ordering::SeqCst), "the run is being cleaned up");
        let (mut stdout, mut control) = (running.stdout, running.control);
        let taken = take(&mut *stdout);
        drop(stdout);
        if let Err(error) = &taken
            && !cut_short(error)
        {
            // Our own failure comes first: how the child ends is only what follows from it.
            control.kill()?;
            return taken;
        }
        let exit = control.wait()?;
        if !exit.ok() {
            let (program, said) = (exec.program_name().to_owned(), exit.stderr.trim().to_owned());
            return Err(ChildFailed { program, code: exit.code, said }.into());
        }
        taken
    }

    /// Kills every running child with all it started, and starts no more: for signals and panics.
    ///
    /// # Errors
    /// A child that does not go.
    pub(super) fn abandon(&self) -> Result<()> {
        self.abandoned.store(true, Ordering::SeqCst);
        let running: Vec<_> = self.all().iter().filter_map(Weak::upgrade).collect();
        running.iter().try_for_each(|child| child.kill())
    }

    fn remember(&self, child: &Arc<Child>) {
        let mut all = self.all();
        all.retain(|c| c.upgrade().is_some_and(|c| !c.is_over()));
        all.push(Arc::downgrade(child));
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Child>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the output ended too early, which a failed child explains better than its reader can.
fn cut_short(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::clock::SystemClock;
    use crate::domain::refusal::{Refusal, RefusalKind};
    use anyhow::anyhow;
    use std::time::Duration;

    fn children() -> Children {
        Children::new(Arc::new(SystemClock::start()))
    }

    #[test]
    fn an_answer_comes_back_and_a_failure_carries_the_last_words() {
        assert_eq!(children().ask(&Exec::site("printf").arg("a b"), Environment::Clean).unwrap(), "a b");
        let error = children().ask(&Exec::site("ls").arg("/nowhere/at/all"), Environment::Clean).unwrap_err();
        let failed = error.downcast_ref::<ChildFailed>().unwrap();
        assert!(failed.code != 0 && failed.said.contains("No such file"), "{failed:?}");
        let error = children().ask(&Exec::site("no-such-program-here"), Environment::Clean).unwrap_err();
        assert_eq!(error.downcast_ref::<Refusal>().unwrap().kind, RefusalKind::MissingCapability);
    }

    #[test]
    fn a_reader_that_gives_up_ends_the_child() {
        let begun = children().stream(&Exec::site("yes"), Environment::Clean, |_| Err::<(), _>(anyhow!("enough")));
        assert_eq!(begun.unwrap_err().to_string(), "enough");
    }

    #[test]
    fn a_reader_s_success_does_not_hide_a_child_s_failure() {
        let exec = Exec::site("sh").args(["-c", "echo whole; echo why >&2; exit 3"]);
        let error = children().ask(&exec, Environment::Clean).unwrap_err();
        assert_eq!(error.to_string(), "sh: exit 3: why");
    }

    #[test]
    fn a_child_that_does_not_end_is_killed() {
        let exec = Exec::site("sleep").arg("600").timeout(Duration::from_millis(100));
        let error = children().ask(&exec, Environment::Clean).unwrap_err();
        assert_eq!(error.downcast_ref::<Refusal>().unwrap().kind, RefusalKind::Timeout);
    }

    #[test]
    fn abandoning_ends_what_runs_and_lets_nothing_start() {
        let all = children();
        let ended = all.stream(&Exec::site("sleep").arg("600"), Environment::Clean, |out| {
            all.abandon()?;
            Ok(out.read_to_end(&mut Vec::new()).map(drop)?)
        });
        assert_eq!(ended.unwrap_err().downcast_ref::<ChildFailed>().unwrap().code, 128 + 9);
        let late = all.ask(&Exec::site("echo"), Environment::Clean).unwrap_err();
        assert!(late.to_string().contains("being cleaned up"), "{late:#}");
    }
}
