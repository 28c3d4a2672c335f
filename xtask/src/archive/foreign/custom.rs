//! `pg_dump --format=custom`: the table of contents, then a block of data for each entry that promises one, then nothing. The
//! format has no end of its own, so its end is found by following every block. It must not know what the rows mean.

use super::fault::{broken, cut};
use super::toc::{self, Contents, Format, Wire};
use crate::domain::foreign::Said;
use anyhow::Result;
use std::collections::BTreeSet;
use std::io::Read;

const ROWS: u8 = 1;
const OBJECTS: u8 = 3;

/// Follows the archive to its end.
///
/// # Errors
/// `BadArtifact`: cut short, malformed, data missing, or something behind the end.
pub fn examine(from: &mut dyn Read) -> Result<Said> {
    let mut wire = Wire::new(from);
    let contents = toc::read(&mut wire)?;
    if contents.format != Format::Custom {
        return Err(broken("the table of contents belongs to an archive of several files, and this is one"));
    }
    blocks(&mut wire, &contents)?;
    Ok(contents.said)
}

fn blocks(wire: &mut Wire<'_>, contents: &Contents) -> Result<()> {
    let mut seen = BTreeSet::new();
    while let Some(kind) = wire.byte_or_end()? {
        let id = wire.number()?;
        if !contents.data.contains_key(&id) || !seen.insert(id) {
            return Err(broken("data stands in the archive that its table of contents does not promise"));
        }
        match kind {
            ROWS => chunks(wire)?,
            OBJECTS => {
                // Each object by its number, ended by the number 0.
                while wire.number()? != 0 {
                    chunks(wire)?;
                }
            }
            _ => return Err(broken("a block of the archive is of an unknown kind, or something follows its end")),
        }
    }
    match contents.data.len() - seen.len() {
        0 => Ok(()),
        missing => Err(cut(format!("the data of {missing} of {} entries is missing at the end", contents.data.len()))),
    }
}

fn chunks(wire: &mut Wire<'_>) -> Result<()> {
    loop {
        match u64::try_from(wire.number()?) {
            Ok(0) => return Ok(()),
            Ok(bytes) => wire.pass(bytes)?,
            Err(_) => return Err(broken("a piece of data in the archive has a negative length")),
        }
    }
}
