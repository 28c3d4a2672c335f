//! A conversation with a command that stays open: lines in, lines out. Used to hold a snapshot and to write marks.

use crate::domain::engine::Engine;
use crate::domain::exec::{Exec, Exit};
use crate::flow::child::failure;
use crate::ports::{Control, Site};
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An open conversation. Dropping it kills the command.
pub struct Session {
    exec: Exec,
    stdin: Option<Box<dyn Write + Send>>,
    stdout: BufReader<Box<dyn Read + Send>>,
    control: Stopper,
}

/// Ends a command from another thread: whoever waits for its output is told at once.
#[derive(Clone)]
pub struct Stopper(Arc<Mutex<Box<dyn Control>>>);

impl Stopper {
    /// Power over this command, shared.
    pub fn of(control: Box<dyn Control>) -> Self {
        Self(Arc::new(Mutex::new(control)))
    }

    /// Waits for the command's end.
    pub fn wait(&self) -> Result<Exit> {
        lock(&self.0).wait()
    }

    /// Kills the command.
    pub fn stop(&self) {
        // What cannot be killed ends at its own time limit.
        let _ = lock(&self.0).kill();
    }
}

fn lock(control: &Mutex<Box<dyn Control>>) -> MutexGuard<'_, Box<dyn Control>> {
    control.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// Starts the command.
    pub fn open(site: &dyn Site, exec: &Exec) -> Result<Self> {
        let exec = exec.clone().reads_stdin();
        let child = site.start(&exec).with_context(|| exec.program_name().to_owned())?;
        let control = Stopper::of(child.control);
        Ok(Self { exec, stdin: child.stdin, stdout: BufReader::new(child.stdout), control })
    }

    /// Whoever may end it early.
    pub fn stopper(&self) -> Stopper {
        self.control.clone()
    }

    /// Writes text and flushes it.
    pub fn send(&mut self, engine: &dyn Engine, text: &str) -> Result<()> {
        let written = match self.stdin.as_mut() {
            Some(stdin) => stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        };
        written.map_err(|error| self.ended(engine, anyhow::Error::new(error)))
    }

    /// The next line, without its end; an end of output is an error that says why the command ended.
    pub fn line(&mut self, engine: &dyn Engine) -> Result<String> {
        let mut line = String::new();
        match self.stdout.read_line(&mut line) {
            Ok(n) if n > 0 && line.ends_with('\n') => Ok(line.trim_end_matches(['\n', '\r']).to_owned()),
            Ok(_) => Err(self.ended(engine, anyhow::anyhow!("{} ended in the middle", self.exec.program_name()))),
            Err(error) => Err(self.ended(engine, error.into())),
        }
    }

    /// All lines up to one that `last` recognises; the lines before it, and that line.
    pub fn until(&mut self, engine: &dyn Engine, last: impl Fn(&str) -> bool) -> Result<(String, String)> {
        let mut text = String::new();
        loop {
            let line = self.line(engine)?;
            if last(&line) {
                return Ok((text, line));
            }
            text.push_str(&line);
            text.push('\n');
        }
    }

    /// Ends the input, reads to the end and checks the exit status.
    pub fn close(mut self, engine: &dyn Engine) -> Result<()> {
        self.stdin = None;
        std::io::copy(&mut self.stdout, &mut std::io::sink())?;
        let exit = self.control.wait().with_context(|| self.exec.program_name().to_owned())?;
        if exit.ok() { Ok(()) } else { Err(failure(engine, &self.exec, &exit)) }
    }

    /// Why the command ended early: its own exit status says more than a broken pipe.
    fn ended(&mut self, engine: &dyn Engine, otherwise: anyhow::Error) -> anyhow::Error {
        self.stdin = None;
        let ended = self.control.wait();
        match ended {
            Ok(exit) if !exit.ok() => failure(engine, &self.exec, &exit),
            Ok(_) => otherwise,
            Err(error) => error.context(self.exec.program_name().to_owned()),
        }
    }
}
