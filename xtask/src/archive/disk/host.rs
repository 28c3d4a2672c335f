//! The file system of this host. It must not know what is stored on it.

use super::{Disk, Entry, Folder, Kind, Links, Opened};
use rustix::fs::{Advice, AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat};
use rustix::fs::{fadvise, flock, fstat, openat, renameat, renameat_with, statat, statvfs, unlinkat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

/// The file system of this host.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostDisk;

impl Disk for HostDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Opened>> {
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
        opened(OpenOptions::new().write(true).create_new(true).mode(0o600), flags, path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Opened>> {
        opened(OpenOptions::new().read(true), OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, path)
    }

    fn extend(&self, path: &Path) -> io::Result<Box<dyn Opened>> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        opened(OpenOptions::new().read(true).append(true).create(true).mode(0o600), flags, path)
    }

    fn folder(&self, path: &Path, links: Links) -> io::Result<Box<dyn Folder>> {
        folder_at(CWD, path.as_os_str(), links)
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn look(&self, path: &Path, links: Links) -> io::Result<Entry> {
        let flags = if links == Links::Followed { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
        Ok(entry(&statat(CWD, path, flags)?))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        rename_at(CWD, from.as_os_str(), to.as_os_str())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_all(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(path)
    }

    fn free_bytes(&self, path: &Path) -> Option<u64> {
        let at = statvfs(path).or_else(|e| path.parent().map_or(Err(e), statvfs)).ok()?;
        Some(at.f_bavail.saturating_mul(at.f_frsize))
    }

    fn free_files(&self, path: &Path) -> Option<u64> {
        let at = statvfs(path).or_else(|e| path.parent().map_or(Err(e), statvfs)).ok()?;
        // A file system that makes its inodes as it goes says that it has none at all.
        (at.f_files > 0).then_some(at.f_favail)
    }
}

fn opened(options: &mut OpenOptions, flags: OFlags, path: &Path) -> io::Result<Box<dyn Opened>> {
    let file = options.custom_flags(flags.bits().cast_signed()).open(path)?;
    Ok(Box::new(HostFile(file)))
}

fn folder_at(at: BorrowedFd<'_>, path: &OsStr, links: Links) -> io::Result<Box<dyn Folder>> {
    let mut flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    flags.set(OFlags::NOFOLLOW, links == Links::Refused);
    Ok(Box::new(HostFolder(File::from(openat(at, path, flags, Mode::empty())?))))
}

fn rename_at(at: BorrowedFd<'_>, from: &OsStr, to: &OsStr) -> io::Result<()> {
    match renameat_with(at, from, at, to, RenameFlags::NOREPLACE) {
        // Some network file systems know no such rename; a plain one never replaces a folder that holds something.
        Err(Errno::INVAL | Errno::NOSYS) => Ok(renameat(at, from, at, to)?),
        other => Ok(other?),
    }
}

fn entry(stat: &Stat) -> Entry {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    };
    let bytes = u64::try_from(stat.st_size).unwrap_or(0);
    Entry { kind, bytes, owner: stat.st_uid, mode: stat.st_mode & 0o7777, identity: (stat.st_dev, stat.st_ino) }
}

/// Locks a file or folder, however often a signal comes while it waits.
fn waiting(of: &File, how: FlockOperation) -> io::Result<()> {
    loop {
        match flock(of, how) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Whether the lock was taken, or somebody else has it.
fn taken(locked: Result<(), Errno>) -> io::Result<bool> {
    match locked {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(other) => Err(other.into()),
    }
}

#[derive(Debug)]
struct HostFile(File);

impl Read for HostFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for HostFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Opened for HostFile {
    fn look(&self) -> io::Result<Entry> {
        Ok(entry(&fstat(&self.0)?))
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn forget(&self) {
        let _ = fadvise(&self.0, 0, None, Advice::DontNeed);
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        self.0.read_exact_at(into, at)
    }

    fn lock(&self) -> io::Result<()> {
        waiting(&self.0, FlockOperation::LockExclusive)
    }

    fn lock_now(&self) -> io::Result<bool> {
        taken(flock(&self.0, FlockOperation::NonBlockingLockExclusive))
    }

    fn unlock(&self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

#[derive(Debug)]
struct HostFolder(File);

impl Folder for HostFolder {
    fn look(&self) -> io::Result<Entry> {
        Ok(entry(&fstat(&self.0)?))
    }

    fn names(&self) -> io::Result<Vec<OsString>> {
        let names = rustix::fs::Dir::read_from(&self.0)?.map(|entry| entry.map(|e| e.file_name().to_owned()));
        let names = names.filter(|name| !matches!(name, Ok(n) if matches!(n.to_bytes(), b"." | b"..")));
        names.map(|name| Ok(OsString::from_vec(name?.into_bytes()))).collect()
    }

    fn entry(&self, name: &OsStr) -> io::Result<Entry> {
        Ok(entry(&statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    fn folder(&self, name: &OsStr) -> io::Result<Box<dyn Folder>> {
        folder_at(self.0.as_fd(), name, Links::Refused)
    }

    fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        rename_at(self.0.as_fd(), from, to)
    }

    fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn lock_shared(&self) -> io::Result<()> {
        waiting(&self.0, FlockOperation::LockShared)
    }

    fn lock_now(&self) -> io::Result<bool> {
        taken(flock(&self.0, FlockOperation::NonBlockingLockExclusive))
    }

    fn unlock(&self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}
