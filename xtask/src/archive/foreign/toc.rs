//! The head and the table of contents that PostgreSQL's archives begin with: who made it, and which data must follow. Read as
//! `pg_restore` reads it, within bounds, and nothing in it is believed. It must not know where the data lies.

use super::fault::{self, broken, cut};
use super::sql::Scan;
use crate::domain::foreign::Said;
use anyhow::Result;
use std::collections::BTreeMap;
use std::io::Read;

/// More entries, or a longer text, than any real archive has.
const MAX_ENTRIES: u64 = 5_000_000;
const MAX_TEXT: u64 = 256 * 1024 * 1024;

/// What the archive's format byte says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One file.
    Custom,
    /// Several files, in a folder or a tar archive; both begin with the same table.
    Files,
}

/// Data that must follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// The file with it, where there are several.
    pub file: Option<String>,
    /// Whether it is rows for COPY, which end with a line of their own.
    pub copied: bool,
    /// Whether it is a list of large objects.
    pub objects: bool,
}

/// A table of contents.
#[derive(Debug)]
pub struct Contents {
    /// Which archive it belongs to.
    pub format: Format,
    /// What it says.
    pub said: Said,
    /// The data that must follow, by the number of its entry.
    pub data: BTreeMap<i64, Data>,
}

/// Numbers and texts as the archive writes them.
pub struct Wire<'r> {
    from: &'r mut dyn Read,
    version: (u8, u8),
    int: usize,
    offset: usize,
}

impl<'r> Wire<'r> {
    /// The stream at the archive's first byte.
    pub fn new(from: &'r mut dyn Read) -> Self {
        Self { from, version: (0, 0), int: 4, offset: 8 }
    }

    /// One byte, or `None` at the very end.
    pub fn byte_or_end(&mut self) -> Result<Option<u8>> {
        let mut byte = [0];
        Ok((fault::fill(self.from, &mut byte)? == 1).then_some(byte[0]))
    }

    fn byte(&mut self) -> Result<u8> {
        self.byte_or_end()?.ok_or_else(|| cut("the archive ends within its table of contents or its data"))
    }

    /// A sign, then bytes, the lowest first.
    pub fn number(&mut self) -> Result<i64> {
        let negative = match self.byte()? {
            0 => false,
            1 => true,
            _ => return Err(broken("a number in the archive has no valid sign")),
        };
        let mut value: u64 = 0;
        for at in 0..self.int {
            let byte = u64::from(self.byte()?);
            if at >= 4 && byte != 0 {
                return Err(broken("a number in the archive is too large"));
            }
            value |= byte.checked_shl(u32::try_from(at * 8).unwrap_or(64)).unwrap_or(0);
        }
        let value = i64::try_from(value)?;
        Ok(if negative { -value } else { value })
    }

    fn text(&mut self) -> Result<Option<String>> {
        let length = self.number()?;
        let Ok(length) = u64::try_from(length) else { return Ok(None) };
        if length > MAX_TEXT {
            return Err(broken(format!("a text in the table of contents claims {length} bytes")));
        }
        let mut text = Vec::new();
        // Grows with what comes, not with what is claimed.
        self.from.take(length).read_to_end(&mut text).map_err(fault::uncarried)?;
        if text.len() as u64 != length {
            return Err(cut("the archive ends within its table of contents"));
        }
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    }

    /// Passes over this many bytes.
    pub fn pass(&mut self, bytes: u64) -> Result<()> {
        match std::io::copy(&mut self.from.take(bytes), &mut std::io::sink()).map_err(fault::uncarried)? {
            n if n == bytes => Ok(()),
            _ => Err(cut("the archive ends in the middle of its data")),
        }
    }
}

/// Reads head and table of contents.
///
/// # Errors
/// `BadArtifact`: cut short, malformed, or of a version that is not known here.
pub fn read(wire: &mut Wire<'_>) -> Result<Contents> {
    let (format, mut said) = head(wire)?;
    let count = u64::try_from(wire.number()?).unwrap_or(u64::MAX);
    if count > MAX_ENTRIES {
        return Err(broken(format!("the table of contents claims {count} entries")));
    }
    let mut data = BTreeMap::new();
    for _ in 0..count {
        let (id, entry) = entry(wire, format, &mut said)?;
        if let Some(entry) = entry
            && data.insert(id, entry).is_some()
        {
            return Err(broken("the table of contents lists an entry twice"));
        }
    }
    Ok(Contents { format, said, data })
}

