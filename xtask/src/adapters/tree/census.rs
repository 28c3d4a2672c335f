//! The census of a folder: every file with the digest of its bytes, every link and folder. Also the questions before and after.

use super::names::{leads_out, shown};
use super::walk::{Node, modified, rights, walk};
use crate::adapters::data_tool::{Streams, refuse};
use crate::domain::artifact::hex;
use crate::domain::refusal::RefusalKind;
use anyhow::{Context, Result};
use rustix::fs::{FileType, Stat};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What a census is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A file that cannot be read is an error.
    Finding,
    /// A file that cannot be read is listed.
    Diagnosis,
}

/// The census line of one object. The digest ends in a stamp, `@` time of change `.` rights, which tells damage from newer versions.
/// Owners are left out: a restore by an ordinary user cannot bring them back.
pub fn line(object: &str, digest: &str) -> String {
    let rows = u64::from(!object.starts_with("folder "));
    serde_json::json!({"object": object, "kind": "content", "rows": rows, "digest": digest}).to_string()
}

/// The census object of a path.
pub fn object(path: &[u8], folder: bool) -> String {
    match (folder, path.is_empty()) {
        (true, true) => "folder .".into(),
        (true, false) => format!("folder {}", shown(path)),
        (false, _) => format!("file {}", shown(path)),
    }
}

/// A file's digest.
pub fn file_digest(sha256: &str, stat: &Stat) -> String {
    let (seconds, nanos) = modified(stat);
    format!("{sha256}@{seconds}.{nanos:09}.{:o}", rights(false, stat.st_mode))
}

/// A folder's digest: its rights; its time of change moves with every file in it.
pub fn folder_digest(stat: &Stat) -> String {
    format!("folder@{:o}", rights(true, stat.st_mode))
}

/// A link's digest.
pub fn link_digest(target: &[u8]) -> String {
    format!("link-{}", hex(&Sha256::digest(target)))
}

