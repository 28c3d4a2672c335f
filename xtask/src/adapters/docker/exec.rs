//! Starts a command in one of our containers and pumps its streams, with back-pressure and without ever taking a cut for an end.
//! It must not know what the container is for.

use super::channel::{CHUNK, CHUNKS, Feed, Output};
use super::control::{self, Child, End, ExecControl};
use super::engine::Engine;
use super::fault::{self, within};
use super::heard::Heard;
use super::pipe::{self, Keeper, Pipe, PipeOutput, Pipes};
use crate::domain::exec::{Exec, Input, Program};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::ports::Running;
use anyhow::{Context, Result};
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures_util::{Stream, StreamExt};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior};

/// In every command's environment: the command and all that it starts can be found by it.
pub(super) const TOKEN: &str = "XTASK_EXEC";
/// Stands for limits beyond what a clock can hold.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// How often a silent stream is doubted.
const DOUBT: Duration = Duration::from_secs(5);

type Frames = Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>;
type Stdin = Pin<Box<dyn AsyncWrite + Send>>;

/// Starts a command in the container with this id, which people know by this name. Its output comes through a pipe where the
/// command can write into one and the container has any that work.
pub(super) fn start(
    engine: &Arc<Engine>,
    container: &str,
    name: &str,
    exec: &Exec,
    pipes: Option<&Pipes>,
) -> Result<Running> {
    let pipes = pipes.filter(|_| exec.sink.is_some());
    match pipes.filter(|pipes| engine.pipes_work(|| pipe::works(engine, container, name, pipes))) {
        Some(pipes) => start_into(engine, container, name, exec, pipes.open()?),
        None => run(engine, container, name, exec, None),
    }
}

/// Starts a command that writes its output into this pipe.
pub(super) fn start_into(
    engine: &Arc<Engine>,
    container: &str,
    name: &str,
    exec: &Exec,
    pipe: Pipe,
) -> Result<Running> {
    let Some(sink) = &exec.sink else { return run(engine, container, name, exec, None) };
    let told = exec.clone().arg(format!("{}{}", sink.prefix, pipe.inside)).args(&sink.with);
    run(engine, container, name, &told, Some(pipe))
}

fn run(engine: &Arc<Engine>, container: &str, name: &str, exec: &Exec, pipe: Option<Pipe>) -> Result<Running> {
    let docker = engine.client()?;
    let token: String = std::iter::repeat_with(fastrand::alphanumeric).take(24).collect();
    let begun = Instant::now();
    let deadline = begun.checked_add(exec.timeout).unwrap_or(begun + FOREVER);
    let config = config(exec, &token)?;
    let what = format!("start {} in {name}", exec.program_name());
    let (id, frames, stdin) = engine.run(open(&docker, container, config, &what))?;

    let (ended, end) = watch::channel(None);
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let heard = Arc::new(Mutex::new(Heard::default()));
    let kill = Arc::new(Notify::new());
    engine.streams.watch(container, &kill);
    let child = Child {
        docker,
        container: container.to_owned(),
        name: name.to_owned(),
        exec: id,
        user: exec.user.clone(),
        token,
    };

    let (feed, feeder) = match exec.input {
        Input::Closed => (None, None),
        Input::Stream => {
            let (chunks, source) = mpsc::channel(CHUNKS);
            (Some(Box::new(Feed(chunks)) as _), Some(engine.spawn(pour(source, stdin))))
        }
    };
    let (reader, keeper) = pipe.map(|pipe| (pipe.reader, pipe.keeper)).unzip();
    let pump = Pump {
        keeper,
        frames,
        sender,
        heard: heard.clone(),
        kill: kill.clone(),
        child: child.clone(),
        deadline,
        timeout: exec.timeout,
    };
    engine.spawn(async move { pump.run(feeder, ended).await });

    let stdout: Box<dyn std::io::Read + Send> = match reader {
        Some(reader) => Box::new(PipeOutput { engine: engine.clone(), reader, end: end.clone() }),
        None => Box::new(Output { chunks: receiver, end: end.clone(), current: None, read: 0 }),
    };
    let control = ExecControl::new(engine.clone(), child, exec.program_name(), end, heard, kill, deadline);
    Ok(Running { stdin: feed, stdout, control: Box::new(control) })
}

fn config(exec: &Exec, token: &str) -> Result<ExecConfig> {
    let Program::Site(program) = &exec.program else {
        let message = format!("`{}` is a tool for plain files and cannot run in a container", exec.command_line());
        return Err(Refusal::new(
            RefusalKind::Configuration,
            message,
            "use an engine that brings its own server image",
        )
        .into());
    };
    let mut env = vec![format!("{TOKEN}={token}")];
    for (key, value) in
        exec.env.iter().map(|(k, v)| (k, v.as_str())).chain(exec.secret_env.iter().map(|(k, v)| (k, v.expose())))
    {
        // Checked here because the engine would repeat a malformed line, secret and all, in its error.
        anyhow::ensure!(
            !key.is_empty() && !key.contains(['=', '\0']) && !value.contains('\0'),
            "malformed environment variable `{key}`"
        );
        env.push(format!("{key}={value}"));
    }
    Ok(ExecConfig {
        attach_stdin: Some(exec.input == Input::Stream),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(false),
        env: Some(env),
        cmd: Some(std::iter::once(program).chain(&exec.args).cloned().collect()),
        user: exec.user.clone(),
        ..Default::default()
    })
}

