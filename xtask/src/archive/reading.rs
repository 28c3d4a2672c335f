//! Whoever reads a set holds a shared lock on its folder, and whoever removes one needs it alone. The kernel drops both when their
//! holder dies. It must not know what is in the folder.

use super::disk::{self, Disk, Folder, Kind, Links};
use crate::domain::refusal::{Refusal, RefusalKind};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::path::Path;

/// A set that is being read; dropping it lets go. It stays the same set whatever name its folder gets.
#[derive(Debug)]
pub(super) struct Reading {
    _folder: Box<dyn Folder>,
}

impl Reading {
    /// Begins to read the set in this folder. A removal that has just begun is waited for: it takes one rename.
    ///
    /// A file system that knows no locks hinders no reader, for a restore must not fail for that; [`claim`] fails there, so
    /// nothing is ever removed from it.
    ///
    /// # Errors
    /// `NoBackup` when the set was removed meanwhile, `Integrity` when it is no folder, `Storage`.
    pub(super) fn begin(on: &dyn Disk, path: &Path) -> Result<Self, Refusal> {
        let folder = on.folder(path, Links::Refused).map_err(|e| match Errno::from_io_error(&e) {
            Some(Errno::LOOP | Errno::NOTDIR) => disk::damaged(path, "is not a folder"),
            Some(Errno::NOENT) => removed(path),
            _ => disk::reading(&e, path),
        })?;
        if let Err(e) = folder.lock_shared() {
            match Errno::from_io_error(&e) {
                Some(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
                _ => return Err(disk::reading(&e, path)),
            }
        }
        // Whether this is still the folder that has this name.
        match (folder.look(), on.look(path, Links::Refused)) {
            (Ok(held), Ok(named)) if held.identity == named.identity => Ok(Self { _folder: folder }),
            _ => Err(removed(path)),
        }
    }
}

/// What keeps a folder from being removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Somebody reads it.
    InUse,
    /// It is not a folder that a vault made, or nobody can tell.
    Strange(String),
}

/// Locks the folder of this name against readers, at once or not at all. Links are not followed; a folder of another file system,
/// and one that holds anything but plain files, is refused.
pub(super) fn claim(vault: &dyn Folder, name: &str) -> Result<Box<dyn Folder>, Obstacle> {
    let strange = |what: &str, e: io::Error| Obstacle::Strange(format!("{what}: {e}"));
    let name = OsStr::new(name);
    let folder = vault.folder(name).map_err(|e| match Errno::from_io_error(&e) {
        Some(Errno::LOOP | Errno::NOTDIR) => Obstacle::Strange("is a link, or not a folder".to_owned()),
        _ => strange("cannot be opened", e),
    })?;
    match folder.lock_now() {
        Ok(true) => {}
        Ok(false) => return Err(Obstacle::InUse),
        Err(e) => return Err(strange("cannot be locked", e)),
    }
    let unseen = |e| strange("cannot be looked at", e);
    let held = folder.look().map_err(unseen)?;
    if vault.look().map_err(unseen)?.identity.0 != held.identity.0 {
        return Err(Obstacle::Strange("is a file system of its own".to_owned()));
    }
    if !vault.entry(name).is_ok_and(|named| named.identity == held.identity) {
        return Err(Obstacle::Strange("is no longer there".to_owned()));
    }
    for entry in folder.names().map_err(|e| strange("cannot be read", e))? {
        if folder.entry(&entry).map_err(|e| strange("cannot be read", e))?.kind != Kind::File {
            return Err(Obstacle::Strange(format!("holds {}, which is not a plain file", entry.to_string_lossy())));
        }
    }
    Ok(folder)
}

fn removed(folder: &Path) -> Refusal {
    Refusal::new(
        RefusalKind::NoBackup,
        format!("backup set {} is gone: it was removed at this moment", folder.display()),
        "choose another one; `cargo xtask prune <stack>` lists what there is",
    )
}
