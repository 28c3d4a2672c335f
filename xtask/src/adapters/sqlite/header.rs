//! The first hundred bytes of an SQLite file: whether it is one, and what they promise.
//! Never call this while this process holds a connection to the file: closing any descriptor drops POSIX locks.

use crate::adapters::data_tool::refuse;
use crate::domain::refusal::RefusalKind;
use anyhow::{Context, Result};
use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What a file of SQLite format 3 begins with (<https://www.sqlite.org/fileformat2.html#the_database_header>).
pub const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes a page, 512 to 65536.
    pub page_size: u64,
    /// Pages in the file, when the header's count can be trusted.
    pub pages: Option<u64>,
    /// Whether the file is in WAL mode.
    pub wal: bool,
    /// Bytes in the file.
    pub length: u64,
    /// The file change counter.
    pub changes: u32,
}

/// What a path holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Missing,
    /// A file of no bytes.
    Zero,
    /// Something else; says what.
    Foreign(String),
    /// An SQLite file.
    Database(Header),
}

/// Opens a plain file for reading without ever waiting at a named pipe or following a link at the path's end.
pub fn open_plain(path: &Path) -> std::io::Result<(File, Metadata)> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let meta = file.metadata()?;
    Ok((file, meta))
}

/// Looks at a path.
pub fn look(path: &Path) -> Result<Found> {
    let (mut file, meta) = match open_plain(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Missing),
        Err(e) if rustix::io::Errno::from_io_error(&e) == Some(rustix::io::Errno::LOOP) => {
            return Ok(Found::Foreign("it is a symbolic link".into()));
        }
        opened => opened.with_context(|| format!("open {}", path.display()))?,
    };
    if !meta.is_file() {
        return Ok(Found::Foreign("it is not a plain file".into()));
    }
    if meta.len() == 0 {
        return Ok(Found::Zero);
    }
    let mut bytes = Vec::with_capacity(100);
    file.by_ref().take(100).read_to_end(&mut bytes).with_context(|| format!("read {}", path.display()))?;
    Ok(judge(&bytes, meta.len()))
}

/// Judges the first bytes of a file of `length` bytes.
fn judge(bytes: &[u8], length: u64) -> Found {
    if bytes.len() < 16 || &bytes[..16] != MAGIC {
        let text = bytes.iter().all(|b| (32..127).contains(b) || b"\r\n\t".contains(b));
        return Found::Foreign(if text {
            "it begins with text (an SQL script? feed that to the program that wrote it)".into()
        } else {
            "it does not begin with `SQLite format 3`: another format, or encrypted (SQLCipher)".into()
        });
    }
    if bytes.len() < 100 {
        return Found::Foreign(format!("it is cut short after {length} bytes"));
    }
    let short = |at: usize| u64::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    let long = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let page_size = if short(16) == 1 { 65536 } else { short(16) };
    if !(512..=65536).contains(&page_size) || !page_size.is_power_of_two() {
        return Found::Foreign(format!("its header names a page size of {page_size}"));
    }
    // Only a writer that knew the page count left both counters equal.
    let pages = (long(24) == long(92) && long(28) > 0).then(|| u64::from(long(28)));
    Found::Database(Header { page_size, pages, wal: bytes[18] == 2 || bytes[19] == 2, length, changes: long(24) })
}

/// The header of the database at `path`, or the refusal that says what is there instead.
pub fn database(path: &Path) -> Result<Header> {
    match look(path)? {
        Found::Database(header) => Ok(header),
        other => Err(refusal(path, &other)),
    }
}

/// Why what was found cannot be used.
fn refusal(path: &Path, found: &Found) -> anyhow::Error {
    let at = path.display();
    let check = "check the store's path";
    match found {
        Found::Missing => refuse(RefusalKind::MissingStore, format!("there is no database file {at}"), check),
        Found::Zero => {
            refuse(RefusalKind::BadArtifact, format!("{at} is a file of 0 bytes"), "restore it from a backup")
        }
        Found::Foreign(what) => {
            refuse(RefusalKind::BadArtifact, format!("{at} is not a readable SQLite database: {what}"), check)
        }
        Found::Database(_) => anyhow::anyhow!("{at} is a database"),
    }
}

/// Refuses a file that is shorter or longer than its header says.
pub fn whole(path: &Path) -> Result<Header> {
    let header = database(path)?;
    let promised = header.pages.map_or(header.length / header.page_size, |p| p) * header.page_size;
    if promised != header.length {
        let message =
            format!("{} is cut or grown: {} bytes where its header promises {promised}", path.display(), header.length);
        return Err(refuse(
            RefusalKind::BadArtifact,
            message,
            "use another backup; prove it first: cargo xtask test-recovery --stack <stack> --set <id>",
        ));
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ciphertext_and_stumps_are_told_apart() {
        let said = |bytes: &[u8]| match judge(bytes, bytes.len() as u64) {
            Found::Foreign(what) => what,
            other => panic!("{other:?}"),
        };
        assert!(said(b"CREATE TABLE t(a);\nINSERT INTO t VALUES(1);").contains("text"));
        assert!(said(&[0x9f; 4096]).contains("encrypted"));
        assert!(said(b"SQLite format 3\0").contains("cut short"));
        let mut odd = [0u8; 100];
        odd[..16].copy_from_slice(MAGIC);
        odd[16..18].copy_from_slice(&1000u16.to_be_bytes());
        assert!(said(&odd).contains("page size of 1000"));
    }
}
