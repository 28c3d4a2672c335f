//! Reads an archive that may be hostile, block by block: what is not plainly a file, folder or link inside, whole and well-formed,
//! is refused. It writes nothing.

use super::names::{MAX_ENTRIES, MAX_FILE, MAX_PATH, hostile, leads_out, relative};
use super::walk::rights;
use crate::adapters::data_tool::refuse;
use crate::archive::foreign::tar_sum_is_right;
use crate::domain::refusal::RefusalKind;
use anyhow::{Context, Result};
use std::io::Read;
use tar::Header;

const BLOCK: usize = 512;
/// Longest pax header or long name, bytes.
const MAX_EXTENSION: u64 = 64 * 1024;
/// Most zeros behind the end; GNU tar fills up to 10 KiB.
const MAX_PADDING: u64 = 1 << 20;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file with this many bytes.
    File(u64),
    /// A folder.
    Folder,
    /// A symbolic link, checked to stay inside.
    Symlink(Vec<u8>),
    /// Another name of a file that came before.
    Hardlink(Vec<u8>),
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its checked relative path; empty for the root.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Rights, as [`rights`] leaves them.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of change, seconds and nanoseconds since 1970.
    pub mtime: (i64, u32),
}

/// An archive being read.
pub struct Archive<'a> {
    from: &'a mut dyn Read,
    /// Bytes of the current file that were not read yet, and the zeros behind it.
    left: u64,
    padding: u64,
    entries: u64,
}

/// What extension headers say of the entry behind them.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    mtime: Option<(i64, u32)>,
    uid: Option<u64>,
    gid: Option<u64>,
}

fn broken(what: impl Into<String>) -> anyhow::Error {
    let hint = "nothing was restored; use a set that this tool wrote";
    refuse(RefusalKind::BadArtifact, format!("the archive is refused: {}", what.into()), hint)
}

impl<'a> Archive<'a> {
    /// Begins at the first block.
    pub fn new(from: &'a mut dyn Read) -> Self {
        Self { from, left: 0, padding: 0, entries: 0 }
    }

    /// The next entry; what was not read of the last one is passed over. `None` only behind a proper end and nothing after it.
    pub fn next(&mut self) -> Result<Option<Entry>> {
        self.pass_over()?;
        let mut said = Extension::default();
        loop {
            let block = self.block()?;
            if block.iter().all(|b| *b == 0) {
                return self.end().map(|()| None);
            }
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(broken(format!("it has more than {MAX_ENTRIES} entries")));
            }
            let header = Header::from_byte_slice(&block);
            if !tar_sum_is_right(&block) {
                return Err(broken("a header's checksum is wrong: it is damaged, or no archive"));
            }
            let size = header.entry_size().map_err(|_| broken("a header has no valid size"))?;
            match block[156] {
                b'x' => said.pax(&self.extension(size)?)?,
                b'L' => once(&mut said.path, trim(self.extension(size)?))?,
                b'K' => once(&mut said.link, trim(self.extension(size)?))?,
                flag => return self.entry(header, flag, size, said).map(Some),
            }
        }
    }

    fn entry(&mut self, header: &Header, flag: u8, size: u64, said: Extension) -> Result<Entry> {
        let raw = said.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let link = said.link.or_else(|| header.link_name_bytes().map(|l| l.into_owned())).unwrap_or_default();
        let path = relative(&raw)?;
        if said.size.is_some_and(|s| s != size) {
            return Err(hostile(&raw, "has two different sizes"));
        }
        let kind = match flag {
            b'0' | 0 | b'7' if size > MAX_FILE => return Err(hostile(&raw, "claims more than 1 TiB")),
            b'0' | 0 | b'7' if raw.ends_with(b"/") => return Err(hostile(&raw, "is a file with a folder's name")),
            b'0' | 0 | b'7' => Kind::File(size),
            b'5' => Kind::Folder,
            b'2' => match leads_out(&path, &link) {
                Some(why) => return Err(hostile(&raw, why)),
                None => Kind::Symlink(link),
            },
            b'1' => Kind::Hardlink(relative(&link)?),
            b'3' | b'4' => return Err(hostile(&raw, "is a device")),
            b'6' => return Err(hostile(&raw, "is a named pipe")),
            b'S' => return Err(hostile(&raw, "is sparse")),
            _ => return Err(hostile(&raw, "is of a kind that no backup holds")),
        };
        if path.is_empty() && kind != Kind::Folder {
            return Err(hostile(&raw, "would replace the folder itself"));
        }
        match kind {
            Kind::File(size) => {
                self.left = size;
                self.padding = size.next_multiple_of(BLOCK as u64) - size;
            }
            _ if size > 0 => return Err(hostile(&raw, "has bytes although it is no file")),
            _ => {}
        }
        let number = |what: Option<u64>, field: std::io::Result<u64>| {
            what.or(field.ok()).and_then(|n| u32::try_from(n).ok()).ok_or_else(|| hostile(&raw, "has no valid owner"))
        };
        Ok(Entry {
            mode: rights(kind == Kind::Folder, header.mode().map_err(|_| hostile(&raw, "has no valid rights"))?),
            uid: number(said.uid, header.uid())?,
            gid: number(said.gid, header.gid())?,
            mtime: match said.mtime {
                Some(time) => time,
                None => header.mtime().ok().and_then(|t| i64::try_from(t).ok()).map_or((0, 0), |t| (t, 0)),
            },
            path,
            kind,
        })
    }

    /// Reads on in the current file; 0 at its end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        loop {
            match self.from.read(&mut buffer[..want]) {
                Ok(0) => return Err(broken("it is cut short in the middle of a file")),
                Ok(n) => {
                    self.left -= n as u64;
                    return Ok(n);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e).context("read the archive"),
            }
        }
    }

    fn pass_over(&mut self) -> Result<()> {
        let mut buffer = [0; 8192];
        while self.read(&mut buffer)? > 0 {}
        self.left = std::mem::take(&mut self.padding);
        while self.read(&mut buffer)? > 0 {}
        Ok(())
    }

    fn block(&mut self) -> Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        match self.from.read_exact(&mut block) {
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Err(broken("it is cut short: it has no end")),
            read => read.map(|()| block).context("read the archive"),
        }
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > MAX_EXTENSION {
            return Err(broken("an extended header is larger than 64 KiB"));
        }
        (self.left, self.padding) = (size, size.next_multiple_of(BLOCK as u64) - size);
        let mut bytes = vec![0; usize::try_from(size)?];
        let mut at = 0;
        while at < bytes.len() {
            at += self.read(&mut bytes[at..])?;
        }
        self.pass_over()?;
        Ok(bytes)
    }

    /// Behind the first block of zeros: another one, then at most zeros.
    fn end(&mut self) -> Result<()> {
        if self.block()?.iter().any(|b| *b != 0) {
            return Err(broken("its end is broken: one block of zeros instead of two"));
        }
        let (mut buffer, mut total) = ([0; 8192], 0);
        loop {
            match self.from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) if buffer[..n].iter().any(|b| *b != 0) => return Err(broken("data follows its end")),
                Ok(n) => total += n as u64,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e).context("read the archive"),
            }
            if total > MAX_PADDING {
                return Err(broken("more than 1 MiB of zeros follows its end"));
            }
        }
    }
}

