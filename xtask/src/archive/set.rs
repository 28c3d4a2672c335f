//! A committed set, and what makes a folder one. It must not know how sets come to be.

use super::access::Access;
use super::disk::{self, Disk, Kind, Links};
use super::keys::Keys;
use super::manifest::{self, Id, Public};
use super::reading::Reading;
use super::set_key::SetKey;
use super::{digest, pipeline, signature};
use crate::domain::artifact::{Manifest, Outline, StoredFile};
use crate::domain::form::Form;
use crate::domain::refusal::Refusal;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A committed set that can be read. As long as it or a clone of it is there, nobody removes the set.
#[derive(Debug, Clone)]
pub struct BackupSet {
    disk: Arc<dyn Disk>,
    /// Its folder.
    pub folder: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// What its files are encrypted with.
    key: Option<SetKey>,
    _reading: Arc<Reading>,
}

impl BackupSet {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        manifest: Manifest,
        key: Option<SetKey>,
        reading: Arc<Reading>,
    ) -> Self {
        Self { disk, folder, manifest, key, _reading: reading }
    }

    /// Opens what is public of a set with the keys that there are.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        public: Public,
        access: &Access,
        reading: Arc<Reading>,
    ) -> Result<Self, Refusal> {
        match (public.whole, &public.outline.seal) {
            (Some(manifest), _) => Ok(Self::new(disk, folder, manifest, None, reading)),
            (None, Some(seal)) => {
                let key = key_of(&*disk, &folder, &seal.recipient, &access.keys)?;
                let manifest = rest(&*disk, &folder, &public.outline, &key)?;
                Ok(Self::new(disk, folder, manifest, Some(key), reading))
            }
            (None, None) => Err(disk::damaged(&folder, "its manifest has neither content nor a key")),
        }
    }

    /// One of its files as plain bytes: see [`pipeline::open`] for what the reader promises.
    ///
    /// # Errors
    /// As [`pipeline::open`].
    pub fn plain(&self, file: &StoredFile) -> Result<Box<dyn Read + Send>> {
        pipeline::open_on(self.disk.as_ref(), &self.folder.join(&file.file), file, self.key.as_ref())
    }

    /// Reads the manifest and every file again, compares all sizes and digests, and follows every archive to its end. Returns the
    /// stored bytes read.
    ///
    /// # Errors
    /// `Refusal` of kind `Integrity` or `Storage`; `BadArtifact` when what was stored is only a part of an archive.
    pub fn verify(&self) -> Result<u64> {
        let on = self.disk.as_ref();
        let found = sound(on, &self.folder, &self.manifest.id, &Access::default());
        let public = found.map_err(|why| disk::damaged(&self.folder, &why))?;
        let found = match (public.whole, &self.key) {
            (Some(manifest), _) => manifest,
            (None, Some(key)) => rest(on, &self.folder, &public.outline, key)?,
            (None, None) => return Err(disk::damaged(&self.folder, "it was encrypted since").into()),
        };
        if found != self.manifest {
            return Err(disk::damaged(&self.folder, "the manifest is no longer the one that was listed").into());
        }
        let mut bytes = 0;
        for (component, file) in found.components.iter().flat_map(|c| c.files.iter().map(move |file| (c, file))) {
            let form = Form::of(&component.engine, &file.role);
            pipeline::verify_on(on, &self.folder.join(&file.file), file, self.key.as_ref(), form)
                .with_context(|| format!("verify {}", self.manifest.id))?;
            bytes += file.stored.bytes;
        }
        Ok(bytes)
    }
}

/// Reads every stored byte and compares its digest; needs no key. Returns the bytes read.
pub(super) fn verify_stored(on: &dyn Disk, folder: &Path, outline: &Outline) -> Result<u64, Refusal> {
    let files = outline.components.iter().flat_map(|c| &c.files).map(|f| (f.file.as_str(), &f.stored));
    let mut bytes = 0;
    for (name, stored) in files.chain(outline.rest.iter().map(|rest| (manifest::REST_NAME, rest))) {
        let path = folder.join(name);
        let file = disk::open_sized(on, &path, stored.bytes)?;
        let found = digest::of_reader(file).map_err(|e| disk::reading(&e, &path))?;
        if found != *stored {
            let what = format!("its SHA-256 is {}, the manifest says {}", found.sha256, stored.sha256);
            return Err(disk::damaged(&path, &what));
        }
        bytes += stored.bytes;
    }
    Ok(bytes)
}

