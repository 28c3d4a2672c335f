//! A vault: the folder where one stack's backup sets live. A set exists once its folder has its final name, which it gets by
//! one rename after everything in it was made durable and read back. It must not know how the data was produced.

use super::access::Access;
use super::disk::{self, Disk, Folder, HostDisk, Links};
use super::lock::Lock;
use super::manifest::{self, Id, Public};
pub use super::reading::Obstacle;
use super::reading::Reading;
pub use super::set::BackupSet;
use super::set::{key_names, sound, verify_stored};
pub use super::staging::Staging;
use super::staging::{Standing, Took};
use super::{audit, catalog};
use crate::domain::artifact::Outline;
use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::{Context, Result, ensure};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod beside;
mod removal;
mod restoring;
mod rewrap;
mod survey;

pub use removal::{Left, Look, Removal};
pub use restoring::{Intent, Restoring};
pub use rewrap::Rewrapping;

/// Where a run collects its files before the commit.
const PARTIAL: &str = ".partial-";
/// How often sets and catalog are read anew because one of them changed meanwhile.
const READINGS: usize = 5;
/// What a set is called from the moment it is removed until its files are gone.
const TRASH: &str = ".trash-";

/// The folder where one stack's backup sets live.
#[derive(Clone)]
pub struct Vault {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    access: Arc<Access>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({})", self.folder.display())
    }
}

/// One entry of a vault.
#[derive(Debug)]
pub struct Listed {
    /// The folder's name.
    pub id: String,
    /// What everybody may know of it, or why it is damaged.
    pub public: std::result::Result<Public, String>,
}

impl Listed {
    /// When the set was begun, as its name says; `None` when the folder is not named like a set.
    pub fn at(&self) -> Option<jiff::Timestamp> {
        Id::parse(&self.id).map(|id| id.time)
    }
}

impl Vault {
    /// The vault in this folder, without encryption or signatures. Creates nothing.
    pub fn at(path: &Path) -> Self {
        Self::with(path, Access::default())
    }

    /// The vault in this folder, with what its sets are protected by. Creates nothing.
    pub fn with(path: &Path, access: Access) -> Self {
        Self::on_disk(Arc::new(HostDisk), path, access)
    }

    /// As [`Vault::with`], on a file system that need not be this host's.
    pub fn on_disk(disk: Arc<dyn Disk>, path: &Path, access: Access) -> Self {
        Self { disk, folder: path.to_owned(), access: Arc::new(access) }
    }

    /// Whether a set must be signed by somebody who is named.
    pub fn wants_signatures(&self) -> bool {
        !self.access.trust.is_empty()
    }

    pub(super) fn on(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    fn opened(&self) -> Result<Box<dyn Folder>, Refusal> {
        self.on().folder(&self.folder, Links::Followed).map_err(|e| disk::reading(&e, &self.folder))
    }

    /// Whether no key was given that could open a set.
    pub fn keyless(&self) -> bool {
        self.access.keys.is_empty()
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
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
        let lock = Lock::take(self.on(), &self.folder, run, wall)?;
        let names = self.names()?;
        self.clear(&names)?;
        let newest = names.iter().filter_map(|n| Id::parse(n)).max();
        let second = jiff::Timestamp::from_second(wall.as_second()).context("read the clock")?;
        if let Some(id) = newest.as_ref().filter(|id| id.time > second) {
            return Err(backwards(id, second).into());
        }
        let sets: Vec<Public> = self.list()?.into_iter().filter_map(|l| l.public.ok()).collect();
        if let Some(other) = sets.iter().map(|s| &s.outline).find(|o| o.stack != stack) {
            return Err(foreign(&self.folder, stack, other).into());
        }
        // A catalog that cannot be read costs nobody tonight's backup: it repeats what the manifests say, and `verify` tells of it.
        let lines = catalog::read(self.on(), &self.folder);
        if let Ok(lines) = &lines {
            catalog::append(self.on(), &self.folder, &catalog::missing(lines, &sets))?;
        }
        let sequence = names.iter().filter_map(|n| Id::parse(n)).map(|id| id.sequence).max().unwrap_or(0) + 1;
        let previous = previous(&names, &sets, &lines.unwrap_or_default());
        let usual = Took::usual(sets.iter().map(|set| &set.outline));
        let standing = Standing { id: Id::new(second, sequence), stack, previous, usual };
        let name = format!("{PARTIAL}{run}");
        Staging::make(Arc::clone(&self.disk), &self.folder, &name, standing, Arc::clone(&self.access), lock)
    }

    /// Removes what dead runs left in the making; returns what it removed. A vault that is not there, or that a living run holds,
    /// is left alone.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage`.
    pub fn sweep(&self, run: &str, wall: jiff::Timestamp) -> Result<Vec<PathBuf>> {
        let left = |name: &String| name.starts_with(PARTIAL) || name.starts_with(TRASH);
        let stale = |names: Vec<String>| names.into_iter().filter(left).collect::<Vec<_>>();
        if stale(self.names()?).is_empty() {
            return Ok(Vec::new());
        }
        let _lock = match Lock::take(self.on(), &self.folder, run, wall) {
            Err(error) if Refusal::within(&error).is_some_and(|r| r.kind == RefusalKind::Locked) => {
                return Ok(Vec::new());
            }
            lock => lock?,
        };
        let paths: Vec<PathBuf> = stale(self.names()?).iter().map(|name| self.folder.join(name)).collect();
        self.remove_left(&paths)?;
        Ok(paths)
    }

    /// What the vault holds, oldest first. A folder that is not a sound set is listed as damaged. Sizes are checked, contents
    /// are not: see [`BackupSet::verify`]. A vault that is not there holds nothing.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage` when the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let ours = [catalog::NAME, audit::NAME];
        let shown = |name: &String| !name.starts_with('.') && !ours.contains(&name.as_str());
        let mut names: Vec<String> = self.names()?.into_iter().filter(shown).collect();
        names.sort_by_key(|name| (Id::parse(name), name.clone()));
        let listed = |id: String| Listed { public: sound(self.on(), &self.folder.join(&id), &id, &self.access), id };
        Ok(names.into_iter().map(listed).collect())
    }

