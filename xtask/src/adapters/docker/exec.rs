//! Starts a command in one of our containers: its environment, its streams, its control.
//! It must not know what the container is for, nor how the streams flow.

use super::channel::{CHUNK, CHUNKS, Feed, Output};
use super::control::{Child, ExecControl};
use super::engine::Engine;
use super::fault::{self, within};
use super::heard::Heard;
use super::pipe::{self, Pipe, PipeFeed, PipeOutput, Pipes, Side};
use super::pump::{Frames, Pump, Stdin, pour};
use super::trailer::{self, PIPE, TOKEN, Trailer};
use crate::domain::exec::{Bulk, Exec, Input, Program};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::ports::Running;
use anyhow::{Context, Result};
use bollard::Docker;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

/// Stands for limits beyond what a clock can hold.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Starts a command in the container with this id, which people know by this name. A whole store goes through a named pipe
/// where the container has any that work.
pub(super) fn start(
    engine: &Arc<Engine>,
    container: &str,
    name: &str,
    exec: &Exec,
    pipes: Option<&Pipes>,
) -> Result<Running> {
    let pipe = match (exec.bulk, pipes) {
        (Some(bulk), Some(pipes)) if engine.pipes_work(|| pipe::works(engine, container, name, pipes)) => {
            Some(pipes.open(bulk)?)
        }
        _ => None,
    };
    start_with(engine, container, name, exec, pipe)
}

/// Starts a command, one of whose streams may go through this pipe.
pub(super) fn start_with(
    engine: &Arc<Engine>,
    container: &str,
    name: &str,
    exec: &Exec,
    pipe: Option<Pipe>,
) -> Result<Running> {
    let docker = engine.client()?;
    let token: String = std::iter::repeat_with(fastrand::alphanumeric).take(24).collect();
    let begun = Instant::now();
    let deadline = begun.checked_add(exec.timeout).unwrap_or(begun + FOREVER);
    let config = config(exec, &token, pipe.as_ref())?;
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
        program: exec.program_name().to_owned(),
        exec: id,
        user: exec.user.clone(),
        token,
    };

    let (mut stdout, mut keeper, mut feed, mut source) = (None::<Box<dyn Read + Send>>, None, None, None);
    match (pipe.map(|pipe| pipe.side), exec.input) {
        (Some(Side::Read(reader, held)), _) => {
            stdout = Some(Box::new(PipeOutput { engine: engine.clone(), reader, end: end.clone() }));
            keeper = Some(held);
        }
        (Some(Side::Write(path)), _) => {
            feed = Some(Box::new(PipeFeed::new(path, end.clone())) as Box<dyn Write + Send>)
        }
        (None, Input::Closed) => {}
        (None, Input::Stream) => {
            let (chunks, from) = mpsc::channel(CHUNKS);
            (feed, source) = (Some(Box::new(Feed(chunks)) as _), Some(from));
        }
    }
    let read_to_end = Arc::new(Notify::new());
    let pouring = engine.spawn(pour(source, stdin, read_to_end.clone()));
    let pump = Pump {
        keeper,
        frames,
        sender,
        trailer: Trailer::of(&child.token),
        read_to_end,
        heard: heard.clone(),
        kill: kill.clone(),
        child: child.clone(),
        deadline,
        timeout: exec.timeout,
    };
    engine.spawn(async move { pump.run(pouring, ended).await });

    let stdout =
        stdout.unwrap_or_else(|| Box::new(Output { chunks: receiver, end: end.clone(), current: None, read: 0 }));
    let control = ExecControl::new(engine.clone(), child, exec.program_name(), end, heard, kill, deadline);
    Ok(Running { stdin: feed, stdout, control: Box::new(control) })
}

fn config(exec: &Exec, token: &str, pipe: Option<&Pipe>) -> Result<ExecConfig> {
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
    env.extend(pipe.map(|pipe| format!("{PIPE}={}", pipe.inside)));
    let piped = pipe.map(|pipe| match pipe.side {
        Side::Read(..) => Bulk::Output,
        Side::Write(_) => Bulk::Input,
    });
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
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(false),
        env: Some(env),
        cmd: Some(trailer::wrapped(exec.input, piped, std::iter::once(program).chain(&exec.args))),
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

/// Starts a short command of our own and does not wait for it.
pub(super) async fn run_detached(docker: &Docker, container: &str, config: ExecConfig, what: &str) -> Result<()> {
    let id = within(fault::LOOK, what, docker.create_exec(container, config)).await?.id;
    let options = StartExecOptions { detach: true, tty: false, output_capacity: None };
    within(fault::LOOK, what, docker.start_exec(&id, Some(options))).await.context("start it detached")?;
    Ok(())
}