/// What everybody may know of a folder that is a sound set as far as can be seen without reading artifacts: see level 0 of
/// `verify`.
pub(super) fn sound(on: &dyn Disk, folder: &Path, id: &str, access: &Access) -> Result<Public, String> {
    if on.look(folder, Links::Refused).map_err(|e| e.to_string())?.kind != Kind::Folder {
        return Err("is not a folder".to_owned());
    }
    if Id::parse(id).is_none() {
        return Err("is not named like a backup set".to_owned());
    }
    let bytes = record(on, folder, manifest::NAME)?;
    if !access.trust.is_empty() {
        let signed = record(on, folder, signature::NAME).map_err(|why| format!("is not signed: {why}"))?;
        access.trust.check(&bytes, &String::from_utf8_lossy(&signed))?;
    }
    let public = manifest::read(&bytes, &record(on, folder, manifest::DIGEST_NAME)?, id)?;
    let mut promised: BTreeSet<&str> = [manifest::NAME, manifest::DIGEST_NAME, signature::NAME].into();
    for file in public.outline.components.iter().flat_map(|c| &c.files) {
        promised.insert(&file.file);
        disk::open_sized(on, &folder.join(&file.file), file.stored.bytes).map_err(|refusal| refusal.message)?;
    }
    if let Some(rest) = &public.outline.rest {
        promised.insert(manifest::REST_NAME);
        disk::open_sized(on, &folder.join(manifest::REST_NAME), rest.bytes).map_err(|refusal| refusal.message)?;
    }
    let sealed = public.outline.seal.is_some();
    let mut keys = key_files(on, folder, &promised, sealed)?;
    if sealed && keys == 0 {
        // Whoever rotates keys puts the new file there before the old one goes: a second look finds it.
        keys = key_files(on, folder, &promised, sealed)?;
    }
    if sealed && keys == 0 {
        return Err("is encrypted, and its key file is missing".to_owned());
    }
    Ok(public)
}

/// How many whole key files a set has; anything else that the manifest does not promise is refused.
fn key_files(on: &dyn Disk, folder: &Path, promised: &BTreeSet<&str>, sealed: bool) -> Result<usize, String> {
    let mut keys = 0;
    for name in on.folder(folder, Links::Refused).and_then(|folder| folder.names()).map_err(|e| e.to_string())? {
        match name.to_str() {
            Some(name) if promised.contains(name) => {}
            Some(name) if sealed && manifest::wrapped_key(name).is_some() => match record(on, folder, name) {
                Ok(wrapped) if manifest::key_name(&wrapped) == name => keys += 1,
                Ok(_) => return Err(format!("{name} is not what its own name says: it was changed")),
                // Replaced since the folder was listed.
                Err(_) if disk::is_missing(on, &folder.join(name)) => {}
                Err(why) => return Err(why),
            },
            _ => return Err(format!("holds {name:?}, which the manifest does not know")),
        }
    }
    Ok(keys)
}

/// The names of a set's key files, sorted.
pub(super) fn key_names(on: &dyn Disk, folder: &Path) -> Result<Vec<String>, Refusal> {
    let names = on.folder(folder, Links::Refused).and_then(|folder| folder.names());
    let names = names.map_err(|e| disk::reading(&e, folder))?.into_iter().filter_map(|name| name.into_string().ok());
    let mut names: Vec<String> = names.filter(|name| manifest::wrapped_key(name).is_some()).collect();
    names.sort_unstable();
    Ok(names)
}

/// The key of an encrypted set: the first of its key files that opens and fits the manifest.
pub(super) fn key_of(on: &dyn Disk, folder: &Path, recipient: &str, keys: &Keys) -> Result<SetKey, Refusal> {
    let mut last = None;
    for name in key_names(on, folder)? {
        let wrapped = record(on, folder, &name).map_err(|why| disk::damaged(folder, &why))?;
        match SetKey::unwrapped(&wrapped, keys) {
            Ok(key) if key.recipient() == recipient => return Ok(key),
            Ok(_) => last = Some(disk::damaged(&folder.join(&name), "holds the key of another set")),
            Err(refusal) => last = Some(refusal),
        }
    }
    Err(last.unwrap_or_else(|| disk::damaged(folder, "is encrypted, and its key file is missing")))
}

/// The whole manifest of an encrypted set.
fn rest(on: &dyn Disk, folder: &Path, outline: &Outline, key: &SetKey) -> Result<Manifest, Refusal> {
    let path = folder.join(manifest::REST_NAME);
    let stored = outline.rest.clone().ok_or_else(|| disk::damaged(folder, "its manifest has only one part"))?;
    let wrapped = record(on, folder, manifest::REST_NAME).map_err(|why| disk::damaged(folder, &why))?;
    if digest::of(&wrapped) != stored {
        return Err(disk::damaged(&path, "is not the file that the manifest names"));
    }
    let mut bytes = Vec::new();
    let opened = key.opening(&wrapped[..]).map_err(|e| disk::damaged(&path, &format!("cannot be opened: {e}")))?;
    let read = opened.take(manifest::MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|e| disk::damaged(&path, &format!("cannot be decrypted: {e}")))?;
    if bytes.len() as u64 > manifest::MAX_BYTES {
        return Err(disk::damaged(&path, &format!("is longer than {} bytes", manifest::MAX_BYTES)));
    }
    manifest::read_rest(outline, &bytes).map_err(|why| disk::damaged(folder, &why))
}

/// A small file of a set.
pub(super) fn record(on: &dyn Disk, folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    let path = folder.join(name);
    let mut bytes = Vec::new();
    let file = disk::open(on, &path).map_err(|refusal| refusal.message)?;
    file.take(manifest::MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| format!("{name}: {e}"))?;
    if bytes.len() as u64 > manifest::MAX_BYTES {
        return Err(format!("{name} is longer than {} bytes", manifest::MAX_BYTES));
    }
    Ok(bytes)
}
