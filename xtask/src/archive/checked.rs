//! A stored file's plain bytes, given out by a reader that fails itself when they are not the bytes that were written.
//! It must not know what the bytes are for.

use super::digest::Tally;
use super::disk;
use crate::domain::artifact::{Fingerprint, StoredFile};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::stack::Compression;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

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
    pub(super) fn open(path: &Path, wanted: &StoredFile) -> Result<Self, Refusal> {
        let file = disk::open_sized(path, wanted.stored.bytes)?;
        let source = BufReader::with_capacity(BUFFER, Source { file, tally: Tally::default() });
        Ok(Self {
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
        let source = self.decoder.source();
        if !source.fill_buf().map_err(|e| disk::reading(&e, &self.path))?.is_empty() {
            return Err(self.damaged("has data after its end"));
        }
        let stored = source.get_ref().tally.clone().finish();
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
                Err(e) if e.raw_os_error().is_some() => return Err(disk::reading(&e, &self.path)),
                Err(e) => {
                    return Err(
                        self.damaged(&format!("does not decompress after {} plain bytes: {e}", self.plain.bytes()))
                    );
                }
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
    file: File,
    tally: Tally,
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(into)?;
        self.tally.update(&into[..n]);
        Ok(n)
    }
}

/// A decompressor that reads exactly one frame or member.
enum Decoder {
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<Source>>>),
    Gzip(Box<flate2::bufread::GzDecoder<BufReader<Source>>>),
    None(BufReader<Source>),
}

impl Decoder {
    fn new(compression: Compression, from: BufReader<Source>) -> io::Result<Self> {
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

    fn source(&mut self) -> &mut BufReader<Source> {
        match self {
            Self::Zstd(from) => from.get_mut(),
            Self::Gzip(from) => from.get_mut(),
            Self::None(from) => from,
        }
    }
}
