//! A set in the making: a folder that no listing shows, until one rename makes it a set. Whatever happens before leaves nothing
//! that looks like a backup. It must not know how the data was produced.

use super::access::Access;
use super::catalog::{self, Line};
use super::disk::{self, Disk};
use super::lock::Lock;
use super::manifest::{self, Id};
use super::pipeline::Stored;
use super::reading::Reading;
use super::set::{BackupSet, sound};
use super::set_key::{SCHEME, SetKey};
use super::{digest, pipeline, signature};
use crate::domain::artifact::{Manifest, Seal, StoredFile};
use crate::domain::stack::Compression;
use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A set in the making, under the vault's lock. Dropping it without [`Staging::commit`] removes it.
pub struct Staging {
    disk: Arc<dyn Disk>,
    vault: PathBuf,
    folder: PathBuf,
    id: String,
    sequence: u64,
    stack: String,
    previous: Option<String>,
    key: Option<SetKey>,
    access: Arc<Access>,
    /// Whether it is to be left to the next run that begins.
    left: AtomicBool,
    _lock: Lock,
}

/// Where a new set stands in its vault.
pub(super) struct Standing<'a> {
    pub(super) id: Id,
    pub(super) stack: &'a str,
    /// SHA-256 of the manifest of the set before it.
    pub(super) previous: Option<String>,
}

impl std::fmt::Debug for Staging {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Staging({})", self.folder.display())
    }
}

impl Staging {
    pub(super) fn make(
        disk: Arc<dyn Disk>,
        vault: &Path,
        name: &str,
        standing: Standing<'_>,
        access: Arc<Access>,
        lock: Lock,
    ) -> Result<Self> {
        let Standing { id, stack, previous } = standing;
        let key = access.encryption.is_on().then(SetKey::generate);
        let folder = vault.join(name);
        disk.make_folder(&folder).map_err(|e| disk::storage(&*disk, &e, "create", &folder, None))?;
        let (id, sequence) = (id.to_string(), id.sequence);
        let (vault, stack) = (vault.to_owned(), stack.to_owned());
        Ok(Self {
            disk,
            vault,
            folder,
            id,
            sequence,
            stack,
            previous,
            key,
            access,
            left: AtomicBool::new(false),
            _lock: lock,
        })
    }

    /// The id that the set will have.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The sequence number that the set will have.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What the set's files are to be encrypted with; `None` = they are not.
    pub fn key(&self) -> Option<&SetKey> {
        self.key.as_ref()
    }

    /// Where a file of the set is to be stored; `file` is a plain name, which `commit` checks.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Stores all of `from` as a file of the set, encrypted when the set is: see [`pipeline::store`].
    ///
    /// # Errors
    /// As [`pipeline::store`].
    pub fn store(
        &self,
        from: &mut dyn Read,
        file: &str,
        compression: Compression,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Stored> {
        pipeline::store_on(self.disk.as_ref(), from, &self.path(file), compression, self.key(), progress)
    }

    /// Makes the set exist: manifest and digest are written, everything made durable, every artifact read back and compared,
    /// and the folder gets its final name by one rename that replaces nothing. What the manifest says of encryption and of the set
    /// before this one is filled in here.
    ///
    /// # Errors
    /// Anything wrong leaves no set: a manifest that is not this staging's or does not fit the files, `Integrity`, `Storage`.
    pub fn commit(self, manifest: Manifest) -> Result<BackupSet> {
        self.publish(manifest).with_context(|| format!("commit backup set {}", self.id))
    }

    fn publish(&self, mut manifest: Manifest) -> Result<BackupSet> {
        let ours = (manifest.id.as_str(), manifest.sequence, manifest.stack.as_str());
        ensure!(
            ours == (&self.id, self.sequence, &self.stack),
            "the manifest is not of set {}, stack {}",
            self.id,
            self.stack
        );
        manifest.previous.clone_from(&self.previous);
        let (rest, wrapped) = match &self.key {
            None => (None, None),
            Some(key) => {
                manifest.requires = vec![manifest::AGE.to_owned()];
                manifest.seal = Some(Seal { scheme: SCHEME.to_owned(), recipient: key.recipient() });
                let wrapped = key.wrapped(&self.access.encryption)?;
                let name = manifest::key_name(&wrapped);
                self.record(&name, &wrapped)?;
                let mut sealed = Vec::new();
                let mut to = key.sealing(&mut sealed)?;
                to.write_all(&manifest::write_rest(&manifest)?)?;
                to.finish()?;
                self.record(manifest::REST_NAME, &sealed)?;
                (Some(digest::of(&sealed)), Some(name))
            }
        };
        let bytes = manifest::write(&manifest, rest)?;
        self.record(manifest::NAME, &bytes)?;
        self.record(manifest::DIGEST_NAME, manifest::digest_line(&bytes).as_bytes())?;
        if let Some(signer) = &self.access.signer {
            self.record(signature::NAME, signer.sign(&bytes, &self.id)?.as_bytes())?;
        }
        let on = self.disk.as_ref();
        let written = sound(on, &self.folder, &self.id, &self.access);
        let written = written.map_err(|why| disk::damaged(&self.folder, &why))?;
        for file in manifest.components.iter().flat_map(|c| &c.files) {
            settle(on, &self.folder.join(&file.file), file, self.key.as_ref())?;
        }
        disk::sync_folder(on, &self.folder)?;
        let reading = Arc::new(Reading::begin(on, &self.folder)?);
        let folder = self.vault.join(&self.id);
        disk::rename_new(on, &self.folder, &folder)?;
        if let Err(error) = disk::sync_folder(on, &self.vault) {
            // Not known to be durable, so it must not be listed either. Dropping removes it, but only once its hidden name is
            // durable: the disk may have the other one, and nothing may be missing from what has that.
            let hidden = disk::rename_new(on, &folder, &self.folder).and_then(|()| disk::sync_folder(on, &self.vault));
            self.left.store(hidden.is_err(), Ordering::Relaxed);
            return Err(error);
        }
        // A set without its line is whole: the next run that begins writes the line.
        let keyed = wrapped.map(|file| Line::Keyed { id: self.id.clone(), file });
        let _ = catalog::append(on, &self.vault, &[Line::of(&written)].into_iter().chain(keyed).collect::<Vec<_>>());
        Ok(BackupSet::new(Arc::clone(&self.disk), folder, manifest, self.key.clone(), reading))
    }

    fn record(&self, name: &str, bytes: &[u8]) -> Result<()> {
        disk::write_new(self.disk.as_ref(), &self.folder.join(name), bytes)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After a commit the folder is gone from here; what cannot be removed now is removed by the next run that begins.
        if !self.left.load(Ordering::Relaxed) {
            let _ = disk::remove(self.disk.as_ref(), &self.folder);
        }
    }
}

/// Makes a file durable, whoever wrote it, and reads it back from the disk rather than from memory where that can be asked for.
fn settle(on: &dyn Disk, path: &Path, file: &StoredFile, key: Option<&SetKey>) -> Result<()> {
    let mut opened = disk::open(on, path)?;
    opened.sync().map_err(|e| disk::storage(on, &e, "make durable", path, None))?;
    opened.forget();
    pipeline::verify_on(on, path, file, key)
}
