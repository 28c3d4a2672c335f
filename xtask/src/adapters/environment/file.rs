//! The grammar of an env file: `NAME=value`, `NAME: value`, `export`, comments, quotes and escapes.

use super::{Fault, Lookup, Variable, template};
use std::collections::BTreeMap;

/// Every variable, in the order of first mention.
pub(super) fn parse(text: &str, outside: Lookup<'_>) -> Result<Vec<Variable>, Fault> {
    let mut reader = Reader { text, at: 0, line: 1, counted: 0, known: BTreeMap::new(), found: Vec::new() };
    while reader.statement(outside)? {}
    Ok(reader.found)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    /// The line of `counted`, so that a long file is counted once only.
    line: usize,
    counted: usize,
    known: BTreeMap<String, usize>,
    found: Vec<Variable>,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Reads one statement; `false` at the end.
    fn statement(&mut self, outside: Lookup<'_>) -> Result<bool, Fault> {
        loop {
            self.at += self.rest().len() - self.rest().trim_start().len();
            if !self.rest().starts_with('#') {
                break;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
        if self.rest().is_empty() {
            return Ok(false);
        }
        self.skip_export();
        let (start, name) = (self.at, self.name()?);
        let value = match name.given {
            Given::Here => Some(self.value(outside)?),
            Given::Outside => outside(&name.text),
        };
        if let Some(value) = value {
            let line = self.line_of(start);
            self.set(Variable { name: name.text, value, line });
        }
        Ok(true)
    }

    /// `export` counts only before white space, line breaks included.
    fn skip_export(&mut self) {
        if let Some(after) = self.rest().strip_prefix("export") {
            let name = after.trim_start_matches(is_whitespace);
            if name.len() < after.len() {
                self.at = self.text.len() - name.trim_start_matches(is_blank).len();
            }
        }
    }

    fn name(&mut self) -> Result<Name, Fault> {
        let (start, rest) = (self.at, self.rest());
        let end = rest.find(['=', ':', '\n']);
        let text = &rest[..end.unwrap_or(rest.len())];
        if let Some((i, wrong)) = text.char_indices().find(|&(_, c)| !is_blank(c) && !names(c)) {
            let hint = "names are letters, digits, `_`, `.`, `-`; a value of several lines needs quotes around it";
            // The character only: the rest of the line may be the tail of a secret.
            return Err(Fault::new(start + i, format!("character {wrong:?} in the name of a variable"), hint));
        }
        let text = text.trim_end();
        if text.contains(is_blank) {
            let hint = "write NAME=value; put quotes around a value with spaces";
            return Err(Fault::new(start, "a space in the name of a variable", hint));
        }
        if text.is_empty() {
            return Err(Fault::new(start, "a value without a name", "write NAME=value"));
        }
        self.at += end.map_or(rest.len(), |e| e + 1);
        let given = match end.map(|e| rest.as_bytes()[e]) {
            Some(b'=' | b':') => Given::Here,
            _ => Given::Outside,
        };
        Ok(Name { text: text.to_owned(), given })
    }

    fn value(&mut self, outside: Lookup<'_>) -> Result<String, Fault> {
        self.at += self.rest().len() - self.rest().trim_start_matches(is_blank).len();
        match self.rest().chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote, outside),
            _ => {
                let start = self.at;
                let line = self.rest().split('\n').next().unwrap_or("");
                self.at = (start + line.len() + 1).min(self.text.len());
                let value = line.split(" #").next().unwrap_or("").trim_end();
                self.fill(value, start, outside)
            }
        }
    }

    fn quoted(&mut self, quote: char, outside: Lookup<'_>) -> Result<String, Fault> {
        let start = self.at;
        let inside = &self.rest()[1..];
        let mut value = String::new();
        let mut escaped = false;
        for (i, c) in inside.char_indices() {
            match c {
                _ if c == quote && !escaped => {
                    self.at = start + 1 + i + 1;
                    self.after_quote()?;
                    // Escapes come first, as in Compose: what they yield is filled in too.
                    let double = quote == '"';
                    return if double { self.fill(&unescape(&value), start, outside) } else { Ok(value) };
                }
                '\\' if !escaped => escaped = true,
                _ => {
                    if escaped && c != quote {
                        value.push('\\');
                    }
                    escaped = false;
                    value.push(c);
                }
            }
        }
        Err(Fault::new(
            start,
            format!("the quote {quote} is never closed"),
            format!("close it, or write \\{quote} inside the value"),
        ))
    }

    /// After a closing quote nothing but a comment may stand on the line.
    fn after_quote(&mut self) -> Result<(), Fault> {
        let line = self.rest().split('\n').next().unwrap_or("");
        let tail = line.trim_start();
        if !tail.is_empty() && !tail.starts_with('#') {
            let at = self.at + line.len() - tail.len();
            return Err(Fault::new(
                at,
                "text after the closing quote",
                "put the whole value inside the quotes, or start a comment with #",
            ));
        }
        self.at += line.len();
        Ok(())
    }

    /// Fills in variables from outside first, then from the lines above.
    fn fill(&self, value: &str, start: usize, outside: Lookup<'_>) -> Result<String, Fault> {
        let above = |name: &str| self.known.get(name).map(|&i| self.found[i].value.clone());
        template::fill(value, &|name| outside(name).or_else(|| above(name))).map_err(|f| Fault { byte: start, ..f })
    }

    fn set(&mut self, variable: Variable) {
        match self.known.get(&variable.name) {
            Some(&i) => self.found[i] = variable,
            None => {
                self.known.insert(variable.name.clone(), self.found.len());
                self.found.push(variable);
            }
        }
    }

    fn line_of(&mut self, byte: usize) -> usize {
        self.line += self.text[self.counted..byte].matches('\n').count();
        self.counted = byte;
        self.line
    }
}

struct Name {
    text: String,
    given: Given,
}

enum Given {
    Here,
    Outside,
}

/// Backslash and one of `a b c f n r t v $ " \`, or `0` and up to three digits; anything else stays as it is.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(i) = rest.find('\\') {
        out.push_str(&rest[..i]);
        let after = &rest[i + 1..];
        let plain = match after.chars().next() {
            Some('a') => Some("\u{7}"),
            Some('b') => Some("\u{8}"),
            Some('f') => Some("\u{c}"),
            Some('n') => Some("\n"),
            Some('r') => Some("\r"),
            Some('t') => Some("\t"),
            Some('v') => Some("\u{b}"),
            Some('$') => Some("$$"),
            Some('"') => Some("\""),
            Some('\\') => Some("\\"),
            _ => None,
        };
        if let Some(plain) = plain {
            out.push_str(plain);
            rest = &after[1..];
        } else if let Some(digits) = after.strip_prefix('0') {
            let count = digits.bytes().take(3).take_while(u8::is_ascii_digit).count();
            let (octal, tail) = digits.split_at(count);
            match u8::from_str_radix(octal, 8) {
                Ok(byte) if count == 3 => out.push(char::from(byte)),
                _ => {
                    out.push('\\');
                    out.push_str(octal);
                }
            }
            rest = tail;
        } else {
            out.push('\\');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// May stand in a name.
fn names(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']')
}

/// White space that does not end a line.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

/// White space as the `export` rule sees it.
fn is_whitespace(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\u{c}' | '\r' | ' ')
}
