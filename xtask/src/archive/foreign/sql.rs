//! An SQL script of `pg_dump`, read as psql reads it but run by nobody: whether it is whole to its closing line, what it says of its
//! source, which roles and extensions it needs, and whether it asks psql itself to do something.

mod statement;

use super::fault::{self, broken, cut, hostile};
use crate::domain::foreign::Said;
use anyhow::Result;
use statement::{Effect, Statement};
use std::io::Read;

const CLOSING: &[u8] = b"-- PostgreSQL database dump complete";
/// What is kept of a comment, a word, or a line for psql.
const KEPT: usize = 256;

/// Where in the text the scan is.
#[derive(Debug, Default)]
enum Mode {
    #[default]
    Code,
    /// `-` or `/` that may begin a comment.
    Maybe(u8),
    Line,
    Block {
        depth: u32,
        last: u8,
    },
    /// `'…'`; `escapes` = a backslash takes the meaning of what follows it.
    Text {
        escapes: bool,
        escaped: bool,
    },
    Name,
    /// After a `$` that may begin a dollar quote.
    Tag(Vec<u8>),
    Dollar {
        end: Vec<u8>,
        matched: usize,
    },
    /// A line for psql.
    Command {
        begun: u64,
    },
    Rows,
}

/// How far the end has come.
#[derive(Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    No,
    /// The closing line was there; its frame's last line is awaited.
    Closing,
    Closed,
}

/// A script on its way.
#[derive(Debug, Default)]
pub struct Scan {
    /// What it said so far.
    pub said: Said,
    mode: Mode,
    at: u64,
    line: u64,
    /// Whether anything stands on this line before the current byte.
    begun: bool,
    /// The comment, row or line for psql that is being read, as far as it is kept.
    kept: Vec<u8>,
    length: u64,
    statement: Statement,
    /// Rows begin with the next line; psql would read what stands behind the semicolon after them.
    rows: bool,
    end: End,
    guard: Option<Vec<u8>>,
    crlf: bool,
}

/// Reads a script to its end.
///
/// # Errors
/// `BadArtifact`: not closed, something behind the end, or a line that makes psql or the server run a program.
pub fn examine(from: &mut dyn Read, told: &mut Vec<String>) -> Result<Said> {
    let mut scan = Scan::default();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match fault::read(from, &mut buffer)? {
            0 => break,
            n => scan.see(&buffer[..n])?,
        }
    }
    if scan.crlf {
        told.push(
            "its lines end with CR LF: a terminal or another system has changed them, perhaps in texts too".to_owned(),
        );
    }
    scan.whole()
}

