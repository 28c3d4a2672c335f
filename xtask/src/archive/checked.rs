//! A stored file's plain bytes, given out by a reader that fails itself when they are not the bytes that were written.
//! It must not know what the bytes are for.

use super::digest::Tally;
use super::disk::{self, Disk, Opened as OpenFile};
use super::set_key::SetKey;
use crate::domain::artifact::{Fingerprint, StoredFile};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::stack::Compression;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The last bytes, held back until all digests were compared: a consumer that knows its format's end and never asks for the
/// end of the stream cannot finish with bytes that nobody vouched for.
const HELD_BACK: u64 = 64 * 1024;
/// How much is read from the disk at a time.
const BUFFER: usize = 256 * 1024;
/// 8 MiB: our own frames need 2, and a hostile one shall not choose how much memory is used.
const WINDOW_LOG: u32 = 23;

/// See [`super::pipeline::open`].
pub(super) struct Checked {
    path: PathBuf,
    wanted: StoredFile,
    /// The bytes of the file so far.
    stored: Arc<Mutex<Tally>>,
    decoder: Decoder,
    plain: Tally,
    /// Plain bytes that may be given out before everything is compared.
    free: u64,
    /// The held back bytes, once everything was compared.
    proven: Option<io::Cursor<Vec<u8>>>,
    failed: Option<Refusal>,
}

impl Checked {
    /// Opens the file and compares its size, reading nothing.
    pub(super) fn open(on: &dyn Disk, path: &Path, wanted: &StoredFile, key: Option<&SetKey>) -> Result<Self, Refusal> {
        let file = disk::open_sized(on, path, wanted.stored.bytes)?;
        let stored = Arc::new(Mutex::new(Tally::default()));
        let source = BufReader::with_capacity(BUFFER, Source { file, tally: Arc::clone(&stored) });
        let source = match key {
            None => Opened::Clear(source),
            Some(key) => Opened::Sealed(Box::new(key.opening(source).map_err(|error| match error {
                age::DecryptError::Io(e) if e.raw_os_error().is_some() => disk::reading(&e, path),
                error => disk::damaged(path, &format!("is not encrypted for this set: {error}")),
            })?)),
        };
        let source = BufReader::with_capacity(BUFFER, source);
        Ok(Self {
            stored,
            decoder: Decoder::new(wanted.compression, source).map_err(|e| disk::reading(&e, path))?,
            path: path.to_owned(),
            plain: Tally::default(),
            free: wanted.plain.bytes.saturating_sub(HELD_BACK),
            proven: None,
            failed: None,
            wanted: wanted.clone(),
        })
    }

    fn step(&mut self, into: &mut [u8]) -> Result<usize, Refusal> {
        if self.free > 0 {
            let most = usize::try_from(self.free).unwrap_or(usize::MAX).min(into.len());
            let n = self.decode(&mut into[..most])?;
            if n == 0 {
                return Err(self.too_short());
            }
            self.free -= n as u64;
            return Ok(n);
        }
        let tail = match self.proven.take() {
            Some(tail) => tail,
            None => io::Cursor::new(self.prove()?),
        };
        self.proven.insert(tail).read(into).map_err(|e| disk::reading(&e, &self.path))
    }

