//! A vault: the folder where one stack's backup sets live. A set exists once its folder has its final name, which it gets by
//! one rename after everything in it was made durable and read back. It must not know how the data was produced.

use super::disk;
use super::lock::Lock;
use super::manifest::{self, Id};
pub use super::set::BackupSet;
use super::set::sound;
pub use super::staging::Staging;
use crate::domain::artifact::Manifest;
use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::{Context, Result, ensure};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Where a run collects its files before the commit.
const PARTIAL: &str = ".partial-";

/// The folder where one stack's backup sets live.
#[derive(Debug, Clone)]
pub struct Vault {
    folder: PathBuf,
}

/// One entry of a vault.
#[derive(Debug)]
pub struct Listed {
    /// The folder's name.
    pub id: String,
    /// Its manifest, or why it is damaged.
    pub manifest: std::result::Result<Manifest, String>,
}

impl Vault {
    /// The vault in this folder. Creates nothing.
    pub fn at(path: &Path) -> Self {
        Self { folder: path.to_owned() }
    }

    /// Begins a set: makes the vault (mode 0700) where it is missing, takes its lock, removes what dead runs left, and makes
    /// the staging folder of `run`. `wall` is the time in the set's id.
    ///
    /// # Errors
    /// `Refusal` of kind `Locked` (names the holder), `Preflight` (the vault is open to others, belongs to another stack, or
    /// its newest set is later than now) or `Storage`.
    pub fn begin(&self, stack: &str, run: &str, wall: jiff::Timestamp) -> Result<Staging> {
        ensure!(manifest::is_file_name(run), "`{run}` cannot be part of a folder's name");
        self.make()?;
        let lock = Lock::take(&self.folder, run, wall)?;
        let names = self.names()?;
        for stale in names.iter().filter(|n| n.starts_with(PARTIAL)) {
            disk::remove(&self.folder.join(stale))?;
        }
        let newest = names.iter().filter_map(|n| Id::parse(n)).max();
        let second = jiff::Timestamp::from_second(wall.as_second()).context("read the clock")?;
        if let Some(id) = newest.as_ref().filter(|id| id.time > second) {
            return Err(backwards(id, second).into());
        }
        if let Some(other) = self.list()?.iter().filter_map(|l| l.manifest.as_ref().ok()).find(|m| m.stack != stack) {
            return Err(foreign(&self.folder, stack, other).into());
        }
        let sequence = names.iter().filter_map(|n| Id::parse(n)).map(|id| id.sequence).max().unwrap_or(0) + 1;
        Staging::make(&self.folder, &format!("{PARTIAL}{run}"), &Id::new(second, sequence), stack, lock)
    }

    /// What the vault holds, oldest first. A folder that is not a sound set is listed as damaged. Sizes are checked, contents
    /// are not: see [`BackupSet::verify`]. A vault that is not there holds nothing.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage` when the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let mut names: Vec<String> = self.names()?.into_iter().filter(|n| !n.starts_with('.')).collect();
        names.sort_by_key(|name| (Id::parse(name), name.clone()));
        Ok(names.into_iter().map(|id| Listed { manifest: sound(&self.folder.join(&id), &id), id }).collect())
    }

    /// The set with this id, or the newest one (`latest`).
    ///
    /// # Errors
    /// `Refusal` of kind `NoBackup`; `Integrity` when that set is damaged (a damaged newest set is never passed over silently).
    pub fn find(&self, which: &str) -> Result<BackupSet> {
        let mut sets = self.list()?;
        let index = match which {
            "latest" => sets.iter().rposition(|l| Id::parse(&l.id).is_some()),
            id => sets.iter().position(|l| l.id == id),
        };
        let Some(found) = index.map(|i| sets.swap_remove(i)) else {
            let ids: Vec<&str> = sets.iter().filter(|l| l.manifest.is_ok()).map(|l| l.id.as_str()).collect();
            return Err(missing(&self.folder, which, &ids).into());
        };
        let folder = self.folder.join(&found.id);
        match found.manifest {
            Ok(manifest) => Ok(BackupSet { folder, manifest }),
            Err(why) => Err(disk::damaged(&folder, &why).into()),
        }
    }

    /// The names in the folder that are text; a name that is not cannot be one of ours and is shown lossily, as damaged.
    fn names(&self) -> Result<Vec<String>> {
        let reading = |e: &io::Error| anyhow::Error::new(disk::reading(e, &self.folder));
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(reading(&e)),
        };
        let name = |entry: io::Result<std::fs::DirEntry>| entry.map(|e| e.file_name().to_string_lossy().into_owned());
        entries.map(|entry| name(entry).map_err(|e| reading(&e))).collect()
    }

    fn make(&self) -> Result<()> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.map_err(|e| disk::storage(&e, "create", &self.folder, None))?;
        let found = std::fs::metadata(&self.folder).map_err(|e| disk::reading(&e, &self.folder))?;
        let trouble = if found.uid() != rustix::process::geteuid().as_raw() {
            format!("belongs to user {}", found.uid())
        } else if found.mode() & 0o022 != 0 {
            format!("can be written by others (mode {:04o})", found.mode() & 0o7777)
        } else {
            return Ok(());
        };
        Err(Refusal::new(
            RefusalKind::Preflight,
            format!("vault {} {trouble}: anybody could put a set there", self.folder.display()),
            format!("chown it to the user of this run and `chmod 700 {}`", self.folder.display()),
        )
        .into())
    }
}

fn backwards(newest: &Id, now: jiff::Timestamp) -> Refusal {
    Refusal::new(
        RefusalKind::Preflight,
        format!("it is {now}, but the newest set {newest} is from {}: the clock went backwards", newest.time),
        "set the clock right; if it is, move that set out of the vault",
    )
}

fn foreign(vault: &Path, stack: &str, other: &Manifest) -> Refusal {
    Refusal::new(
        RefusalKind::Preflight,
        format!("vault {} holds sets of stack {}, not of {stack}", vault.display(), other.stack),
        "give each stack a vault of its own: `vault:` in recovery.yaml",
    )
}

fn missing(vault: &Path, which: &str, ids: &[&str]) -> Refusal {
    let what = if which == "latest" { "no backup set".to_owned() } else { format!("no backup set {which}") };
    let hint = match ids {
        [] => "make one: `cargo xtask backup <stack>`".to_owned(),
        ids => format!("there are: {}", ids.join(", ")),
    };
    Refusal::new(RefusalKind::NoBackup, format!("{what} in {}", vault.display()), hint)
}

#[cfg(test)]
mod tests;