impl Scan {
    /// Takes these bytes in.
    ///
    /// # Errors
    /// As [`examine`].
    pub fn see(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            if matches!(self.mode, Mode::Rows) {
                let n = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                self.keep(&rest[..n]);
                self.at += n as u64;
                if n < rest.len() {
                    self.row();
                    self.next_line();
                    self.at += 1;
                }
                rest = rest.get(n + 1..).unwrap_or_default();
                continue;
            }
            self.byte(*byte)?;
            self.at += 1;
            if *byte == b'\n' {
                self.next_line();
            } else {
                self.begun |= *byte != b'\r';
            }
            rest = behind;
        }
        Ok(())
    }

    fn next_line(&mut self) {
        self.line += 1;
        self.begun = false;
        if std::mem::take(&mut self.rows) {
            (self.kept, self.length) = (Vec::new(), 0);
            self.mode = Mode::Rows;
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = KEPT - self.kept.len().min(KEPT);
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.length += bytes.len() as u64;
    }

    fn take(&mut self) -> Vec<u8> {
        self.length = 0;
        let mut kept = std::mem::take(&mut self.kept);
        if kept.last() == Some(&b'\r') {
            kept.pop();
            self.crlf = true;
        }
        kept
    }

    fn row(&mut self) {
        let whole = self.length <= 3;
        if self.take() == b"\\." && whole {
            self.mode = Mode::Code;
        }
    }

    fn byte(&mut self, byte: u8) -> Result<()> {
        match &mut self.mode {
            Mode::Code => return self.code(byte),
            Mode::Maybe(first) => match (*first, byte) {
                (b'-', b'-') => {
                    self.kept = b"--".to_vec();
                    self.mode = Mode::Line;
                }
                (b'/', b'*') => self.mode = Mode::Block { depth: 1, last: 0 },
                _ => {
                    self.statement.sign(*first);
                    self.mode = Mode::Code;
                    return self.code(byte);
                }
            },
            Mode::Line if byte == b'\n' => {
                self.mode = Mode::Code;
                return self.comment();
            }
            Mode::Line => self.keep(&[byte]),
            Mode::Block { depth, last } => {
                match (*last, byte) {
                    (b'/', b'*') => (*depth, *last) = (*depth + 1, 0),
                    (b'*', b'/') => (*depth, *last) = (*depth - 1, 0),
                    _ => *last = byte,
                }
                if *depth == 0 {
                    self.mode = Mode::Code;
                }
            }
            Mode::Text { escapes, escaped } => match byte {
                _ if *escaped => *escaped = false,
                b'\\' if *escapes => *escaped = true,
                // A doubled quote ends this text and begins the next one at once, with the same rules.
                b'\'' => {
                    self.statement.text(*escapes);
                    self.mode = Mode::Code;
                }
                _ => {}
            },
            Mode::Name if byte == b'"' => {
                self.statement.end_of_name();
                self.mode = Mode::Code;
            }
            Mode::Name => self.statement.letter(byte),
            Mode::Tag(tag) => {
                let inside = byte.is_ascii_alphabetic()
                    || byte == b'_'
                    || byte >= 0x80
                    || (byte.is_ascii_digit() && !tag.is_empty());
                if byte == b'$' {
                    let end = [b"$", tag.as_slice(), b"$"].concat();
                    self.mode = Mode::Dollar { end, matched: 0 };
                } else if inside && tag.len() < 64 {
                    tag.push(byte);
                } else {
                    self.mode = Mode::Code;
                    return self.code(byte);
                }
            }
            Mode::Dollar { end, matched } => {
                // No part of the end but its first byte is a `$`, so a mismatch can only begin anew there.
                *matched = if end[*matched] == byte { *matched + 1 } else { usize::from(byte == b'$') };
                if *matched == end.len() {
                    self.statement.text(false);
                    self.mode = Mode::Code;
                }
            }
            Mode::Command { begun } if byte == b'\n' => {
                let begun = *begun;
                self.mode = Mode::Code;
                return self.command(begun);
            }
            Mode::Command { .. } => self.keep(&[byte]),
            Mode::Rows => {}
        }
        Ok(())
    }

    fn code(&mut self, byte: u8) -> Result<()> {
        if self.end != End::No && !matches!(byte, b'-' | b'\\' | b' ' | b'\t' | b'\r' | b'\n') {
            return Err(broken(format!("line {}: something follows the end of the dump", self.line + 1)));
        }
        if self.rows && !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            return Err(self.refused("something behind `COPY … FROM stdin;` on its line"));
        }
        match byte {
            b'-' | b'/' => self.mode = Mode::Maybe(byte),
            b'\'' => {
                let escapes = self.statement.begins_text();
                self.mode = Mode::Text { escapes, escaped: false };
            }
            b'"' => {
                self.statement.begin_name();
                self.mode = Mode::Name;
            }
            b'$' if !self.statement.in_word() => self.mode = Mode::Tag(Vec::new()),
            b'\\' => {
                if self.begun || !self.statement.is_empty() {
                    return Err(self.refused("a command for psql inside a statement"));
                }
                self.kept = vec![byte];
                self.mode = Mode::Command { begun: self.at };
            }
            b';' => match self.statement.semicolon() {
                Ok(effect) => return self.done(effect),
                Err(what) => return Err(self.refused(what)),
            },
            _ => self.statement.byte(byte),
        }
        Ok(())
    }

    fn done(&mut self, effect: Effect) -> Result<()> {
        match effect {
            Effect::Nothing => {}
            Effect::Rows => self.rows = true,
            Effect::Roles(roles) => self.said.roles.extend(roles),
            Effect::Extension(name, schema) => drop(self.said.extensions.insert(name, schema)),
        }
        Ok(())
    }

    fn refused(&self, what: &str) -> anyhow::Error {
        hostile(
            format!("line {}: the script has {what}, which no dump of a database needs", self.line + 1),
            "it was not replayed; read that line, and ask whoever made the file",
        )
    }

    /// A comment to the end of its line.
    fn comment(&mut self) -> Result<()> {
        let text = self.take();
        let value = |start: &str| text.strip_prefix(start.as_bytes()).map(|v| String::from_utf8_lossy(v).into_owned());
        match self.end {
            End::No if text == CLOSING => {
                if !self.statement.is_empty() {
                    return Err(broken(format!("line {}: the dump ends within a statement", self.line + 1)));
                }
                self.end = End::Closing;
            }
            End::No => {
                if let Some(version) = value("-- Dumped from database version ") {
                    self.said.server_version.get_or_insert(version);
                } else if let Some(version) = value("-- Dumped by pg_dump version ") {
                    self.said.dump_version.get_or_insert(version);
                }
            }
            End::Closing if text == b"--" => self.end = End::Closed,
            End::Closing | End::Closed => {
                return Err(broken(format!("line {}: something follows the end of the dump", self.line + 1)));
            }
        }
        Ok(())
    }

    /// A line for psql: `\restrict` and `\unrestrict` as pg_dump writes them, and nothing else.
    fn command(&mut self, begun: u64) -> Result<()> {
        let long = self.length >= KEPT as u64;
        let text = self.take();
        let key = |start: &[u8]| {
            let key = text.strip_prefix(start)?;
            (!long && !key.is_empty() && key.iter().all(u8::is_ascii_alphanumeric)).then(|| key.to_vec())
        };
        match (key(b"\\restrict "), key(b"\\unrestrict ")) {
            (Some(key), _) if self.guard.is_none() && self.end == End::No && self.said.guards.is_empty() => {
                self.guard = Some(key);
            }
            (_, Some(key)) if self.guard.as_ref() == Some(&key) && self.end == End::Closed => self.guard = None,
            _ if text.starts_with(b"\\connect") || text.starts_with(b"\\c ") => {
                return Err(hostile(
                    format!(
                        "line {}: the script makes and enters a database of its own (pg_dump --create)",
                        self.line + 1
                    ),
                    "replay it into a throw-away server with psql, then dump that database: pg_dump --format=custom",
                ));
            }
            _ => return Err(self.refused("a command for psql")),
        }
        self.said.guards.push(begun..self.at + 1);
        Ok(())
    }

    /// What it said, once it is known to be whole.
    ///
    /// # Errors
    /// `BadArtifact` when it is cut short.
    pub fn whole(self) -> Result<Said> {
        let within = match self.mode {
            Mode::Rows => Some("in the rows of a table"),
            Mode::Text { .. } | Mode::Dollar { .. } | Mode::Name | Mode::Tag(_) => Some("within a text or a name"),
            Mode::Block { .. } | Mode::Line | Mode::Maybe(_) => Some("within a comment"),
            Mode::Command { .. } => Some("within a line for psql"),
            Mode::Code if !self.statement.is_empty() => Some("within a statement"),
            Mode::Code => None,
        };
        let last = "-- PostgreSQL database dump complete";
        match within {
            Some(within) => Err(cut(format!(
                "the script ends {within}, at line {}, without its closing line `{last}`",
                self.line + 1
            ))),
            None if self.end != End::Closed => Err(cut(format!("the script ends without its closing line `{last}`"))),
            None if self.guard.is_some() => Err(cut("the script ends without the `\\unrestrict` of its `\\restrict`")),
            None => Ok(self.said),
        }
    }
}

#[cfg(test)]
mod tests;
