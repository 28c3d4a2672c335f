//! A place in a text that somebody wrote, for messages that point at it. It must not hold the text itself: the text may be secret.

use super::refusal::{Refusal, RefusalKind};
use std::path::PathBuf;

/// A position in a file; lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl Place {
    /// A position.
    pub fn new(file: impl Into<PathBuf>, line: usize, column: usize) -> Self {
        Self { file: file.into(), line, column }
    }

    /// The place so many characters into `text`.
    pub fn within(file: impl Into<PathBuf>, text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Self::new(file, line, column)
    }

    /// A configuration refusal that points here. The cause must not quote a value.
    pub fn refuse(&self, cause: impl std::fmt::Display, hint: impl Into<String>) -> Refusal {
        Refusal::new(RefusalKind::Configuration, format!("{self}: {cause}"), hint)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        assert_eq!(Place::within("f", "a\né=x", 5), Place::new("f", 2, 3));
        assert_eq!(Place::within("f", "", 0).to_string(), "f:1:1");
    }
}
