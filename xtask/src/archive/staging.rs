//! A set in the making: a folder that no listing shows, until one rename makes it a set. Whatever happens before leaves nothing
//! that looks like a backup. It must not know how the data was produced.

use super::lock::Lock;
use super::manifest::{self, Id};
use super::set::{BackupSet, sound};
use super::{disk, pipeline};
use crate::domain::artifact::{Manifest, StoredFile};
use anyhow::{Context, Result, ensure};
use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A set in the making, under the vault's lock. Dropping it without [`Staging::commit`] removes it.
#[derive(Debug)]
pub struct Staging {
    vault: PathBuf,
    folder: PathBuf,
    id: String,
    sequence: u64,
    stack: String,
    _lock: Lock,
}

impl Staging {
    pub(super) fn make(vault: &Path, name: &str, id: &Id, stack: &str, lock: Lock) -> Result<Self> {
        let folder = vault.join(name);
        DirBuilder::new().mode(0o700).create(&folder).map_err(|e| disk::storage(&e, "create", &folder, None))?;
        let (id, sequence) = (id.to_string(), id.sequence);
        Ok(Self { vault: vault.to_owned(), folder, id, sequence, stack: stack.to_owned(), _lock: lock })
    }

    /// The id that the set will have.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The sequence number that the set will have.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Where a file of the set is to be stored; `file` is a plain name, which `commit` checks.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Makes the set exist: manifest and digest are written, everything made durable, every artifact read back and compared,
    /// and the folder gets its final name by one rename that replaces nothing.
    ///
    /// # Errors
    /// Anything wrong leaves no set: a manifest that is not this staging's or does not fit the files, `Integrity`, `Storage`.
    pub fn commit(self, manifest: Manifest) -> Result<BackupSet> {
        self.publish(manifest).with_context(|| format!("commit backup set {}", self.id))
    }

    fn publish(&self, manifest: Manifest) -> Result<BackupSet> {
        let ours = (manifest.id.as_str(), manifest.sequence, manifest.stack.as_str());
        ensure!(
            ours == (&self.id, self.sequence, &self.stack),
            "the manifest is not of set {}, stack {}",
            self.id,
            self.stack
        );
        let bytes = manifest::write(&manifest)?;
        self.record(manifest::NAME, &bytes)?;
        self.record(manifest::DIGEST_NAME, manifest::digest_line(&bytes).as_bytes())?;
        let written = sound(&self.folder, &self.id).map_err(|why| disk::damaged(&self.folder, &why))?;
        for file in written.components.iter().flat_map(|c| &c.files) {
            settle(&self.folder.join(&file.file), file)?;
        }
        disk::sync_folder(&self.folder)?;
        let folder = self.vault.join(&self.id);
        disk::rename_new(&self.folder, &folder)?;
        if let Err(error) = disk::sync_folder(&self.vault) {
            // Not known to be durable, so it must not be listed either; dropping removes it.
            let _ = disk::rename_new(&folder, &self.folder);
            return Err(error);
        }
        Ok(BackupSet { folder, manifest })
    }

    fn record(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        let mut file = disk::create(&path)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        written.map_err(|e| disk::storage(&e, "write", &path, Some(bytes.len() as u64)))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After a commit the folder is gone from here; what cannot be removed now is removed by the next run that begins.
        let _ = disk::remove(&self.folder);
    }
}

/// Makes a file durable, whoever wrote it, and reads it back from the disk rather than from memory where that can be asked for.
fn settle(path: &Path, file: &StoredFile) -> Result<()> {
    let opened = disk::open(path)?;
    opened.sync_all().map_err(|e| disk::storage(&e, "make durable", path, None))?;
    let _ = rustix::fs::fadvise(&opened, 0, None, rustix::fs::Advice::DontNeed);
    pipeline::verify(path, file)
}
