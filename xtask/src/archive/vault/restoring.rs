//! One restore of a stack at a time, and what a restore that died has to be cleared of: a lock of its own beside the vault's, and a small
//! journal that is there as long as something may be left. It must not know how anything is cleared.

use super::beside::Note;
use super::{Vault, disk};
use crate::archive::lock::Lock;
use crate::archive::manifest;
use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::PathBuf;

/// The lock's name; the vault's own is for sets.
const LOCK: &str = ".restore-lock";
/// What a journal is called before its run.
const JOURNAL: &str = ".restoring-";
/// The set was made of what a restore was about to replace.
pub(super) const SAFETY: Note = Note::new(".safety-");

/// What a run restores, and to where: `live`, or another name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// The store.
    pub store: String,
    /// Where to.
    pub to: String,
}

/// The right to restore. The kernel takes it back when its holder dies.
#[derive(Debug)]
pub struct Restoring<'v> {
    vault: &'v Vault,
    _lock: Lock,
}

impl Vault {
    /// Takes the right to restore.
    ///
    /// # Errors
    /// `Refusal` of kind `Locked` (names the holder), `Preflight` (the vault is open to others) or `Storage`.
    pub fn restoring(&self, run: &str, wall: jiff::Timestamp) -> Result<Restoring<'_>> {
        self.make()?;
        Ok(Restoring { vault: self, _lock: Lock::take_named(self.on(), &self.folder, LOCK, run, wall)? })
    }

    /// Whether a restore that died may have left something, or one is at work.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage`.
    pub fn has_unfinished_restores(&self) -> Result<bool> {
        Ok(self.names()?.iter().any(|name| name.starts_with(JOURNAL)))
    }

    /// Notes that a set is of what a restore replaced: a restore does not take it for the latest.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage`.
    pub fn note_safety(&self, id: &str, run: &str) -> Result<()> {
        self.note(SAFETY, id, &format!("before the restore of run {run}"))
    }

    /// Whether a set is of what a restore replaced.
    pub fn is_safety(&self, id: &str) -> bool {
        self.noted(SAFETY, id).is_some()
    }
}

impl Restoring<'_> {
    /// The runs that died in a restore, with what they had in hand.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage`, or `Integrity` for a journal that cannot be read.
    pub fn unfinished(&self) -> Result<Vec<(String, Vec<Intent>)>> {
        let names = self.vault.names()?;
        let runs = names.iter().filter_map(|name| name.strip_prefix(JOURNAL));
        runs.map(|run| Ok((run.to_owned(), self.read(run)?))).collect()
    }

    fn read(&self, run: &str) -> Result<Vec<Intent>> {
        let path = self.path(run);
        let mut text = Vec::new();
        disk::open(self.vault.on(), &path)?
            .take(manifest::MAX_BYTES)
            .read_to_end(&mut text)
            .map_err(|e| disk::reading(&e, &path))?;
        // Cut short before its first byte was durable: nothing had been begun.
        if text.is_empty() {
            return Ok(Vec::new());
        }
        serde_json::from_slice(&text).map_err(|e| {
            let message = format!("the journal {} of a restore that died cannot be read: {e}", path.display());
            let hint = "look for what is called _restore_ beside the stores, remove it, then the journal";
            Refusal::new(RefusalKind::Integrity, message, hint).into()
        })
    }

    /// Writes down what a run is about to restore, before the first of it is touched.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage`.
    pub fn begin(&self, run: &str, intents: &[Intent]) -> Result<()> {
        ensure!(manifest::is_file_name(run), "`{run}` cannot be part of a file's name");
        let path = self.path(run);
        let text = serde_json::to_vec(intents).context("write the journal of the restore")?;
        disk::write_new(self.vault.on(), &path, &text)?;
        disk::sync_folder(self.vault.on(), &self.vault.folder)
    }

    /// Nothing of this run is left.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage`.
    pub fn end(&self, run: &str) -> Result<()> {
        disk::remove(self.vault.on(), &self.path(run))?;
        disk::sync_folder(self.vault.on(), &self.vault.folder)
    }

    fn path(&self, run: &str) -> PathBuf {
        self.vault.folder.join(format!("{JOURNAL}{run}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> jiff::Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn one_restore_at_a_time_and_a_dead_one_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::at(&folder.path().join("vault"));
        assert!(!vault.has_unfinished_restores().unwrap());
        let intents = vec![Intent { store: "db".into(), to: "live".into() }];
        let now = at("2026-11-20T01:00:00Z");
        {
            let restoring = vault.restoring("one", now).unwrap();
            let error = vault.restoring("two", now).unwrap_err();
            assert_eq!(Refusal::within(&error).unwrap().kind, RefusalKind::Locked);
            assert!(error.to_string().contains("run one"), "{error}");
            restoring.begin("one", &intents).unwrap();
        }
        assert!(vault.has_unfinished_restores().unwrap());
        assert!(vault.list().unwrap().is_empty(), "a journal is no set");
        let restoring = vault.restoring("two", now).unwrap();
        assert_eq!(restoring.unfinished().unwrap(), [("one".to_owned(), intents)]);
        restoring.end("one").unwrap();
        assert!(!vault.has_unfinished_restores().unwrap());
    }

    #[test]
    fn a_journal_that_cannot_be_read_is_said_and_an_empty_one_held_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::at(&folder.path().join("vault"));
        let restoring = vault.restoring("two", at("2026-11-20T01:00:00Z")).unwrap();
        std::fs::write(restoring.path("one"), "").unwrap();
        assert_eq!(restoring.unfinished().unwrap(), [("one".to_owned(), vec![])]);
        std::fs::write(restoring.path("one"), "[{").unwrap();
        assert!(restoring.unfinished().unwrap_err().to_string().contains("cannot be read"));
    }
}
