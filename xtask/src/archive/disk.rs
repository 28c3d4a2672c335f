//! Files and folders of a vault, opened so that nobody can put something else in their place, and what it means when the disk
//! refuses. It must not know what a manifest is.

use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::Result;
use rustix::fs::{CWD, OFlags, RenameFlags, statvfs};
use rustix::io::Errno;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Creates a file that nobody else can read, never opening one that is there already and never following a link.
pub(super) fn create(path: &Path) -> Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed();
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(flags).open(path);
    created.map_err(|e| storage(&e, "create", path, None))
}

/// Writes a secret into a new file that nobody else can read; never over a file that is there.
pub(super) fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::symlink_metadata(path).is_ok() {
        let message = format!("{} is there already", path.display());
        return Err(
            Refusal::new(RefusalKind::Configuration, message, "name another file, or move that one away").into()
        );
    }
    let mut file = create(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|e| storage(&e, "write", path, Some(bytes.len() as u64)))
}

/// Opens a regular file for reading; a link, folder or pipe is refused, and a pipe without a writer does not hang.
pub(super) fn open(path: &Path) -> Result<File, Refusal> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|e| match e.raw_os_error() {
        Some(n) if n == Errno::LOOP.raw_os_error() => damaged(path, "is a symbolic link"),
        _ if e.kind() == io::ErrorKind::NotFound => damaged(path, "is missing"),
        _ => reading(&e, path),
    })?;
    if file.metadata().map_err(|e| reading(&e, path))?.is_file() {
        Ok(file)
    } else {
        Err(damaged(path, "is not a regular file"))
    }
}

/// As [`open`], and refuses a file that is not exactly this long, without reading it.
pub(super) fn open_sized(path: &Path, bytes: u64) -> Result<File, Refusal> {
    let file = open(path)?;
    let found = file.metadata().map_err(|e| reading(&e, path))?.len();
    if found == bytes {
        Ok(file)
    } else {
        Err(damaged(path, &format!("is {found} bytes long, the manifest says {bytes}")))
    }
}

/// Gives a folder a new name, never replacing what has that name already.
pub(super) fn rename_new(from: &Path, to: &Path) -> Result<()> {
    let renamed = match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some network file systems know no such rename; a plain one never replaces a folder that holds something.
        Err(Errno::INVAL | Errno::NOSYS) => std::fs::rename(from, to),
        other => other.map_err(io::Error::from),
    };
    renamed.map_err(|e| storage(&e, "publish", to, None))
}

/// Makes a folder that nobody else can look into, with those above it that are missing, durable on return.
pub(super) fn make_folder(path: &Path) -> Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists()).collect();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|e| storage(&e, "create", path, None))?;
    // Each name is kept by the folder above it.
    let above =
        |folder: &&Path| folder.parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p }.to_owned());
    missing.iter().filter_map(above).try_for_each(|folder| sync_folder(&folder))
}

/// Makes the entries of a folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<()> {
    File::open(path).and_then(|f| f.sync_all()).map_err(|e| storage(&e, "make durable", path, None))
}

/// Removes a folder with what is in it, or whatever else has that name; fine when it is gone.
pub(super) fn remove(path: &Path) -> Result<()> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(storage(&e, "remove", path, None)),
        _ => Ok(()),
    }
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
pub(super) fn storage(error: &io::Error, action: &str, path: &Path, needed: Option<u64>) -> anyhow::Error {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let mut message = format!("cannot {action} {}: {error}", path.display());
    if full {
        let needed = needed.map(|n| format!("at least {n} more bytes needed, ")).unwrap_or_default();
        let free = free_bytes(path).map_or("free space unknown".to_owned(), |n| format!("{n} bytes free"));
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

/// Free bytes for this user on the file system that holds `path`, or its folder when it is not there yet.
fn free_bytes(path: &Path) -> Option<u64> {
    let at = statvfs(path).or_else(|e| path.parent().map_or(Err(e), statvfs)).ok()?;
    Some(at.f_bavail.saturating_mul(at.f_frsize))
}
