//! Names and limits: which paths and links an archive may hold, and how a name of any bytes is shown in one line of text.

use crate::adapters::data_tool::refuse;
use crate::domain::refusal::RefusalKind;
use anyhow::Result;
use std::fmt::Write;

/// Longest path, bytes: what Linux itself takes in one call.
pub const MAX_PATH: usize = 4096;
/// Longest name in a path, bytes.
pub const MAX_NAME: usize = 255;
/// Deepest nesting. Each level is an open folder while an archive is written or read.
pub const MAX_DEPTH: usize = 512;
/// Most entries of an archive.
pub const MAX_ENTRIES: u64 = 2_000_000;
/// Largest single file, bytes: 1 TiB. An archive can hold no more than its own length, as sparse entries are refused.
pub const MAX_FILE: u64 = 1 << 40;

/// A hostile or broken archive.
pub fn hostile(path: &[u8], what: &str) -> anyhow::Error {
    let message = format!("the archive is refused: `{}` {what}", shown(path));
    refuse(RefusalKind::BadArtifact, message, "nothing was restored; use a set that this tool wrote")
}

/// A name as text: bytes that are no printable UTF-8, and the backslash, are written `\xNN`. Distinct names stay distinct.
pub fn shown(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    let escape = |text: &mut String, bytes: &[u8]| {
        for byte in bytes {
            let _ = write!(text, "\\x{byte:02x}");
        }
    };
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || c == '\\' {
                escape(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                text.push(c);
            }
        }
        escape(&mut text, chunk.invalid());
    }
    text
}

/// The path of an archive's entry as relative names joined by `/`, the root as nothing; anything that could lead out is refused.
pub fn relative(raw: &[u8]) -> Result<Vec<u8>> {
    let mut rest = raw;
    if rest.len() > MAX_PATH {
        return Err(hostile(&rest[..80], &format!("… is longer than {MAX_PATH} bytes")));
    }
    while let Some(after) = rest.strip_prefix(b"./") {
        rest = after;
    }
    let rest = rest.strip_suffix(b"/").unwrap_or(rest);
    if raw.starts_with(b"/") {
        return Err(hostile(raw, "is absolute"));
    }
    if rest.is_empty() || rest == b"." {
        return Ok(Vec::new());
    }
    let mut depth = 0;
    for name in rest.split(|b| *b == b'/') {
        depth += 1;
        match name {
            b".." => return Err(hostile(raw, "leads upwards")),
            b"" | b"." => return Err(hostile(raw, "has an empty name in it")),
            _ if name.len() > MAX_NAME => return Err(hostile(raw, "has a name longer than 255 bytes")),
            _ if name.contains(&0) => return Err(hostile(raw, "has a NUL in it")),
            _ => {}
        }
    }
    if depth > MAX_DEPTH { Err(hostile(raw, "is nested too deep")) } else { Ok(rest.to_vec()) }
}

/// Why a symbolic link at `path` may not point to `target`, if so. Only leading `..` are counted as steps up: behind another name a
/// `..` could climb out of whatever a second link leads to.
pub fn leads_out(path: &[u8], target: &[u8]) -> Option<&'static str> {
    if target.is_empty() || target.contains(&0) || target.len() > MAX_PATH {
        return Some("is a link to no valid path");
    }
    if target.starts_with(b"/") {
        return Some("is a link to an absolute path");
    }
    let mut room = path.iter().filter(|b| **b == b'/').count();
    let mut climbing = true;
    for name in target.split(|b| *b == b'/').filter(|n| !n.is_empty() && *n != b".") {
        match (name == b"..", climbing) {
            (true, true) if room > 0 => room -= 1,
            (true, true) => return Some("is a link out of the folder"),
            (true, false) => return Some("is a link that goes down and up again"),
            (false, _) => climbing = false,
        }
    }
    None
}

/// Splits a path into its parent and its last name.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_out_are_refused() {
        for bad in ["/etc/passwd", "../x", "a/../../x", "a/..", "a//b", "a/./b", "a\0b", "//", "./../x"] {
            assert!(relative(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(relative(&[b'a'; 256]).is_err());
        assert!(relative("a/".repeat(513).as_bytes()).is_err());
        assert_eq!(relative(b"./a/b/").unwrap(), b"a/b");
        assert_eq!(relative(b"./").unwrap(), b"");
        assert_eq!(relative(b"caf\xe9/..x").unwrap(), b"caf\xe9/..x");
    }

    #[test]
    fn links_stay_inside() {
        for (path, target) in [("a", "b"), ("a/b", "../c"), ("a/b/c", "../../d/e"), ("a", "./b"), ("a/b", "..")] {
            assert_eq!(leads_out(path.as_bytes(), target.as_bytes()), None, "{path} -> {target}");
        }
        for (path, target) in
            [("a", ".."), ("a", "/etc"), ("a/b", "../../x"), ("a", "b/../../x"), ("a/b", "c/.."), ("a", "")]
        {
            assert!(leads_out(path.as_bytes(), target.as_bytes()).is_some(), "{path} -> {target}");
        }
    }

    #[test]
    fn every_name_is_one_line_and_distinct() {
        assert_eq!(shown(b"caf\xe9"), r"caf\xe9");
        assert_eq!(shown(r"caf\xe9".as_bytes()), r"caf\x5cxe9");
        assert_eq!(shown("a\nb".as_bytes()), r"a\x0ab");
        assert_eq!(shown("été 文書.txt".as_bytes()), "été 文書.txt");
    }
}
