//! Changing who can read a set: its own key is encrypted anew for the readers of today, and the file that was for those of yesterday
//! goes. No file of the data, no digest, no signature changes. It must not know who the readers are.

use super::{PARTIAL, Vault};
use crate::archive::catalog::{self, Line};
use crate::archive::disk::Folder;
use crate::archive::keys::Keys;
use crate::archive::lock::Lock;
use crate::archive::manifest;
use crate::archive::reading::{Obstacle, claim};
use crate::archive::set::{key_names, key_of, sound};
use crate::archive::set_key::SetKey;
use crate::archive::{disk, set};
use crate::domain::protection::Encryption;
use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// A vault locked for changing the readers of its sets.
#[derive(Debug)]
pub struct Rewrapping<'v> {
    vault: &'v Vault,
    folder: Box<dyn Folder>,
    run: String,
    _lock: Lock,
}

impl Vault {
    /// Takes the vault's lock for changing who can read its sets, and removes what dead runs left.
    ///
    /// # Errors
    /// `Refusal` of kind `Configuration` (nobody is named to encrypt for), `NoBackup` (there is no vault), `Locked` (names the
    /// holder), `Preflight` (the vault is open to others) or `Storage`.
    pub fn rewrapping(&self, run: &str, wall: jiff::Timestamp) -> Result<Rewrapping<'_>> {
        ensure!(manifest::is_file_name(run), "`{run}` cannot be part of a file's name");
        if !self.access.encryption.is_on() {
            return Err(nobody().into());
        }
        if disk::is_missing(self.on(), &self.folder) {
            return Err(super::missing(&self.folder, "latest", &[]).into());
        }
        let folder = self.opened()?;
        self.private()?;
        let lock = Lock::take(self.on(), &self.folder, run, wall)?;
        self.clear(&self.names()?)?;
        Ok(Rewrapping { vault: self, folder, run: run.to_owned(), _lock: lock })
    }
}

impl Rewrapping<'_> {
    /// Encrypts the key of one set for the readers whom the configuration names now, and for nobody else. `more` opens sets that
    /// the configuration's own keys do not open any more. Killed at any moment, the set is open to the readers of before, to both,
    /// or to those of now: the new file is durable before the old ones go.
    ///
    /// # Errors
    /// `Refusal`: `NoBackup`, `Integrity` (damaged, not signed by whom the stack trusts, or a key that is not its own), `WrongKey`
    /// (nothing opens it), `Configuration` (not encrypted at all; a recipient that is none), `Locked` (it is being read), `Storage`.
    pub fn rewrap(&self, id: &str, more: &[Keys]) -> Result<()> {
        let on = self.vault.on();
        let folder = self.vault.folder.join(id);
        let ids =
            || self.vault.names().map(|names| names.into_iter().filter(|n| manifest::is_id(n)).collect::<Vec<_>>());
        if !manifest::is_id(id) || disk::is_missing(on, &folder) {
            let ids = ids()?;
            return Err(
                super::missing(&self.vault.folder, id, &ids.iter().map(String::as_str).collect::<Vec<_>>()).into()
            );
        }
        // Whoever reads the set may be about to open the file that is to go.
        let _alone = claim(self.folder.as_ref(), id).map_err(|obstacle| hindered(&folder, obstacle))?;
        let public = sound(on, &folder, id, &self.vault.access).map_err(|why| disk::damaged(&folder, &why))?;
        let Some(seal) = &public.outline.seal else { return Err(in_the_open(id).into()) };
        let mut key = key_of(on, &folder, &seal.recipient, &self.vault.access.keys);
        for keys in more {
            if key.as_ref().is_err_and(|refusal| refusal.kind == RefusalKind::WrongKey) {
                key = key_of(on, &folder, &seal.recipient, keys);
            }
        }
        let key = key?;
        let before = key_names(on, &folder)?;
        let name = self.put(&folder, &key)?;
        for old in before.iter().filter(|old| **old != name) {
            disk::remove(on, &folder.join(old))?;
        }
        disk::sync_folder(on, &folder)
    }

    /// Writes down that a key file is ours. One that was there before there were such lines keeps its place as long as it lies there.
    fn bind(&self, id: &str, name: &str) -> Result<()> {
        let on = self.vault.on();
        // A catalog that cannot be read is told by `verify`, and binds nothing.
        let Ok(lines) = catalog::read(on, &self.vault.folder) else { return Ok(()) };
        let bound = lines.iter().any(|line| matches!(line, Line::Keyed { id: of, .. } if of == id));
        let before = if bound { Vec::new() } else { key_names(on, &self.vault.folder.join(id))? };
        let keyed = |file: String| Line::Keyed { id: id.to_owned(), file };
        let new = before.into_iter().chain([name.to_owned()]).map(keyed).collect::<Vec<_>>();
        catalog::append(on, &self.vault.folder, &new)
    }

    /// Puts the key, encrypted for the readers of now, beside those that there are; durable on return. Its name.
    fn put(&self, folder: &Path, key: &SetKey) -> Result<String> {
        let wrapped = key.wrapped(&self.vault.access.encryption)?;
        let name = manifest::key_name(&wrapped);
        // Made outside of the set, where half a file would be damage.
        let temporary = format!("{PARTIAL}{}", self.run);
        let path = self.vault.folder.join(&temporary);
        let on = self.vault.on();
        disk::remove(on, &path)?;
        disk::write_new(on, &path, &wrapped)?;
        let read = set::record(on, &self.vault.folder, &temporary).map_err(|why| disk::damaged(&path, &why))?;
        if read != wrapped {
            return Err(disk::damaged(&path, "does not read back as it was written").into());
        }
        // Said first: a file without its line would look like one that somebody else put there.
        let id = folder.file_name().map(|id| id.to_string_lossy().into_owned()).unwrap_or_default();
        self.bind(&id, &name)?;
        disk::rename_new(on, &path, &folder.join(&name))?;
        disk::sync_folder(on, folder)?;
        disk::sync_folder(on, &self.vault.folder).context("make the vault durable")?;
        Ok(name)
    }
}

impl Vault {
    /// For whom new sets, and sets that are rewrapped, are encrypted.
    pub fn readers(&self) -> &Encryption {
        &self.access.encryption
    }
}

fn nobody() -> Refusal {
    Refusal::new(
        RefusalKind::Configuration,
        "the configuration names nobody to encrypt for",
        "write `encryption: { recipients: [age1…, age1…] }` below `backups:` in recovery.yaml",
    )
}

fn in_the_open(id: &str) -> Refusal {
    Refusal::new(
        RefusalKind::Configuration,
        format!("set {id} is not encrypted: whoever reads the folder reads it, and no key changes that"),
        "make a new set with `cargo xtask backup <stack>`, then remove this one when it is no longer needed",
    )
}

fn hindered(folder: &Path, obstacle: Obstacle) -> Refusal {
    match obstacle {
        Obstacle::InUse => Refusal::new(
            RefusalKind::Locked,
            format!("backup set {} is being read", folder.display()),
            "wait until that run has ended; nothing of the set was changed",
        ),
        Obstacle::Strange(why) => disk::damaged(folder, &why),
    }
}

#[cfg(test)]
mod tests;
