//! Env files as Compose reads them, and `${…}` as Compose fills it in. It must not know what the values are used for,
//! and its messages never quote a value: a value may be a password.

mod file;
mod template;
#[cfg(test)]
mod tests;

use crate::domain::place::Place;
use crate::domain::refusal::Refusal;
use std::path::Path;

/// Where a variable's value is looked up; `None` = not set.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Something wrong in a text, at this byte.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    byte: usize,
    cause: String,
    hint: String,
}

impl Fault {
    fn new(byte: usize, cause: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { byte, cause: cause.into(), hint: hint.into() }
    }
}

/// A variable of an env file.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value, filled in.
    pub value: String,
    /// The line that sets it, from 1.
    pub line: usize,
}

/// The variables of an env file, each name once, the last setting winning as in Compose.
///
/// `outside` is asked first whenever a value refers to a variable, then the file's own earlier lines. A name that stands
/// alone takes its value from `outside`, or is left out.
///
/// # Errors
/// A configuration refusal with file, line and column. Stricter than Compose where a slip would blank a value: a variable
/// that is set nowhere, text after a closing quote, an empty name, NUL and bytes that are not UTF-8 are refused.
pub fn parse(bytes: &[u8], file: &Path, outside: Lookup<'_>) -> Result<Vec<Variable>, Refusal> {
    let text = text_of(bytes, file)?;
    file::parse(text, outside).map_err(|f| Place::within(file, text, f.byte).refuse(f.cause, f.hint))
}

/// Fills in `$NAME` and `${NAME…}`; `$$` is a dollar sign, and a dollar sign before anything else is itself.
///
/// # Errors
/// A configuration refusal at `at`, for a variable that is set nowhere and has no default, `${NAME:?message}`, and broken
/// syntax.
pub fn interpolate(text: &str, at: &Place, lookup: Lookup<'_>) -> Result<String, Refusal> {
    template::fill(text, lookup).map_err(|f| at.refuse(f.cause, f.hint))
}

/// The text of a configuration file: UTF-8, without its byte order mark, and without NUL.
///
/// # Errors
/// A configuration refusal that points at the first wrong byte.
pub fn text_of<'a>(bytes: &'a [u8], file: &Path) -> Result<&'a str, Refusal> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let sound = std::str::from_utf8(&bytes[..e.valid_up_to()]).unwrap_or("");
        Place::within(file, sound, sound.len())
            .refuse("the bytes here are not UTF-8 text", "save the file as UTF-8 in your editor")
    })?;
    match text.find('\0') {
        Some(byte) => Err(Place::within(file, text, byte)
            .refuse("a NUL byte", "no configuration file holds one: the file is damaged or of another kind")),
        None => Ok(text),
    }
}

/// A variable of this process's own environment.
#[expect(clippy::disallowed_methods, reason = "the one reader of the process environment")]
pub fn of_this_process(name: &str) -> Option<String> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return None;
    }
    std::env::var(name).ok()
}
