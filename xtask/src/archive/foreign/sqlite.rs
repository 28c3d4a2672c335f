//! An SQLite file by its header: whether it has as many bytes as it promises. Its pages are checked where it is opened, not here.

use super::fault::{self, broken, cut};
use anyhow::Result;
use std::io::Read;

/// What the header shows beyond the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The file was in WAL mode: its newest transactions may have been in another file.
    pub wal: bool,
}

/// Reads the file to its end and compares its length with its header.
///
/// # Errors
/// `BadArtifact`: shorter or longer than promised, or no header of any SQLite.
pub fn examine(from: &mut dyn Read, told: &mut Vec<String>) -> Result<Header> {
    let mut head = [0; 100];
    let begun = fault::fill(from, &mut head)?;
    if begun < head.len() {
        return Err(cut(format!("the SQLite file ends after {begun} bytes, within its header")));
    }
    let short = u64::from(u16::from_be_bytes([head[16], head[17]]));
    let page = if short == 1 { 65_536 } else { short };
    if !(512..=65_536).contains(&page) || !page.is_power_of_two() {
        return Err(broken(format!("the SQLite file names a page size of {page}")));
    }
    let long = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let length = begun as u64 + fault::drain(from)?;
    // Only a writer that knew the number of pages left both counters equal.
    if long(24) == long(92) && long(28) > 0 {
        let promised = u64::from(long(28)) * page;
        let both = format!("{length} bytes, its header promises {promised}");
        if length < promised {
            return Err(cut(format!("the SQLite file has {both}")));
        }
        if length > promised {
            return Err(broken(format!("the SQLite file has {both}")));
        }
    } else if !length.is_multiple_of(page) {
        return Err(cut(format!(
            "the SQLite file has {length} bytes, which is no whole number of its pages of {page}"
        )));
    } else {
        told.push(
            "its header does not say how many pages it has, so a lost last page would only show when it is opened"
                .to_owned(),
        );
    }
    Ok(Header { wal: head[18] == 2 || head[19] == 2 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::refusal::Refusal;

    fn database() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let made = rusqlite::Connection::open(&path).unwrap();
        made.execute_batch("PRAGMA page_size=512; CREATE TABLE t(a); INSERT INTO t VALUES (randomblob(3000));")
            .unwrap();
        made.close().unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn every_cut_and_every_growth_is_refused() {
        let whole = database();
        let mut told = Vec::new();
        assert_eq!(examine(&mut whole.as_slice(), &mut told).unwrap(), Header { wal: false });
        assert_eq!(told, Vec::<String>::new());
        for length in 16..whole.len() {
            let error = examine(&mut &whole[..length], &mut told).unwrap_err();
            assert!(Refusal::within(&error).unwrap().hint.contains("cut short"), "{length}: {error:#}");
        }
        let grown = [whole, vec![0]].concat();
        assert!(examine(&mut grown.as_slice(), &mut told).unwrap_err().to_string().contains("promises"));
    }

    #[test]
    fn a_header_without_a_count_is_told() {
        let mut whole = database();
        whole[92] ^= 1;
        let mut told = Vec::new();
        examine(&mut whole.as_slice(), &mut told).unwrap();
        assert!(told[0].contains("how many pages"));
        assert!(examine(&mut &whole[..whole.len() - 1], &mut told).is_err());
    }
}
