//! What is wrong with an archive, as refusals that travel through readers unharmed, and reading that is never half done.
//! It must not know any format.

use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::Result;
use std::io::{self, ErrorKind, Read};

/// The archive ends before its end.
pub fn cut(what: impl Into<String>) -> anyhow::Error {
    let hint = "it was cut short: copy it again from where it was made, or take another one";
    Refusal::new(RefusalKind::BadArtifact, what, hint).into()
}

/// The archive is not what its kind has to be.
pub fn broken(what: impl Into<String>) -> anyhow::Error {
    let hint = "it was changed, or it is of a kind that this tool does not know: take another copy";
    Refusal::new(RefusalKind::BadArtifact, what, hint).into()
}

/// The archive asks for what no archive has to ask for.
pub fn hostile(what: impl Into<String>, hint: &str) -> anyhow::Error {
    Refusal::new(RefusalKind::BadArtifact, what, hint).into()
}

/// The passphrase does not open it, or that cannot be told from other causes.
pub fn locked(what: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Refusal::new(RefusalKind::WrongKey, what, hint).into()
}

/// An error inside an `io::Error`, a known cause so that it is found again.
pub fn carried(error: anyhow::Error) -> io::Error {
    match Refusal::within(&error) {
        Some(refusal) => io::Error::other(refusal.clone()),
        None => io::Error::other(error),
    }
}

/// A reader's error; a known cause in it stays one.
pub fn uncarried(error: io::Error) -> anyhow::Error {
    match error.downcast::<Refusal>() {
        Ok(refusal) => refusal.into(),
        Err(error) => error.into(),
    }
}

/// Reads something, or nothing at the end.
pub fn read(from: &mut (impl Read + ?Sized), into: &mut [u8]) -> Result<usize> {
    loop {
        match from.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done.map_err(uncarried),
        }
    }
}

/// Reads until `into` is full or the stream ends; how many bytes came.
pub fn fill(from: &mut (impl Read + ?Sized), into: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match read(from, &mut into[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// Reads to the end and forgets it; how many bytes came.
pub fn drain(from: &mut (impl Read + ?Sized)) -> Result<u64> {
    let (mut buffer, mut total) = (vec![0; 128 * 1024], 0);
    loop {
        match read(from, &mut buffer)? {
            0 => return Ok(total),
            n => total += n as u64,
        }
    }
}
