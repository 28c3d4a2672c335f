//! Power over a started command: its true exit status, and its death with all that it started.
//! It must not know what the command does.

use super::engine::Engine;
use super::exec::run_detached;
use super::fault::{self, within};
use super::heard::Heard;
use super::trailer::TOKEN;
use crate::domain::exec::Exit;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::ports::Control;
use anyhow::{Context, Result, bail};
use bollard::Docker;
use bollard::models::ExecConfig;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// After the stream's end, how long the exit status may take at least.
const SETTLE: Duration = Duration::from_secs(15);
/// How long a killed command may take to go.
pub(super) const DYING: Duration = Duration::from_secs(10);

/// The engine tells no process id that is valid inside the container, so a command is found there by the token in its
/// environment; what it started inherits it. `kill` is a program of few images but a builtin of every `sh`.
const KILLER: &str = r#"for p in /proc/[0-9]*; do grep -qF "$0" "$p/environ" 2>/dev/null && kill -KILL "${p#/proc/}" 2>/dev/null; done; :"#;

/// How a command's output ended.
#[derive(Debug, Clone)]
pub(super) enum End {
    /// The trailer came behind the last byte of output, with this exit status.
    Done(i32),
    /// The stream ended without the trailer.
    Cut,
    /// The time limit.
    TimedOut(Refusal),
    /// By [`Control::kill`].
    Killed,
    /// The stream broke.
    Broken(String),
}

/// Tells the end once it is known.
pub(super) type Ending = watch::Receiver<Option<End>>;

/// A started command's address.
#[derive(Clone)]
pub(super) struct Child {
    pub(super) docker: Docker,
    pub(super) container: String,
    pub(super) name: String,
    pub(super) program: String,
    pub(super) exec: String,
    pub(super) user: Option<String>,
    pub(super) token: String,
}

pub(super) struct ExecControl {
    engine: Arc<Engine>,
    child: Child,
    program: String,
    end: Ending,
    heard: Arc<Mutex<Heard>>,
    kill: Arc<Notify>,
    deadline: Instant,
    exit: Option<Exit>,
    settled: bool,
}

impl ExecControl {
    pub(super) fn new(
        engine: Arc<Engine>,
        child: Child,
        program: &str,
        end: Ending,
        heard: Arc<Mutex<Heard>>,
        kill: Arc<Notify>,
        deadline: Instant,
    ) -> Self {
        Self { engine, child, program: program.to_owned(), end, heard, kill, deadline, exit: None, settled: false }
    }

    fn exit(&self, code: i32) -> Result<Exit> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = heard.not_started(&self.program, code) {
            let message = format!("{} could not be started in {}: {why}", self.program, self.child.name);
            return Err(
                Refusal::new(RefusalKind::MissingCapability, message, "use an image that holds this program").into()
            );
        }
        let (stderr, declared_bytes) = heard.read();
        Ok(Exit { code, stderr, declared_bytes })
    }
}

impl Control for ExecControl {
    fn wait(&mut self) -> Result<Exit> {
        if let Some(exit) = &self.exit {
            return Ok(exit.clone());
        }
        let mut ending = self.end.clone();
        let end = self.engine.run(async { ending.wait_for(Option::is_some).await.map(|end| end.clone()) });
        let end = end.ok().flatten().context("the stream of the command's output was lost")?;
        match end {
            End::TimedOut(refusal) => {
                self.settled = true;
                let (said, _) = self.heard.lock().unwrap_or_else(PoisonError::into_inner).read();
                let error = anyhow::Error::new(refusal);
                Err(if said.trim().is_empty() {
                    error
                } else {
                    error.context(format!("{}: {}", self.program, said.trim()))
                })
            }
            End::Broken(why) => {
                self.settled = true;
                bail!("{}: {why}", self.program)
            }
            End::Done(code) => {
                self.settled = true;
                let exit = self.exit(code)?;
                self.exit = Some(exit.clone());
                Ok(exit)
            }
            End::Cut | End::Killed => {
                let settle = Instant::now() + SETTLE;
                let limit = if matches!(end, End::Killed) { settle } else { self.deadline.max(settle) };
                let asked = self.engine.run(exit_code(&self.child, limit));
                let code = asked.with_context(|| format!("{}: no exit status", self.program))?;
                self.settled = true;
                let exit = self.exit(code)?;
                // An end that nobody saw is no success, whatever the engine says.
                anyhow::ensure!(code != 0, "{}: the end of its output was lost", self.program);
                self.exit = Some(exit.clone());
                Ok(exit)
            }
        }
    }

    fn kill(&mut self) -> Result<()> {
        self.kill.notify_one();
        self.engine.run(kill(&self.child))
    }
}

impl Drop for ExecControl {
    fn drop(&mut self) {
        // Nothing can be reported from here; what cannot be killed goes with its container.
        if !self.settled {
            self.kill().ok();
        }
    }
}

/// Whether the engine says that the command still runs. A container that is gone runs nothing.
pub(super) async fn is_running(child: &Child) -> bool {
    match within(fault::LOOK, "look at the command", child.docker.inspect_exec(&child.exec)).await {
        Ok(state) => state.running.unwrap_or(false),
        Err(error) => fault::status(&error) != Some(404),
    }
}

/// Kills the command and all that it started.
pub(super) async fn kill(child: &Child) -> Result<()> {
    let until = Instant::now() + DYING;
    let mut failure = None;
    while is_running(child).await {
        if Instant::now() >= until {
            let error = failure.unwrap_or_else(|| anyhow::anyhow!("it still runs {} s after SIGKILL", DYING.as_secs()));
            return Err(error.context(format!("kill a command in {}", child.name)));
        }
        let config = ExecConfig {
            cmd: Some(["sh", "-c", KILLER, &format!("{TOKEN}={}", child.token)].map(str::to_owned).to_vec()),
            user: child.user.clone(),
            ..Default::default()
        };
        if !container_runs(child).await.unwrap_or(true) {
            return Ok(());
        }
        failure = run_detached(&child.docker, &child.container, config, "find and kill the command").await.err();
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(25)).await;
            if !is_running(child).await {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// For a command whose end we did not see.
async fn exit_code(child: &Child, until: Instant) -> Result<i32> {
    let mut pause = Duration::from_millis(5);
    loop {
        let state = within(fault::LOOK, "ask for the exit status", child.docker.inspect_exec(&child.exec)).await?;
        if let (Some(false), Some(code)) = (state.running, state.exit_code) {
            return i32::try_from(code).with_context(|| format!("exit status {code} is out of range"));
        }
        if pause >= Duration::from_millis(160) && !container_runs(child).await? {
            bail!("the container stopped while the command ran");
        }
        if Instant::now() >= until {
            let message = format!("a command in {} closed its output but did not end", child.name);
            return Err(Refusal::new(RefusalKind::Timeout, message, "look at the server's log").into());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(250));
    }
}

async fn container_runs(child: &Child) -> Result<bool> {
    let container =
        within(fault::LOOK, "look at the container", child.docker.inspect_container(&child.container, None)).await?;
    Ok(container.state.and_then(|s| s.running).unwrap_or(false))
}
