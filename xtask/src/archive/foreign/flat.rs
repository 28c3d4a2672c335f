//! Files one after the other as one tar archive of plain files: nothing in it but names and bytes. It must not know where the files
//! come from.

use super::fault::{broken, carried};
use super::files::belongs;
use super::tar;
use anyhow::Result;
use std::io::{self, Read};

/// Where the files come from.
pub trait Source: Send {
    /// The next file's name and length, what was not read of the last one passed over; `None` behind the last one.
    ///
    /// # Errors
    /// Whatever is wrong with the files.
    fn next(&mut self) -> Result<Option<(String, u64)>>;
    /// Reads on in the current file; 0 at its end.
    ///
    /// # Errors
    /// Whatever is wrong with the file.
    fn read(&mut self, into: &mut [u8]) -> Result<usize>;
}

/// The dump's files of a tar archive of any shape.
pub struct Inner<R>(pub tar::Walk<R>);

impl<R: Read + Send> Source for Inner<R> {
    fn next(&mut self) -> Result<Option<(String, u64)>> {
        while let Some(entry) = self.0.next()? {
            let name = entry.name.rsplit('/').next().unwrap_or_default();
            if let Some(bytes) = entry.file.filter(|_| belongs(name)) {
                return Ok(Some((name.to_owned(), bytes)));
            }
        }
        Ok(None)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        self.0.read(into)
    }
}

/// The archive on its way out.
pub struct Flat {
    from: Box<dyn Source>,
    /// Header, padding or end, not yet given out.
    frame: io::Cursor<Vec<u8>>,
    /// Bytes of the current file still to come, and what fills its last block.
    left: u64,
    padding: usize,
    over: bool,
}

impl Flat {
    /// An archive of these files.
    pub fn new(from: Box<dyn Source>) -> Self {
        Self { from, frame: io::Cursor::default(), left: 0, padding: 0, over: false }
    }

    fn step(&mut self, into: &mut [u8]) -> Result<usize> {
        loop {
            let n = self.frame.read(into)?;
            if n > 0 || into.is_empty() {
                return Ok(n);
            }
            if self.left > 0 {
                let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
                let n = self.from.read(&mut into[..most])?;
                if n == 0 {
                    return Err(broken("a file became shorter while it was being read"));
                }
                self.left -= n as u64;
                return Ok(n);
            }
            if self.padding > 0 {
                self.frame = io::Cursor::new(vec![0; std::mem::take(&mut self.padding)]);
                continue;
            }
            if self.over {
                return Ok(0);
            }
            match self.from.next()? {
                Some((name, bytes)) => {
                    self.frame = io::Cursor::new(tar::header(&name, bytes).to_vec());
                    self.left = bytes;
                    self.padding = usize::try_from((512 - bytes % 512) % 512).unwrap_or(0);
                }
                None => {
                    self.frame = io::Cursor::new(vec![0; 1024]);
                    self.over = true;
                }
            }
        }
    }
}

impl Read for Flat {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.step(into).map_err(carried)
    }
}
