//! What is noted beside a set, because a set itself never changes: that a person wants it kept, and that it was found damaged.
//! It must not know what follows from a note.

use super::{Removal, Vault, missing};
use crate::archive::disk;
use crate::archive::lock::Lock;
use crate::archive::manifest::Id;
use anyhow::Result;
use std::io::Read;
use std::path::PathBuf;

/// A kind of note: what its file is called before the set's id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Note(&'static str);

impl Note {
    /// Another kind.
    pub(super) const fn new(name: &'static str) -> Self {
        Self(name)
    }
}

/// A person wants the set kept.
pub(super) const HOLD: Note = Note(".hold-");
/// The set was read and found damaged.
pub(super) const DAMAGED: Note = Note(".damaged-");

impl Vault {
    /// Puts a set on hold: from now on nothing removes it. Fine when it is already.
    ///
    /// # Errors
    /// `Refusal` of kind `NoBackup` (there is no such set), `Locked` (a run that might just remove it) or `Storage`.
    pub fn hold(&self, id: &str, run: &str, wall: jiff::Timestamp) -> Result<()> {
        let _lock = self.locked_for(id, run, wall)?;
        self.note(HOLD, id, &format!("since {wall}"))
    }

    /// Ends a hold. Whether there was one.
    ///
    /// # Errors
    /// As [`Vault::hold`].
    pub fn release(&self, id: &str, run: &str, wall: jiff::Timestamp) -> Result<bool> {
        let _lock = self.locked_for(id, run, wall)?;
        let was = self.noted(HOLD, id).is_some();
        self.strike_out(HOLD, id)?;
        Ok(was)
    }

    fn locked_for(&self, id: &str, run: &str, wall: jiff::Timestamp) -> Result<Lock> {
        let names = self.names()?;
        let ids: Vec<&str> = names.iter().map(String::as_str).filter(|n| Id::parse(n).is_some()).collect();
        if !ids.contains(&id) {
            return Err(missing(&self.folder, id, &ids).into());
        }
        self.private()?;
        Lock::take(self.on(), &self.folder, run, wall)
    }

    /// The text of a note, `None` when there is none. One that cannot be read is there.
    pub(super) fn noted(&self, note: Note, id: &str) -> Option<String> {
        let path = self.beside(note, id);
        if disk::is_missing(self.on(), &path) {
            return None;
        }
        let mut text = Vec::new();
        let read = disk::open(self.on(), &path).map(|file| file.take(4096).read_to_end(&mut text));
        if !matches!(read, Ok(Ok(_))) {
            return Some("for a reason that cannot be read".to_owned());
        }
        Some(String::from_utf8_lossy(&text).trim_end().to_owned())
    }

    /// Writes a note, durably; one that is there stays as it is. Only for whoever holds the lock.
    pub(super) fn note(&self, note: Note, id: &str, text: &str) -> Result<()> {
        let path = self.beside(note, id);
        let new = self.noted(note, id).is_none();
        if new {
            disk::write_new(self.on(), &path, format!("{text}\n").as_bytes())?;
        }
        disk::sync_name(self.on(), &self.folder, &path, new)
    }

    /// Removes a note; fine when there is none. Only for whoever holds the lock.
    pub(super) fn strike_out(&self, note: Note, id: &str) -> Result<()> {
        if self.noted(note, id).is_none() {
            return Ok(());
        }
        disk::remove(self.on(), &self.beside(note, id))?;
        disk::sync_folder(self.on(), &self.folder)
    }

    fn beside(&self, Note(kind): Note, id: &str) -> PathBuf {
        self.folder.join(format!("{kind}{id}"))
    }
}

impl Vault {
    /// As [`Removal::remember`], for whoever does not hold the lock: what is already so takes none.
    ///
    /// # Errors
    /// As [`Vault::hold`].
    pub fn remember(&self, id: &str, damage: Option<&str>, run: &str, wall: jiff::Timestamp) -> Result<()> {
        if self.noted(DAMAGED, id).is_some() == damage.is_some() {
            return Ok(());
        }
        let _lock = self.locked_for(id, run, wall)?;
        match damage {
            Some(why) => self.note(DAMAGED, id, why),
            None => self.strike_out(DAMAGED, id),
        }
    }
}

impl Removal<'_> {
    /// Remembers what reading a set said, so that damage once found is not forgotten when the set is no longer among the newest.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage`.
    pub fn remember(&self, id: &str, damage: Option<&str>) -> Result<()> {
        match damage {
            Some(why) => self.vault.note(DAMAGED, id, why),
            None => self.vault.strike_out(DAMAGED, id),
        }
    }
}
