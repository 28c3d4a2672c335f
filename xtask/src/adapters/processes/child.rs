//! One child process in a process group of its own: watched for its end and its time, killed with everything it started.
//! It must not know what the child is for.

use super::tail::Tail;
use crate::domain::exec::{Exit, Input};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::ports::{Control, Running};
use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long after a child's end its standard error may stay open (a process that left the group may hold it).
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long a killed child may take to go; longer means that the kernel does not let go of it.
const REAPING: Duration = Duration::from_secs(10);

/// What is known of a child.
#[derive(Default)]
struct State {
    /// The group, while it may be signalled: from the start until the child is reaped.
    group: Option<Pid>,
    ended: Option<Result<ExitStatus, String>>,
    timed_out: bool,
}

/// A child that others may want to kill.
#[derive(Default)]
pub(crate) struct Child {
    state: Mutex<State>,
    changed: Condvar,
}

impl Child {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills the whole group and waits until the child is gone; fine when it is gone already.
    pub(crate) fn kill(&self) -> Result<()> {
        let mut state = self.state();
        signal(&mut state)?;
        let wait = self.changed.wait_timeout_while(state, REAPING, |s| s.group.is_some() && s.ended.is_none());
        let (state, _) = wait.unwrap_or_else(PoisonError::into_inner);
        if state.group.is_some() { Err(anyhow!("a killed child is still there after {REAPING:?}")) } else { Ok(()) }
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.state().ended.is_some()
    }

    /// The first process of the group, while it runs.
    #[cfg(test)]
    pub(super) fn leader(&self) -> Option<Pid> {
        self.state().group
    }

    fn end(&self, how: Result<ExitStatus, String>) {
        let mut state = self.state();
        state.group = None;
        state.ended = Some(how);
        self.changed.notify_all();
    }
}

/// SIGKILL to the group. The state is locked, so the child is not reaped meanwhile and its number is still its own.
fn signal(state: &mut State) -> Result<()> {
    match state.group.map(|group| kill_process_group(group, Signal::KILL)) {
        None | Some(Ok(()) | Err(rustix::io::Errno::SRCH)) => Ok(()),
        Some(Err(e)) => Err(e).context("kill a process group"),
    }
}

/// The streams of a started child, handed over by the thread that started it.
struct Streams {
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: ChildStderr,
}

/// Starts `command`; `name` is for messages. After `timeout` the whole group is killed, whoever waits for what.
pub(crate) fn start(
    mut command: Command,
    name: &str,
    input: Input,
    timeout: Duration,
) -> Result<(Running, Arc<Child>)> {
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if input == Input::Stream { Stdio::piped() } else { Stdio::null() });
    let child = Arc::new(Child::default());
    let (to, started) = channel();
    let shared = Arc::clone(&child);
    // The child may ask to die with its parent, and the kernel means the *thread* that started it: so that thread stays.
    spawn(move || live(command, &shared, &to))?;
    let streams = started.recv().context("start a child")?.map_err(|e| not_started(name, &e))?;
    let shared = Arc::clone(&child);
    spawn(move || watch(&shared, timeout))?;
    let (to, last_words) = channel();
    spawn(move || {
        let _ = to.send(Tail::read(streams.stderr));
    })?;
    let control = Handle { child: Arc::clone(&child), name: name.to_owned(), timeout, last_words, tail: None };
    let running = Running {
        stdin: streams.stdin.map(|s| Box::new(s) as Box<dyn Write + Send>),
        stdout: Box::new(streams.stdout) as Box<dyn Read + Send>,
        control: Box::new(control),
    };
    Ok((running, child))
}

fn spawn(body: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new().name("child".to_owned()).spawn(body).map(drop).context("start a thread")
}

/// Starts the child, waits for its end, kills what it left behind in its group, and only then gives its number back.
fn live(mut command: Command, shared: &Child, to: &Sender<std::io::Result<Streams>>) {
    let mut process = match command.spawn() {
        Ok(process) => process,
        Err(e) => {
            let _ = to.send(Err(e));
            return;
        }
    };
    let pid = Pid::from_child(&process);
    shared.state().group = Some(pid);
    if let (Some(stdout), Some(stderr)) = (process.stdout.take(), process.stderr.take()) {
        let _ = to.send(Ok(Streams { stdin: process.stdin.take(), stdout, stderr }));
    }
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {}
    let mut state = shared.state();
    let left = signal(&mut state);
    let status = process.wait().map_err(|e| e.to_string());
    drop(state);
    shared.end(left.map_err(|e| format!("{e:#}")).and(status));
}

/// Kills the group when its time is over.
fn watch(shared: &Child, timeout: Duration) {
    let wait = shared.changed.wait_timeout_while(shared.state(), timeout, |s| s.ended.is_none());
    let (mut state, _) = wait.unwrap_or_else(PoisonError::into_inner);
    if state.ended.is_none() {
        state.timed_out = true;
        let _ = signal(&mut state);
    }
}

fn not_started(name: &str, error: &std::io::Error) -> anyhow::Error {
    let refusal =
        |kind, hint: String| anyhow::Error::new(Refusal::new(kind, format!("cannot start {name}: {error}"), hint));
    match error.kind() {
        ErrorKind::NotFound => {
            refusal(RefusalKind::MissingCapability, format!("install {name}, or add its folder to PATH"))
        }
        ErrorKind::PermissionDenied => {
            refusal(RefusalKind::AccessDenied, format!("make {name} executable for this user"))
        }
        _ => anyhow!("cannot start {name}: {error}"),
    }
}

/// Power over a started child.
struct Handle {
    child: Arc<Child>,
    name: String,
    timeout: Duration,
    last_words: Receiver<Tail>,
    tail: Option<Tail>,
}

impl Control for Handle {
    fn wait(&mut self) -> Result<Exit> {
        let state = self.child.changed.wait_while(self.child.state(), |s| s.ended.is_none());
        let (ended, timed_out) = {
            let state = state.unwrap_or_else(PoisonError::into_inner);
            (state.ended.clone(), state.timed_out)
        };
        let status = ended.unwrap_or_else(|| Err("no status".to_owned()));
        let tail = match self.tail.take() {
            Some(tail) => tail,
            None => self.last_words.recv_timeout(LAST_WORDS).unwrap_or_default(),
        };
        let (stderr, declared_bytes) = tail.clone().split();
        self.tail = Some(tail);
        if timed_out {
            let said = if stderr.trim().is_empty() { String::new() } else { format!("; it said: {}", stderr.trim()) };
            return Err(Refusal::new(
                RefusalKind::Timeout,
                format!("{} was killed after {:?}{said}", self.name, self.timeout),
                "find out what it waited for; a slow machine needs a smaller --size",
            )
            .into());
        }
        let status = status.map_err(anyhow::Error::msg).with_context(|| format!("wait for {}", self.name))?;
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        Ok(Exit { code, stderr, declared_bytes })
    }

    fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("kill {}", self.name))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}
