//! The files of a dump that consists of several: table of contents, rows, large objects. Each is read to its own end, then compared
//! with what the table promises. It must not know whether they lie in a folder or in a tar archive.

use super::fault::{self, broken, cut};
use super::toc::{self, Contents, Format, Wire};
use super::{gzip, zstd};
use anyhow::Result;
use std::collections::BTreeMap;
use std::io::{BufReader, Read};

/// The table of contents.
pub const TOC: &str = "toc.dat";
/// A list of large objects that is longer is refused.
const LONGEST_LIST: u64 = 256 * 1024 * 1024;
/// What the rows of a table end with.
const ROWS_END: &[u8] = b"\\.\n\n\n";

/// What was seen of one file.
#[derive(Debug)]
struct File {
    /// Files that a list of large objects names.
    names: Vec<String>,
    /// It is not compressed and ends as rows end.
    rows_end: bool,
    packed: Packed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packed {
    No,
    /// Its end was found by decompressing it.
    Checked,
    /// lz4, which is not read here.
    Unchecked,
}

/// What was seen of a dump's files so far.
#[derive(Debug, Default)]
pub struct Files {
    contents: Option<Contents>,
    files: BTreeMap<String, File>,
}

/// Whether a dump has files of this name: `toc.dat`, `4711.dat`, `blob_4711.dat`, `blobs.toc`, `blobs_4711.toc`, `restore.sql`.
pub fn belongs(name: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit());
    let (stem, _) = unpacked(name);
    let data = stem.strip_suffix(".dat").is_some_and(|s| number(s.strip_prefix("blob_").unwrap_or(s)));
    let list = name.strip_prefix("blobs_").and_then(|n| n.strip_suffix(".toc")).is_some_and(number);
    data || list || matches!(name, TOC | "blobs.toc" | "restore.sql")
}

fn unpacked(name: &str) -> (&str, &str) {
    let endings = [".gz", ".zst", ".lz4"];
    endings.into_iter().find_map(|e| Some((name.strip_suffix(e)?, e))).unwrap_or((name, ""))
}

impl Files {
    /// Reads one file to its end.
    ///
    /// # Errors
    /// `BadArtifact`: cut short or malformed.
    pub fn see(&mut self, name: &str, from: &mut dyn Read) -> Result<()> {
        if name == TOC {
            let contents = toc::read(&mut Wire::new(&mut BufReader::new(&mut *from)))?;
            if contents.format != Format::Files {
                return Err(broken("toc.dat belongs to an archive of one file"));
            }
            self.contents = Some(contents);
            return fault::drain(from).map(drop);
        }
        let of_this = |error: std::io::Error| fault::uncarried(error).context(name.to_owned());
        let file = match unpacked(name).1 {
            ".gz" => {
                let mut plain = flate2::read::MultiGzDecoder::new(from);
                std::io::copy(&mut plain, &mut std::io::sink()).map_err(|e| of_this(gzip::explained(e)))?;
                File { names: Vec::new(), rows_end: false, packed: Packed::Checked }
            }
            ".zst" => {
                let mut plain = ::zstd::stream::read::Decoder::new(from).map_err(of_this)?;
                plain.window_log_max(zstd::WINDOW_LOG).map_err(of_this)?;
                std::io::copy(&mut plain, &mut std::io::sink()).map_err(|e| of_this(zstd::explained(e)))?;
                File { names: Vec::new(), rows_end: false, packed: Packed::Checked }
            }
            ".lz4" => {
                fault::drain(from)?;
                File { names: Vec::new(), rows_end: false, packed: Packed::Unchecked }
            }
            _ if name.ends_with(".toc") => File { names: list(from)?, rows_end: false, packed: Packed::No },
            _ => File { names: Vec::new(), rows_end: ends_as_rows(from)?, packed: Packed::No },
        };
        self.files.insert(name.to_owned(), file);
        Ok(())
    }

    /// Whether it is of the tar format, which has a script for people beside the data.
    pub fn has_script(&self) -> bool {
        self.files.contains_key("restore.sql")
    }

    /// Compares the files with the table of contents, and gives that back.
    ///
    /// # Errors
    /// `BadArtifact`: no table, a file that is missing, rows that are cut short.
    pub fn whole(self, told: &mut Vec<String>) -> Result<Contents> {
        let Some(contents) = self.contents else { return Err(broken("there is no toc.dat")) };
        let find = |name: &str| {
            let names = ["", ".gz", ".zst", ".lz4"].map(|ending| format!("{name}{ending}"));
            names.iter().find_map(|name| self.files.get(name))
        };
        let missing = |name: &str| cut(format!("{name}, which its table of contents promises, is missing"));
        let lists = || self.files.iter().filter(|(name, _)| name.ends_with(".toc")).map(|(_, file)| file);
        for data in contents.data.values() {
            let Some(name) = &data.file else { continue };
            // In the tar format the table promises `4711.dat` for what is in `blobs.toc`.
            let file = find(name).or_else(|| lists().next().filter(|_| data.objects)).ok_or_else(|| missing(name))?;
            if data.copied && file.packed == Packed::No && !file.rows_end {
                return Err(cut(format!("{name} ends in the rows of a table")));
            }
            if let Some(object) = file.names.iter().find(|name| find(name).is_none()) {
                return Err(missing(object));
            }
        }
        let named = |name: &str| lists().any(|list| list.names.iter().any(|n| n == unpacked(name).0));
        if let Some(object) = self.files.keys().find(|name| name.starts_with("blob_") && !named(name)) {
            return Err(cut(format!("{object} is named by no list of large objects")));
        }
        if self.files.values().any(|file| file.packed == Packed::Unchecked) {
            told.push(
                "some of its files are compressed with lz4: whether they are whole shows only when they are restored"
                    .to_owned(),
            );
        }
        Ok(contents)
    }
}

/// The files that a list of large objects names: a number and a name on each line.
fn list(from: &mut dyn Read) -> Result<Vec<String>> {
    let mut text = Vec::new();
    from.take(LONGEST_LIST + 1).read_to_end(&mut text).map_err(fault::uncarried)?;
    if text.len() as u64 > LONGEST_LIST {
        return Err(broken("the list of large objects is too long"));
    }
    if !text.is_empty() && text.last() != Some(&b'\n') {
        return Err(cut("the list of large objects ends within a line"));
    }
    let text = String::from_utf8_lossy(&text);
    text.lines()
        .map(|line| match line.split_once(' ') {
            Some((number, name)) if number.parse::<u32>().is_ok() && belongs(name) => Ok(name.to_owned()),
            _ => Err(broken("the list of large objects has a line that names none")),
        })
        .collect()
}

fn ends_as_rows(from: &mut dyn Read) -> Result<bool> {
    let (mut buffer, mut tail) = (vec![0; 128 * 1024], Vec::new());
    loop {
        match fault::read(from, &mut buffer)? {
            0 => return Ok(tail == ROWS_END),
            n => {
                tail.extend_from_slice(&buffer[n.saturating_sub(ROWS_END.len())..n]);
                tail.drain(..tail.len().saturating_sub(ROWS_END.len()));
            }
        }
    }
}
