//! Puts checked entries into a fresh private folder that nobody else writes. Every folder on the way is held open, no link is followed,
//! nothing that exists is opened or replaced.

use super::archive::{Archive, Entry, Kind};
use super::names::{hostile, shown, split};
use super::walk::open_folder;
use crate::adapters::data_tool::sync_all_of;
use anyhow::{Context, Result};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Error, Write};
use std::path::Path;

/// The folder that is filled.
pub struct Fresh {
    root: OwnedFd,
    /// The folder that the last entry went to.
    last: Option<(Vec<u8>, OwnedFd)>,
    /// Folders that had to be made before their own entry came.
    implied: BTreeSet<Vec<u8>>,
    /// Folders whose rights and times are set at the end: writing into them changes both.
    folders: Vec<Entry>,
    rooted: bool,
}

impl Fresh {
    /// Makes the folder at `path`, which must not exist.
    pub fn make(path: &Path) -> Result<Self> {
        rustix::fs::mkdir(path, Mode::RWXU)
            .map_err(Error::from)
            .with_context(|| format!("make the folder {}", path.display()))?;
        let root = super::walk::root(path)?;
        Ok(Self { root, last: None, implied: BTreeSet::new(), folders: Vec::new(), rooted: false })
    }

    /// Puts one entry in its place, with its bytes from `archive`.
    pub fn put(&mut self, entry: &Entry, archive: &mut Archive) -> Result<()> {
        let failed = || format!("extract {}", shown(&entry.path));
        if entry.path.is_empty() {
            if std::mem::replace(&mut self.rooted, true) {
                return Err(hostile(b"./", "comes twice"));
            }
            self.folders.push(entry.clone());
            return Ok(());
        }
        let (parent, name) = split(&entry.path);
        if let Kind::Hardlink(target) = &entry.kind {
            return self.link(entry, target).with_context(failed);
        }
        let parent = self.folder(parent)?;
        let twice = |e: Errno| match e {
            Errno::EXIST => hostile(&entry.path, "comes twice"),
            e => anyhow::Error::from(Error::from(e)).context(failed()),
        };
        match &entry.kind {
            Kind::Folder => {
                let made = rustix::fs::mkdirat(&parent, name, Mode::RWXU);
                self.last = Some((split(&entry.path).0.to_vec(), parent));
                match made {
                    Err(Errno::EXIST) if self.implied.remove(&entry.path) => {}
                    made => made.map_err(twice)?,
                }
                self.folders.push(entry.clone());
                Ok(())
            }
            Kind::Symlink(target) => {
                rustix::fs::symlinkat(target.as_slice(), &parent, name).map_err(twice)?;
                if rustix::process::geteuid().is_root() {
                    let (uid, gid) = owner(entry);
                    rustix::fs::chownat(&parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                        .map_err(Error::from)
                        .with_context(failed)?;
                }
                let set = rustix::fs::utimensat(&parent, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW);
                self.last = Some((split(&entry.path).0.to_vec(), parent));
                set.map_err(Error::from).with_context(failed)
            }
            _ => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&parent, name, flags, Mode::RUSR | Mode::WUSR).map_err(twice)?;
                self.last = Some((split(&entry.path).0.to_vec(), parent));
                let mut file = File::from(file);
                let mut buffer = vec![0; 128 * 1024];
                loop {
                    match archive.read(&mut buffer)? {
                        0 => break,
                        n => file.write_all(&buffer[..n]).with_context(failed)?,
                    }
                }
                dress(&file, entry).with_context(failed)
            }
        }
    }

    /// Another name for a file that is already here; never for a link, never for anything outside.
    fn link(&mut self, entry: &Entry, target: &[u8]) -> Result<()> {
        let (home, old) = split(target);
        let home = self.folder(home)?;
        let found = rustix::fs::statat(&home, old, AtFlags::SYMLINK_NOFOLLOW);
        if found.map(|s| FileType::from_raw_mode(s.st_mode)) != Ok(FileType::RegularFile) {
            return Err(hostile(&entry.path, "is another name of a file that did not come before it"));
        }
        let (parent, name) = split(&entry.path);
        let parent = self.folder(parent)?;
        match rustix::fs::linkat(&home, old, &parent, name, AtFlags::empty()) {
            Err(Errno::EXIST) => Err(hostile(&entry.path, "comes twice")),
            linked => Ok(linked.map_err(Error::from)?),
        }
    }

    /// Opens the folder at `path` name by name, making what is missing.
    fn folder(&mut self, path: &[u8]) -> Result<OwnedFd> {
        if let Some((_, fd)) = self.last.take_if(|(known, _)| known == path) {
            return Ok(fd);
        }
        let mut fd = self.root.try_clone().context("open a folder")?;
        let mut done = 0;
        for name in path.split(|b| *b == b'/').filter(|n| !n.is_empty()) {
            done += name.len() + usize::from(done > 0);
            match rustix::fs::mkdirat(&fd, name, Mode::RWXU) {
                Ok(()) => drop(self.implied.insert(path[..done].to_vec())),
                Err(Errno::EXIST) => {}
                Err(e) => {
                    return Err(Error::from(e)).with_context(|| format!("make the folder {}", shown(&path[..done])));
                }
            }
            fd = match open_folder(&fd, name) {
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    return Err(hostile(path, "leads through something that is no folder"));
                }
                opened => {
                    opened.map_err(Error::from).with_context(|| format!("open the folder {}", shown(&path[..done])))?
                }
            };
        }
        Ok(fd)
    }

    /// Sets the rights and times of the folders, the deepest first, and makes everything last.
    pub fn finish(mut self) -> Result<()> {
        self.last = None;
        let mut folders = std::mem::take(&mut self.folders);
        folders.sort_by_key(|f| std::cmp::Reverse((!f.path.is_empty(), f.path.iter().filter(|b| **b == b'/').count())));
        for entry in &folders {
            let fd = self.folder(&entry.path)?;
            dress(&fd, entry).with_context(|| format!("set the rights of {}", shown(&entry.path)))?;
        }
        sync_all_of(&self.root).context("sync the restored files")
    }
}

fn owner(entry: &Entry) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))
}

fn times(entry: &Entry) -> Timestamps {
    let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    Timestamps {
        last_access: omit,
        last_modification: Timespec { tv_sec: entry.mtime.0, tv_nsec: entry.mtime.1.into() },
    }
}

/// Sets owner (as root only: nobody else may), rights and time of change, in the order in which none undoes another.
fn dress(fd: impl AsFd, entry: &Entry) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = owner(entry);
        rustix::fs::fchown(fd.as_fd(), uid, gid).map_err(Error::from)?;
    }
    rustix::fs::fchmod(fd.as_fd(), Mode::from_raw_mode(entry.mode)).map_err(Error::from)?;
    Ok(rustix::fs::futimens(fd.as_fd(), &times(entry)).map_err(Error::from)?)
}
