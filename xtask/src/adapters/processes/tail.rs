//! The last of what a child writes to its standard error, and the count of bytes that a producer may declare there.

use std::io::{ErrorKind, Read};

/// How much is kept.
const KEPT: usize = 8 * 1024;
/// The word before the count on the last line.
const DECLARES: &str = "xtask-declared-bytes ";

/// The last few KiB of a stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail(Vec<u8>);

impl Tail {
    /// Reads to the end, keeping the last few KiB.
    pub(crate) fn read(mut from: impl Read) -> Self {
        let mut tail = Self::default();
        let mut buffer = [0; KEPT];
        loop {
            match from.read(&mut buffer) {
                Ok(n) if n > 0 => tail.push(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                _ => return tail,
            }
        }
    }

    /// Takes these bytes in.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        self.0.drain(..self.0.len().saturating_sub(KEPT));
    }

    /// The text without the declaration, and the declared count.
    pub(crate) fn split(self) -> (String, Option<u64>) {
        let text = String::from_utf8_lossy(&self.0).into_owned();
        let body = text.trim_end();
        let start = body.rfind('\n').map_or(0, |at| at + 1);
        match body[start..].strip_prefix(DECLARES).and_then(|n| n.trim().parse().ok()) {
            Some(bytes) => (text[..start].to_owned(), Some(bytes)),
            None => (text, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_line_declares_and_is_taken_out() {
        let split = |text: &str| Tail::read(text.as_bytes()).split();
        assert_eq!(split("warning\nxtask-declared-bytes 42\n"), ("warning\n".to_owned(), Some(42)));
        assert_eq!(split("xtask-declared-bytes 0"), (String::new(), Some(0)));
        for text in ["", "xtask-declared-bytes 1\nlater", "xtask-declared-bytes many", "xtask-declared-bytes -1"] {
            assert_eq!(split(text), (text.to_owned(), None));
        }
    }

    #[test]
    fn the_end_of_a_long_stream_is_kept() {
        let long = format!("{}é the end\nxtask-declared-bytes 7\n", "x".repeat(1_000_000));
        let (text, declared) = Tail::read(long.as_bytes()).split();
        assert!(text.len() <= KEPT && text.ends_with("é the end\n"));
        assert_eq!(declared, Some(7));
    }
}
