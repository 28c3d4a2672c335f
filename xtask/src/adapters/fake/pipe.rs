//! A bounded pipe in memory, with both ends closable from outside: what a kill does to a child's streams.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How much fits, as in the kernel's.
const CAPACITY: usize = 64 * 1024;

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    no_reader: bool,
    no_writer: bool,
}

/// The pipe itself; the ends hold it too.
#[derive(Clone, Default)]
pub(super) struct Pipe(Arc<(Mutex<State>, Condvar)>);

impl Pipe {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.0.1.notify_all();
    }

    fn wait_while(&self, mut full: impl FnMut(&mut State) -> bool) -> MutexGuard<'_, State> {
        self.0.1.wait_while(self.state(), |s| full(s)).unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of both ends: reads end, writes break.
    pub(super) fn cut(&self) {
        self.change(|s| (s.no_reader, s.no_writer) = (true, true));
    }

    /// Both ends.
    pub(super) fn ends(&self) -> (Source, Sink) {
        (Source(self.clone()), Sink(self.clone()))
    }
}

/// The end to read from.
pub(super) struct Source(Pipe);

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.wait_while(|s| s.bytes.is_empty() && !s.no_writer);
        let n = state.bytes.read(into)?;
        drop(state);
        self.0.0.1.notify_all();
        Ok(n)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.0.change(|s| s.no_reader = true);
    }
}

/// The end to write to.
pub(super) struct Sink(Pipe);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.wait_while(|s| s.bytes.len() >= CAPACITY && !s.no_reader);
        if state.no_reader {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let n = bytes.len().min(CAPACITY - state.bytes.len());
        state.bytes.extend(&bytes[..n]);
        drop(state);
        self.0.0.1.notify_all();
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.0.change(|s| s.no_writer = true);
    }
}
