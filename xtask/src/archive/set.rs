//! A committed set, and what makes a folder one. It must not know how sets come to be.

use super::manifest::{self, Id};
use super::{disk, pipeline};
use crate::domain::artifact::{Manifest, StoredFile};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A committed set.
#[derive(Debug, Clone)]
pub struct BackupSet {
    /// Its folder.
    pub folder: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

impl BackupSet {
    /// One of its files as plain bytes: see [`pipeline::open`] for what the reader promises.
    ///
    /// # Errors
    /// As [`pipeline::open`].
    pub fn plain(&self, file: &StoredFile) -> Result<Box<dyn Read + Send>> {
        pipeline::open(&self.folder.join(&file.file), file)
    }

    /// Reads the manifest and every file again and compares all sizes and digests. Returns the stored bytes read.
    ///
    /// # Errors
    /// `Refusal` of kind `Integrity` or `Storage`.
    pub fn verify(&self) -> Result<u64> {
        let found = sound(&self.folder, &self.manifest.id).map_err(|why| disk::damaged(&self.folder, &why))?;
        if found != self.manifest {
            return Err(disk::damaged(&self.folder, "the manifest is no longer the one that was listed").into());
        }
        let mut bytes = 0;
        for file in found.components.iter().flat_map(|c| &c.files) {
            pipeline::verify(&self.folder.join(&file.file), file)
                .with_context(|| format!("verify {}", self.manifest.id))?;
            bytes += file.stored.bytes;
        }
        Ok(bytes)
    }
}

/// The manifest of a folder that is a sound set as far as can be seen without reading artifacts: see level 0 of `verify`.
pub(super) fn sound(folder: &Path, id: &str) -> Result<Manifest, String> {
    let kind = std::fs::symlink_metadata(folder).map_err(|e| e.to_string())?.file_type();
    if !kind.is_dir() {
        return Err("is not a folder".to_owned());
    }
    if Id::parse(id).is_none() {
        return Err("is not named like a backup set".to_owned());
    }
    let manifest = manifest::read(&record(folder, manifest::NAME)?, &record(folder, manifest::DIGEST_NAME)?, id)?;
    let mut promised: BTreeSet<&str> = [manifest::NAME, manifest::DIGEST_NAME].into();
    for file in manifest.components.iter().flat_map(|c| &c.files) {
        promised.insert(&file.file);
        disk::open_sized(&folder.join(&file.file), file.stored.bytes).map_err(|refusal| refusal.message)?;
    }
    for entry in std::fs::read_dir(folder).map_err(|e| e.to_string())? {
        let name = entry.map_err(|e| e.to_string())?.file_name();
        if !name.to_str().is_some_and(|name| promised.contains(name)) {
            return Err(format!("holds {name:?}, which the manifest does not know"));
        }
    }
    Ok(manifest)
}

/// A small file of a set.
fn record(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    let path = folder.join(name);
    let mut bytes = Vec::new();
    let file = disk::open(&path).map_err(|refusal| refusal.message)?;
    file.take(manifest::MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| format!("{name}: {e}"))?;
    if bytes.len() as u64 > manifest::MAX_BYTES {
        return Err(format!("{name} is longer than {} bytes", manifest::MAX_BYTES));
    }
    Ok(bytes)
}
