//! Zstandard, frame by frame, with a bound on the memory that a frame may ask for. It must not know what is compressed.

use super::fault::{broken, carried, cut};
use anyhow::Result;
use std::io::{self, BufReader, ErrorKind, Read};

/// 128 MiB, what the `zstd` program itself accepts without being asked; `zstd --long=28` and above asks for more.
pub const WINDOW_LOG: u32 = 27;

/// The plain bytes of all frames.
pub struct Frames(::zstd::stream::read::Decoder<'static, BufReader<Box<dyn Read + Send>>>);

impl Frames {
    /// Begins at the first frame.
    ///
    /// # Errors
    /// When no decoder can be made.
    pub fn new(from: Box<dyn Read + Send>) -> Result<Self> {
        let mut decoder = ::zstd::stream::read::Decoder::new(from)?;
        decoder.window_log_max(WINDOW_LOG)?;
        Ok(Self(decoder))
    }
}

/// Whether the first frame, of which these are the first bytes, ends with a checksum of its content.
pub fn sums(head: &[u8]) -> bool {
    head.get(4).is_some_and(|descriptor| descriptor & 4 != 0)
}

impl Read for Frames {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into).map_err(explained)
    }
}

/// What the library says, in words; an error of the stream below it stays that.
pub fn explained(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => carried(cut("the zstd data ends before its end")),
        ErrorKind::Other if error.get_ref().is_some_and(|e| e.is::<crate::domain::refusal::Refusal>()) => error,
        ErrorKind::Other | ErrorKind::InvalidData => {
            carried(broken(format!("the zstd data cannot be decompressed: {error}")))
        }
        _ => error,
    }
}
