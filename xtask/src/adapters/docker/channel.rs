//! Standard output as a `Read` and standard input as a `Write`, over bounded channels: a slow side makes the other wait.
//! It must not know the engine.

use super::control::{End, Ending};
use std::io::{Error, ErrorKind, Read, Result, Write};
use tokio::sync::mpsc::{Receiver, Sender};

/// How many chunks may be on their way, each at most [`CHUNK`] bytes.
pub(super) const CHUNKS: usize = 8;
/// Bytes in one chunk.
pub(super) const CHUNK: usize = 64 * 1024;

/// Whatever holds a chunk.
pub(super) trait Chunk: AsRef<[u8]> + Send {}
impl<T: AsRef<[u8]> + Send> Chunk for T {}

/// Standard output. Its end is `Ok(0)` only when the last byte of output was seen; everything else is an error.
pub(super) struct Output<C: Chunk> {
    pub(super) chunks: Receiver<C>,
    pub(super) end: Ending,
    pub(super) current: Option<C>,
    pub(super) read: usize,
}

impl<C: Chunk> Read for Output<C> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(chunk) = &self.current {
                let rest = &chunk.as_ref()[self.read..];
                if !rest.is_empty() {
                    let n = rest.len().min(buffer.len());
                    buffer[..n].copy_from_slice(&rest[..n]);
                    self.read += n;
                    return Ok(n);
                }
            }
            self.read = 0;
            self.current = self.chunks.blocking_recv();
            if self.current.is_none() {
                return ended(&self.end.borrow());
            }
        }
    }
}

/// What the end of a command's output means to its reader.
pub(super) fn ended(end: &Option<End>) -> Result<usize> {
    match end {
        Some(End::Done(_)) => Ok(0),
        Some(End::TimedOut(refusal)) => Err(Error::new(ErrorKind::TimedOut, refusal.clone())),
        Some(End::Cut) => Err(Error::new(ErrorKind::UnexpectedEof, "the command's output was cut off before its end")),
        Some(End::Killed) => Err(Error::other("the command was killed")),
        Some(End::Broken(why)) => Err(Error::other(why.clone())),
        None => Err(Error::other("the stream of the command's output was lost")),
    }
}

/// Standard input. Dropping it closes the command's input.
pub(super) struct Feed(pub(super) Sender<Vec<u8>>);

impl Write for Feed {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let n = bytes.len().min(CHUNK);
        let closed = |_| Error::new(ErrorKind::BrokenPipe, "the command no longer reads its input");
        self.0.blocking_send(bytes[..n].to_vec()).map_err(closed)?;
        Ok(n)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::{mpsc, watch};

    fn output(end: Option<End>, chunks: &[&[u8]]) -> Output<Vec<u8>> {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        for chunk in chunks {
            sender.try_send(chunk.to_vec()).unwrap();
        }
        Output { chunks: receiver, end: watch::channel(end).1, current: None, read: 0 }
    }

    #[test]
    fn chunks_come_out_whole_and_empty_ones_are_no_end() {
        let mut text = String::new();
        output(Some(End::Done(1)), &[b"ab", b"", b"cde"]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "abcde");
    }

    #[test]
    fn a_stream_that_was_lost_never_looks_finished() {
        for end in [None, Some(End::Cut), Some(End::Killed), Some(End::Broken("cut".into()))] {
            let mut text = String::new();
            assert!(output(end, &[b"half"]).read_to_string(&mut text).is_err());
            assert_eq!(text, "half");
        }
    }

    #[test]
    fn writing_to_a_command_that_reads_no_more_is_a_broken_pipe() {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        drop(receiver);
        assert_eq!(Feed(sender).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}
