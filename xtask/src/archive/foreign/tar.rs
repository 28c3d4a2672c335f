//! Walks a tar archive, block by block, without unpacking anything: names and sizes, whole to the proper end or refused.
//! It must not know what the files in it are for.

use super::fault::{self, broken, carried, cut};
use anyhow::Result;
use std::io::Read;

const BLOCK: usize = 512;
/// Longest extended header.
const MAX_EXTENSION: u64 = 64 * 1024;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name as it is written, lossily as text.
    pub name: String,
    /// Bytes of a regular file; `None` for anything else.
    pub file: Option<u64>,
}

/// An archive on its way.
pub struct Walk<R> {
    from: R,
    left: u64,
    padding: u64,
}

/// Whether these are the first bytes of a tar archive: a header with its magic and the right sum.
pub fn begins(head: &[u8]) -> bool {
    let Some(block) = head.first_chunk::<BLOCK>() else { return false };
    &block[257..262] == b"ustar" && sum_is_right(block)
}

/// Whether a header has the sum that it says it has.
pub fn sum_is_right(block: &[u8; BLOCK]) -> bool {
    let sum = |(at, byte): (usize, &u8)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) };
    number(&block[148..156]) == Some(block.iter().enumerate().map(sum).sum())
}

/// An octal number, or GNU's binary one.
fn number(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        let (first, rest) = field.split_first()?;
        let plain = first & 0x7f == 0 && rest.iter().take(rest.len().saturating_sub(8)).all(|b| *b == 0);
        let low = rest.get(rest.len().saturating_sub(8)..)?;
        return plain.then(|| low.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)));
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

impl<R: Read> Walk<R> {
    /// Begins at the first block.
    pub fn new(from: R) -> Self {
        Self { from, left: 0, padding: 0 }
    }

    /// The next entry, what was not read of the last one passed over; `None` behind the proper end and nothing after it.
    pub fn next(&mut self) -> Result<Option<Entry>> {
        self.pass_over()?;
        let mut long = None;
        loop {
            let block = self.block()?;
            if block.iter().all(|b| *b == 0) {
                return self.end().map(|()| None);
            }
            if !sum_is_right(&block) {
                return Err(broken("a header in the tar archive has a wrong sum"));
            }
            let size =
                number(&block[124..136]).ok_or_else(|| broken("a header in the tar archive has no valid size"))?;
            let kind = block[156];
            if matches!(kind, b'x' | b'L' | b'K' | b'g') {
                let said = self.extension(size)?;
                match kind {
                    b'L' => long = Some(text(&said)),
                    b'x' => long = path_of_pax(&said).or(long),
                    _ => {}
                }
                continue;
            }
            let name = long.take().unwrap_or_else(|| {
                let (name, prefix) = (text(&block[..100]), text(&block[345..500]));
                // GNU's own format has times there, not a prefix.
                let prefixed = &block[257..263] == b"ustar\0" && !prefix.is_empty();
                if prefixed { format!("{prefix}/{name}") } else { name }
            });
            let file = matches!(kind, b'0' | 0 | b'7').then_some(size).filter(|_| !name.ends_with('/'));
            // Folders and links have no bytes, whatever size is written there.
            let bytes = if matches!(kind, b'1'..=b'6') { 0 } else { size };
            (self.left, self.padding) = (bytes, padding(bytes)?);
            return Ok(Some(Entry { name, file }));
        }
    }

    /// The rest of the current file.
    pub fn body(&mut self) -> Body<'_, R> {
        Body(self)
    }

    /// Reads on in the current file; 0 at its end.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let want = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        let n = fault::read(&mut self.from, &mut into[..want])?;
        if n == 0 {
            return Err(cut("the tar archive ends in the middle of a file"));
        }
        self.left -= n as u64;
        Ok(n)
    }

    fn pass_over(&mut self) -> Result<()> {
        let mut buffer = [0; 16 * 1024];
        while self.read(&mut buffer)? > 0 {}
        self.left = std::mem::take(&mut self.padding);
        while self.read(&mut buffer)? > 0 {}
        Ok(())
    }

    fn block(&mut self) -> Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        match fault::fill(&mut self.from, &mut block)? {
            BLOCK => Ok(block),
            _ => Err(cut("the tar archive has no end")),
        }
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > MAX_EXTENSION {
            return Err(broken("an extended header in the tar archive is larger than 64 KiB"));
        }
        (self.left, self.padding) = (size, padding(size)?);
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let mut at = 0;
        while at < bytes.len() {
            at += self.read(&mut bytes[at..])?;
        }
        self.pass_over()?;
        Ok(bytes)
    }

    /// Behind the first block of zeros: another, then nothing but zeros.
    fn end(&mut self) -> Result<()> {
        if self.block()?.iter().any(|b| *b != 0) {
            return Err(broken("the end of the tar archive is broken: one block of zeros instead of two"));
        }
        let mut buffer = [0; 16 * 1024];
        loop {
            match fault::read(&mut self.from, &mut buffer)? {
                0 => return Ok(()),
                n if buffer[..n].iter().any(|b| *b != 0) => {
                    return Err(broken("data follows the end of the tar archive"));
                }
                _ => {}
            }
        }
    }
}

fn padding(size: u64) -> Result<u64> {
    let full = size.checked_next_multiple_of(BLOCK as u64);
    full.map(|full| full - size).ok_or_else(|| broken("a file in the tar archive claims an impossible size"))
}

/// The `path` of a pax header.
fn path_of_pax(mut rest: &[u8]) -> Option<String> {
    let mut path = None;
    while !rest.is_empty() {
        let space = rest.iter().position(|b| *b == b' ')?;
        let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let record = rest.get(space + 1..length)?.strip_suffix(b"\n")?;
        if let Some(value) = record.strip_prefix(b"path=") {
            path = Some(String::from_utf8_lossy(value).into_owned());
        }
        rest = rest.get(length..)?;
    }
    path
}

/// The bytes of one file in an archive.
pub struct Body<'w, R>(&'w mut Walk<R>);

impl<R: Read> Read for Body<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(into).map_err(carried)
    }
}

/// The header of a regular file of our own making: name of at most 100 bytes, rights 0600, no owner, no time.
pub fn header(name: &str, bytes: u64) -> [u8; BLOCK] {
    let mut header = ::tar::Header::new_ustar();
    // A name that does not fit stays empty and is refused by whoever reads it; callers check before.
    let _ = header.set_path(name);
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(::tar::EntryType::Regular);
    header.set_cksum();
    *header.as_bytes()
}
