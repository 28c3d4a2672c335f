//! Selective restore of a folder: only what the diagnosis names comes out of the archive; newer files stay.

use super::archive::{Archive, Entry, Kind};
use super::census::object;
use super::extract::Fresh;
use super::load::{clear, working};
use super::names::{shown, split};
use super::walk::{open_folder, root};
use crate::adapters::data_tool::{Streams, refuse, sync_all_of};
use crate::domain::diagnosis::Diagnosis;
use crate::domain::refusal::RefusalKind;
use anyhow::{Context, Result, bail};
use rustix::fd::OwnedFd;
use rustix::fs::Mode;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Error};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Puts the artifact into the scratch folder, checks all of it, and prints what it holds.
pub fn stage(archive: &Path, streams: &mut Streams) -> Result<()> {
    if let Some(folder) = archive.parent() {
        std::fs::create_dir_all(folder).context("make the scratch folder")?;
    }
    super::dump::release(archive)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(archive)
        .context("create the staged archive")?;
    std::io::copy(&mut *streams.stdin, &mut file).context("stage the archive")?;
    file.sync_all().context("stage the archive")?;
    each(archive, &mut |entry, _| streams.line(name(entry)))
}

fn name(entry: &Entry) -> String {
    object(&entry.path, entry.kind == Kind::Folder)
}

fn each(archive: &Path, visit: &mut dyn FnMut(&Entry, &mut Archive) -> Result<()>) -> Result<()> {
    let mut file = BufReader::with_capacity(128 * 1024, File::open(archive).context("find the staged archive")?);
    let mut archive = Archive::new(&mut file);
    while let Some(entry) = archive.next()? {
        visit(&entry, &mut archive)?;
    }
    Ok(())
}

/// Restores what the diagnosis on standard input names.
pub fn pick(folder: &Path, archive: &Path, streams: &mut Streams) -> Result<()> {
    let diagnosis: Diagnosis = serde_json::from_reader(&mut *streams.stdin).context("read the diagnosis")?;
    let wanted: BTreeSet<&str> = diagnosis.lost().collect();
    let (mut found, mut behind) = (BTreeSet::new(), BTreeSet::new());
    each(archive, &mut |entry, _| {
        let name = name(entry);
        if wanted.contains(name.as_str()) {
            if let Kind::Hardlink(target) = &entry.kind {
                behind.insert(target.clone());
            }
            found.insert(name);
        }
        Ok(())
    })?;
    if let Some(unknown) = wanted.iter().find(|w| !found.contains(**w)) {
        let message = format!("the backup does not hold {unknown}");
        return Err(refuse(RefusalKind::BadArtifact, message, "restore from a set that holds it"));
    }
    let fresh_at = working(folder, ".xtask-pick");
    clear(&fresh_at)?;
    std::fs::create_dir_all(folder).context("make the folder")?;
    let mut fresh = Fresh::make(&fresh_at)?;
    let mut picked = Vec::new();
    let filled = each(archive, &mut |entry, archive| {
        let chosen = wanted.contains(name(entry).as_str());
        if chosen {
            picked.push(entry.clone());
        }
        // A file that a chosen hard link is another name of comes out too, but does not take its own place.
        if chosen || behind.contains(&entry.path) { fresh.put(entry, archive) } else { Ok(()) }
    });
    let moved = filled.and_then(|()| fresh.finish()).and_then(|()| place(folder, &fresh_at, &picked));
    clear(&fresh_at)?;
    moved?;
    streams.line(format_args!("restored={}", picked.len()))
}

/// Moves the picked entries to their places, each by one rename; folders first, as the archive has them.
fn place(folder: &Path, fresh_at: &Path, picked: &[Entry]) -> Result<()> {
    let (from, to) = (root(fresh_at)?, root(folder)?);
    for entry in picked.iter().filter(|e| !e.path.is_empty()) {
        let failed = || format!("put {} in place", shown(&entry.path));
        let (parent, name) = split(&entry.path);
        let home = reach(&to, parent).with_context(failed)?;
        if entry.kind == Kind::Folder {
            match rustix::fs::mkdirat(&home, name, Mode::from_raw_mode(entry.mode)) {
                Err(Errno::EXIST) => {}
                made => made.map_err(Error::from).with_context(failed)?,
            }
            let made = open_folder(&home, name).map_err(Error::from).with_context(failed)?;
            rustix::fs::fchmod(made, Mode::from_raw_mode(entry.mode)).map_err(Error::from).with_context(failed)?;
            continue;
        }
        let source = reach(&from, parent).with_context(failed)?;
        match rustix::fs::renameat(&source, name, &home, name) {
            Err(Errno::ISDIR) => bail!("{} is a folder now: move it away, then restore again", shown(&entry.path)),
            moved => moved.map_err(Error::from).with_context(failed)?,
        }
    }
    sync_all_of(&to).context("sync the restored files")
}

/// Opens a folder below `root`, following no link, making what is missing.
fn reach(root: &OwnedFd, path: &[u8]) -> Result<OwnedFd> {
    let mut fd = root.try_clone().context("open a folder")?;
    for name in path.split(|b| *b == b'/').filter(|n| !n.is_empty()) {
        fd = match open_folder(&fd, name) {
            Err(Errno::NOENT) => {
                rustix::fs::mkdirat(&fd, name, Mode::from_raw_mode(0o755)).map_err(Error::from)?;
                open_folder(&fd, name)
            }
            opened => opened,
        }
        .map_err(Error::from)
        .with_context(|| format!("open {}", shown(name)))?;
    }
    Ok(fd)
}