    /// The set with this id, or the newest one (`latest`). An adopted set is never the latest: its data is older than it is.
    ///
    /// # Errors
    /// `Refusal` of kind `NoBackup`; `Integrity` when that set is damaged (a damaged newest set is never passed over silently);
    /// `WrongKey` when it is encrypted and no key opens it.
    pub fn find(&self, which: &str) -> Result<BackupSet> {
        let found = self.listed(which)?;
        match found.public {
            Ok(_) => self.open(&found.id),
            Err(why) => Err(disk::damaged(&self.folder.join(&found.id), &why).into()),
        }
    }

    /// The entry of this id, or the newest one that is named like a set.
    fn listed(&self, which: &str) -> Result<Listed> {
        let mut sets = self.list()?;
        let index = match which {
            "latest" => {
                let adopted = |l: &Listed| l.public.as_ref().is_ok_and(|p| p.outline.adopted());
                sets.iter().rposition(|l| Id::parse(&l.id).is_some() && !adopted(l))
            }
            id => sets.iter().position(|l| l.id == id),
        };
        index.map(|i| sets.swap_remove(i)).ok_or_else(|| {
            let ids: Vec<&str> = sets.iter().filter(|l| l.public.is_ok()).map(|l| l.id.as_str()).collect();
            missing(&self.folder, which, &ids).into()
        })
    }

    /// As [`Vault::find`], without a key: the set's folder and what everybody may know of it. This is level 0 of `verify`.
    ///
    /// # Errors
    /// As [`Vault::find`], less `WrongKey`.
    pub fn outline(&self, which: &str) -> Result<(PathBuf, Public)> {
        let found = self.listed(which)?;
        let folder = self.folder.join(&found.id);
        match found.public {
            Ok(public) => Ok((folder, public)),
            Err(why) => Err(disk::damaged(&folder, &why).into()),
        }
    }

    /// The set with this id, held against removal.
    ///
    /// # Errors
    /// `Refusal` of kind `NoBackup` (it was removed at this moment), `Integrity`, `WrongKey` or `Storage`.
    pub fn open(&self, id: &str) -> Result<BackupSet> {
        let folder = self.folder.join(id);
        let reading = Arc::new(Reading::begin(self.on(), &folder)?);
        let public = sound(self.on(), &folder, id, &self.access).map_err(|why| disk::damaged(&folder, &why))?;
        Ok(BackupSet::open(Arc::clone(&self.disk), folder, public, &self.access, reading)?)
    }

    /// Reads every stored byte of a set and compares its digest, which needs no key: level 1 of `verify`. Returns the bytes read.
    ///
    /// # Errors
    /// `Refusal` of kind `Integrity` or `Storage`.
    pub fn verify_stored(&self, folder: &Path, outline: &Outline) -> Result<u64> {
        let _reading = Reading::begin(self.on(), folder)?;
        Ok(verify_stored(self.on(), folder, outline)?)
    }

