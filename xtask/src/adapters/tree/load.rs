//! Brings a folder back: the whole archive into a private folder beside, then one rename. A refused or cut archive leaves the target
//! untouched. Where the target cannot be renamed (the working folder, a mount point) its contents are moved in one by one.

use super::archive::Archive;
use super::extract::Fresh;
use crate::adapters::data_tool::{Streams, beside, free_bytes, parent, refuse, sync_folder, unlock};
use crate::domain::refusal::RefusalKind;
use anyhow::{Context, Result};
use rustix::fs::{CWD, RenameFlags};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Names that may stand in an otherwise empty target: this tool's own working folders.
const OURS: [&str; 4] = [".xtask-restore", ".xtask-restore-partial", ".xtask-scratch", ".xtask-pick"];

/// Whether the folder cannot change its name.
pub fn fixed(folder: &Path) -> bool {
    let device = |p: &Path| std::fs::metadata(p).map(|m| m.dev()).ok();
    let named = folder.file_name().is_some();
    !named || (folder.exists() && device(folder) != device(parent(folder)))
}

/// A working folder of ours for this target, on its filesystem.
pub fn working(folder: &Path, name: &str) -> PathBuf {
    if fixed(folder) { folder.join(name) } else { beside(folder, name) }
}

/// Removes a working folder that a dead run left; it need not be there.
pub fn clear(working: &Path) -> Result<()> {
    let removed = match std::fs::remove_dir_all(working) {
        // A restored tree may hold folders that even their owner may not change.
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            unlock(working).and_then(|()| std::fs::remove_dir_all(working))
        }
        removed => removed,
    };
    match removed {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e).with_context(|| format!("remove {}", working.display())),
        _ => Ok(()),
    }
}

/// Says whether the target is free and how much room there is, a `key=value` a line.
pub fn vacancy(folder: &Path, needs: Option<u64>, streams: &mut Streams) -> Result<()> {
    let state = if occupied(folder)?.is_some() { "occupied" } else { "vacant" };
    let existing = folder.ancestors().find(|p| p.exists()).unwrap_or(Path::new("."));
    streams.line(format_args!("state={state}\nfree={}\nneeds={}", free_bytes(existing)?, needs.unwrap_or(0)))
}

/// What is in the way.
fn occupied(folder: &Path) -> Result<Option<String>> {
    let entries = match std::fs::symlink_metadata(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Ok(meta) if !meta.is_dir() => return Ok(Some("something that is no folder".into())),
        _ => std::fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?,
    };
    for entry in entries {
        let name = entry.context("list the target")?.file_name();
        if !OURS.iter().any(|ours| name == *ours) {
            return Ok(Some(format!("`{}` among others", name.to_string_lossy())));
        }
    }
    Ok(None)
}

fn refuse_occupied(folder: &Path) -> Result<()> {
    match occupied(folder)? {
        None => Ok(()),
        Some(what) => Err(refuse(
            RefusalKind::TargetNotEmpty,
            format!("{} holds {what}", folder.display()),
            "move its contents away, then restore again",
        )),
    }
}

/// Extracts what comes in into a private folder; only a whole and harmless archive leaves one.
pub fn fetch(folder: &Path, streams: &mut Streams) -> Result<()> {
    refuse_occupied(folder)?;
    std::fs::create_dir_all(parent(folder)).with_context(|| format!("make the folder {}", parent(folder).display()))?;
    let (partial, whole) = (working(folder, ".xtask-restore-partial"), working(folder, ".xtask-restore"));
    clear(&partial)?;
    clear(&whole)?;
    let mut extract = || -> Result<u64> {
        let mut fresh = Fresh::make(&partial)?;
        let mut archive = Archive::new(streams.stdin);
        let mut count = 0;
        while let Some(entry) = archive.next()? {
            fresh.put(&entry, &mut archive)?;
            count += 1;
        }
        fresh.finish()?;
        std::fs::rename(&partial, &whole).context("name the extracted folder")?;
        Ok(count)
    };
    match extract() {
        Ok(count) => streams.line(format_args!("entries={count}")),
        Err(e) => {
            // The first error is the one to tell; what cannot be removed now is removed by the next run.
            drop(std::fs::remove_dir_all(&partial));
            Err(e)
        }
    }
}

/// Gives the extracted folder the target's name.
pub fn adopt(folder: &Path) -> Result<()> {
    let whole = working(folder, ".xtask-restore");
    if !whole.is_dir() {
        anyhow::bail!("there is no extracted folder {}", whole.display());
    }
    refuse_occupied(folder)?;
    if fixed(folder) {
        return move_in(&whole, folder);
    }
    // Replaces an empty folder or nothing; a folder that was filled meanwhile makes it fail.
    match std::fs::rename(&whole, folder) {
        Err(e) if matches!(e.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {
            let message = format!("{} was filled while it was being restored", folder.display());
            Err(refuse(
                RefusalKind::TargetNotEmpty,
                message,
                "stop what writes there, move its contents away, restore again",
            ))
        }
        renamed => {
            renamed.with_context(|| format!("put {} in place", folder.display()))?;
            sync_folder(parent(folder))
        }
    }
}

fn move_in(whole: &Path, folder: &Path) -> Result<()> {
    let entries = std::fs::read_dir(whole).context("list the extracted folder")?;
    let mut names = entries.map(|e| Ok(e?.file_name())).collect::<Result<Vec<_>>>()?;
    names.sort();
    let meta = std::fs::metadata(whole).context("look at the extracted folder")?;
    for name in names {
        rustix::fs::renameat_with(CWD, whole.join(&name), CWD, folder.join(&name), RenameFlags::NOREPLACE)
            .map_err(std::io::Error::from)
            .with_context(|| format!("move {} in", name.display()))?;
    }
    std::fs::remove_dir(whole).context("remove the extracted folder")?;
    std::fs::set_permissions(folder, meta.permissions()).context("set the folder's rights")?;
    sync_folder(folder)
}
