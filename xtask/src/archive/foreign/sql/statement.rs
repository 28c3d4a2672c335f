//! One SQL statement as far as it matters here: its words outside of parentheses, and what follows from them: rows to come, roles
//! and extensions to have, a program that it would run. It must not know where the statement stands.

use std::collections::BTreeSet;

/// Words kept of a statement, and bytes kept of a word. What is longer is no name of anything.
const MOST: usize = 400;
const LONGEST: usize = 256;

/// What follows from a statement.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that matters here.
    Nothing,
    /// Rows follow, up to a line `\.`.
    Rows,
    /// It names these roles.
    Roles(BTreeSet<String>),
    /// It makes this extension, in this schema.
    Extension(String, Option<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    /// As written, folded to lower case.
    Plain(String),
    /// Between double quotes.
    Quoted(String),
    /// A text of any kind.
    Text,
    /// `,`, `.` and the like.
    Sign(u8),
}

/// A statement on its way.
#[derive(Debug, Default)]
pub struct Statement {
    words: Vec<Word>,
    current: Vec<u8>,
    depth: u32,
    /// A text has just ended, with backslashes as escapes or not: a quote right behind it goes on with it.
    ended: Option<bool>,
    /// A quoted name has just ended, or the one that is read goes on with it.
    named: bool,
    /// Whether backslashes are escapes in plain texts: `standard_conforming_strings` is off.
    escapes: bool,
}

impl Statement {
    /// Nothing but blanks so far.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.current.is_empty() && self.depth == 0
    }

    /// Whether the byte before belongs to a word.
    pub fn in_word(&self) -> bool {
        !self.current.is_empty()
    }

    /// A text begins; whether backslashes are escapes in it.
    pub fn begins_text(&mut self) -> bool {
        if let Some(escapes) = self.ended.take() {
            return escapes;
        }
        let marked = matches!(self.current.as_slice(), b"e" | b"E");
        // Bits and hexadecimal digits have no escapes.
        let digits = matches!(self.current.as_slice(), b"b" | b"B" | b"x" | b"X");
        if marked || digits {
            self.current.clear();
        }
        self.flush();
        self.named = false;
        marked || (self.escapes && !digits)
    }

    /// A text has ended.
    pub fn text(&mut self, escapes: bool) {
        self.push(Word::Text);
        self.ended = Some(escapes);
    }

    /// A quoted name begins; right behind another one it goes on with it, for a doubled quote belongs to the name.
    pub fn begin_name(&mut self) {
        self.flush();
        self.ended = None;
    }

    /// A byte of a word or quoted name.
    pub fn letter(&mut self, byte: u8) {
        if self.current.len() < LONGEST {
            self.current.push(byte);
        }
    }

    /// A quoted name has ended.
    pub fn end_of_name(&mut self) {
        let name = String::from_utf8_lossy(&std::mem::take(&mut self.current)).into_owned();
        match self.words.last_mut() {
            Some(Word::Quoted(before)) if self.named && self.depth == 0 => {
                before.push('"');
                before.push_str(&name);
            }
            _ => self.push(Word::Quoted(name)),
        }
        self.named = true;
    }

    /// A byte outside of quotes and comments.
    pub fn byte(&mut self, byte: u8) {
        (self.ended, self.named) = (None, false);
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80 {
            return self.letter(byte);
        }
        self.flush();
        match byte {
            b'(' => self.depth += 1,
            b')' => self.depth = self.depth.saturating_sub(1),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.push(Word::Sign(byte)),
        }
    }

    /// A sign that turned out to begin no comment.
    pub fn sign(&mut self, byte: u8) {
        self.flush();
        (self.ended, self.named) = (None, false);
        self.push(Word::Sign(byte));
    }

    fn flush(&mut self) {
        if !self.current.is_empty() {
            let word = String::from_utf8_lossy(&self.current).to_ascii_lowercase();
            self.current.clear();
            self.push(Word::Plain(word));
        }
    }

    fn push(&mut self, word: Word) {
        if self.depth == 0 && self.words.len() < MOST {
            self.words.push(word);
        }
    }

    /// A semicolon. Inside of parentheses it ends nothing.
    ///
    /// # Errors
    /// What the statement would do that no dump does.
    pub fn semicolon(&mut self) -> Result<Effect, &'static str> {
        self.flush();
        (self.ended, self.named) = (None, false);
        if self.depth > 0 {
            return Ok(Effect::Nothing);
        }
        let words = std::mem::take(&mut self.words);
        let plain = |at: usize| match words.get(at) {
            Some(Word::Plain(word)) => word.as_str(),
            _ => "",
        };
        match (plain(0), plain(1)) {
            ("copy", _) => copy(&words),
            ("set", "standard_conforming_strings") => match words.last() {
                Some(Word::Plain(value)) if value == "on" || value == "off" => {
                    self.escapes = value == "off";
                    Ok(Effect::Nothing)
                }
                _ => Err("an odd setting of standard_conforming_strings"),
            },
            ("create", "extension") => Ok(extension(&words)),
            ("alter" | "grant" | "revoke" | "create", _) => Ok(match roles(&words) {
                roles if roles.is_empty() => Effect::Nothing,
                roles => Effect::Roles(roles),
            }),
            _ => Ok(Effect::Nothing),
        }
    }
}

