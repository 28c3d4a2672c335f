//! Brings a database back: first whole and sound beside its place, then into it by one rename. What a lost database left behind is put
//! aside, never replayed.

use super::header::{self, Found};
use super::integrity;
use super::open::{self, SIDECARS};
use super::snapshot::{create, pour, release};
use crate::adapters::data_tool::{Streams, beside, free_bytes, parent, refuse, sync_folder};
use crate::domain::refusal::RefusalKind;
use anyhow::{Context, Result};
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The file that is filled before it gets its name.
pub fn pending(db: &Path) -> PathBuf {
    beside(db, ".xtask-restore")
}

/// Says what stands at the target and how much room there is, a `key=value` a line.
pub fn vacancy(db: &Path, needs: Option<u64>, streams: &mut Streams) -> Result<()> {
    let state = match occupied(db)? {
        None => "vacant",
        Some(_) => "occupied",
    };
    streams.line(format_args!("state={state}"))?;
    let existing = parent(db).ancestors().find(|p| p.exists()).unwrap_or(Path::new("."));
    streams.line(format_args!("free={}", free_bytes(existing)?))?;
    streams.line(format_args!("needs={}", needs.unwrap_or(0)))
}

/// What is in the way: anything but nothing or an empty file. A database without rows counts: its service may have it open.
fn occupied(db: &Path) -> Result<Option<String>> {
    let linked = std::fs::symlink_metadata(db).is_ok_and(|m| m.is_symlink());
    Ok(match header::look(db)? {
        _ if linked => Some("a symbolic link".into()),
        Found::Missing | Found::Zero => None,
        Found::Foreign(what) => Some(format!("a file that is no database ({what})")),
        Found::Database(found) => Some(format!("a database of {} bytes", found.length)),
    })
}

/// Fails when something is in the way.
pub fn refuse_occupied(db: &Path) -> Result<()> {
    match occupied(db)? {
        None => Ok(()),
        Some(what) => Err(refuse(
            RefusalKind::TargetNotEmpty,
            format!("{} is taken by {what}", db.display()),
            "stop its service and move the file away with its -wal and -shm, then restore again",
        )),
    }
}

/// Writes what comes in to a file beside the target and checks that it is a whole database file.
pub fn fetch(db: &Path, streams: &mut Streams) -> Result<()> {
    refuse_occupied(db)?;
    std::fs::create_dir_all(parent(db)).with_context(|| format!("make the folder {}", parent(db).display()))?;
    let bytes = receive(&pending(db), streams)?;
    streams.line(format_args!("bytes={bytes}"))
}

/// Writes what comes in to a new file at `path`; a file that is not whole does not stay.
pub fn receive(path: &Path, streams: &mut Streams) -> Result<u64> {
    release(path)?;
    let mut write = || -> Result<u64> {
        let mut file = create(path)?;
        let bytes = pour(streams.stdin, &mut file).with_context(|| format!("write {}", path.display()))?;
        file.sync_all().with_context(|| format!("sync {}", path.display()))?;
        drop(file);
        header::whole(path)?;
        Ok(bytes)
    };
    write().inspect_err(|_| drop(release(path)))
}

/// Checks every page of the fetched file and gives it the database's name.
pub fn adopt(db: &Path, mode: Option<u32>, owner: Option<(u32, u32)>, streams: &mut Streams) -> Result<()> {
    let pending = pending(db);
    header::whole(&pending).context("find the fetched file")?;
    let conn = open::immutable(&pending)?;
    if let Some(complaint) = integrity::complaints(&conn, None)?.first() {
        let message = format!("the backup is damaged: {complaint}");
        return Err(refuse(
            RefusalKind::BadArtifact,
            message,
            "restore an older set; prove it first: cargo xtask test-recovery --stack <stack> --set <id>",
        ));
    }
    drop(conn);
    refuse_occupied(db)?;
    dress(&pending, mode, owner)?;
    for kept in put_aside(db)? {
        streams.line(format_args!("aside={}", kept.display()))?;
    }
    put_in_place(&pending, db)?;
    sync_folder(parent(db))
}

/// Renames, but never over anything that was made since the place was found free; an empty file changes places first.
pub fn put_in_place(pending: &Path, db: &Path) -> Result<()> {
    let failed = || format!("put {} in place", db.display());
    let to = |flags| rustix::fs::renameat_with(CWD, pending, CWD, db, flags);
    match to(RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => {}
        // A filesystem without such a rename: a second name is never given over a first one either.
        Err(Errno::INVAL | Errno::NOSYS) => {
            std::fs::hard_link(pending, db).with_context(failed)?;
            return std::fs::remove_file(pending).with_context(failed);
        }
        renamed => return renamed.map_err(std::io::Error::from).with_context(failed),
    }
    refuse_occupied(db)?;
    to(RenameFlags::EXCHANGE).map_err(std::io::Error::from).with_context(failed)?;
    // What stood there is out of everybody's reach by its name now; if it was written in the last moment it goes back.
    if let Err(taken) = refuse_occupied(pending) {
        to(RenameFlags::EXCHANGE).map_err(std::io::Error::from).with_context(failed)?;
        return Err(taken);
    }
    std::fs::remove_file(pending).with_context(failed)
}

/// Gives the file the rights and the owner it had, as far as this user may.
fn dress(path: &Path, mode: Option<u32>, owner: Option<(u32, u32)>) -> Result<()> {
    let at = || format!("set the owner and rights of {}", path.display());
    if let Some((uid, gid)) = owner.filter(|_| rustix::process::geteuid().is_root()) {
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).with_context(at)?;
    }
    std::fs::set_permissions(path, Permissions::from_mode(mode.unwrap_or(0o600) & 0o777)).with_context(at)?;
    std::fs::File::open(path).and_then(|f| f.sync_all()).with_context(at)
}

/// Renames the sidecars of a lost database: their names decide whether SQLite replays them onto whatever bears the database's name
/// next. They are kept, for they may hold the only trace of the last transactions.
pub fn put_aside(db: &Path) -> Result<Vec<PathBuf>> {
    let mut kept = Vec::new();
    for from in SIDECARS.map(|s| beside(db, s)).into_iter().filter(|p| p.symlink_metadata().is_ok()) {
        let to = free_name(&beside(&from, ".lost"));
        std::fs::rename(&from, &to).with_context(|| format!("put {} aside", from.display()))?;
        kept.push(to);
    }
    if !kept.is_empty() {
        sync_folder(parent(db))?;
    }
    Ok(kept)
}

/// The first of `path`, `path.1`, `path.2` … that nobody has.
pub fn free_name(path: &Path) -> PathBuf {
    let taken = |p: &PathBuf| p.symlink_metadata().is_ok();
    let mut names = (0u64..).map(|n| if n == 0 { path.to_owned() } else { beside(path, &format!(".{n}")) });
    names.find(|p| !taken(p)).unwrap_or_else(|| path.to_owned())
}
