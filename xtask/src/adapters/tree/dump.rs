//! Writes a folder as one archive (pax, <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html>) that is the same for the
//! same files: names sorted, no clock, no names of users. The census is taken from the very bytes that are archived.

use super::census::{file_digest, folder_digest, line, link_digest, object};
use super::names::{hostile, leads_out, shown};
use super::walk::{Node, modified, rights, stat_of, walk};
use crate::adapters::data_tool::{Streams, parent, refuse};
use crate::domain::artifact::hex;
use crate::domain::refusal::RefusalKind;
use anyhow::{Context, Result, bail};
use rustix::fs::{FileType, Stat};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use tar::{EntryType, Header};

/// Files up to this size are read into memory first and read again if they changed meanwhile; larger ones are archived as they are read.
const SMALL: u64 = 1 << 20;
/// How often a small file is read again.
const TRIES: usize = 4;
/// The size of an archive's blocks.
const BLOCK: usize = 512;

/// The archive being written.
struct Archive<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
}

/// Writes the archive to standard output and the census to a file beside.
pub fn dump(folder: &Path, census: &Path, streams: &mut Streams) -> Result<()> {
    let scratch = parent(census);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(scratch).context("make the scratch folder")?;
    let skip = std::fs::metadata(scratch).map(|m| (m.dev(), m.ino())).context("find the scratch folder")?;
    release(census)?;
    let notes =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(census).context("create the census")?;
    let mut notes = BufWriter::new(notes);
    let mut archive = Archive { out: &mut *streams.stdout, bytes: 0 };
    let (mut linked, mut remarks, mut kept) = (HashMap::new(), Vec::new(), 0u64);
    walk(folder, Some(skip), &mut |node| {
        if let Some((object, digest)) = keep(node, &mut archive, &mut linked, &mut remarks)? {
            kept += u64::from(object.starts_with("file "));
            writeln!(notes, "{}", line(&object, &digest)).context("write the census")?;
        }
        Ok(())
    })?;
    archive.write(&[0; 2 * BLOCK])?;
    let bytes = archive.bytes;
    notes.into_inner().map_err(|e| e.into_error()).and_then(|f: File| f.sync_all()).context("write the census")?;
    for remark in remarks {
        streams.remark(remark)?;
    }
    streams.declare(bytes)
}

/// Prints the census that a dump left behind.
pub fn census_taken(census: &Path, streams: &mut Streams) -> Result<()> {
    let mut file = File::open(census).context("find the census that the dump took")?;
    std::io::copy(&mut file, streams.stdout).map(drop).context("print the census")
}