    /// Reads what is left, and compares everything that there is to compare.
    fn prove(&mut self) -> Result<Vec<u8>, Refusal> {
        let left = self.wanted.plain.bytes - self.plain.bytes();
        let mut tail = vec![0; usize::try_from(left).unwrap_or(0)];
        let mut filled = 0;
        while filled < tail.len() {
            match self.decode(&mut tail[filled..])? {
                0 => return Err(self.too_short()),
                n => filled += n,
            }
        }
        if self.decode(&mut [0])? != 0 {
            return Err(
                self.damaged(&format!("holds more than the {} plain bytes of the manifest", self.wanted.plain.bytes))
            );
        }
        // With encryption this also reads its last piece, without which the file may have been cut.
        let more = self.decoder.source().fill_buf().map(|more| !more.is_empty());
        if more.map_err(|e| self.unreadable(&e))? {
            return Err(self.damaged("has data after its end"));
        }
        let stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner).clone().finish();
        if stored.bytes < self.wanted.stored.bytes {
            return Err(self.damaged("has data after its end"));
        }
        let plain = self.plain.clone().finish();
        self.same("stored bytes", &self.wanted.stored, &stored)?;
        self.same("plain bytes", &self.wanted.plain, &plain)?;
        Ok(tail)
    }

    fn same(&self, what: &str, wanted: &Fingerprint, found: &Fingerprint) -> Result<(), Refusal> {
        if wanted == found {
            return Ok(());
        }
        Err(self.damaged(&format!(
            "{what}: the manifest says {} bytes with SHA-256 {}, found {} bytes with {}",
            wanted.bytes, wanted.sha256, found.bytes, found.sha256
        )))
    }

    fn decode(&mut self, into: &mut [u8]) -> Result<usize, Refusal> {
        loop {
            match self.decoder.read(into) {
                Ok(n) => {
                    self.plain.update(&into[..n]);
                    return Ok(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.unreadable(&e)),
            }
        }
    }

    fn unreadable(&self, error: &io::Error) -> Refusal {
        match error.raw_os_error() {
            Some(_) => disk::reading(error, &self.path),
            None => {
                let at = self.plain.bytes();
                self.damaged(&format!("cannot be decrypted or decompressed after {at} plain bytes: {error}"))
            }
        }
    }

    fn too_short(&self) -> Refusal {
        let (found, wanted) = (self.plain.bytes(), self.wanted.plain.bytes);
        self.damaged(&format!("ends after {found} plain bytes, the manifest says {wanted}"))
    }

    fn damaged(&self, what: &str) -> Refusal {
        disk::damaged(&self.path, what)
    }
}

impl Read for Checked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let result = match &self.failed {
            Some(known) => Err(known.clone()),
            None => self.step(into),
        };
        result.map_err(|refusal| {
            self.failed = Some(refusal.clone());
            let kind = match refusal.kind {
                RefusalKind::Integrity => io::ErrorKind::InvalidData,
                _ => io::ErrorKind::Other,
            };
            io::Error::new(kind, Carried(refusal))
        })
    }
}

/// A refusal inside an `io::Error`, which hides its content from a walk along the causes; as the content's *source* it is found.
#[derive(Debug, thiserror::Error)]
#[error("the stored artifact is refused")]
struct Carried(#[source] Refusal);

/// The file, counted and digested on the way.
struct Source {
    file: Box<dyn OpenFile>,
    tally: Arc<Mutex<Tally>>,
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(into)?;
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).update(&into[..n]);
        Ok(n)
    }
}

/// The file's bytes, decrypted when they are encrypted.
enum Opened {
    Clear(BufReader<Source>),
    Sealed(Box<age::stream::StreamReader<BufReader<Source>>>),
}

impl Read for Opened {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(from) => from.read(into),
            Self::Sealed(from) => from.read(into),
        }
    }
}

/// A decompressor that reads exactly one frame or member.
enum Decoder {
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<Opened>>>),
    Gzip(Box<flate2::bufread::GzDecoder<BufReader<Opened>>>),
    None(BufReader<Opened>),
}

impl Decoder {
    fn new(compression: Compression, from: BufReader<Opened>) -> io::Result<Self> {
        Ok(match compression {
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(from)?.single_frame();
                decoder.window_log_max(WINDOW_LOG)?;
                Self::Zstd(Box::new(decoder))
            }
            Compression::Gzip => Self::Gzip(Box::new(flate2::bufread::GzDecoder::new(from))),
            Compression::None => Self::None(from),
        })
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Zstd(from) => from.read(into),
            Self::Gzip(from) => from.read(into),
            Self::None(from) => from.read(into),
        }
    }

    fn source(&mut self) -> &mut BufReader<Opened> {
        match self {
            Self::Zstd(from) => from.get_mut(),
            Self::Gzip(from) => from.get_mut(),
            Self::None(from) => from,
        }
    }
}