/// Reads a file to its end in one buffer's memory.
pub fn sha256(file: &mut dyn Read) -> std::io::Result<String> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 128 * 1024]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hash.finalize())),
            Ok(n) => hash.update(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Prints the census of what is there now.
pub fn print(folder: &Path, purpose: Purpose, streams: &mut Streams) -> Result<()> {
    let mut linked = HashMap::new();
    let visited = walk(folder, None, &mut |node| match entry(node, &mut linked) {
        Ok(Some((object, digest))) => streams.line(line(&object, &digest)),
        Ok(None) => Ok(()),
        Err(e) if purpose == Purpose::Diagnosis => {
            let object = object(node.path, false);
            streams.line(serde_json::json!({"object": object, "kind": "unreadable", "error": format!("{e:#}")}))
        }
        Err(e) => Err(e),
    });
    match visited {
        // All of the backup's files are missing then, which no line says best.
        Err(e) if purpose == Purpose::Diagnosis && missing(&e) => Ok(()),
        visited => visited,
    }
}

fn missing(error: &anyhow::Error) -> bool {
    use crate::domain::refusal::Refusal;
    error.downcast_ref::<Refusal>().is_some_and(|r| r.kind == RefusalKind::MissingStore)
}

fn entry(node: &Node, linked: &mut HashMap<(u64, u64), String>) -> Result<Option<(String, String)>> {
    let digest = match node.kind() {
        FileType::Directory => folder_digest(&node.stat),
        FileType::Symlink => match node.target()? {
            Some(target) => link_digest(&target),
            None => return Ok(None),
        },
        FileType::RegularFile => {
            let identity = (node.stat.st_dev, node.stat.st_ino);
            let known = linked.get(&identity).cloned();
            let Some(mut file) = node.open()? else { return Ok(None) };
            let sum = match known {
                Some(sum) => sum,
                None => sha256(&mut file).with_context(|| format!("read {}", shown(node.path)))?,
            };
            if node.stat.st_nlink > 1 {
                linked.insert(identity, sum.clone());
            }
            file_digest(&sum, &node.stat)
        }
        _ => return Ok(None),
    };
    Ok(Some((object(node.path, node.kind() == FileType::Directory), digest)))
}

/// What a walk over the names alone tells.
#[derive(Default)]
struct Tally {
    files: u64,
    folders: u64,
    bytes: u64,
    special: Named,
    attributes: Named,
    bad_link: Option<String>,
}

/// How many there are, and the names of the first ones.
#[derive(Default)]
struct Named {
    count: u64,
    first: Vec<String>,
}

impl Named {
    fn add(&mut self, node: &Node) {
        self.count += 1;
        if self.first.len() < 3 {
            self.first.push(shown(node.path));
        }
    }

    /// `a, b, c and 2 more`.
    fn told(&self) -> String {
        let more = self.count.saturating_sub(self.first.len() as u64);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        self.first.join(", ") + &more
    }
}

/// Whether a file has attributes of the namespace in which applications keep theirs. A filesystem that has none says so by an error.
fn has_user_attributes(file: &File) -> bool {
    let mut names = vec![0; 64 * 1024];
    let length = rustix::fs::flistxattr(file, names.as_mut_slice()).unwrap_or(0);
    names[..length].split(|b| *b == 0).any(|name| name.starts_with(b"user."))
}

fn tally(folder: &Path) -> Result<Tally> {
    let mut t = Tally::default();
    walk(folder, None, &mut |node| {
        match node.kind() {
            FileType::Directory => t.folders += 1,
            FileType::RegularFile => {
                t.files += 1;
                t.bytes += u64::try_from(node.stat.st_size).unwrap_or(0);
                if let Some(file) = node.open()?
                    && has_user_attributes(&file)
                {
                    t.attributes.add(node);
                }
            }
            FileType::Symlink => {
                let why = node.target()?.and_then(|target| leads_out(node.path, &target));
                t.bad_link = t.bad_link.take().or(why.map(|why| format!("`{}` {why}", shown(node.path))));
                t.files += 1;
            }
            _ => t.special.add(node),
        }
        Ok(())
    })?;
    Ok(t)
}

/// Says what is at the path, without failing: `state=missing|foreign|empty|bad-link|files`.
pub fn inspect(folder: &Path, streams: &mut Streams) -> Result<()> {
    if !folder.exists() {
        return streams.line("state=missing");
    }
    if !folder.is_dir() {
        return streams.line("state=foreign");
    }
    match tally(folder)? {
        Tally { bad_link: Some(what), .. } => streams.line(format_args!("state=bad-link\ndetail={what}")),
        Tally { files: 0, .. } => streams.line("state=empty"),
        _ => streams.line("state=files"),
    }
}

/// Facts of the source, one `key=value` a line.
pub fn facts(folder: &Path, streams: &mut Streams) -> Result<()> {
    let Tally { files, folders, bytes, special, attributes, .. } = tally(folder)?;
    streams.line(format_args!(
        "files={files}\nfolders={folders}\nbytes={bytes}\nskipped_special_files={}",
        special.count
    ))?;
    if special.count > 0 {
        streams.line(format_args!("skipped_special_names={}", special.told()))?;
    }
    if attributes.count > 0 {
        let (count, names) = (attributes.count, attributes.told());
        streams.line(format_args!("files_with_extended_attributes={count}\nextended_attributes_names={names}"))?;
    }
    Ok(())
}

/// Reads one file from beginning to end, as the application that serves it would. No file is an answer only where `allow_empty`
/// says so.
pub fn probe(folder: &Path, allow_empty: bool, streams: &mut Streams) -> Result<()> {
    let mut read = None;
    walk(folder, None, &mut |node| {
        let ours = node.path.starts_with(b".xtask-");
        let wanted = read.is_none() && !ours && node.kind() == FileType::RegularFile && node.stat.st_size > 0;
        if wanted && let Some(mut file) = node.open()? {
            sha256(&mut file).with_context(|| format!("read {}", shown(node.path)))?;
            read = Some(shown(node.path));
        }
        Ok(())
    })?;
    match read {
        Some(name) => streams.line(format_args!("served {name}")),
        None if allow_empty => streams.line("it is empty, as it may be"),
        None => Err(refuse(RefusalKind::EmptyStore, format!("{} holds no file", folder.display()), "restore it")),
    }
}
