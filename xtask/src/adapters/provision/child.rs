//! Starts this host's own package clients: argv only, in a process group of their own, bounded, their last words kept.
//! It must not know what apt or dpkg say.
#![expect(clippy::disallowed_methods, reason = "this adapter starts the host's package clients and bounds them")]

use crate::domain::exec::Exec;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::ports::Clock;
use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How much of a child's standard error an error message carries.
const TAIL: usize = 4 << 10;
/// An answer longer than this is refused.
const MOST_ANSWER: u64 = 64 << 20;
/// How long a child may live after it closed its output.
const LINGER: Duration = Duration::from_secs(60);

/// What a child inherits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Environment {
    /// Ours (proxies and certificates of the host included), with `LC_ALL=C`.
    Ours,
    /// `PATH` and what the `Exec` adds, nothing else.
    Bare,
}

/// A child that failed: what it said, for whoever can read it.
#[derive(Debug, thiserror::Error)]
#[error("{program}: exit {code}: {said}")]
pub(super) struct ChildFailed {
    program: String,
    code: i32,
    /// The last lines of its standard error.
    pub(super) said: String,
}

/// The program is not on this system.
#[derive(Debug, thiserror::Error)]
#[error("there is no {0} on this system")]
pub(super) struct NoProgram(String);

/// Starts children and remembers the running ones.
pub(super) struct Children {
    clock: Arc<dyn Clock>,
    groups: Mutex<Vec<Pid>>,
}

impl Children {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, groups: Mutex::default() }
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Runs a child to its end and returns what it printed.
    ///
    /// # Errors
    /// [`NoProgram`], [`ChildFailed`], `Refusal` of kind `Timeout`, or output that is no text.
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
        let mut running = self.start(exec, environment)?;
        let mut out = running.child.stdout.take().context("its standard output")?;
        let err = running.child.stderr.take().context("its standard error")?;
        let group = running.group;
        let (read, said, late) = std::thread::scope(|scope| {
            let (over, reading) = channel::<()>();
            // Kills only while this thread still reads, that is before anybody has waited for the child: its id is still its own.
            let watch = scope.spawn(move || {
                let late = reading.recv_timeout(exec.timeout) == Err(RecvTimeoutError::Timeout);
                if late {
                    let _ = kill_process_group(group, Signal::KILL);
                }
                late
            });
            let tail = scope.spawn(move || tail(err));
            let read = take(&mut out);
            if read.is_err() {
                let _ = kill_process_group(group, Signal::KILL);
            }
            drop(out);
            let said = tail.join().unwrap_or_default();
            drop(over);
            (read, said, watch.join().unwrap_or(false))
        });
        if late {
            return Err(timeout(exec));
        }
        let code = running.wait(self.clock(), LINGER).with_context(|| exec.program_name().to_owned())?;
        match (code, read) {
            (0, read) => read,
            // Our own failure to take its output comes first: the child's death is only what followed.
            (_, Err(error)) if !is_eof(&error) => Err(error),
            (code, _) => Err(ChildFailed { program: exec.program_name().to_owned(), code, said }.into()),
        }
    }

    /// Kills every running child with all it started: for signals and panics.
    pub(super) fn abandon(&self) {
        for group in self.groups.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = kill_process_group(*group, Signal::KILL);
        }
    }

    fn start(&self, exec: &Exec, environment: Environment) -> Result<Group<'_>> {
        let mut command = Command::new(exec.program_name());
        command.args(&exec.args).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        match environment {
            Environment::Ours => command.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive"),
            Environment::Bare => command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C"),
        };
        command.envs(exec.env.iter().map(|(k, v)| (k, v)));
        let child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => anyhow!(NoProgram(exec.program_name().to_owned())),
            _ => anyhow!(error).context(format!("start {}", exec.program_name())),
        })?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a child without an id")?;
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).push(group);
        Ok(Group { child, group, ended: false, all: self })
    }
}

/// A running child and its group; dropped while it runs, it is killed.
struct Group<'a> {
    child: Child,
    group: Pid,
    ended: bool,
    all: &'a Children,
}

