//! Starts a developer's tools (cargo and its companions): output forwarded as it comes, its end kept, a deadline.
//! It must not know which tools these are, nor what their output means. Commands of sites start elsewhere.
#![expect(clippy::disallowed_methods, reason = "this adapter starts the tools of `cargo xtask ci` and bounds them")]

use crate::domain::exec::{Exec, Program};
use anyhow::{Context, Result, bail};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How many of the last lines of output are kept.
const KEPT_LINES: usize = 400;

/// How often the deadline and the child's end are looked at while no output comes.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long output may still come after the child's end: a process it left behind may hold its pipes open for ever.
const DRAIN_FOR: Duration = Duration::from_secs(2);

/// How long a child that was asked to end may take: the test runner gives its tests ten seconds.
#[cfg(unix)]
const GRACE: Duration = Duration::from_secs(12);

/// Who sees the output while the tool runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// The user; the last lines are kept as well.
    Shown,
    /// Nobody; the last lines are kept.
    Kept,
}

/// How a tool ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The exit status; a death by signal is 128 + its number.
    pub code: i32,
    /// The last lines of both outputs, as they came.
    pub lines: Vec<String>,
}

enum Line {
    Out(String),
    Err(String),
}

/// Runs one tool in `folder` to its end.
///
/// # Errors
/// The tool cannot be started, or does not end within the `Exec`'s timeout (it is killed then).
pub fn run(exec: &Exec, folder: &Path, output: Output) -> Result<Ended> {
    let Program::Site(program) = &exec.program else {
        bail!("run {}: only programs on the PATH run here", exec.command_line());
    };
    let mut command = Command::new(program);
    command.args(&exec.args).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.envs(exec.env.iter().map(|(k, v)| (k, v)));
    // Forwarding goes through pipes, and tools drop their colours when they see one.
    if output == Output::Shown && std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut child = command.spawn().with_context(|| format!("start {program}"))?;
    let (sender, lines) = channel();
    if let Some(out) = child.stdout.take() {
        read_lines(out, sender.clone(), Line::Out);
    }
    if let Some(err) = child.stderr.take() {
        read_lines(err, sender.clone(), Line::Err);
    }
    drop(sender);
    let ended = attend(&mut child, &lines, exec.timeout, output);
    if ended.is_err() {
        end(&mut child);
    }
    ended.with_context(|| format!("run {program}"))
}

fn read_lines(from: impl Read + Send + 'static, to: Sender<Line>, kind: fn(String) -> Line) {
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while matches!(from.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
            line.clear();
            if to.send(kind(text)).is_err() {
                break;
            }
        }
    });
}

fn attend(child: &mut Child, lines: &Receiver<Line>, timeout: Duration, output: Output) -> Result<Ended> {
    let begun = Instant::now();
    let mut kept = VecDeque::new();
    let mut over: Option<(i32, Instant)> = None;
    let code = loop {
        match (lines.recv_timeout(LOOK_EVERY), over) {
            (Ok(line), _) => keep(&mut kept, line, output)?,
            (Err(RecvTimeoutError::Disconnected), Some((code, _))) => break code,
            (Err(RecvTimeoutError::Timeout), Some((code, at))) if at.elapsed() > DRAIN_FOR => break code,
            (Err(RecvTimeoutError::Timeout), _) => {}
            // Both outputs are closed; a child may live on a little without them.
            (Err(RecvTimeoutError::Disconnected), None) => std::thread::sleep(LOOK_EVERY),
        }
        if over.is_none() {
            over = child.try_wait().context("wait for it")?.map(|status| (status_code(status), Instant::now()));
        }
        if begun.elapsed() > timeout {
            bail!("no end after {} s", timeout.as_secs_f32());
        }
    };
    Ok(Ended { code, lines: kept.into() })
}

/// Ends a child that should not go on: asked first, because a test runner then ends its tests as well, and killed after that.
/// What fails here is not told: the error that led here says more.
fn end(child: &mut Child) {
    let begun = Instant::now();
    #[cfg(unix)]
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        while begun.elapsed() < GRACE && matches!(child.try_wait(), Ok(None)) {
            std::thread::sleep(LOOK_EVERY);
        }
    }
    drop(child.kill());
    drop(child.wait());
}

fn keep(kept: &mut VecDeque<String>, line: Line, output: Output) -> Result<()> {
    if output == Output::Shown {
        match &line {
            Line::Out(text) => writeln!(std::io::stdout(), "{text}").context("write standard output")?,
            Line::Err(text) => writeln!(std::io::stderr(), "{text}").context("write standard error")?,
        }
    }
    if kept.len() == KEPT_LINES {
        kept.pop_front();
    }
    let (Line::Out(text) | Line::Err(text)) = line;
    kept.push_back(text);
    Ok(())
}

#[cfg(unix)]
fn status_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

#[cfg(not(unix))]
fn status_code(status: std::process::ExitStatus) -> i32 {
    status.code().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(program: &str, args: &[&str]) -> Exec {
        Exec::site(program).args(args.iter().copied())
    }

    #[test]
    fn the_exit_status_and_both_outputs_are_kept() {
        let ended = run(&here("sh", &["-c", "echo out; echo err >&2; exit 7"]), Path::new("."), Output::Kept).unwrap();
        assert_eq!(ended.code, 7);
        let mut lines = ended.lines;
        lines.sort();
        assert_eq!(lines, ["err", "out"]);
    }

    #[test]
    fn a_death_by_signal_is_not_success() {
        let ended = run(&here("sh", &["-c", "kill -9 $$"]), Path::new("."), Output::Kept).unwrap();
        assert_eq!(ended.code, 137);
    }

    #[test]
    fn a_tool_that_does_not_end_is_killed_and_an_error() {
        let exec = here("sleep", &["600"]).timeout(Duration::from_millis(200));
        let error = run(&exec, Path::new("."), Output::Kept).unwrap_err();
        assert!(format!("{error:#}").contains("no end after"), "{error:#}");
    }

    #[test]
    fn a_tool_that_does_not_end_is_asked_before_it_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap 'echo asked >asked; exit' TERM; while :; do sleep 0.05; done";
        let exec = here("sh", &["-c", script]).timeout(Duration::from_millis(300));
        run(&exec, folder.path(), Output::Kept).unwrap_err();
        assert!(folder.path().join("asked").is_file());
    }

    #[test]
    fn output_that_a_tool_leaves_behind_does_not_hold_us() {
        let exec = here("sh", &["-c", "sleep 4 & echo done"]).timeout(Duration::from_secs(30));
        assert_eq!(run(&exec, Path::new("."), Output::Kept).unwrap().lines, ["done"]);
    }

    #[test]
    fn a_tool_that_is_not_there_is_an_error() {
        let error = run(&here("no-such-program-here", &[]), Path::new("."), Output::Kept).unwrap_err();
        assert!(format!("{error:#}").contains("start no-such-program-here"), "{error:#}");
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let exec = here("seq", &["1000"]);
        let ended = run(&exec, Path::new("."), Output::Kept).unwrap();
        assert_eq!(ended.lines.len(), KEPT_LINES);
        assert_eq!(ended.lines.last().map(String::as_str), Some("1000"));
    }
}
