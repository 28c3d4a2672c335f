//! A restored and proven folder takes the place of the one that is there: the two change names in one step of the kernel's. A process that
//! is in the old one, or a container that mounts it, stays in the old one. It must not know who restores.

use super::load::{clear as remove, fixed, working};
use crate::adapters::data_tool::{Streams, beside as behind, parent, refuse, sync_folder};
use crate::domain::refusal::RefusalKind;
use anyhow::{Context, Result, bail};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The two places that a restore has beside the folder.
pub struct Places {
    /// The proven copy.
    pub fresh: PathBuf,
    /// What is there now is called this afterwards.
    pub previous: PathBuf,
}

impl Places {
    /// Tells which folder has which name, should nobody see the end of the exchange.
    fn note(&self) -> PathBuf {
        behind(&self.fresh, ".exchange")
    }
}

/// Says whether the folder can change its name: `state=movable` or `fixed`.
pub fn movable(folder: &Path, streams: &mut Streams) -> Result<()> {
    streams.line(format_args!("state={}", if fixed(folder) { "fixed" } else { "movable" }))
}

fn number(folder: &Path) -> Result<u64> {
    let found = std::fs::symlink_metadata(folder).with_context(|| format!("look at {}", folder.display()))?;
    if found.is_dir() { Ok(found.ino()) } else { bail!("{} is not a folder", folder.display()) }
}

/// Exchanges. `keep`: what is there now stays under its other name; `replace`: something may be there.
pub fn exchange(folder: &Path, places: &Places, (keep, replace): (bool, bool), streams: &mut Streams) -> Result<()> {
    let fresh = number(&places.fresh).context("find the restored folder")?;
    let named = renameat_with(CWD, &places.fresh, CWD, folder, RenameFlags::NOREPLACE);
    match named {
        Ok(()) => {
            sync_folder(parent(folder))?;
            return streams.line("exchanged=named");
        }
        Err(Errno::EXIST) if replace => {}
        Err(Errno::EXIST) => {
            let message = format!("{} is there already", folder.display());
            return Err(refuse(RefusalKind::TargetNotEmpty, message, "choose a name that nobody has"));
        }
        Err(errno) => return Err(unable(folder, errno)),
    }
    let mut note = File::create(places.note()).context("note the exchange")?;
    note.write_all(fresh.to_string().as_bytes()).and_then(|()| note.sync_all()).context("note the exchange")?;
    sync_folder(parent(folder))?;
    renameat_with(CWD, &places.fresh, CWD, folder, RenameFlags::EXCHANGE).map_err(|errno| unable(folder, errno))?;
    // The folder is the restored one from here on: what fails now is told and undoes nothing.
    if let Err(error) = sync_folder(parent(folder)).and_then(|()| settle(folder, places, keep)) {
        streams
            .line(format_args!("note=what was there before could not be put aside or removed: {}", one_line(&error)))?;
    }
    streams.line("exchanged=renamed")
}

/// An error as one line.
fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").replace(|c: char| c.is_control(), " ")
}

/// What stood there has the copy's name now: it gets its own, or goes.
fn settle(folder: &Path, places: &Places, keep: bool) -> Result<()> {
    if keep {
        renameat_with(CWD, &places.fresh, CWD, &places.previous, RenameFlags::NOREPLACE)
            .map_err(std::io::Error::from)
            .with_context(|| format!("name what was there {}", places.previous.display()))?;
    } else {
        remove(&places.fresh)?;
    }
    forget(&places.note())?;
    sync_folder(parent(folder))
}

fn forget(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn unable(folder: &Path, errno: Errno) -> anyhow::Error {
    let error = std::io::Error::from(errno);
    match errno {
        Errno::INVAL | Errno::NOSYS | Errno::BUSY | Errno::XDEV => {
            let message = format!("{} cannot change names in one step here: {error}", folder.display());
            let hint = "restore beside it (--to NAME), stop its service, and move it in by hand";
            refuse(RefusalKind::Preflight, message, hint)
        }
        _ => anyhow::Error::new(error).context(format!("put {} in place", folder.display())),
    }
}

/// Removes what an unfinished restore left, and ends an exchange that had happened already.
pub fn clear(folder: &Path, places: &Places, streams: &mut Streams) -> Result<()> {
    for name in [".xtask-restore-partial", ".xtask-restore"] {
        remove(&working(&places.fresh, name))?;
    }
    let noted = std::fs::read_to_string(places.note()).ok().and_then(|text| text.parse::<u64>().ok());
    if let (Some(restored), Ok(now)) = (noted, number(&places.fresh))
        && restored != now
    {
        settle(folder, places, true)?;
        return streams.line(format_args!("kept={}", places.previous.display()));
    }
    remove(&places.fresh)?;
    forget(&places.note())?;
    match parent(folder) {
        gone if !gone.exists() => Ok(()),
        parent => sync_folder(parent),
    }
}
