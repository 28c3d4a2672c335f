//! Children on this host: argument lists only, never a shell; every one bounded in time and killed with what it started.
//! It must not know what the commands mean.
#![expect(clippy::disallowed_methods, reason = "this adapter starts the host's children")]

mod child;
mod tail;

pub(crate) use child::{Child, start};

use crate::domain::exec::{Exec, Exit, Program};
use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::Command;

/// The variables that a child with a clean environment still gets from ours.
const KEPT: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// What a child inherits of this process's environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// `PATH`, `HOME`, `LANG` and `TZ`.
    Clean,
    /// Everything, for programs that are configured by it (`docker`, package clients behind a proxy).
    Inherited,
}

/// The end of a command together with what it printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// Its standard output.
    pub stdout: Vec<u8>,
}

/// The host command for an [`Exec`]; `own` is this binary. Secrets go into its environment and nowhere else.
pub(crate) fn command(exec: &Exec, own: &Path, folder: Option<&Path>, environment: Environment) -> Command {
    let mut command = match &exec.program {
        Program::Site(name) => Command::new(name),
        Program::Own => {
            let mut command = Command::new(own);
            command.arg("__tool");
            command
        }
    };
    command.args(&exec.args);
    if environment == Environment::Clean {
        command.env_clear();
        command.envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    }
    command.envs(exec.env.iter().map(|(k, v)| (k, v)));
    command.envs(exec.secret_env.iter().map(|(k, v)| (k, v.expose())));
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    command
}

/// Runs a host program to its end, writing `input` to it and keeping at most `most` bytes of what it prints.
/// Its exit status is in the answer, for the caller to judge.
///
/// # Errors
/// When it cannot be started, prints more than `most` bytes, or takes longer than the `Exec` allows (`Refusal` `Timeout`).
pub fn run(exec: &Exec, folder: Option<&Path>, environment: Environment, input: &[u8], most: usize) -> Result<Output> {
    ensure!(exec.program != Program::Own, "{}: own tools run at sites", exec.command_line());
    let doing = || format!("run {}", exec.command_line());
    let started =
        start(command(exec, Path::new(""), folder, environment), exec.program_name(), exec.input, exec.timeout);
    let (mut running, _) = started.with_context(doing)?;
    let mut stdout = Vec::new();
    let read = std::thread::scope(|scope| {
        let stdin = running.stdin.take();
        let fed = scope.spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(input)));
        let read = (&mut running.stdout).take(most as u64 + 1).read_to_end(&mut stdout).context("read its output");
        if stdout.len() > most {
            running.control.kill()?;
        }
        match fed.join() {
            // A child may end without having read everything; its exit status tells what that means.
            Ok(Err(e)) if e.kind() != ErrorKind::BrokenPipe => Err(e).context("write its input"),
            _ => read,
        }
    });
    let exit = running.control.wait().with_context(doing)?;
    read.with_context(doing)?;
    ensure!(stdout.len() <= most, "run {}: it printed more than {most} bytes", exec.command_line());
    Ok(Output { exit, stdout })
}

/// Asks a program something that it answers at once (`docker compose version`) and returns the trimmed answer.
///
/// # Errors
/// When it is not there, or exits with another status than 0.
pub fn ask(program: &str, args: &[impl AsRef<OsStr>]) -> Result<String> {
    let shell = xshell::Shell::new()?;
    Ok(shell.cmd(program).args(args).quiet().ignore_stderr().read()?)
}

#[cfg(test)]
mod tests;
