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
use crate::domain::artifact::{Component, ComponentOutline, Manifest, Outline, Role, Seal, StoredFile};
use crate::domain::form::Form;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::stack::Compression;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
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
    usual: BTreeMap<String, Took>,
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
    /// What each store took in the newest set that holds it.
    pub(super) usual: BTreeMap<String, Took>,
}

/// What a store took of the disk in one set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Took {
    pub(super) bytes: u64,
    pub(super) files: u64,
}

impl Took {
    /// By store, of sets that are given oldest first.
    pub(super) fn usual<'a>(sets: impl Iterator<Item = &'a Outline>) -> BTreeMap<String, Self> {
        let of = |c: &ComponentOutline| Self {
            bytes: c.files.iter().map(|f| f.stored.bytes).sum(),
            files: c.files.len() as u64,
        };
        sets.flat_map(|set| &set.components).map(|c| (c.store.clone(), of(c))).collect()
    }
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
        let Standing { id, stack, previous, usual } = standing;
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
            usual,
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

    /// Whether the disk has at least the room that these stores took the last time. A store of which there is no set yet takes a file
    /// of unknown size: how far it can be compressed is not known before.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage`, with what is needed and what is free. A disk that does not say what is free is not refused.
    pub fn has_room_for<'a>(&self, stores: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
        let on = self.disk.as_ref();
        self.fits((on.free_bytes(&self.vault), on.free_files(&self.vault)), stores)
    }

    /// As [`Staging::has_room_for`], with so many bytes and files free.
    pub(super) fn fits<'a>(
        &self,
        (bytes, files): (Option<u64>, Option<u64>),
        stores: impl Iterator<Item = &'a str>,
    ) -> Result<(), Refusal> {
        // Manifest and digest come on top.
        let needed = stores.fold(Took { bytes: 0, files: 2 }, |sum, store| {
            let took = self.usual.get(store).copied().unwrap_or(Took { bytes: 0, files: 1 });
            Took { bytes: sum.bytes.saturating_add(took.bytes), files: sum.files.saturating_add(took.files) }
        });
        let kinds = [("bytes", bytes, needed.bytes), ("files", files, needed.files)];
        let short = kinds.into_iter().find_map(|(unit, free, wants)| Some((unit, free.filter(|f| *f < wants)?, wants)));
        let Some((unit, free, wants)) = short else { return Ok(()) };
        let (vault, stack) = (self.vault.display(), &self.stack);
        Err(Refusal::new(
            RefusalKind::Storage,
            format!(
                "the last set of these stores took {wants} {unit}, and {vault} has {free} {unit} free: nothing was begun"
            ),
            format!(
                "free space there (`cargo xtask prune {stack}` shows what may go), or point `vault:` in recovery.yaml at a larger disk"
            ),
        ))
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

    /// Makes the set exist: manifest and digest are written, everything made durable, every artifact read back, compared and followed
    /// to its end, and the folder gets its final name by one rename that replaces nothing. What the manifest says of encryption and of
    /// the set before this one is filled in here.
    ///
    /// # Errors
    /// Anything wrong leaves no set: a manifest that is not this staging's or does not fit the files, `Integrity`, `Storage`,
    /// `Producer` when an archive is cut short although whoever wrote it said that all went well.
    pub fn commit(self, manifest: Manifest) -> Result<BackupSet> {
        self.publish(manifest, Form::of).with_context(|| format!("commit backup set {}", self.id))
    }

    /// As [`Staging::commit`], whatever the archives hold: for sets that are made to be found wrong.
    ///
    /// # Errors
    /// As [`Staging::commit`], less `Producer`.
    pub fn commit_whatever_it_holds(self, manifest: Manifest) -> Result<BackupSet> {
        self.publish(manifest, |_, _| None).with_context(|| format!("commit backup set {}", self.id))
    }

    fn publish(&self, mut manifest: Manifest, form: fn(&str, &Role) -> Option<Form>) -> Result<BackupSet> {
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
        for component in &manifest.components {
            for file in &component.files {
                let settled = self.settle(file, form(&component.engine, &file.role));
                settled.map_err(|error| half(component, error))?;
            }
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

    /// Makes a file durable, whoever wrote it, and reads it back from the disk rather than from memory where that can be asked for.
    fn settle(&self, file: &StoredFile, form: Option<Form>) -> Result<()> {
        let (on, path) = (self.disk.as_ref(), self.folder.join(&file.file));
        let mut opened = disk::open(on, &path)?;
        opened.sync().map_err(|e| disk::storage(on, &e, "make durable", &path, None))?;
        opened.forget();
        pipeline::verify_on(on, &path, file, self.key.as_ref(), form)
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

/// What was read back is what was stored: if it is only a part, no more was ever written.
fn half(of: &Component, error: anyhow::Error) -> anyhow::Error {
    let part = |refusal: &&Refusal| refusal.kind == RefusalKind::BadArtifact;
    let Some(why) = Refusal::within(&error).filter(part) else { return error };
    let what = format!("what was written for {} ended well, and is not whole: {}", of.store, why.message);
    let hint =
        "run it again; if it stays, look at the producer's own log, and whether it is the program that it should be";
    Refusal::new(RefusalKind::Producer, what, hint).into()
}
