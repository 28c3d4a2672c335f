//! One pass of one artifact: count and digest, compress, encrypt, count and digest again, to a new file; and back.
//! Memory is bounded and flat for any size. It must not know what a set is.

use super::checked::Checked;
use super::digest::Tally;
use super::disk::{self, Disk, HostDisk, Opened};
use super::foreign;
use super::set_key::SetKey;
use crate::domain::artifact::{Fingerprint, StoredFile};
use crate::domain::form::Form;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::stack::Compression;
use anyhow::{Context, Result};
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::path::Path;

/// How much is read at a time.
const CHUNK: usize = 256 * 1024;
/// Worker threads of the Zstandard encoder.
const WORKERS: u32 = 2;
/// Bytes a Zstandard worker takes at a time; smaller than the default of 8 MiB, which costs 40 MB more memory.
const JOB: u32 = 2 * 1024 * 1024;

/// What was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Before compression.
    pub plain: Fingerprint,
    /// In the file.
    pub stored: Fingerprint,
}

/// Stores all of `from` in the new file `to` (mode 0600, never an existing one, never through a link), durable on return, and
/// encrypted when there is a key.
/// `progress` is told the plain bytes so far. On any error the file is removed again.
///
/// # Errors
/// `Refusal` of kind `Producer` when `from` fails, `Storage` when the disk does.
pub fn store(
    from: &mut dyn Read,
    to: &Path,
    compression: Compression,
    key: Option<&SetKey>,
    progress: &mut dyn FnMut(u64),
) -> Result<Stored> {
    store_on(&HostDisk, from, to, compression, key, progress)
}

/// As [`store`], on this disk.
pub(super) fn store_on(
    on: &dyn Disk,
    from: &mut dyn Read,
    to: &Path,
    compression: Compression,
    key: Option<&SetKey>,
    progress: &mut dyn FnMut(u64),
) -> Result<Stored> {
    let mut file = disk::create(on, to)?;
    let full = |e: &io::Error, chunk: usize| disk::storage(on, e, "write", to, Some(chunk as u64));
    let stored = pump(from, file.as_mut(), &full, compression, key, progress).and_then(|stored| {
        file.sync().map_err(|e| full(&e, 1))?;
        Ok(stored)
    });
    if stored.is_err() {
        let _ = on.remove_file(to);
    }
    stored.with_context(|| format!("store {}", to.display()))
}

/// Reads a stored file back as plain bytes. The size is checked here, before anything is read. The reader itself fails, with a
/// `Refusal` of kind `Integrity` inside its `io::Error`, when a size or digest is not the manifest's or when data follows the
/// end; its last 64 KiB are handed out only after everything was found equal.
///
/// # Errors
/// `Refusal` of kind `Integrity` (missing, wrong size, not a regular file) or `Storage`.
pub fn open(path: &Path, file: &StoredFile, key: Option<&SetKey>) -> Result<Box<dyn Read + Send>> {
    open_on(&HostDisk, path, file, key)
}

/// As [`open`], on this disk.
pub(super) fn open_on(
    on: &dyn Disk,
    path: &Path,
    file: &StoredFile,
    key: Option<&SetKey>,
) -> Result<Box<dyn Read + Send>> {
    Ok(Box::new(Checked::open(on, path, file, key)?))
}

/// Reads a stored file to its end, so that every size and digest is compared.
///
/// # Errors
/// As [`open`] and its reader.
pub fn verify(path: &Path, file: &StoredFile, key: Option<&SetKey>) -> Result<()> {
    verify_on(&HostDisk, path, file, key, None)
}

/// As [`verify`], on this disk; and what was stored has to be all of this form.
///
/// # Errors
/// `BadArtifact` when the bytes are those that were stored, and only a part of what they should be.
pub(super) fn verify_on(
    on: &dyn Disk,
    path: &Path,
    file: &StoredFile,
    key: Option<&SetKey>,
    form: Option<Form>,
) -> Result<()> {
    let mut reader = Checked::open(on, path, file, key)?;
    let formed = form.map_or(Ok(()), |form| foreign::whole(form, &mut reader));
    // What damaged bytes look like says nothing: the digests go first.
    let mut buffer = vec![0; CHUNK];
    while reader.read(&mut buffer)? > 0 {}
    formed.map_err(|error| match Refusal::within(&error).filter(|refusal| refusal.kind == RefusalKind::BadArtifact) {
        Some(why) => {
            let hint = "what was stored was a part only: use another set, and back up again";
            Refusal::new(RefusalKind::BadArtifact, format!("{}: {}", file.file, why.message), hint).into()
        }
        None => error,
    })
}