fn is(word: Option<&Word>, wanted: &[&str]) -> bool {
    matches!(word, Some(Word::Plain(word)) if wanted.contains(&word.as_str()))
}

fn copy(words: &[Word]) -> Result<Effect, &'static str> {
    for pair in words.windows(2) {
        let [first, second] = pair else { continue };
        if is(Some(first), &["from", "to"]) && is(Some(second), &["program"]) {
            return Err("a COPY that runs a program on the server");
        }
        if is(Some(first), &["from"]) && is(Some(second), &["stdin", "stdout"]) {
            return Ok(Effect::Rows);
        }
    }
    Ok(Effect::Nothing)
}

fn name(word: Option<&Word>) -> Option<String> {
    match word? {
        Word::Plain(name) | Word::Quoted(name) => Some(name.clone()),
        Word::Text | Word::Sign(_) => None,
    }
}

fn extension(words: &[Word]) -> Effect {
    let at = if is(words.get(2), &["if"]) { 5 } else { 2 };
    let schema = words.iter().position(|w| is(Some(w), &["schema"])).and_then(|at| name(words.get(at + 1)));
    name(words.get(at)).map_or(Effect::Nothing, |name| Effect::Extension(name, schema))
}

/// The roles that a statement about objects or rights names.
fn roles(words: &[Word]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let first = &words[..1];
    for at in 1..words.len() {
        let (before, word) = (words.get(at - 1), words.get(at));
        let owned = is(word, &["to"]) && is(before, &["owner"]);
        let granted = is(word, &["to"]) && (is(first.first(), &["grant"]) || default_rights(words));
        let revoked = is(word, &["from"]) && (is(first.first(), &["revoke"]) || default_rights(words));
        let policy = is(word, &["to"]) && is(words.get(1), &["policy"]);
        let made = is(word, &["role", "user"]) && is(before, &["for"]) && default_rights(words);
        let mapped = is(word, &["for"]) && is(words.get(1), &["user"]) && is(words.get(2), &["mapping"]);
        let authorized = is(word, &["authorization"]) && is(words.get(1), &["schema"]);
        if owned || granted || revoked || policy || made || mapped || authorized {
            found.extend(list(&words[at + 1..]));
        }
    }
    found
}

fn default_rights(words: &[Word]) -> bool {
    is(words.first(), &["alter"]) && is(words.get(1), &["default"])
}

/// Names with commas between them.
fn list(words: &[Word]) -> Vec<String> {
    let mut found = Vec::new();
    let mut words = words.iter().filter(|w| !is(Some(w), &["group"])).peekable();
    while let Some(word) = words.next() {
        let special = is(Some(word), &["public", "current_user", "current_role", "session_user", "user"]);
        found.extend(name(Some(word)).filter(|_| !special));
        if words.next_if_eq(&&Word::Sign(b',')).is_none() {
            break;
        }
    }
    found
}
