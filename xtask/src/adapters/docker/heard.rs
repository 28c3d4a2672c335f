//! What is kept of a command's words: the end of its standard error, with the producer's own byte count taken out, and the
//! beginning of its standard output, where the engine says that it could not start it. It must not know where the bytes come from.

/// How much of standard error is kept, in bytes.
const KEPT: usize = 8 * 1024;

const DECLARED: &str = "xtask-declared-bytes ";

/// How much of standard output is remembered, in bytes.
const HEAD: usize = 512;

/// What runc says through the engine, on standard output, when there is not even a shell (exit status 126 or 127).
const NOT_STARTED: &[u8] = b"OCI runtime exec failed";

/// The last few KiB of standard error and the first bytes of standard output.
#[derive(Debug, Default)]
pub(super) struct Heard {
    tail: Vec<u8>,
    head: Vec<u8>,
}

impl Heard {
    /// Takes more standard error.
    pub(super) fn error(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > 2 * KEPT {
            self.tail.drain(..self.tail.len() - KEPT);
        }
    }

    /// Takes more standard output.
    pub(super) fn output(&mut self, bytes: &[u8]) {
        let room = HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    /// Why the command never started, when that is what this exit status means.
    pub(super) fn not_started(&self, program: &str, code: i32) -> Option<String> {
        if !matches!(code, 126 | 127) {
            return None;
        }
        if self.head.starts_with(NOT_STARTED) {
            return Some(String::from_utf8_lossy(&self.head).trim().to_owned());
        }
        // dash, bash and busybox: `sh: 1: exec: nope: not found`, `sh: line 1: exec: nope: not found`, `sh: exec: line 1: nope: …`
        let (said, _) = self.read();
        (said.contains("exec:") && said.contains(&format!("{program}: not found")))
            .then(|| "it is not there".to_owned())
    }

    /// The text, and how many bytes the producer says it wrote when its last line says so.
    pub(super) fn read(&self) -> (String, Option<u64>) {
        let kept = &self.tail[self.tail.len().saturating_sub(KEPT)..];
        let mut text = String::from_utf8_lossy(kept).into_owned();
        let body = text.trim_end();
        let last = body.rfind('\n').map_or(0, |at| at + 1);
        let declared = body[last..].strip_prefix(DECLARED).and_then(|n| n.trim().parse().ok());
        if declared.is_some() {
            text.truncate(last);
        }
        (text, declared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, Option<u64>) {
        let mut heard = Heard::default();
        heard.error(text.as_bytes());
        heard.read()
    }

    #[test]
    fn the_declared_size_is_taken_from_the_last_line_only() {
        assert_eq!(read("warning\nxtask-declared-bytes 42\n"), ("warning\n".to_owned(), Some(42)));
        assert_eq!(read("xtask-declared-bytes 42"), (String::new(), Some(42)));
        let quoted = "xtask-declared-bytes 42\nand more\n";
        assert_eq!(read(quoted), (quoted.to_owned(), None));
        assert_eq!(read("xtask-declared-bytes many\n"), ("xtask-declared-bytes many\n".to_owned(), None));
    }

    #[test]
    fn only_the_end_of_a_long_text_is_kept() {
        let mut heard = Heard::default();
        for n in 0..100_000 {
            heard.error(format!("line {n}\n").as_bytes());
        }
        let (text, _) = heard.read();
        assert!(text.len() <= KEPT && heard.tail.len() <= 2 * KEPT, "{} of {}", text.len(), heard.tail.len());
        assert!(text.ends_with("line 99999\n"));
    }

    #[test]
    fn a_command_that_ran_and_ended_with_127_was_started() {
        let mut heard = Heard::default();
        heard.output(b"OCI runtime exec failed: no such file");
        heard.output(&[b'x'; 2 * HEAD]);
        assert!(heard.not_started("x", 126).is_some_and(|why| why.len() == HEAD));
        assert_eq!(heard.not_started("x", 1), None);
        assert_eq!(Heard::default().not_started("x", 127), None);
    }
}
