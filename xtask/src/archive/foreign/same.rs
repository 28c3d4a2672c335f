//! Readers that count: the file as it lies there, the content that comes out of it, and the content once more, which must be the same.
//! They must not know any format.

use super::fault::{self, carried};
use super::folder::changed;
use crate::archive::digest::Tally;
use crate::domain::artifact::Fingerprint;
use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::Result;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The file, opened once; every reader has its own place in it.
pub struct Base {
    file: Arc<File>,
}

/// Why a file cannot be opened.
pub fn opening(error: &io::Error, path: &Path) -> Refusal {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => RefusalKind::AccessDenied,
        _ => RefusalKind::MissingStore,
    };
    Refusal::new(kind, format!("cannot open {}: {error}", path.display()), "check the path and the rights on it")
}

impl Base {
    /// Opens a regular file for reading; a pipe or device is refused without waiting for it.
    ///
    /// # Errors
    /// `MissingStore`, `AccessDenied` or `BadArtifact`.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = (OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed();
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let file = opened.map_err(|e| opening(&e, path))?;
        if !file.metadata().map_err(|e| opening(&e, path))?.is_file() {
            return Err(fault::hostile("it is no regular file", "name a file, or the folder of a dump"));
        }
        Ok(Self::of(Arc::new(file)))
    }

    /// An open file.
    pub fn of(file: Arc<File>) -> Self {
        Self { file }
    }

    /// The open file.
    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// From the beginning.
    pub fn reader(&self) -> BaseReader {
        BaseReader { file: self.file(), seen: Arc::default() }
    }
}

/// Reads a file and counts on the way.
pub struct BaseReader {
    file: Arc<File>,
    seen: Arc<Mutex<Tally>>,
}

impl BaseReader {
    /// The count, to be finished when the reader is gone.
    pub fn raw(&self) -> Raw {
        Raw { file: Arc::clone(&self.file), seen: Arc::clone(&self.seen) }
    }
}

fn lock(seen: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Read for BaseReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut seen = lock(&self.seen);
        let n = self.file.read_at(into, seen.bytes())?;
        seen.update(&into[..n]);
        Ok(n)
    }
}

/// What was read of a file.
pub struct Raw {
    file: Arc<File>,
    seen: Arc<Mutex<Tally>>,
}

impl Raw {
    /// Size and digest of the whole file, whatever its layers left unread.
    ///
    /// # Errors
    /// When the rest cannot be read.
    pub fn finish(self) -> Result<Fingerprint> {
        let mut rest = BaseReader { file: self.file, seen: self.seen };
        fault::drain(&mut rest)?;
        let tally = std::mem::take(&mut *lock(&rest.seen));
        Ok(tally.finish())
    }
}

/// Content, counted.
pub struct Counted<'p> {
    from: Box<dyn Read + Send>,
    tally: Tally,
    progress: &'p mut dyn FnMut(u64),
}

impl<'p> Counted<'p> {
    /// Counts from here.
    pub fn new(from: Box<dyn Read + Send>, progress: &'p mut dyn FnMut(u64)) -> Self {
        Self { from, tally: Tally::default(), progress }
    }

    /// Size and digest.
    pub fn finish(self) -> Fingerprint {
        self.tally.finish()
    }
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(into)?;
        self.tally.update(&into[..n]);
        (self.progress)(self.tally.bytes());
        Ok(n)
    }
}

/// Content that was read before: fails at its end when other bytes came.
pub struct Same {
    from: Box<dyn Read + Send>,
    tally: Tally,
    wanted: Fingerprint,
}

impl Same {
    /// Compares with what was found before.
    pub fn new(from: Box<dyn Read + Send>, wanted: Fingerprint) -> Self {
        Self { from, tally: Tally::default(), wanted }
    }
}

impl Read for Same {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(into)?;
        self.tally.update(&into[..n]);
        if n == 0 && !into.is_empty() && self.tally.clone().finish() != self.wanted {
            return Err(carried(changed()));
        }
        Ok(n)
    }
}

/// A stream without some of its bytes.
pub struct Without<R> {
    from: R,
    at: u64,
    /// What is left out, in order.
    ranges: std::collections::VecDeque<Range<u64>>,
}

impl<R: Read> Without<R> {
    /// Leaves these out; they are in order and do not touch.
    pub fn new(from: R, ranges: Vec<Range<u64>>) -> Self {
        Self { from, at: 0, ranges: ranges.into() }
    }
}

impl<R: Read> Read for Without<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            let most = match self.ranges.front() {
                Some(range) if self.at >= range.end => {
                    self.ranges.pop_front();
                    continue;
                }
                Some(range) if self.at >= range.start => {
                    let mut skipped = vec![0; usize::try_from(range.end - self.at).unwrap_or(4096).min(4096)];
                    let n = self.from.read(&mut skipped)?;
                    self.at += n as u64;
                    if n == 0 {
                        return Ok(0);
                    }
                    continue;
                }
                Some(range) => usize::try_from(range.start - self.at).unwrap_or(usize::MAX).min(into.len()),
                None => into.len(),
            };
            let n = self.from.read(&mut into[..most])?;
            self.at += n as u64;
            return Ok(n);
        }
    }
}
