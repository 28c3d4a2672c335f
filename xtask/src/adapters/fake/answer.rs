//! What a fake site answers to a command, and how it goes wrong. It must not know which command asked.

use crate::domain::exec::Exec;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

/// What a fake command does: reads its input, writes its output, returns its exit status.
pub type Script = dyn Fn(&Exec, &mut dyn Read, &mut dyn Write) -> io::Result<i32> + Send + Sync;

/// One scripted answer.
#[derive(Clone)]
pub struct Answer {
    pub(super) what: What,
    pub(super) code: Option<i32>,
    pub(super) stderr: String,
    pub(super) cut_after: Option<u64>,
    pub(super) declares: Option<u64>,
    pub(super) takes: Duration,
}

#[derive(Clone)]
pub(super) enum What {
    Runs(Arc<Script>),
    Hangs,
    DoesNotStart(String),
}

impl Answer {
    fn of(what: What) -> Self {
        Self { what, code: None, stderr: String::new(), cut_after: None, declares: None, takes: Duration::ZERO }
    }

    /// Does whatever the script does.
    pub fn runs(
        script: impl Fn(&Exec, &mut dyn Read, &mut dyn Write) -> io::Result<i32> + Send + Sync + 'static,
    ) -> Self {
        Self::of(What::Runs(Arc::new(script)))
    }

    /// Reads its input to the end, prints these bytes and ends well.
    pub fn prints(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::runs(move |_, stdin, stdout| {
            io::copy(stdin, &mut io::sink())?;
            stdout.write_all(&bytes)?;
            Ok(0)
        })
    }

    /// Prints what it reads.
    pub fn echoes() -> Self {
        Self::runs(|_, stdin, stdout| io::copy(stdin, stdout).map(|_| 0))
    }

    /// Answers every line of its input with these lines, as a session does.
    pub fn session(answer: impl Fn(&str) -> Vec<String> + Send + Sync + 'static) -> Self {
        Self::runs(move |_, stdin, stdout| {
            for line in io::BufRead::lines(io::BufReader::new(stdin)) {
                for said in answer(&line?) {
                    writeln!(stdout, "{said}")?;
                }
            }
            Ok(0)
        })
    }

    /// Prints nothing and never ends by itself.
    pub fn hangs() -> Self {
        Self::of(What::Hangs)
    }

    /// Cannot be started.
    pub fn does_not_start(why: impl Into<String>) -> Self {
        Self::of(What::DoesNotStart(why.into()))
    }

    /// Ends with this exit status, whatever the script returned.
    pub fn exits(mut self, code: i32) -> Self {
        self.code = Some(code);
        self
    }

    /// Says this on standard error.
    pub fn complains(mut self, stderr: impl Into<String>) -> Self {
        self.stderr = stderr.into();
        self
    }

    /// Everything that it prints after this many bytes is lost on the way, although its exit status is still good.
    pub fn cut_after(mut self, bytes: u64) -> Self {
        self.cut_after = Some(bytes);
        self
    }

    /// Declares that it wrote this many bytes, true or not.
    pub fn declares(mut self, bytes: u64) -> Self {
        self.declares = Some(bytes);
        self
    }

    /// Takes this long on the site's clock before it prints anything. Longer than the command may take = killed.
    pub fn takes(mut self, time: Duration) -> Self {
        self.takes = time;
        self
    }
}

/// An output that loses everything after some bytes.
pub(super) struct Lossy<W> {
    pub(super) to: W,
    pub(super) left: u64,
}

impl<W: Write> Write for Lossy<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let kept = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if kept > 0 {
            self.to.write_all(&bytes[..kept])?;
        }
        self.left -= kept as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
