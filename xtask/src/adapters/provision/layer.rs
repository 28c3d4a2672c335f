//! Writes one image layer: the files of Debian packages by the recipe's rules, as a tar that depends on nothing but them.
//! It must not know where packages come from, nor what an image is.

use crate::domain::artifact::hex;
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use tar::{Builder, EntryType, Header};

/// Top folders that are links into `usr` on a merged-usr system; what packages put there goes to `usr` itself.
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// Not even packages may bring these into an image that a service runs in.
const SET_ID: u32 = 0o6000;

/// A layer being written.
pub(super) struct Layer<W: Write> {
    tar: Builder<Summed<W>>,
    /// Path -> whether it is a directory. The first entry of a path wins.
    seen: BTreeMap<String, bool>,
    moved: BTreeSet<&'static str>,
    dropped: Vec<Vec<String>>,
    newest: u64,
}

/// A written layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// SHA-256 of the tar: the layer's diff id without its prefix.
    pub(super) sha256: String,
    pub(super) bytes: u64,
    pub(super) entries: usize,
    /// The newest modification time among the packages' files, seconds since 1970.
    pub(super) newest: u64,
}

impl<W: Write> Layer<W> {
    /// `dropped`: path patterns whose `*` stands for any part of one path component; what is below a match is dropped too.
    pub(super) fn new(to: W, dropped: &[String]) -> Self {
        let dropped = dropped.iter().map(|p| p.split('/').map(str::to_owned).collect()).collect();
        let tar = Builder::new(Summed { to, sum: Sha256::new(), bytes: 0 });
        Self { tar, seen: BTreeMap::new(), moved: BTreeSet::new(), dropped, newest: 0 }
    }

    pub(super) fn directory(&mut self, path: &str, (mode, uid, gid): (u32, u64, u64)) -> Result<()> {
        let mut header = header(EntryType::Directory, mode, 0);
        header.set_uid(uid);
        header.set_gid(gid);
        self.add(path, header, None, &mut io::empty())
    }

    pub(super) fn link(&mut self, path: &str, target: &str) -> Result<()> {
        self.add(path, header(EntryType::Symlink, 0o777, 0), Some(target), &mut io::empty())
    }

