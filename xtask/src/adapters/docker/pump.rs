//! Carries a command's streams: back-pressure in both directions, a time limit, and never a cut taken for an end.
//! It must not know how commands are started or who reads.

use super::control::{self, Child, DYING, End};
use super::heard::Heard;
use super::pipe::Keeper;
use super::trailer::Trailer;
use crate::domain::refusal::{Refusal, RefusalKind};
use bollard::container::LogOutput;
use bollard::errors::Error;
use futures_util::{Stream, StreamExt};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior};

/// How often a silent stream is doubted.
const DOUBT: Duration = Duration::from_secs(5);
/// After the trailer, how long the rest of standard error may take.
const SETTLE: Duration = Duration::from_secs(10);

pub(super) type Frames = Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>;
pub(super) type Stdin = Pin<Box<dyn AsyncWrite + Send>>;

/// Feeds standard input, if there is a source, and closes it once the output was read to its end. Only `shutdown` closes it:
/// dropping our half does not.
pub(super) async fn pour(source: Option<mpsc::Receiver<Vec<u8>>>, mut stdin: Stdin, read_to_end: Arc<Notify>) {
    tokio::select! {
        () = read_to_end.notified() => {}
        () = feed(source, &mut stdin) => {}
    }
    stdin.shutdown().await.ok();
}

async fn feed(source: Option<mpsc::Receiver<Vec<u8>>>, stdin: &mut Stdin) {
    let Some(mut source) = source else { return std::future::pending().await };
    while let Some(chunk) = source.recv().await {
        if stdin.write_all(&chunk).await.is_err() {
            return;
        }
    }
}

/// Carries one command's output.
pub(super) struct Pump {
    /// Held until the command is over: a producer may open its pipe late, and a pipe without a writer has ended.
    pub(super) keeper: Option<Keeper>,
    pub(super) frames: Frames,
    pub(super) sender: mpsc::Sender<LogOutput>,
    pub(super) trailer: Trailer,
    pub(super) read_to_end: Arc<Notify>,
    pub(super) heard: Arc<Mutex<Heard>>,
    pub(super) kill: Arc<Notify>,
    pub(super) child: Child,
    pub(super) deadline: Instant,
    pub(super) timeout: Duration,
}

impl Pump {
    /// Carries everything, then tells how it ended.
    pub(super) async fn run(mut self, pouring: AbortHandle, ended: watch::Sender<Option<End>>) {
        let mut end = self.drain().await;
        // A command that is gone reads nothing: without this a writer would wait for it for ever.
        pouring.abort();
        if let End::TimedOut(_) | End::Broken(_) = end {
            // Drained meanwhile: the engine calls a command ended only when its output is.
            let killed = tokio::select! {
                killed = control::kill(&self.child) => killed,
                never = discard(&mut self.frames) => never,
            };
            if let (Err(error), End::TimedOut(refusal)) = (killed, &mut end) {
                refusal.message.push_str(&format!(", or should have been, but: {error:#}"));
            }
        }
        drop(self.keeper.take()); // before the end is known: whoever finds the pipe open after that knows why
        ended.send_replace(Some(end)); // before the channel closes: the reader asks for it then
    }

    /// Carries the output until it ends in one way or another.
    pub(super) async fn drain(&mut self) -> End {
        let deadline = tokio::time::sleep_until(self.deadline);
        tokio::pin!(deadline);
        let mut doubt = tokio::time::interval(DOUBT);
        doubt.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut quiet, mut over) = (0, 0);
        let mut dying = None::<Instant>;
        let mut held = Vec::new();
        loop {
            let frame = tokio::select! { biased;
                () = self.kill.notified() => { dying.get_or_insert(Instant::now() + DYING); continue }
                () = &mut deadline => return self.timed_out(),
                // What cannot be killed (in a paused container) must not hold its reader.
                () = tokio::time::sleep_until(dying.unwrap_or(self.deadline)), if dying.is_some() => return End::Killed,
                frame = self.frames.next() => frame,
                _ = doubt.tick() => {
                    quiet += 1;
                    // An ended command whose output stays open: something it started holds it. Never call that a clean end.
                    if quiet > 1 && !control::is_running(&self.child).await { over += 1 }
                    if over > 2 { return End::Broken(format!("{} ended but its output stayed open", self.child.name)) }
                    continue;
                }
            };
            (quiet, over) = (0, 0);
            let frame = match frame {
                None if dying.is_some() => return End::Killed,
                None => return End::Cut,
                // The client that goes away early spoils the exit status, so the output of a killed command is drained.
                Some(Ok(_)) if dying.is_some() => continue,
                Some(Err(error)) => return End::Broken(format!("the output stream broke: {error}")),
                Some(Ok(LogOutput::Console { .. })) => {
                    return End::Broken("the output stream was cut inside a frame".to_owned());
                }
                Some(Ok(LogOutput::StdErr { message })) => {
                    self.heard().error(&message);
                    continue;
                }
                Some(Ok(frame)) => frame.into_bytes(),
            };
            let piece =
                if held.is_empty() { frame } else { [std::mem::take(&mut held), frame.to_vec()].concat().into() };
            let split = self.trailer.split(&piece);
            if split.code.is_none() {
                held.extend_from_slice(&piece[split.output..]);
            }
            let message = piece.slice(..split.output);
            self.heard().output(&message);
            tokio::select! { biased;
                () = self.kill.notified() => { dying.get_or_insert(Instant::now() + DYING); }
                () = &mut deadline => return self.timed_out(),
                sent = send(&self.sender, LogOutput::StdOut { message }) => if !sent && dying.is_none() {
                    // As with a broken pipe: a command whose output nobody takes must not write for ever.
                    return End::Broken(format!("nobody reads the output of {} any more", self.child.program));
                },
            }
            if let (Some(code), None) = (split.code, dying) {
                self.settle().await;
                return End::Done(code);
            }
        }
    }

    /// All output is in our hands: lets the command's shell go, and takes what standard error is still on its way.
    async fn settle(&mut self) {
        self.read_to_end.notify_one();
        let until = Instant::now() + SETTLE;
        while let Ok(Some(Ok(frame))) = tokio::time::timeout_at(until, self.frames.next()).await {
            if let LogOutput::StdErr { message } = frame {
                self.heard().error(&message);
            }
        }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn timed_out(&self) -> End {
        let message = format!(
            "{} in {} took longer than {} s and was killed",
            self.child.program,
            self.child.name,
            self.timeout.as_secs_f64()
        );
        End::TimedOut(Refusal::new(
            RefusalKind::Timeout,
            message,
            "look at the server's log; a larger store needs a larger time limit",
        ))
    }
}

/// Hands a piece of output over; `false` when its reader has gone away before the end.
async fn send(sender: &mpsc::Sender<LogOutput>, piece: LogOutput) -> bool {
    piece.as_ref().is_empty() || sender.send(piece).await.is_ok()
}

/// Reads on, for nothing, until the stream ends; then waits for ever.
async fn discard<T>(frames: &mut Frames) -> T {
    while frames.next().await.is_some_and(|frame| frame.is_ok()) {}
    std::future::pending().await
}

#[cfg(test)]
mod tests;
