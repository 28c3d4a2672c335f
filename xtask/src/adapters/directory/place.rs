//! One directory site, made or attached to. It must not know how private folders are recognised after their run has died.

use super::home::{Run, lock};
use crate::adapters::processes::{self, Child, Environment};
use crate::domain::exec::Exec;
use crate::domain::site::{Capabilities, SiteIdentity};
use crate::ports::{OwnedSite, Running, Site};
use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A folder where commands run, with a private folder beside it.
pub(super) struct Place {
    run: Arc<Run>,
    /// The private folder.
    home: PathBuf,
    /// Where commands run: the private folder's `data`, or somebody's.
    folder: PathBuf,
    children: Mutex<Vec<Arc<Child>>>,
    closed: AtomicBool,
}

impl Place {
    /// A private folder.
    pub(super) fn open(run: &Arc<Run>, purpose: &str) -> Result<Self> {
        let home = run.make(purpose)?;
        Ok(Self::at(run, home.join("data"), home))
    }

    /// Somebody's folder.
    pub(super) fn attach(run: &Arc<Run>, folder: PathBuf) -> Result<Self> {
        Ok(Self::at(run, folder, run.make("attached")?))
    }

    fn at(run: &Arc<Run>, folder: PathBuf, home: PathBuf) -> Self {
        Self { run: Arc::clone(run), home, folder, children: Mutex::default(), closed: AtomicBool::new(false) }
    }

    /// Kills every child that was started here and still runs.
    fn kill_children(&self) -> Result<()> {
        let children: Vec<_> = lock(&self.children).drain(..).collect();
        // Every one, whatever becomes of the others.
        children.iter().map(|child| child.kill()).fold(Ok(()), Result::and)
    }

    /// Kills the children and removes the private folder; an attached folder is nobody's to remove.
    fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::SeqCst);
        let killed = self.kill_children();
        self.run.remove(&self.home).and(killed)
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.closed.load(Ordering::SeqCst), "the site {} was destroyed", self.home.display());
        self.run.check()
    }
}

impl Site for Place {
    fn identity(&self) -> SiteIdentity {
        SiteIdentity { name: self.folder.display().to_string(), kind: "directory".to_owned(), image: None }
    }

    fn start(&self, exec: &Exec) -> Result<Running> {
        self.check()?;
        if let Some(user) = &exec.user {
            bail!("{}: a directory site cannot run a command as user {user}", exec.command_line());
        }
        let command = processes::command(exec, &self.run.own, Some(&self.folder), Environment::Clean);
        let started = processes::start(command, exec.program_name(), exec.input, exec.timeout);
        let (running, child) = started.with_context(|| format!("at {}", self.folder.display()))?;
        self.run.adopt(&child)?;
        let mut children = lock(&self.children);
        children.retain(|c| !c.is_over());
        children.push(child);
        drop(children);
        // Destroyed meanwhile: the child is killed when `running` goes.
        self.check()?;
        Ok(running)
    }

    fn logs(&self, _lines: usize) -> Result<String> {
        Ok(String::new())
    }

    fn scratch(&self) -> String {
        self.home.join("scratch").display().to_string()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed now is removed by a sweep once this process has ended.
        let _ = self.close();
    }
}

/// A private folder, and the power to destroy it.
pub(super) struct OwnedPlace(Place);

impl OwnedPlace {
    pub(super) fn new(place: Place) -> Self {
        Self(place)
    }

    fn cannot(&self, what: &str) -> Result<()> {
        bail!("a directory site has no {what}: {}", self.0.folder.display())
    }
}

impl Site for OwnedPlace {
    fn identity(&self) -> SiteIdentity {
        self.0.identity()
    }

    fn start(&self, exec: &Exec) -> Result<Running> {
        self.0.start(exec)
    }

    fn logs(&self, lines: usize) -> Result<String> {
        self.0.logs(lines)
    }

    fn scratch(&self) -> String {
        self.0.scratch()
    }
}

impl OwnedSite for OwnedPlace {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn kill(&self) -> Result<()> {
        self.0.check()?;
        self.0.kill_children()
    }

    fn restart(&self) -> Result<()> {
        self.kill()?;
        self.cannot("server to restart")
    }

    fn pause(&self) -> Result<()> {
        self.cannot("server to pause")
    }

    fn resume(&self) -> Result<()> {
        self.cannot("server to resume")
    }

    fn disconnect(&self) -> Result<()> {
        self.cannot("network to be cut off from")
    }

    fn reconnect(&self) -> Result<()> {
        self.cannot("network to be connected to")
    }

    fn destroy(&self) -> Result<()> {
        self.0.close()
    }

    fn as_site(&self) -> &dyn Site {
        self
    }
}
