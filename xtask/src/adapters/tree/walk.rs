//! Goes through a folder in one order on every machine, holding folders open instead of trusting paths, following no link.

use super::names::{MAX_DEPTH, MAX_PATH, shown};
use crate::adapters::data_tool::refuse;
use crate::domain::refusal::RefusalKind;
use anyhow::{Context, Result, bail};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io::Error;
use std::path::Path;

/// How often a folder is listed until two lists in a row agree.
const LISTINGS: usize = 10;

/// One thing in a folder.
pub struct Node<'a> {
    /// Its path below the root; empty for the root itself.
    pub path: &'a [u8],
    /// Its state when it was met.
    pub stat: Stat,
    folder: BorrowedFd<'a>,
    name: &'a [u8],
}

impl Node<'_> {
    /// What it is.
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// Opens it as the plain file it was when it was met; `None` if it is gone or something else by now.
    pub fn open(&self) -> Result<Option<File>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(self.folder, self.name, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
            opened => opened.map_err(Error::from).with_context(|| format!("open {}", shown(self.path)))?,
        };
        let stat = stat_of(&file)?;
        Ok((FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then(|| File::from(file)))
    }

    /// Where a symbolic link points to; `None` if it is gone by now.
    pub fn target(&self) -> Result<Option<Vec<u8>>> {
        match rustix::fs::readlinkat(self.folder, self.name, Vec::new()) {
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            read => Ok(Some(
                read.map_err(Error::from).with_context(|| format!("read the link {}", shown(self.path)))?.into_bytes(),
            )),
        }
    }
}

/// The rights that a backup keeps: of a folder also setgid and sticky, which decide to whom its new files belong and who may
/// delete them; never setuid, nor setgid of a file.
pub fn rights(folder: bool, mode: u32) -> u32 {
    mode & if folder { 0o3777 } else { 0o777 }
}

/// A file's time of change in seconds and nanoseconds.
pub fn modified(stat: &Stat) -> (i64, u32) {
    (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0))
}

/// The state of an open file.
pub fn stat_of(file: impl AsFd) -> Result<Stat> {
    rustix::fs::fstat(file).map_err(Error::from).context("ask for a file's state")
}

/// Opens a folder, following no link at its end.
pub fn open_folder(folder: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty())
}

/// Opens a folder at a path without links: where the kernel can, it is held to that, for one may have been planted since they were
/// resolved.
fn open_root(folder: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    #[cfg(target_os = "linux")]
    match rustix::fs::openat2(CWD, folder, flags, Mode::empty(), rustix::fs::ResolveFlags::NO_SYMLINKS) {
        Err(Errno::NOSYS | Errno::PERM) => {}
        opened => return opened,
    }
    rustix::fs::openat(CWD, folder, flags, Mode::empty())
}

/// The root of a tree, with links resolved; refuses what is missing or no folder.
pub fn root(folder: &Path) -> Result<OwnedFd> {
    let at = folder.display();
    match open_root(folder) {
        Err(Errno::LOOP) => {
            let hint = "see what renames folders or plants links there, then run it again";
            Err(refuse(RefusalKind::Preflight, format!("{at} is, or goes through, a link"), hint))
        }
        Err(Errno::NOENT) => {
            Err(refuse(RefusalKind::MissingStore, format!("there is no folder {at}"), "check the store's path"))
        }
        Err(Errno::NOTDIR) => {
            Err(refuse(RefusalKind::BadArtifact, format!("{at} is no folder"), "check the store's path"))
        }
        opened => opened.map_err(Error::from).with_context(|| format!("open the folder {at}")),
    }
}

/// Visits the root and everything below it, parents first, names in the order of their bytes. `skip` is a folder that is left out,
/// by device and inode: the scratch folder may lie inside the store.
pub fn walk(folder: &Path, skip: Option<(u64, u64)>, visit: &mut dyn FnMut(&Node) -> Result<()>) -> Result<()> {
    let root = root(folder)?;
    let stat = stat_of(&root)?;
    visit(&Node { path: b"", stat, folder: root.as_fd(), name: b"." })?;
    below(root.as_fd(), &mut Vec::new(), 1, skip, visit)
}

fn below(
    folder: BorrowedFd,
    path: &mut Vec<u8>,
    depth: usize,
    skip: Option<(u64, u64)>,
    visit: &mut dyn FnMut(&Node) -> Result<()>,
) -> Result<()> {
    let base = path.len();
    for name in list(folder).with_context(|| format!("list {}", shown(path)))? {
        let stat = match rustix::fs::statat(folder, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            stat => stat.map_err(Error::from).with_context(|| format!("look at {}", shown(&name)))?,
        };
        if skip == Some((stat.st_dev, stat.st_ino)) {
            continue;
        }
        path.truncate(base);
        if base > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(&name);
        if path.len() > MAX_PATH || depth > MAX_DEPTH {
            bail!("{} is nested too deep to be kept ({MAX_DEPTH} folders, {MAX_PATH} bytes)", shown(path));
        }
        let node = Node { path, stat, folder, name: &name };
        visit(&node)?;
        if node.kind() == FileType::Directory {
            match open_folder(folder, &name) {
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                opened => {
                    let inner = opened.map_err(Error::from).with_context(|| format!("open {}", shown(path)))?;
                    below(inner.as_fd(), path, depth + 1, skip, visit)?;
                }
            }
        }
    }
    path.truncate(base);
    Ok(())
}

/// The names in a folder, sorted. One pass over a folder that is being written can show a younger name and miss an older one, so the
/// list is taken until it says the same twice.
fn list(folder: BorrowedFd) -> Result<Vec<Vec<u8>>> {
    let mut last = list_once(folder)?;
    for _ in 1..LISTINGS {
        let next = list_once(folder)?;
        if next == last {
            break;
        }
        last = next;
    }
    Ok(last)
}

fn list_once(folder: BorrowedFd) -> Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder).map_err(Error::from)? {
        let entry = entry.map_err(Error::from)?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    names.sort_unstable();
    Ok(names)
}