/// The bytes up to the first NUL.
fn trim(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len()));
    bytes
}

/// Sets what must be said at most once.
fn once<T>(slot: &mut Option<T>, value: T) -> Result<()> {
    if slot.replace(value).is_some() { Err(broken("an entry is described twice")) } else { Ok(()) }
}

impl Extension {
    /// Reads the records of a pax header.
    fn pax(&mut self, mut rest: &[u8]) -> Result<()> {
        let bad = || broken("an extended header is malformed");
        while !rest.is_empty() {
            let space = rest.iter().position(|b| *b == b' ').filter(|at| *at < 10).ok_or_else(bad)?;
            let length: usize =
                std::str::from_utf8(&rest[..space]).ok().and_then(|n| n.parse().ok()).ok_or_else(bad)?;
            let record = rest.get(space + 1..length).and_then(|r| r.strip_suffix(b"\n")).ok_or_else(bad)?;
            rest = &rest[length..];
            let equals = record.iter().position(|b| *b == b'=').ok_or_else(bad)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            let number = || std::str::from_utf8(value).ok().and_then(|n| n.parse::<u64>().ok()).ok_or_else(bad);
            match key {
                b"path" if value.len() > MAX_PATH => return Err(hostile(&value[..80], "… is longer than 4096 bytes")),
                b"path" => once(&mut self.path, value.to_vec())?,
                b"linkpath" => once(&mut self.link, value.to_vec())?,
                b"size" => once(&mut self.size, number()?)?,
                b"uid" => once(&mut self.uid, number()?)?,
                b"gid" => once(&mut self.gid, number()?)?,
                b"mtime" => once(&mut self.mtime, decimal(value).ok_or_else(bad)?)?,
                _ if key.starts_with(b"GNU.sparse") => return Err(broken("it has sparse files")),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A decimal number of seconds as seconds and nanoseconds.
fn decimal(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if !part.bytes().all(|b| b.is_ascii_digit()) || part.len() > 30 {
        return None;
    }
    let part: String = part.chars().chain("000000000".chars()).take(9).collect();
    let total = i128::from(whole.parse::<u64>().ok()?) * 1_000_000_000 + i128::from(part.parse::<u32>().ok()?);
    let total = if negative { -total } else { total };
    let nanos = u32::try_from(total.rem_euclid(1_000_000_000)).ok()?;
    Some((i64::try_from(total.div_euclid(1_000_000_000)).ok()?, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_fractions_and_before_1970_are_read() {
        assert_eq!(decimal(b"1.5"), Some((1, 500_000_000)));
        assert_eq!(decimal(b"-1.5"), Some((-2, 500_000_000)));
        assert_eq!(decimal(b"7"), Some((7, 0)));
        assert_eq!(decimal(b"1.0000000019"), Some((1, 1)));
        assert_eq!((decimal(b"x"), decimal(b"1.x"), decimal(b"")), (None, None, None));
    }
}