impl Group<'_> {
    fn wait(&mut self, clock: &dyn Clock, at_most: Duration) -> Result<i32> {
        let until = clock.now() + at_most;
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.ended = true;
                return Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
            }
            if clock.now() > until {
                bail!("closed its output and did not end within {} s", at_most.as_secs());
            }
            clock.sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let _ = kill_process_group(self.group, Signal::KILL);
            let _ = self.child.wait();
        }
        self.all.groups.lock().unwrap_or_else(PoisonError::into_inner).retain(|g| *g != self.group);
    }
}

/// Reads to the end and keeps the last few KiB, so that a talkative child neither blocks nor fills the memory.
fn tail(mut from: impl Read) -> String {
    let mut kept = Vec::new();
    let mut chunk = [0; TAIL];
    while let Ok(n) = from.read(&mut chunk) {
        if n == 0 {
            break;
        }
        kept.extend_from_slice(&chunk[..n]);
        kept.drain(..kept.len().saturating_sub(TAIL));
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}

fn is_eof(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::UnexpectedEof)
}

fn timeout(exec: &Exec) -> anyhow::Error {
    let message = format!("{} did not end within {} s and was killed", exec.program_name(), exec.timeout.as_secs());
    Refusal::new(RefusalKind::Timeout, message, format!("run it by hand: {}", exec.command_line())).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::clock::SystemClock;

    fn children() -> Children {
        Children::new(Arc::new(SystemClock::start()))
    }

    #[test]
    fn an_answer_comes_back_and_a_failure_carries_the_last_words() {
        assert_eq!(children().ask(&Exec::site("printf").arg("a b"), Environment::Ours).unwrap(), "a b");
        let error = children().ask(&Exec::site("ls").arg("/nowhere/at/all"), Environment::Ours).unwrap_err();
        let failed = error.downcast_ref::<ChildFailed>().unwrap();
        assert!(failed.code != 0 && failed.said.contains("No such file"), "{failed:?}");
        let error = children().ask(&Exec::site("no-such-program-here"), Environment::Ours).unwrap_err();
        assert!(error.is::<NoProgram>());
    }

    #[test]
    fn a_bare_environment_holds_nothing_of_ours() {
        let text = children().ask(&Exec::site("env").env("MINE", "1"), Environment::Bare).unwrap();
        let mut names: Vec<&str> = text.lines().filter_map(|l| l.split('=').next()).collect();
        names.sort_unstable();
        assert_eq!(names, ["LC_ALL", "MINE", "PATH"]);
    }

    #[test]
    fn a_child_that_does_not_end_is_killed_with_its_own_children() {
        let all = children();
        let exec = Exec::site("sh").args(["-c", "sleep 600 & echo $!; wait"]).timeout(Duration::from_millis(300));
        let mut grandchild = String::new();
        let error = all
            .stream(&exec, Environment::Ours, |out| Ok(out.read_to_string(&mut grandchild).map(drop)?))
            .unwrap_err();
        assert_eq!(error.downcast_ref::<Refusal>().unwrap().kind, RefusalKind::Timeout);
        assert!(gone(grandchild.trim()), "process {grandchild} lives");
        assert!(all.groups.lock().unwrap().is_empty());
    }

    #[test]
    fn a_reader_that_gives_up_ends_the_child() {
        let begun = children().stream(&Exec::site("yes"), Environment::Ours, |_| Err::<(), _>(anyhow!("enough")));
        assert_eq!(begun.unwrap_err().to_string(), "enough");
    }

    #[test]
    fn abandoning_ends_what_runs() {
        let all = children();
        let ended = all.stream(&Exec::site("sleep").arg("600"), Environment::Ours, |out| {
            all.abandon();
            Ok(out.read_to_end(&mut Vec::new()).map(drop)?)
        });
        assert_eq!(ended.unwrap_err().downcast_ref::<ChildFailed>().unwrap().code, 128 + 9);
    }

    /// The kernel may need a moment to bury a killed process, and its new parent another to notice.
    fn gone(pid: &str) -> bool {
        let dead = || match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Err(_) => true,
            Ok(stat) => stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')),
        };
        let clock = SystemClock::start();
        while clock.now() < Duration::from_secs(10) {
            if dead() {
                return true;
            }
            clock.sleep(Duration::from_millis(5));
        }
        false
    }
}