    /// What does not fit together among the sets and the catalog, a sentence each. A catalog that cannot be read is one more.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage` when the folder cannot be read.
    pub fn contradictions(&self) -> Result<Vec<String>> {
        // What is done meanwhile is written into the catalog: what was listed between two equal readings of it belongs to them. A
        // deed is written down after all that it tells of.
        let deeds = self.deeds();
        let mut lines = catalog::read(self.on(), &self.folder);
        let mut listed = self.list()?;
        for _ in 0..READINGS {
            let before = std::mem::replace(&mut lines, catalog::read(self.on(), &self.folder));
            if matches!((&before, &lines), (Ok(before), Ok(now)) if before == now) || lines.is_err() {
                break;
            }
            listed = self.list()?;
        }
        let (mut sets, mut damaged) = (Vec::new(), Vec::new());
        for listed in listed {
            match listed.public {
                Ok(public) => sets.push(public),
                Err(_) => damaged.push(listed.id),
            }
        }
        let lines = match lines {
            Ok(lines) => lines,
            Err(refusal) => {
                let unread = format!("the catalog cannot be read: {}", refusal.message);
                return Ok([vec![unread], catalog::contradictions(&[], &sets, &damaged)].concat());
            }
        };
        let mut found = catalog::contradictions(&lines, &sets, &damaged);
        // Whoever makes the second set has written the line of the first.
        if lines.is_empty() && sets.iter().any(|set| set.outline.previous.is_some()) {
            found.push("the catalog is gone, or empty: which sets belong here is known to nobody".to_owned());
        }
        for set in sets.iter().map(|set| &set.outline).filter(|outline| outline.seal.is_some()) {
            // A set that is removed at this moment has none.
            let files = || key_names(self.on(), &self.folder.join(&set.id)).unwrap_or_default();
            if catalog::strange_keys(&lines, &set.id, &files()).is_empty() {
                continue;
            }
            // Whoever changes the readers writes the line first: it is there when the file was seen.
            let files = files();
            let lines = catalog::read(self.on(), &self.folder)?;
            found.extend(catalog::strange_keys(&lines, &set.id, &files));
        }
        let there = sets.iter().map(|set| set.outline.id.as_str()).chain(damaged.iter().map(String::as_str));
        match deeds {
            Ok((deeds, _)) => found.extend(catalog::told_of(&lines, &deeds, &there.collect())),
            Err(refusal) => found.push(format!("the audit log cannot be read: {}", refusal.message)),
        }
        Ok(found)
    }

    /// Removes what dead runs left behind. Only for whoever holds the lock.
    fn clear(&self, names: &[String]) -> Result<()> {
        let stale = names.iter().filter(|n| n.starts_with(PARTIAL) || n.starts_with(TRASH));
        self.remove_left(&stale.map(|name| self.folder.join(name)).collect::<Vec<_>>())
    }

    /// Their hidden names are made durable first: whoever left them may have died before that, and files that are gone from a folder
    /// that has a set's name again after a power cut would be a damaged set.
    fn remove_left(&self, paths: &[PathBuf]) -> Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        disk::sync_folder(self.on(), &self.folder)?;
        paths.iter().try_for_each(|path| disk::remove(self.on(), path))
    }

    /// The names in the folder that are text; a name that is not cannot be one of ours and is shown lossily, as damaged.
    fn names(&self) -> Result<Vec<String>> {
        match self.on().folder(&self.folder, Links::Followed).and_then(|folder| folder.names()) {
            Ok(names) => Ok(names.iter().map(|name| name.to_string_lossy().into_owned()).collect()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(disk::reading(&e, &self.folder).into()),
        }
    }

    fn make(&self) -> Result<()> {
        disk::make_folder(self.on(), &self.folder)?;
        self.private()
    }

    /// Whether nobody else can put something there.
    fn private(&self) -> Result<()> {
        let found = self.on().look(&self.folder, Links::Followed).map_err(|e| disk::reading(&e, &self.folder))?;
        let trouble = if found.owner != rustix::process::geteuid().as_raw() {
            format!("belongs to user {}", found.owner)
        } else if found.mode & 0o022 != 0 {
            format!("can be written by others (mode {:04o})", found.mode)
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

/// SHA-256 of the manifest of the newest set. Of one that cannot be read now the catalog says it: it may be readable again tomorrow,
/// and the next set would have followed another one.
fn previous(names: &[String], sets: &[Public], lines: &[catalog::Line]) -> Option<String> {
    let mut newest_first: Vec<(Id, &String)> = names.iter().filter_map(|name| Some((Id::parse(name)?, name))).collect();
    newest_first.sort();
    let read = |id: &String| sets.iter().find(|set| set.outline.id == *id).map(|set| set.sha256.clone());
    newest_first.iter().rev().find_map(|(_, id)| read(id).or_else(|| catalog::digest_of(lines, id)))
}

fn backwards(newest: &Id, now: jiff::Timestamp) -> Refusal {
    Refusal::new(
        RefusalKind::Preflight,
        format!("it is {now}, but the newest set {newest} is from {}: the clock went backwards", newest.time),
        "set the clock right; if it is, leave this vault as it is and back up into a new one (backups.vault)",
    )
}

fn foreign(vault: &Path, stack: &str, other: &Outline) -> Refusal {
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
mod protected;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod whole;
