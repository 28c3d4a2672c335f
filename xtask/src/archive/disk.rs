//! Files and folders of a vault, opened so that nobody can put something else in their place, and what it means when the disk
//! refuses. It must not know what a manifest is.

use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::Result;
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

mod host;

pub use host::HostDisk;

/// The file system that a vault lies on. Every method is one step that can fail; what was not made durable by a `sync` may be
/// lost, in whole or in part, when the power is. Errors are the operating system's own.
pub trait Disk: Debug + Send + Sync {
    /// Creates a file that nobody else can read (0600) for writing; fails for whatever has that name, a link too.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Opened>>;
    /// Opens what has that name for reading: never through a link in its last part, and a pipe without a writer does not hang.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Opened>>;
    /// Opens a file for reading from its beginning and writing at its end, and creates it (0600) where it is missing; no link.
    fn extend(&self, path: &Path) -> io::Result<Box<dyn Opened>>;
    /// Opens a folder.
    fn folder(&self, path: &Path, links: Links) -> io::Result<Box<dyn Folder>>;
    /// Makes one folder that nobody else can look into (0700); fails for whatever has that name.
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    /// What has that name.
    fn look(&self, path: &Path, links: Links) -> io::Result<Entry>;
    /// Gives something a new name, never replacing what has that name already.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes one file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder with what is in it, following no link.
    fn remove_all(&self, path: &Path) -> io::Result<()>;
    /// Free bytes for this user on the file system that holds `path`, or its folder when it is not there yet.
    fn free_bytes(&self, path: &Path) -> Option<u64>;
    /// As [`Disk::free_bytes`], for the number of files; `None` too where nobody counts them.
    fn free_files(&self, _path: &Path) -> Option<u64> {
        None
    }
}

/// Whether a link in the last part of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// To what it leads to: for the vault itself, which may lie elsewhere.
    Followed,
    /// It is opened by nobody, and looked at as a link.
    Refused,
}

/// An open file.
pub trait Opened: Read + Write + Debug + Send + Sync {
    /// What it is.
    fn look(&self) -> io::Result<Entry>;
    /// Cuts it to this length.
    fn cut(&mut self, bytes: u64) -> io::Result<()>;
    /// Makes its bytes durable. After an error nobody knows which are, and asking again would not tell.
    fn sync(&mut self) -> io::Result<()>;
    /// Asks for later reads to come from the disk rather than from memory. Whether they do is not known.
    fn forget(&self);
    /// Fills all of `into` with what is so many bytes from its beginning.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<()>;
    /// Locks it for this handle alone, waiting for whoever has it. Dropping the handle lets go.
    fn lock(&self) -> io::Result<()>;
    /// As [`Opened::lock`], at once; `false` when another handle has it.
    fn lock_now(&self) -> io::Result<bool>;
    /// Lets go of the lock.
    fn unlock(&self);
}

/// An open folder. It stays the same one whatever name it gets.
pub trait Folder: Debug + Send + Sync {
    /// What it is.
    fn look(&self) -> io::Result<Entry>;
    /// The names in it.
    fn names(&self) -> io::Result<Vec<OsString>>;
    /// What has this name in it; a link is looked at as a link.
    fn entry(&self, name: &OsStr) -> io::Result<Entry>;
    /// Opens a folder in it; no link.
    fn folder(&self, name: &OsStr) -> io::Result<Box<dyn Folder>>;
    /// As [`Disk::rename_new`], inside of it.
    fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()>;
    /// Removes a file from it.
    fn remove_file(&self, name: &OsStr) -> io::Result<()>;
    /// Removes an empty folder from it.
    fn remove_folder(&self, name: &OsStr) -> io::Result<()>;
    /// Makes the names in it durable.
    fn sync(&self) -> io::Result<()>;
    /// Locks it with others, waiting for whoever has it alone.
    fn lock_shared(&self) -> io::Result<()>;
    /// Locks it for this handle alone, at once; `false` when another handle has it. Dropping the handle lets go.
    fn lock_now(&self) -> io::Result<bool>;
    /// Lets go of the lock.
    fn unlock(&self);
}

/// What has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What kind of thing.
    pub kind: Kind,
    /// How long it is.
    pub bytes: u64,
    /// The user that it belongs to.
    pub owner: u32,
    /// Who may do what: the last twelve bits.
    pub mode: u32,
    /// The file system that it is on, and its number there: the same for the same thing only.
    pub identity: (u64, u64),
}