fn pump(
    from: &mut dyn Read,
    file: &mut dyn Opened,
    full: &dyn Fn(&io::Error, usize) -> anyhow::Error,
    compression: Compression,
    key: Option<&SetKey>,
    progress: &mut dyn FnMut(u64),
) -> Result<Stored> {
    let refused = Cell::new(None);
    // What encrypts tells of the disk's own error in words only, if at all.
    let own = || refused.get().map(io::Error::from_raw_os_error);
    let full = |e: &io::Error, chunk: usize| full(own().as_ref().unwrap_or(e), chunk);
    let counted = Counted { file, tally: Tally::default(), refused: &refused };
    let sink = match key {
        Some(key) => {
            let sealing = key.sealing(counted).map_err(|error| own().map_or(error, |e| full(&e, 1)))?;
            Sink::Sealed(Box::new(sealing))
        }
        None => Sink::Clear(counted),
    };
    let mut encoder = Encoder::new(compression, sink).map_err(|e| full(&e, 0))?;
    let mut plain = Tally::default();
    let mut buffer = vec![0; CHUNK];
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(producer(e, plain.bytes())),
        };
        encoder.write_all(&buffer[..n]).map_err(|e| full(&e, n))?;
        plain.update(&buffer[..n]);
        progress(plain.bytes());
    }
    let stored = encoder.finish().map_err(|e| full(&e, 1))?.tally.finish();
    Ok(Stored { plain: plain.finish(), stored })
}

/// The producer's stream broke. A cause that is known already stays the cause.
fn producer(error: io::Error, after: u64) -> anyhow::Error {
    let error = anyhow::Error::new(error);
    if Refusal::within(&error).is_some() {
        return error.context("read the data to store");
    }
    anyhow::Error::new(Refusal::new(
        RefusalKind::Producer,
        format!("the data broke off after {after} bytes: {error:#}"),
        "look at the standard error of the command that produces it",
    ))
}

/// The file, counted and digested on the way.
struct Counted<'f> {
    file: &'f mut dyn Opened,
    tally: Tally,
    /// What the disk said when it refused.
    refused: &'f Cell<Option<i32>>,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes).inspect_err(|e| self.refused.set(e.raw_os_error()))?;
        self.tally.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The file, perhaps with encryption in front of it.
enum Sink<'f> {
    Clear(Counted<'f>),
    Sealed(Box<age::stream::StreamWriter<Counted<'f>>>),
}

impl<'f> Sink<'f> {
    fn finish(self) -> io::Result<Counted<'f>> {
        let mut file = match self {
            Self::Clear(to) => to,
            Self::Sealed(to) => to.finish()?,
        };
        file.flush()?;
        Ok(file)
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(to) => to.write(bytes),
            Self::Sealed(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(to) => to.flush(),
            Self::Sealed(to) => to.flush(),
        }
    }
}

/// A compressor in front of that.
enum Encoder<'f> {
    Zstd(zstd::stream::write::Encoder<'static, Sink<'f>>),
    Gzip(flate2::write::GzEncoder<Sink<'f>>),
    None(Sink<'f>),
}

impl<'f> Encoder<'f> {
    fn new(compression: Compression, to: Sink<'f>) -> io::Result<Self> {
        Ok(match compression {
            Compression::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(to, 3)?;
                encoder.multithread(WORKERS)?;
                encoder.set_parameter(zstd::zstd_safe::CParameter::JobSize(JOB))?;
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
            Compression::Gzip => Self::Gzip(flate2::write::GzEncoder::new(to, flate2::Compression::new(6))),
            Compression::None => Self::None(to),
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Zstd(to) => to.write_all(bytes),
            Self::Gzip(to) => to.write_all(bytes),
            Self::None(to) => to.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<Counted<'f>> {
        let sink = match self {
            Self::Zstd(to) => to.finish()?,
            Self::Gzip(to) => to.finish()?,
            Self::None(to) => to,
        };
        sink.finish()
    }
}

#[cfg(test)]
pub(crate) mod tests;