fn head(wire: &mut Wire<'_>) -> Result<(Format, Said)> {
    let mut magic = [0; 5];
    if fault::fill(wire.from, &mut magic)? < 5 || &magic != b"PGDMP" {
        return Err(broken("the archive does not begin with PGDMP"));
    }
    let (major, minor, _revision) = (wire.byte()?, wire.byte()?, wire.byte()?);
    if major != 1 || !(10..=16).contains(&minor) {
        return Err(broken(format!(
            "the archive is of format {major}.{minor}; 1.10 (PostgreSQL 8.1) to 1.16 (PostgreSQL 18) are known here"
        )));
    }
    wire.version = (major, minor);
    (wire.int, wire.offset) = (usize::from(wire.byte()?), usize::from(wire.byte()?));
    if !(4..=8).contains(&wire.int) || !(4..=8).contains(&wire.offset) {
        return Err(broken("the archive's numbers have an impossible size"));
    }
    let format = match wire.byte()? {
        1 => Format::Custom,
        3 | 5 => Format::Files,
        other => return Err(broken(format!("the archive is of an unknown kind, {other}"))),
    };
    match minor {
        15.. => drop(wire.byte()?),
        _ => drop(wire.number()?),
    }
    let mut time = [0; 7];
    for field in &mut time {
        *field = wire.number()?;
    }
    let mut said = Said { begun: begun(time), database: wire.text()?, ..Said::default() };
    (said.server_version, said.dump_version) = (wire.text()?, wire.text()?);
    Ok((format, said))
}

/// C's broken-down time: seconds, minutes, hours, day, month from 0, year from 1900.
fn begun([second, minute, hour, day, month, year, _]: [i64; 7]) -> Option<jiff::civil::DateTime> {
    let small = |n: i64| i8::try_from(n).ok();
    let year = i16::try_from(year.checked_add(1900)?).ok()?;
    jiff::civil::DateTime::new(
        year,
        small(month + 1)?,
        small(day)?,
        small(hour)?,
        small(minute)?,
        small(second)?.min(59),
        0,
    )
    .ok()
}

/// One entry: its number, and the data that it has.
fn entry(wire: &mut Wire<'_>, format: Format, said: &mut Said) -> Result<(i64, Option<Data>)> {
    let minor = wire.version.1;
    let id = wire.number()?;
    let dumped = wire.number()? != 0;
    let _ = (wire.text()?, wire.text()?); // the catalog's number of the object
    let (tag, kind) = (wire.text()?.unwrap_or_default(), wire.text()?.unwrap_or_default());
    if minor >= 11 {
        wire.number()?; // the section
    }
    let (definition, _drop, copy) = (wire.text()?, wire.text()?, wire.text()?);
    let _ = (wire.text()?, wire.text()?); // the schema and the tablespace
    if minor >= 14 {
        wire.text()?; // the access method
    }
    if minor >= 16 {
        wire.number()?; // the kind of relation
    }
    let owner = wire.text()?;
    wire.text()?; // with OIDs, or not
    while wire.text()?.is_some() {} // what it depends on
    learn(said, &tag, &kind, owner, definition.as_deref());
    let objects = matches!(kind.as_str(), "BLOBS" | "BLOB DATA");
    let rows = Data { file: None, copied: copy.is_some_and(|c| c.starts_with("COPY ")), objects };
    let data = match format {
        Format::Custom => {
            let flag = wire.byte()?;
            wire.pass(wire.offset as u64)?;
            // 3: there is none.
            (dumped && flag != 3).then_some(rows)
        }
        Format::Files => {
            let file = wire.text()?.filter(|f| !f.is_empty());
            file.map(|file| Data { file: Some(file), ..rows })
        }
    };
    Ok((id, data))
}

/// What an entry says of roles and extensions.
fn learn(said: &mut Said, tag: &str, kind: &str, owner: Option<String>, definition: Option<&str>) {
    said.roles.extend(owner.filter(|o| !o.is_empty()));
    let speaks = matches!(kind, "ACL" | "DEFAULT ACL" | "POLICY" | "USER MAPPING" | "EXTENSION" | "SCHEMA");
    if let Some(text) = definition.filter(|_| speaks) {
        let mut scan = Scan::default();
        // A text that asks for something odd is the server's to refuse; here only the names count.
        let _ = scan.see(text.as_bytes()).and_then(|()| scan.see(b"\n;\n"));
        said.roles.append(&mut scan.said.roles);
        said.extensions.append(&mut scan.said.extensions);
    }
    if kind == "EXTENSION" {
        said.extensions.entry(tag.to_owned()).or_default();
    }
}
