//! Private folders and children of one run, kept in mind so that they can all be removed at any moment, and recognised by a later
//! run's sweep when this one was killed. It must not know what is done in them.

use crate::adapters::data_tool::unlock;
use crate::adapters::owner::{Life, OWNER, Owner};
use crate::adapters::processes::Child;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::ports::Swept;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// What every private folder's name begins with.
const PREFIX: &str = "xtask-";
/// How often a folder is removed again in which something appeared while it was removed.
const ATTEMPTS: usize = 100;

/// Everything that this run has on this host.
pub(super) struct Run {
    id: String,
    pub(super) own: PathBuf,
    base: PathBuf,
    abandoned: AtomicBool,
    homes: Mutex<BTreeSet<PathBuf>>,
    children: Mutex<Vec<Weak<Child>>>,
}

impl Run {
    pub(super) fn new(id: &str, own: PathBuf, base: PathBuf) -> Self {
        let (abandoned, homes, children) = Default::default();
        Self { id: id.to_owned(), own, base, abandoned, homes, children }
    }

    /// Makes a private folder with `data` and `scratch` in it.
    pub(super) fn make(&self, purpose: &str) -> Result<PathBuf> {
        let prefix = format!("{PREFIX}{}-{purpose}-", self.id);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        ensure!(prefix.chars().all(plain), "`{prefix}` cannot begin a folder's name");
        self.check()?;
        let doing = || "make a private folder".to_owned();
        let home = loop {
            let mut builder = tempfile::Builder::new();
            builder.prefix(&prefix).permissions(Permissions::from_mode(0o700));
            let home = builder.tempdir_in(&self.base).map_err(|e| self.base_refused(&e)).with_context(doing)?.keep();
            lock(&self.homes).insert(home.clone());
            match furnish(&home) {
                Ok(()) => break home,
                Err(e) => {
                    self.remove(&home)?;
                    // Another run's sweep may have made the folder its own before its owner was written.
                    if !failed_as(&e, ErrorKind::NotFound) && !failed_as(&e, ErrorKind::AlreadyExists) {
                        return Err(e).with_context(doing);
                    }
                }
            }
        };
        if let Err(e) = self.check() {
            self.remove(&home)?;
            return Err(e);
        }
        Ok(home)
    }

    fn base_refused(&self, why: &io::Error) -> Refusal {
        let message = format!("the temporary folder {}: {why}", self.base.display());
        Refusal::new(
            RefusalKind::Storage,
            message,
            "set TMPDIR to a folder with room where this user may read and write",
        )
    }

    /// Removes a private folder of this run; fine when it is gone.
    pub(super) fn remove(&self, home: &Path) -> Result<()> {
        demolish(home).with_context(|| format!("remove {}", home.display()))?;
        lock(&self.homes).remove(home);
        Ok(())
    }

    /// Keeps a child in mind; when the run was abandoned meanwhile, the child is killed at once.
    pub(super) fn adopt(&self, child: &Arc<Child>) -> Result<()> {
        let mut children = lock(&self.children);
        children.retain(|c| c.upgrade().is_some_and(|c| !c.is_over()));
        children.push(Arc::downgrade(child));
        drop(children);
        self.check().inspect_err(|_| drop(child.kill()))
    }

    /// Fails when the run was abandoned.
    pub(super) fn check(&self) -> Result<()> {
        if self.abandoned.load(Ordering::SeqCst) { bail!("the run was abandoned") } else { Ok(()) }
    }

    /// Kills every child and removes every folder of this run, and lets no new ones be made.
    pub(super) fn abandon(&self) -> Result<()> {
        self.abandoned.store(true, Ordering::SeqCst);
        let children: Vec<_> = lock(&self.children).drain(..).collect();
        let homes = lock(&self.homes).clone();
        let killed: Vec<_> = children.iter().filter_map(Weak::upgrade).map(|c| c.kill()).collect();
        let removed: Vec<_> = homes.iter().map(|home| self.remove(home)).collect();
        killed.into_iter().chain(removed).collect()
    }

