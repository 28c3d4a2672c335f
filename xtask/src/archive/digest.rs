//! Counting and digesting bytes on their way. It must not know where they come from or go to.

use crate::domain::artifact::{Fingerprint, hex};
use sha2::{Digest, Sha256};

/// The fingerprint of the bytes seen so far.
#[derive(Clone, Default)]
pub(super) struct Tally {
    hash: Sha256,
    bytes: u64,
}

impl Tally {
    /// Takes these bytes in.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// How many bytes were taken in.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Size and digest of all bytes taken in.
    pub(super) fn finish(self) -> Fingerprint {
        Fingerprint { bytes: self.bytes, sha256: hex(&self.hash.finalize()) }
    }
}

/// The fingerprint of everything that a reader gives.
pub(super) fn of_reader(mut from: impl std::io::Read) -> std::io::Result<Fingerprint> {
    let (mut tally, mut buffer) = (Tally::default(), vec![0; 256 * 1024]);
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(tally.finish()),
            Ok(n) => tally.update(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// The fingerprint of bytes in memory.
pub(super) fn of(bytes: &[u8]) -> Fingerprint {
    let mut tally = Tally::default();
    tally.update(bytes);
    tally.finish()
}
