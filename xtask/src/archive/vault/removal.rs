//! Removing sets: one durable rename takes a set out of every listing, then its files go. Killed in between it leaves a hidden
//! folder, which the next run that begins removes. It must not know which sets are to go.

use super::beside::{DAMAGED, HOLD};
use super::restoring::SAFETY;
use super::{Listed, TRASH, Vault};
use crate::archive::access::Access;
use crate::archive::catalog::{self, Line};
use crate::archive::disk::{self, Disk, Folder, Links};
use crate::archive::lock::Lock;
use crate::archive::manifest::{self, Id};
use crate::archive::reading::{Obstacle, claim};
use crate::archive::set;
use crate::domain::refusal::RefusalKind;
use anyhow::Result;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::Path;

/// What can be seen of a set from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Somebody reads it.
    pub in_use: bool,
    /// A person wants it kept.
    pub on_hold: bool,
    /// What an earlier run found when it read the set.
    pub known_damage: Option<String>,
    /// Why nobody can tell whether it is damaged, or may not touch it; `None` = its listing says what it is.
    pub doubt: Option<String>,
}

/// Why a set was left where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// Somebody reads it.
    InUse,
    /// A person wants it kept.
    OnHold,
    /// It is not a set that a vault made, or nobody can tell.
    Strange(String),
}

impl Vault {
    /// Looks at one entry of a listing. A reader that comes at this moment waits for it, and notices nothing else.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage` when the vault cannot be opened.
    pub fn look(&self, listed: &Listed) -> Result<Look> {
        let folder = self.opened()?;
        let (in_use, strange) = match claim(folder.as_ref(), &listed.id) {
            Ok(_) => (false, None),
            Err(Obstacle::InUse) => (true, None),
            Err(Obstacle::Strange(why)) => (false, Some(why)),
        };
        let damaged = listed.public.is_err() && strange.is_none();
        let path = self.folder.join(&listed.id);
        // Signed by nobody whom the stack trusts, as every set was before it named somebody: nothing of it is known to be damaged.
        let unsigned = || {
            let why = listed
                .public
                .as_ref()
                .err()
                .filter(|_| set::sound(self.on(), &path, &listed.id, &Access::default()).is_ok())?;
            Some(why.clone())
        };
        let doubt = strange.or_else(|| if damaged { unsigned().or_else(|| undecided(self.on(), &path)) } else { None });
        let on_hold = self.noted(HOLD, &listed.id).is_some();
        Ok(Look { in_use, on_hold, known_damage: self.noted(DAMAGED, &listed.id), doubt })
    }

    /// Takes the vault's lock for removing, and removes what dead runs left.
    ///
    /// # Errors
    /// `Refusal` of kind `Locked` (names the holder), `Preflight` (the vault is open to others) or `Storage`.
    pub fn removal(&self, run: &str, wall: jiff::Timestamp) -> Result<Removal<'_>> {
        let folder = self.opened()?;
        self.private()?;
        let lock = Lock::take(self.on(), &self.folder, run, wall)?;
        self.clear(&self.names()?)?;
        Ok(Removal { vault: self, folder, run: run.to_owned(), at: wall.to_string(), _lock: lock })
    }
}

/// A vault locked for removing.
#[derive(Debug)]
pub struct Removal<'v> {
    pub(super) vault: &'v Vault,
    folder: Box<dyn Folder>,
    /// Who removes, and when, for the catalog.
    run: String,
    at: String,
    _lock: Lock,
}

impl Removal<'_> {
    /// Removes one set, or says why it is left where it is. Nothing but a set's own folder in this vault is ever touched: no
    /// link is followed, and a folder with anything but plain files in it is left.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage`. The set is then whole and listed, or hidden and removed by the next run that begins.
    pub fn remove(&self, id: &str) -> Result<Result<(), Left>> {
        if Id::parse(id).is_none() {
            return Ok(Err(Left::Strange("is not named like a backup set".to_owned())));
        }
        if self.vault.noted(HOLD, id).is_some() {
            return Ok(Err(Left::OnHold));
        }
        let set = match claim(self.folder.as_ref(), id) {
            Ok(set) => set,
            Err(Obstacle::InUse) => return Ok(Err(Left::InUse)),
            Err(Obstacle::Strange(why)) => return Ok(Err(Left::Strange(why))),
        };
        let trash = format!("{TRASH}{id}");
        // Said first: a set that goes without a word would look like one that somebody took.
        catalog::append(
            self.vault.on(),
            &self.vault.folder,
            &[Line::Removed { id: id.to_owned(), run: self.run.clone(), at: self.at.clone() }],
        )?;
        self.hide(id, &trash).map_err(|e| self.trouble(&e, id))?;
        // Nobody finds it any more; who waits for it shall not wait until its files are gone.
        set.unlock();
        self.delete(set.as_ref(), &trash).map_err(|e| self.trouble(&e, &trash))?;
        self.vault.strike_out(SAFETY, id)?;
        self.vault.strike_out(DAMAGED, id).map(Ok)
    }

    /// Gives the folder its hidden name, and comes back only when that is durable: files that are gone from a folder that still
    /// has its name after a power cut would be a damaged set.
    fn hide(&self, id: &str, trash: &str) -> io::Result<()> {
        let (id, trash) = (OsStr::new(id), OsStr::new(trash));
        self.folder.rename_new(id, trash)?;
        self.folder.sync().inspect_err(|_| {
            let _ = self.folder.rename_new(trash, id);
        })
    }

    fn delete(&self, set: &dyn Folder, trash: &str) -> io::Result<()> {
        set.names()?.iter().try_for_each(|file| set.remove_file(file))?;
        self.folder.remove_folder(OsStr::new(trash))
    }

    fn trouble(&self, error: &io::Error, name: &str) -> anyhow::Error {
        disk::storage(self.vault.on(), error, "remove", &self.vault.folder.join(name), None)
    }
}

/// Why a set that is no sound one may still be good: its files cannot be read here and now, or a newer tool made it.
fn undecided(on: &dyn Disk, folder: &Path) -> Option<String> {
    let names = match on.folder(folder, Links::Refused).and_then(|folder| folder.names()) {
        Ok(names) => names,
        Err(e) => return Some(disk::reading(&e, folder).message),
    };
    for path in names.iter().map(|name| folder.join(name)) {
        let read = disk::open(on, &path).and_then(|mut f| f.read(&mut [0]).map_err(|e| disk::reading(&e, &path)));
        if let Err(refusal) = read
            && refusal.kind == RefusalKind::Storage
        {
            return Some(refusal.message);
        }
    }
    let record = |name| set::record(on, folder, name).ok();
    manifest::newer(&record(manifest::NAME)?, &record(manifest::DIGEST_NAME)?)
}

#[cfg(test)]
mod tests;