/// Kinds of things in a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A pipe, a socket, a device.
    Other,
}

/// Creates a file that nobody else can read, never opening one that is there already and never following a link.
pub(super) fn create(on: &dyn Disk, path: &Path) -> Result<Box<dyn Opened>> {
    on.create(path).map_err(|e| storage(on, &e, "create", path, None))
}

/// Writes a new file, durable on return but for its name.
pub(super) fn write_new(on: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = create(on, path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync());
    written.map_err(|e| storage(on, &e, "write", path, Some(bytes.len() as u64)))
}

/// Writes a secret into a new file that nobody else can read; never over a file that is there.
pub(super) fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    if HostDisk.look(path, Links::Refused).is_ok() {
        let message = format!("{} is there already", path.display());
        return Err(
            Refusal::new(RefusalKind::Configuration, message, "name another file, or move that one away").into()
        );
    }
    write_new(&HostDisk, path, bytes)
}

/// Opens a regular file for reading; a link, folder or pipe is refused, and a pipe without a writer does not hang.
pub(super) fn open(on: &dyn Disk, path: &Path) -> Result<Box<dyn Opened>, Refusal> {
    let file = on.open(path).map_err(|e| match e.raw_os_error() {
        Some(n) if n == Errno::LOOP.raw_os_error() => damaged(path, "is a symbolic link"),
        _ if e.kind() == io::ErrorKind::NotFound => damaged(path, "is missing"),
        _ => reading(&e, path),
    })?;
    if file.look().map_err(|e| reading(&e, path))?.kind == Kind::File {
        Ok(file)
    } else {
        Err(damaged(path, "is not a regular file"))
    }
}

/// As [`open`], and refuses a file that is not exactly this long, without reading it.
pub(super) fn open_sized(on: &dyn Disk, path: &Path, bytes: u64) -> Result<Box<dyn Opened>, Refusal> {
    let file = open(on, path)?;
    let found = file.look().map_err(|e| reading(&e, path))?.bytes;
    if found == bytes {
        Ok(file)
    } else {
        Err(damaged(path, &format!("is {found} bytes long, the manifest says {bytes}")))
    }
}

/// Appends to a file, durable on return with its name; what follows its last line end is taken away first: a crash left it.
pub(super) fn append(on: &dyn Disk, folder: &Path, name: &str, text: &[u8], most: u64) -> Result<()> {
    let path = folder.join(name);
    let mut file = on.extend(&path).map_err(|e| storage(on, &e, "open", &path, None))?;
    let length = file.look().map_err(|e| reading(&e, &path))?.bytes;
    let mut there = Vec::new();
    (&mut file).take(most).read_to_end(&mut there).map_err(|e| reading(&e, &path))?;
    let ended = there.iter().rposition(|b| *b == b'\n').map_or(0, |end| end as u64 + 1);
    if ended < length {
        file.cut(ended).map_err(|e| storage(on, &e, "mend", &path, None))?;
    }
    write_at_end(on, file.as_mut(), &path, ended, text)?;
    sync_name(on, folder, &path, length == 0)
}

/// Makes the name of a file in a folder durable, also one that another run made. A file that is `new` goes again when that fails:
/// whoever found it there would never know that its name is not durable.
pub(super) fn sync_name(on: &dyn Disk, folder: &Path, path: &Path, new: bool) -> Result<()> {
    sync_folder(on, folder).inspect_err(|_| {
        if new {
            let _ = on.remove_file(path);
        }
    })
}

/// Writes text at the end of a file that is so long, durable on return but for the file's name.
pub(super) fn write_at_end(on: &dyn Disk, file: &mut dyn Opened, path: &Path, end: u64, text: &[u8]) -> Result<()> {
    let written = file.write_all(text).and_then(|()| file.sync());
    written.map_err(|e| {
        // Bytes whose sync failed never reach the disk. What is written after them would, and stand behind a hole.
        let _ = file.cut(end);
        storage(on, &e, "write", path, Some(text.len() as u64))
    })
}

/// Gives a folder a new name, never replacing what has that name already.
pub(super) fn rename_new(on: &dyn Disk, from: &Path, to: &Path) -> Result<()> {
    on.rename_new(from, to).map_err(|e| storage(on, &e, "publish", to, None))
}