/// Removes what a dump left behind; it need not be there.
pub fn release(file: &Path) -> Result<()> {
    match std::fs::remove_file(file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Archives one node and returns its census entry; `None` for what has no content to keep (sockets, pipes, devices: a service makes
/// them anew) or is gone by now.
fn keep(
    node: &Node,
    archive: &mut Archive,
    linked: &mut HashMap<(u64, u64), (Vec<u8>, String)>,
    remarks: &mut Vec<String>,
) -> Result<Option<(String, String)>> {
    let name = object(node.path, node.kind() == FileType::Directory);
    match node.kind() {
        FileType::Directory => {
            let mut path = if node.path.is_empty() { b".".to_vec() } else { node.path.to_vec() };
            path.push(b'/');
            archive.header(&path, EntryType::Directory, &node.stat, b"", 0)?;
            Ok(Some((name, folder_digest(&node.stat))))
        }
        FileType::Symlink => {
            let Some(target) = node.target()? else { return Ok(None) };
            if let Some(why) = leads_out(node.path, &target) {
                let message = format!("the folder cannot be kept: `{}` {why}", shown(node.path));
                return Err(refuse(
                    RefusalKind::Preflight,
                    message,
                    "make the link relative and inside the folder, or remove it",
                ));
            }
            archive.header(node.path, EntryType::Symlink, &node.stat, &target, 0)?;
            Ok(Some((name, link_digest(&target))))
        }
        FileType::RegularFile => {
            let identity = (node.stat.st_dev, node.stat.st_ino);
            if let Some((first, digest)) = linked.get(&identity) {
                archive.header(node.path, EntryType::Link, &node.stat, first, 0)?;
                return Ok(Some((name, digest.clone())));
            }
            let Some(file) = node.open()? else { return Ok(None) };
            let digest = archive.file(node, file, remarks)?;
            if node.stat.st_nlink > 1 {
                linked.insert(identity, (node.path.to_vec(), digest.clone()));
            }
            Ok(Some((name, digest)))
        }
        _ => {
            remarks.push(format!("skipped {}: a socket, pipe or device has no content", shown(node.path)));
            Ok(None)
        }
    }
}

/// Whether a file is as it was.
fn same(a: &Stat, b: &Stat) -> bool {
    let of = |s: &Stat| (s.st_size, modified(s), s.st_ctime, s.st_ctime_nsec);
    of(a) == of(b)
}

impl Archive<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes).context("write the archive")
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let over = (size % BLOCK as u64) as usize;
        if over > 0 { self.write(&[0; BLOCK][over..]) } else { Ok(()) }
    }

    /// One header, with a pax header before it for what the old format cannot hold.
    fn header(&mut self, path: &[u8], kind: EntryType, stat: &Stat, link: &[u8], size: u64) -> Result<()> {
        let (seconds, nanos) = modified(stat);
        let mut pax = Vec::new();
        if path.len() > 100 {
            record(&mut pax, b"path", path);
        }
        if link.len() > 100 {
            record(&mut pax, b"linkpath", link);
        }
        if nanos > 0 || seconds < 0 {
            record(&mut pax, b"mtime", decimal(seconds, nanos).as_bytes());
        }
        if !pax.is_empty() {
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::XHeader);
            header.set_size(pax.len() as u64);
            self.finish(header, b"pax", b"")?;
            self.write(&pax)?;
            self.pad(pax.len() as u64)?;
        }
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(rights(kind == EntryType::Directory, stat.st_mode));
        header.set_uid(u64::from(stat.st_uid));
        header.set_gid(u64::from(stat.st_gid));
        header.set_mtime(u64::try_from(seconds).unwrap_or(0));
        self.finish(header, path, link)
    }

    fn finish(&mut self, mut header: Header, path: &[u8], link: &[u8]) -> Result<()> {
        let bytes = header.as_mut_bytes();
        let (path, link) = (&path[..path.len().min(100)], &link[..link.len().min(100)]);
        bytes[..path.len()].copy_from_slice(path);
        bytes[157..157 + link.len()].copy_from_slice(link);
        header.set_cksum();
        self.write(header.as_bytes())
    }

    /// A file's header and bytes; returns its census digest.
    fn file(&mut self, node: &Node, mut file: File, remarks: &mut Vec<String>) -> Result<String> {
        let failed = || format!("read {}", shown(node.path));
        let mut stat = stat_of(&file)?;
        let mut content = Vec::new();
        for attempt in 1.. {
            if u64::try_from(stat.st_size).unwrap_or(u64::MAX) > SMALL {
                return self.large(node, file, &stat, remarks);
            }
            content.clear();
            Read::by_ref(&mut file).take(SMALL + 1).read_to_end(&mut content).with_context(failed)?;
            let now = stat_of(&file)?;
            if same(&stat, &now) && content.len() as u64 == now.st_size as u64 {
                break;
            }
            if attempt == TRIES {
                // What was read is archived; the recovery point of a folder is a window, and this file is why.
                remarks.push(format!("{} changed each time it was read", shown(node.path)));
                content.truncate(SMALL as usize);
                break;
            }
            stat = now;
            std::io::Seek::rewind(&mut file).with_context(failed)?;
        }
        self.header(node.path, EntryType::Regular, &stat, b"", content.len() as u64)?;
        self.write(&content)?;
        self.pad(content.len() as u64)?;
        Ok(file_digest(&hex(&Sha256::digest(&content)), &stat))
    }

    /// A large file goes by in one buffer: the bytes that it had at first, no more. One that shrinks cannot be archived truthfully.
    fn large(&mut self, node: &Node, mut file: File, stat: &Stat, remarks: &mut Vec<String>) -> Result<String> {
        let size = u64::try_from(stat.st_size).context("a file of negative size")?;
        if size > super::names::MAX_FILE {
            return Err(hostile(node.path, "is larger than 1 TiB"));
        }
        self.header(node.path, EntryType::Regular, stat, b"", size)?;
        let (mut hash, mut buffer, mut left) = (Sha256::new(), vec![0; 256 * 1024], size);
        while left > 0 {
            let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = file.read(&mut buffer[..want]).with_context(|| format!("read {}", shown(node.path)))?;
            if n == 0 {
                bail!("{} shrank from {size} bytes by {left} while it was read: back up again", shown(node.path));
            }
            hash.update(&buffer[..n]);
            self.write(&buffer[..n])?;
            left -= n as u64;
        }
        self.pad(size)?;
        if !same(stat, &stat_of(&file)?) {
            remarks.push(format!("{} changed while it was read", shown(node.path)));
        }
        Ok(file_digest(&hex(&hash.finalize()), stat))
    }
}

/// One pax record: its own length in decimal, a space, `key=value`, a newline.
fn record(into: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    into.extend_from_slice(length.to_string().as_bytes());
    into.extend_from_slice(&[b" ", key, b"=", value, b"\n"].concat());
}

/// Seconds and nanoseconds since 1970 as a decimal number; times before it are negative as a whole.
fn decimal(seconds: i64, nanos: u32) -> String {
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let sign = if total < 0 { "-" } else { "" };
    format!("{sign}{}.{:09}", total.abs() / 1_000_000_000, total.abs() % 1_000_000_000)
}
