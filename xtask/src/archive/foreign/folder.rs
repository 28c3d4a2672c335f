//! A dump of several files in a folder of this host: looked through, and given out as one tar archive of plain files with plain
//! names. No link is followed and nothing but a regular file is opened. It must not know who unpacks it.

use super::fault::{self, broken};
use super::files::{Files, TOC, belongs};
use super::toc::Contents;
use crate::archive::digest::Tally;
use crate::domain::artifact::{Fingerprint, hex};
use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

/// An open folder.
#[derive(Debug, Clone)]
pub struct Folder {
    at: Arc<OwnedFd>,
    /// The dump's files, sorted by name.
    names: Vec<String>,
}

impl Folder {
    /// Opens the folder and lists the dump's files; what else is there is told.
    ///
    /// # Errors
    /// `BadArtifact` when it holds no `toc.dat`; `Storage` when it cannot be read.
    pub fn open(path: &Path, told: &mut Vec<String>) -> Result<Self> {
        let (mut names, mut others) = (Vec::new(), 0);
        for entry in std::fs::read_dir(path).map_err(|e| reading(&e, path))? {
            let entry = entry.map_err(|e| reading(&e, path))?;
            match entry.file_name().into_string() {
                Ok(name) if belongs(&name) && entry.file_type().is_ok_and(|t| t.is_file()) => names.push(name),
                _ => others += 1,
            }
        }
        if !names.iter().any(|name| name == TOC) {
            let hint = "name a file, or the folder that `pg_dump --format=directory` wrote";
            return Err(fault::hostile("it is a folder without toc.dat, and no dump", hint));
        }
        if others > 0 {
            told.push(format!(
                "{others} more files or folders lie in its folder; they are no part of the dump and were left alone"
            ));
        }
        names.sort();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let at = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| reading(&e.into(), path))?;
        Ok(Self { at: Arc::new(at), names })
    }

    fn file(&self, name: &str) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.at, name, flags, Mode::empty()).map_err(std::io::Error::from);
        let file = File::from(opened.with_context(|| format!("open {name}"))?);
        if file.metadata().with_context(|| format!("open {name}"))?.is_file() {
            return Ok(file);
        }
        Err(broken(format!("{name} is no regular file")))
    }

    /// Reads every file to its end.
    ///
    /// # Errors
    /// As [`Files::see`] and [`Files::whole`].
    pub fn examine(&self, told: &mut Vec<String>) -> Result<(Contents, Fingerprint)> {
        let (mut files, mut list) = (Files::default(), List::default());
        for name in &self.names {
            let mut counted = Counted { from: BufReader::new(self.file(name)?), tally: Tally::default() };
            files.see(name, &mut counted)?;
            fault::drain(&mut counted)?;
            list.add(name, counted.tally.finish());
        }
        Ok((files.whole(told)?, list.finish()))
    }

    /// All files as one tar archive, whose reader fails at its end unless they are still what they were.
    pub fn tar(&self, wanted: Fingerprint) -> Tar {
        let names = self.names.clone().into_iter();
        Tar { folder: self.clone(), names, list: List::default(), wanted, current: None }
    }
}

fn reading(error: &std::io::Error, path: &Path) -> Refusal {
    let message = format!("cannot read {}: {error}", path.display());
    let kind = match error.kind() {
        std::io::ErrorKind::PermissionDenied => RefusalKind::AccessDenied,
        _ => RefusalKind::MissingStore,
    };
    Refusal::new(kind, message, "check the path and the rights on it")
}

/// The digests of a folder's files, as `sha256sum` lists them.
#[derive(Default)]
struct List {
    bytes: u64,
    lines: Sha256,
}

impl List {
    fn add(&mut self, name: &str, file: Fingerprint) {
        self.bytes += file.bytes;
        self.lines.update(format!("{}  {name}\n", file.sha256));
    }

    fn finish(self) -> Fingerprint {
        Fingerprint { bytes: self.bytes, sha256: hex(&self.lines.finalize()) }
    }
}

struct Counted<R> {
    from: R,
    tally: Tally,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = self.from.read(into)?;
        self.tally.update(&into[..n]);
        Ok(n)
    }
}

/// The files one after the other, for [`super::flat::Flat`].
pub struct Tar {
    folder: Folder,
    names: std::vec::IntoIter<String>,
    list: List,
    wanted: Fingerprint,
    current: Option<(String, Counted<File>)>,
}

impl super::flat::Source for Tar {
    fn next(&mut self) -> Result<Option<(String, u64)>> {
        if let Some((name, mut counted)) = self.current.take() {
            fault::drain(&mut counted)?;
            self.list.add(&name, counted.tally.finish());
        }
        let Some(name) = self.names.next() else {
            let found = std::mem::take(&mut self.list).finish();
            return if found == self.wanted { Ok(None) } else { Err(changed()) };
        };
        let file = self.folder.file(&name)?;
        let bytes = file.metadata().with_context(|| format!("look at {name}"))?.len();
        self.current = Some((name.clone(), Counted { from: file, tally: Tally::default() }));
        Ok(Some((name, bytes)))
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        self.current.as_mut().map_or(Ok(0), |(_, counted)| fault::read(counted, into))
    }
}

/// The archive is not what was examined.
pub fn changed() -> anyhow::Error {
    let hint = "nothing was kept; find out what writes there, then run it again";
    Refusal::new(RefusalKind::Integrity, "it was changed while it was being read", hint).into()
}