    /// Removes the folders of dead runs.
    pub(super) fn sweep(&self) -> Result<Swept> {
        let mut swept = Swept::default();
        let doing = || "sweep".to_owned();
        let user = rustix::process::geteuid().as_raw();
        for entry in fs::read_dir(&self.base).map_err(|e| self.base_refused(&e)).with_context(doing)? {
            let path = entry.with_context(doing)?.path();
            let named = path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(PREFIX));
            // Somebody else's folder, a link, or one that went away meanwhile: none of our business.
            let Ok(found) = fs::symlink_metadata(&path) else { continue };
            if !named || !found.is_dir() || found.uid() != user || found.mode() & 0o077 != 0 {
                continue;
            }
            let name = path.display().to_string();
            let sweeping = || format!("sweep {name}");
            let remove = match fate(&path).with_context(doing)? {
                Fate::Gone => continue,
                Fate::Dead => Some(path),
                Fate::Kept => None,
                Fate::Unowned => match claim(&path) {
                    Err(e) if failed_as(&e, ErrorKind::NotFound) => continue,
                    Err(e) if failed_as(&e, ErrorKind::AlreadyExists) => None,
                    claimed => Some(claimed.with_context(sweeping)?),
                },
            };
            if let Some(path) = remove {
                demolish(&path).with_context(sweeping)?;
                swept.removed.push(name);
            } else {
                swept.kept.push(name);
            }
        }
        swept.removed.sort();
        swept.kept.sort();
        Ok(swept)
    }
}

fn furnish(home: &Path) -> Result<()> {
    sign(home)?;
    for name in ["data", "scratch"] {
        DirBuilder::new().mode(0o700).create(home.join(name))?;
    }
    Ok(())
}

/// Makes this process the owner of a folder that has none; fails with `AlreadyExists` when it has one. The name appears whole and
/// once only, so that of a run that furnishes the folder and a sweep that would remove it just one goes on.
fn sign(home: &Path) -> Result<()> {
    let note = Owner::this_process()?.note();
    let mut draft = tempfile::Builder::new().prefix(OWNER).tempfile_in(home)?;
    draft.write_all(note.as_bytes())?;
    Ok(fs::hard_link(draft.path(), home.join(OWNER))?)
}

/// Takes a folder without an owner away from whoever may be about to furnish it: under its new name nobody else looks for it, and
/// another sweep knows it still. Fails with `AlreadyExists` when it was furnished meanwhile, with `NotFound` when it is gone.
fn claim(home: &Path) -> Result<PathBuf> {
    sign(home)?;
    let name = home.file_name().unwrap_or_default().to_string_lossy();
    let ours = home.with_file_name(format!("{PREFIX}swept-{}", name.trim_start_matches(PREFIX)));
    fs::rename(home, &ours)?;
    Ok(ours)
}

/// What a sweep makes of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Somebody removed it meanwhile.
    Gone,
    /// Its owner lives, or it is not ours at all: its owner cannot be read, but it holds things.
    Kept,
    /// Its owner is dead.
    Dead,
    /// It holds nothing yet: left behind before its owner could be written, or just being made.
    Unowned,
}

fn fate(home: &Path) -> Result<Fate> {
    let note = fs::read_to_string(home.join(OWNER));
    if let Ok(owner) = Owner::from_note(note.as_deref().unwrap_or_default()) {
        return Ok(if owner.life()? == Life::Dead { Fate::Dead } else { Fate::Kept });
    }
    let entries = match fs::read_dir(home) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Fate::Gone),
        entries => entries?,
    };
    for entry in entries {
        if !entry?.file_name().as_encoded_bytes().starts_with(OWNER.as_bytes()) {
            return Ok(Fate::Kept);
        }
    }
    // A name that cannot be read is of an older make, which wrote it bit by bit, and of a run that died at it.
    Ok(if note.is_ok() { Fate::Dead } else { Fate::Unowned })
}

/// Removes a private folder, its owner's name last, so that whatever interrupts this, a sweep still knows it. A run and a sweep may
/// both be at it, and one may put its name into the folder while the other removes what is in there.
fn demolish(home: &Path) -> io::Result<()> {
    let mut last = Ok(());
    for _ in 0..ATTEMPTS {
        last = demolish_once(home);
        if !last.as_ref().is_err_and(|e| e.kind() == ErrorKind::DirectoryNotEmpty) {
            break;
        }
    }
    last
}

fn demolish_once(home: &Path) -> io::Result<()> {
    for name in ["data", "scratch"] {
        let path = home.join(name);
        if let Err(e) = gone(fs::remove_dir_all(&path)) {
            // A restored tree may hold folders that even their owner may not change.
            if e.kind() == ErrorKind::PermissionDenied {
                gone(unlock(&path))?;
            }
            gone(fs::remove_dir_all(&path))?;
        }
    }
    gone(fs::remove_dir_all(home))
}

fn failed_as(error: &anyhow::Error, kind: ErrorKind) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == kind)
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
