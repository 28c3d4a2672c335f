//! The proof that a command's output is complete. Engines wait 2 s after a process's end for what nobody has read of its output
//! (moby, `daemon/monitor.go`), may then drop it (moby issue 45689), and report a clean end and exit status 0. So each command runs
//! below a small `sh` that writes a trailer behind the output and stays until we have read that far.
//! It must not know streams or the engine.

use crate::domain::exec::{Bulk, Input};

/// In every command's environment: the trailer's secret, and how a command and all that it started are found.
pub(super) const TOKEN: &str = "XTASK_EXEC";

/// Fixed text: program and arguments go in as `"$@"` and are never parsed. The loop ends when our side closes the input.
const CLOSED: &str =
    r#"(exec "$@" </dev/null); c=$?; printf '\036%s %03d\036' "$XTASK_EXEC" $c; while read -r x; do :; done; exit $c"#;
const STREAM: &str =
    r#"(exec "$@"); c=$?; printf '\036%s %03d\036' "$XTASK_EXEC" $c; while read -r x; do :; done; exit $c"#;

/// As above, with one of the streams going through the named pipe that the environment names.
const OUT: &str = r#"(exec "$@" </dev/null >"$XTASK_PIPE"); c=$?; printf '\036%s %03d\036' "$XTASK_EXEC" $c; while read -r x; do :; done; exit $c"#;
const IN: &str = r#"(exec "$@" <"$XTASK_PIPE"); c=$?; printf '\036%s %03d\036' "$XTASK_EXEC" $c; while read -r x; do :; done; exit $c"#;
/// Where a command's shell finds the path of its named pipe.
pub(super) const PIPE: &str = "XTASK_PIPE";

const MARK: u8 = 0x1e;
/// The exit status in three digits and the closing mark.
const STATUS: usize = 4;
/// Frames up to this size are searched in full; of larger ones only the end, where a trailer must be unless something that the
/// command left behind writes on.
const SMALL: usize = 4096;

/// The words to run instead of these; `piped` goes through a named pipe.
pub(super) fn wrapped<'a>(
    input: Input,
    piped: Option<Bulk>,
    words: impl IntoIterator<Item = &'a String>,
) -> Vec<String> {
    let script = match (piped, input) {
        (Some(Bulk::Output), _) => OUT,
        (Some(Bulk::Input), _) => IN,
        (None, Input::Closed) => CLOSED,
        (None, Input::Stream) => STREAM,
    };
    ["sh", "-c", script, "sh"].map(str::to_owned).into_iter().chain(words.into_iter().cloned()).collect()
}

/// Finds one command's trailer.
pub(super) struct Trailer(Vec<u8>);

/// How far a piece of the stream is output for certain, and the exit status when the trailer follows there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) output: usize,
    pub(super) code: Option<i32>,
}

impl Trailer {
    pub(super) fn of(token: &str) -> Self {
        Self([&[MARK], token.as_bytes(), b" "].concat())
    }

    /// What comes behind `output` without a code may be the beginning of the trailer: to be shown again with what follows.
    pub(super) fn split(&self, piece: &[u8]) -> Split {
        let whole = self.0.len() + STATUS;
        let from = if piece.len() <= SMALL { 0 } else { piece.len() - whole };
        for at in (from..piece.len()).filter(|at| piece[*at] == MARK) {
            let rest = &piece[at..];
            if let Some(code) = rest.strip_prefix(self.0.as_slice()).and_then(status) {
                return Split { output: at, code: Some(code) };
            }
            if rest.len() < whole && (self.0.starts_with(rest) || rest.starts_with(&self.0)) {
                return Split { output: at, code: None };
            }
        }
        Split { output: piece.len(), code: None }
    }
}

fn status(text: &[u8]) -> Option<i32> {
    let digits = text.get(..STATUS)?.strip_suffix(&[MARK])?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds the stream in pieces of these sizes, as the pump does.
    fn fed(stream: &[u8], sizes: &[usize]) -> (Vec<u8>, Option<i32>) {
        let trailer = Trailer::of("token");
        let (mut output, mut held, mut rest) = (Vec::new(), Vec::new(), stream);
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let n = (*size).min(rest.len());
            held.extend_from_slice(&rest[..n]);
            rest = &rest[n..];
            let split = trailer.split(&held);
            output.extend_from_slice(&held[..split.output]);
            if split.code.is_some() {
                return (output, split.code);
            }
            held.drain(..split.output);
        }
        (output, None)
    }

    #[test]
    fn a_line_is_never_held_back() {
        let line = b"ack 17\n";
        assert_eq!(Trailer::of("token").split(line), Split { output: line.len(), code: None });
    }

    #[test]
    fn another_commands_trailer_is_output() {
        let other = b"\x1eother 000\x1e.";
        assert_eq!(fed(other, &[1]).0, other);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_output_comes_out_whole_and_the_status_is_found_however_the_stream_is_cut(
            output in proptest::collection::vec(prop_oneof![Just(MARK), Just(b't'), any::<u8>()], 0..6000),
            sizes in proptest::collection::vec(1..6000_usize, 1..6),
            code in 0..=255_i32,
        ) {
            let stream = [output.as_slice(), format!("\x1etoken {code:03}\x1e").as_bytes()].concat();
            prop_assert_eq!(fed(&stream, &sizes), (output.clone(), Some(code)));
            prop_assert_eq!(fed(&stream[..stream.len() - 1], &sizes).1, None);
        }
    }
}
