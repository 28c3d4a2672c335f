//! Whoever reads a set holds a shared lock on its folder, and whoever removes one needs it alone. The kernel drops both when their
//! holder dies. It must not know what is in the folder.

use super::disk;
use crate::domain::refusal::{Refusal, RefusalKind};
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, fstat, openat, statat};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// A set that is being read; dropping it lets go. It stays the same set whatever name its folder gets.
#[derive(Debug)]
pub(super) struct Reading {
    _folder: File,
}

impl Reading {
    /// Begins to read the set in this folder. A removal that has just begun is waited for: it takes one rename.
    ///
    /// A file system that knows no locks hinders no reader, for a restore must not fail for that; [`claim`] fails there, so
    /// nothing is ever removed from it.
    ///
    /// # Errors
    /// `NoBackup` when the set was removed meanwhile, `Integrity` when it is no folder, `Storage`.
    pub(super) fn begin(folder: &Path) -> Result<Self, Refusal> {
        let file = open(CWD, folder).map_err(|errno| match errno {
            Errno::LOOP | Errno::NOTDIR => disk::damaged(folder, "is not a folder"),
            Errno::NOENT => removed(folder),
            other => disk::reading(&other.into(), folder),
        })?;
        loop {
            match flock(&file, FlockOperation::LockShared) {
                Ok(()) => break,
                Err(Errno::INTR) => {}
                Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => break,
                Err(other) => return Err(disk::reading(&other.into(), folder)),
            }
        }
        if is_called(&file, CWD, folder) { Ok(Self { _folder: file }) } else { Err(removed(folder)) }
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
pub(super) fn claim(vault: BorrowedFd<'_>, name: &str) -> Result<File, Obstacle> {
    let strange = |what: &str, errno: Errno| Obstacle::Strange(format!("{what}: {}", std::io::Error::from(errno)));
    let file = open(vault, Path::new(name)).map_err(|errno| match errno {
        Errno::LOOP | Errno::NOTDIR => Obstacle::Strange("is a link, or not a folder".to_owned()),
        other => strange("cannot be opened", other),
    })?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(Obstacle::InUse),
        Err(other) => return Err(strange("cannot be locked", other)),
    }
    let device = |fd: BorrowedFd<'_>| fstat(fd).map(|s| s.st_dev).map_err(|e| strange("cannot be looked at", e));
    if device(vault)? != device(file.as_fd())? {
        return Err(Obstacle::Strange("is a file system of its own".to_owned()));
    }
    if !is_called(&file, vault, Path::new(name)) {
        return Err(Obstacle::Strange("is no longer there".to_owned()));
    }
    for entry in names(&file).map_err(|e| strange("cannot be read", e))? {
        let found = statat(&file, &entry, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| strange("cannot be read", e))?;
        if !rustix::fs::FileType::from_raw_mode(found.st_mode).is_file() {
            return Err(Obstacle::Strange(format!("holds {}, which is not a plain file", entry.to_string_lossy())));
        }
    }
    Ok(file)
}

/// What a folder holds.
pub(super) fn names(folder: &File) -> Result<Vec<std::ffi::CString>, Errno> {
    let entries = rustix::fs::Dir::read_from(folder)?;
    let names = entries.map(|entry| entry.map(|e| e.file_name().to_owned()));
    names.filter(|name| !matches!(name, Ok(n) if matches!(n.to_bytes(), b"." | b".."))).collect()
}

/// A folder itself; what only leads to one is refused.
fn open(at: BorrowedFd<'_>, path: &Path) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, path, flags, Mode::empty()).map(File::from)
}

/// Whether this is still the folder that has this name.
fn is_called(file: &File, at: BorrowedFd<'_>, name: &Path) -> bool {
    match (fstat(file), statat(at, name, AtFlags::SYMLINK_NOFOLLOW)) {
        (Ok(held), Ok(named)) => (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino),
        _ => false,
    }
}

fn removed(folder: &Path) -> Refusal {
    Refusal::new(
        RefusalKind::NoBackup,
        format!("backup set {} is gone: it was removed at this moment", folder.display()),
        "choose another one; `cargo xtask prune <stack>` lists what there is",
    )
}