async fn open(docker: &Docker, container: &str, config: ExecConfig, what: &str) -> Result<(String, Frames, Stdin)> {
    let id = within(fault::LOOK, what, docker.create_exec(container, config)).await?.id;
    let options = StartExecOptions { detach: false, tty: false, output_capacity: Some(CHUNK) };
    match within(fault::LOOK, what, docker.start_exec(&id, Some(options))).await? {
        StartExecResults::Attached { output, input } => Ok((id, output, input)),
        StartExecResults::Detached => anyhow::bail!("{what}: the engine did not attach"),
    }
}

/// Only `shutdown` closes the command's input: dropping our half does not.
async fn pour(mut source: mpsc::Receiver<Vec<u8>>, mut stdin: Stdin) {
    while let Some(chunk) = source.recv().await {
        if stdin.write_all(&chunk).await.is_err() {
            return;
        }
    }
    stdin.shutdown().await.ok();
}

struct Pump {
    /// Held until the command is over: a producer may open its pipe late, and a pipe without a writer has ended.
    keeper: Option<Keeper>,
    frames: Frames,
    sender: mpsc::Sender<LogOutput>,
    heard: Arc<Mutex<Heard>>,
    kill: Arc<Notify>,
    child: Child,
    deadline: Instant,
    timeout: Duration,
}

impl Pump {
    async fn run(mut self, feeder: Option<AbortHandle>, ended: watch::Sender<Option<End>>) {
        let mut end = self.drain().await;
        // A command that is gone reads nothing: without this a writer would wait for it for ever.
        if let Some(feeder) = feeder {
            feeder.abort();
        }
        if let End::TimedOut(_) | End::Broken(_) = end {
            // Drained meanwhile: the engine calls a command ended only when its output is.
            let killed = tokio::select! { killed = control::kill(&self.child) => killed, never = discard(&mut self.frames) => never };
            if let (Err(error), End::TimedOut(refusal)) = (killed, &mut end) {
                refusal.message.push_str(&format!(", or should have been, but: {error:#}"));
            }
        }
        drop(self.keeper.take()); // before the end is known: whoever finds the pipe open after that knows why
        ended.send_replace(Some(end)); // before the channel closes: the reader asks for it then
    }

    async fn drain(&mut self) -> End {
        let deadline = tokio::time::sleep_until(self.deadline);
        tokio::pin!(deadline);
        let mut doubt = tokio::time::interval(DOUBT);
        doubt.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut quiet, mut over, mut killed) = (0, 0, false);
        loop {
            let frame = tokio::select! { biased;
                () = self.kill.notified() => { killed = true; continue }
                () = &mut deadline => return self.timed_out(),
                frame = self.frames.next() => frame,
                _ = doubt.tick() => {
                    quiet += 1;
                    // An ended command whose output stays open: something it started holds it. Never call that a clean end.
                    if quiet > 1 && !control::is_running(&self.child).await { over += 1 }
                    if over > 2 { return End::Broken(format!("{} ended but its output stayed open", self.child.name)) }
                    continue;
                }
            };
            (quiet, over) = (0, 0);
            let frame = match frame {
                None if killed => return End::Killed,
                None => return End::Eof,
                // The client that goes away early spoils the exit status, so the output of a killed command is drained.
                Some(Ok(_)) if killed => continue,
                Some(Err(error)) => return End::Broken(format!("the output stream broke: {error}")),
                Some(Ok(LogOutput::Console { .. })) => {
                    return End::Broken("the output stream was cut inside a frame".to_owned());
                }
                Some(Ok(LogOutput::StdErr { message })) => {
                    self.heard.lock().unwrap_or_else(PoisonError::into_inner).error(&message);
                    continue;
                }
                Some(Ok(frame)) => frame,
            };
            self.heard.lock().unwrap_or_else(PoisonError::into_inner).output(frame.as_ref());
            tokio::select! { biased;
                () = self.kill.notified() => killed = true,
                () = &mut deadline => return self.timed_out(),
                // Nobody listens any more: the command may still end in its own way, so its output is drained.
                _ = self.sender.send(frame) => {}
            }
        }
    }

    fn timed_out(&self) -> End {
        let message = format!(
            "a command in {} took longer than {} s and was killed",
            self.child.name,
            self.timeout.as_secs_f64()
        );
        End::TimedOut(Refusal::new(
            RefusalKind::Timeout,
            message,
            "look at the server's log; a larger store needs a larger time limit",
        ))
    }
}

/// Reads on, for nothing, until the stream ends; then waits for ever.
async fn discard<T>(frames: &mut Frames) -> T {
    while frames.next().await.is_some_and(|frame| frame.is_ok()) {}
    std::future::pending().await
}

/// Starts a short command of our own and does not wait for it.
pub(super) async fn run_detached(docker: &Docker, container: &str, config: ExecConfig, what: &str) -> Result<()> {
    let id = within(fault::LOOK, what, docker.create_exec(container, config)).await?.id;
    let options = StartExecOptions { detach: true, tty: false, output_capacity: None };
    within(fault::LOOK, what, docker.start_exec(&id, Some(options))).await.context("start it detached")?;
    Ok(())
}

#[cfg(test)]
mod tests;
