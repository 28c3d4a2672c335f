//! A running fake command: a thread that follows the script, with the same promises as a real child's.

use super::answer::{Answer, Lossy, What};
use super::pipe::{Pipe, Source};
use crate::domain::exec::{Exec, Exit, Input};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::ports::{Clock, Control, Running};
use anyhow::Result;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

/// Bytes that a fake command read, still growing while it runs.
pub(super) type Record = Arc<Mutex<Vec<u8>>>;

#[derive(Default)]
struct State {
    exit: Option<Exit>,
    timed_out: bool,
}

/// A fake command that others may want to kill.
#[derive(Default)]
pub(super) struct Child {
    state: Mutex<State>,
    changed: Condvar,
    stdin: Pipe,
    stdout: Pipe,
}

impl Child {
    fn end(&self, exit: Exit, timed_out: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.exit.is_none() {
            (state.exit, state.timed_out) = (Some(exit), timed_out);
        }
        self.changed.notify_all();
    }

    /// As SIGKILL would; fine when it is over.
    pub(super) fn kill(&self, timed_out: bool) {
        self.end(Exit { code: 137, ..Exit::default() }, timed_out);
        self.stdin.cut();
        self.stdout.cut();
    }

    fn wait(&self) -> (Exit, bool) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.changed.wait_while(state, |s| s.exit.is_none()).unwrap_or_else(PoisonError::into_inner);
        (state.exit.clone().unwrap_or_default(), state.timed_out)
    }
}

/// Starts following the answer's script; what is read goes to `kept` too.
pub(super) fn start(exec: &Exec, answer: Answer, clock: Arc<dyn Clock>, kept: Record) -> Result<(Running, Arc<Child>)> {
    if let What::DoesNotStart(why) = &answer.what {
        return Err(Refusal::new(RefusalKind::MissingCapability, why.clone(), "this is a scripted failure").into());
    }
    let child = Arc::new(Child::default());
    let (input, to_input) = child.stdin.ends();
    let (output, to_output) = child.stdout.ends();
    let stdin = (exec.input == Input::Stream).then(|| Box::new(to_input) as Box<dyn Write + Send>);
    let control = Box::new(Handle { child: Arc::clone(&child), exec: exec.clone() });
    let (shared, wanted) = (Arc::clone(&child), exec.clone());
    let mut input = Kept { from: input, kept };
    thread::Builder::new().spawn(move || {
        clock.sleep(answer.takes.min(wanted.timeout));
        if answer.takes > wanted.timeout {
            return shared.kill(true);
        }
        let mut output = Lossy { to: to_output, left: answer.cut_after.unwrap_or(u64::MAX) };
        let What::Runs(script) = &answer.what else { return drop(shared.wait()) };
        let ran = catch_unwind(AssertUnwindSafe(|| script(&wanted, &mut input, &mut output)));
        let (code, complaint) = match ran {
            Ok(Ok(code)) => (code, String::new()),
            Ok(Err(e)) => (1, e.to_string()),
            Err(_) => (101, "the script panicked".to_owned()),
        };
        let stderr = format!("{}{complaint}", answer.stderr);
        shared.end(Exit { code: answer.code.unwrap_or(code), stderr, declared_bytes: answer.declares }, false);
    })?;
    let (shared, timeout) = (Arc::clone(&child), exec.timeout);
    thread::Builder::new().spawn(move || {
        let state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = shared.changed.wait_timeout_while(state, timeout, |s| s.exit.is_none());
        let over = wait.unwrap_or_else(PoisonError::into_inner).0.exit.is_some();
        if !over {
            shared.kill(true);
        }
    })?;
    Ok((Running { stdin, stdout: Box::new(output), control }, child))
}

/// An input whose bytes are kept for the record.
struct Kept {
    from: Source,
    kept: Record,
}

impl Read for Kept {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(into)?;
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&into[..n]);
        Ok(n)
    }
}

struct Handle {
    child: Arc<Child>,
    exec: Exec,
}

impl Control for Handle {
    fn wait(&mut self) -> Result<Exit> {
        let (exit, timed_out) = self.child.wait();
        if timed_out {
            let message = format!("{} was killed after {:?}", self.exec.program_name(), self.exec.timeout);
            return Err(Refusal::new(RefusalKind::Timeout, message, "find out what it waited for").into());
        }
        Ok(exit)
    }

    fn kill(&mut self) -> Result<()> {
        self.child.kill(false);
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.child.kill(false);
    }
}