    pub(super) fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        let mut header = header(EntryType::Regular, mode, 0);
        header.set_size(bytes.len() as u64);
        self.add(path, header, None, &mut { bytes })
    }

    /// A regular file of this many bytes, copied from a stream.
    pub(super) fn stream(&mut self, path: &str, bytes: u64, from: &mut dyn Read) -> Result<()> {
        let mut header = header(EntryType::Regular, 0o644, 0);
        header.set_size(bytes);
        self.add(path, header, None, from)
    }

    /// Adds what a package holds: the tar that `dpkg-deb --fsys-tarfile` prints, to its end.
    pub(super) fn package(&mut self, mut tar: &mut dyn Read) -> Result<()> {
        let mut archive = tar::Archive::new(&mut tar);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let name = text(&entry.path_bytes())?;
            self.entry(&name, &mut entry).with_context(|| name.clone())?;
        }
        // What follows the end mark is padding; the child must be able to write it.
        io::copy(&mut tar, &mut io::sink())?;
        Ok(())
    }

    fn entry<R: Read>(&mut self, name: &str, entry: &mut tar::Entry<'_, R>) -> Result<()> {
        let path = self.place(name)?;
        let kind = entry.header().entry_type();
        // The merged-usr links of a package would become `usr/bin -> usr/bin`; `finish` writes the right ones.
        let own_link = kind.is_symlink() && path.strip_prefix("usr/").is_some_and(|top| MERGED.contains(&top));
        if path.is_empty() || own_link || self.is_dropped(&path) || self.seen.contains_key(&path) {
            return Ok(());
        }
        let mtime = entry.header().mtime()?;
        let mode = entry.header().mode()? & 0o7777 & !SET_ID;
        let target = entry.link_name_bytes().map(|t| text(&t)).transpose()?;
        let (kind, target) = match (kind, target) {
            (EntryType::Regular | EntryType::Continuous, _) => (EntryType::Regular, None),
            (EntryType::Directory, _) => (EntryType::Directory, None),
            (EntryType::Symlink, Some(target)) => (EntryType::Symlink, Some(target)),
            (EntryType::Link, Some(target)) => (EntryType::Link, Some(self.place(&target)?)),
            (other, _) => bail!("a package with an entry of kind {other:?}"),
        };
        let mut header = header(kind, mode, mtime);
        if kind.is_file() {
            header.set_size(entry.header().size()?);
        }
        self.newest = self.newest.max(mtime);
        self.add(&path, header, target.as_deref(), entry)
    }

    /// Closes the layer: the links for the moved top folders first.
    pub(super) fn finish(mut self) -> Result<(Written, W)> {
        for top in std::mem::take(&mut self.moved) {
            self.link(top, &format!("usr/{top}"))?;
        }
        let (entries, newest) = (self.seen.len(), self.newest);
        let mut out = self.tar.into_inner()?;
        out.flush()?;
        Ok((Written { sha256: hex(&out.sum.finalize()), bytes: out.bytes, entries, newest }, out.to))
    }

    /// Where a package's path goes: without `./`, below `usr` if its top folder is a link there.
    fn place(&mut self, name: &str) -> Result<String> {
        let path = name.strip_prefix("./").unwrap_or(name).trim_matches('/');
        let path = if path == "." { "" } else { path };
        ensure!(
            path.is_empty() || !path.split('/').any(|c| matches!(c, "" | "." | "..")),
            "a package with a path that climbs"
        );
        let top = path.split('/').next().unwrap_or_default();
        let Some(top) = MERGED.into_iter().find(|m| *m == top) else { return Ok(path.to_owned()) };
        self.moved.insert(top);
        Ok(format!("usr/{path}"))
    }

    fn is_dropped(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        self.dropped.iter().any(|p| parts.len() >= p.len() && p.iter().zip(&parts).all(|(p, part)| matches(p, part)))
    }

    fn add(&mut self, path: &str, mut header: Header, target: Option<&str>, data: &mut dyn Read) -> Result<()> {
        let is_directory = header.entry_type().is_dir();
        if let Some(was) = self.seen.get(path) {
            ensure!(*was && is_directory, "two different entries for {path}");
            return Ok(());
        }
        if let Some((parent, _)) = path.rsplit_once('/') {
            match self.seen.get(parent) {
                None => self.directory(parent, (0o755, 0, 0))?,
                Some(true) => {}
                Some(false) => bail!("{path} would lie below {parent}, which is no directory"),
            }
        }
        self.seen.insert(path.to_owned(), is_directory);
        let name = if is_directory { format!("{path}/") } else { path.to_owned() };
        if let Some(target) = target {
            return Ok(self.tar.append_link(&mut header, &name, target)?);
        }
        // The tar crate copies whatever comes: fewer bytes than the header says would shift everything after them.
        let wanted = header.size()?;
        let mut counted = Counted { from: data.take(wanted), bytes: 0 };
        self.tar.append_data(&mut header, &name, &mut counted)?;
        ensure!(counted.bytes == wanted, "{path} has {} bytes instead of {wanted}", counted.bytes);
        Ok(())
    }
}

fn header(kind: EntryType, mode: u32, mtime: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(mtime);
    header.set_size(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn text(bytes: &[u8]) -> Result<String> {
    Ok(std::str::from_utf8(bytes).context("a package with a path that is not UTF-8")?.to_owned())
}

/// `*` stands for any run of characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(last)
}

/// Counts and sums what goes through.
struct Summed<W> {
    to: W,
    sum: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.sum.update(&bytes[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

struct Counted<R> {
    from: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(to)?;
        self.bytes += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests;