/// Makes a folder that nobody else can look into, with those above it that are missing, durable on return.
pub(super) fn make_folder(on: &dyn Disk, path: &Path) -> Result<()> {
    let there = |p: &Path| on.look(p, Links::Followed);
    let lowest = path.ancestors().position(|p| p.as_os_str().is_empty() || there(p).is_ok());
    let missing: Vec<&Path> = path.ancestors().take(lowest.unwrap_or(usize::MAX)).collect();
    // Each name is kept by the folder above it. The last one that is there may be from a run that died before it was durable.
    if let Some(last) = path.ancestors().nth(missing.len()).filter(|p| !p.as_os_str().is_empty()) {
        // A folder above that may not be read was there before any run of ours.
        let _ = on.folder(&above(last), Links::Followed).and_then(|folder| folder.sync());
    }
    for folder in missing.iter().rev() {
        match on.make_folder(folder) {
            // Somebody else just made it.
            Err(_) if there(folder).is_ok_and(|entry| entry.kind == Kind::Folder) => {}
            Err(_) if on.look(folder, Links::Refused).is_ok_and(|entry| entry.kind == Kind::Link) => {
                let message = format!("{} is a link that leads to nothing", folder.display());
                let hint =
                    "make the folder that it leads to (is a disk not mounted?), or correct `vault:` in recovery.yaml";
                return Err(Refusal::new(RefusalKind::Storage, message, hint).into());
            }
            made => made.map_err(|e| storage(on, &e, "create", folder, None))?,
        }
        // Whoever found it there would take it for durable.
        sync_folder(on, &above(folder)).inspect_err(|_| drop(on.remove_all(folder)))?;
    }
    match there(path).map(|entry| entry.kind) {
        Ok(Kind::Folder) => Ok(()),
        Ok(_) => Err(storage(on, &io::ErrorKind::NotADirectory.into(), "create", path, None)),
        Err(e) => Err(storage(on, &e, "create", path, None)),
    }
}

/// The folder that keeps a path's last name.
fn above(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) => PathBuf::from("."),
        None => path.to_owned(),
    }
}

/// Makes the entries of a folder durable.
pub(super) fn sync_folder(on: &dyn Disk, path: &Path) -> Result<()> {
    let synced = on.folder(path, Links::Followed).and_then(|folder| folder.sync());
    synced.map_err(|e| storage(on, &e, "make durable", path, None))
}

/// Removes a folder with what is in it, or whatever else has that name; fine when it is gone.
pub(super) fn remove(on: &dyn Disk, path: &Path) -> Result<()> {
    let removed = match on.look(path, Links::Refused) {
        Ok(found) if found.kind == Kind::Folder => on.remove_all(path),
        Ok(_) => on.remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(storage(on, &e, "remove", path, None)),
        _ => Ok(()),
    }
}

/// Whether nothing has that name, for certain.
pub(super) fn is_missing(on: &dyn Disk, path: &Path) -> bool {
    on.look(path, Links::Refused).is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
}

/// Stored bytes are not what was written.
pub(super) fn damaged(path: &Path, what: &str) -> Refusal {
    Refusal::new(
        RefusalKind::Integrity,
        format!("{}: {what}", path.display()),
        "this set cannot be trusted: use another one, and find out what changed the file",
    )
}

/// The disk would not give the bytes back.
pub(super) fn reading(error: &io::Error, path: &Path) -> Refusal {
    Refusal::new(
        RefusalKind::Storage,
        format!("cannot read {}: {error}", path.display()),
        "check the rights on the vault and the health of its disk",
    )
}

/// The disk would not take the bytes. `needed` = how many at least, beyond those that it took.
pub(super) fn storage(
    on: &dyn Disk,
    error: &io::Error,
    action: &str,
    path: &Path,
    needed: Option<u64>,
) -> anyhow::Error {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let mut message = format!("cannot {action} {}: {error}", path.display());
    if full {
        let needed = needed.map(|n| format!("at least {n} more bytes needed, ")).unwrap_or_default();
        let free = on.free_bytes(path).map_or("free space unknown".to_owned(), |n| format!("{n} bytes free"));
        message.push_str(&format!(" ({needed}{free})"));
    }
    let hint = match error.kind() {
        _ if full => "free space there, or point `vault:` in recovery.yaml at a larger disk",
        io::ErrorKind::PermissionDenied => "give this user the right to write there, or point `vault:` elsewhere",
        io::ErrorKind::ReadOnlyFilesystem => "mount it writable, or point `vault:` in recovery.yaml elsewhere",
        _ => "check the health of the disk (`dmesg`)",
    };
    anyhow::Error::new(Refusal::new(RefusalKind::Storage, message, hint))
}
