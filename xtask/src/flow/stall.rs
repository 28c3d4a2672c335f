//! Ends a command that has stood still for too long: a paused or hung server says nothing, and hours would pass until the bound
//! that its whole transfer has. It must not know what the command does.

use crate::domain::refusal::{Refusal, RefusalKind};
use crate::flow::session::Stopper;
use crate::flow::world::World;
use anyhow::Result;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How long there may be no sign of life. Long enough for a query that sorts before it answers, and for a disk that is woken.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// How often a server is asked whether it still answers.
const PULSE: Duration = Duration::from_secs(15);
/// How often it is looked whether anything moved.
const LOOK: Duration = Duration::from_millis(250);
/// So many looks in a row must see nothing, whatever the run's clock says.
const LOOKS: u32 = 4;

/// Counts what moves.
#[derive(Debug, Default)]
pub struct Moved(AtomicU64);

impl Moved {
    /// So many bytes moved by now.
    pub fn at(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

/// Does this work while watching that bytes move; the command behind `stopper` is killed when none did for [`PATIENCE`].
pub fn watched<T>(world: &World, what: &str, stopper: &Stopper, work: impl FnOnce(&Moved) -> Result<T>) -> Result<T> {
    let moved = Moved::default();
    let mut seen = 0;
    let sign = || {
        let before = std::mem::replace(&mut seen, moved.0.load(Ordering::Relaxed));
        seen != before
    };
    let told = || format!("{what} gave no byte for {}, after {}", minutes(), moved.0.load(Ordering::Relaxed));
    attended(world, stopper, sign, told, || work(&moved))
}

/// Does this work while asking now and then whether the server behind it still answers; the command behind `stopper` is killed
/// when it did not for [`PATIENCE`].
pub fn while_alive<T>(
    world: &World,
    what: &str,
    stopper: &Stopper,
    alive: impl Fn() -> bool + Send,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let mut asked = world.clock.now();
    let sign = move || {
        // Between two questions nothing is known, and that is no silence yet.
        let due = world.clock.now().saturating_sub(asked) >= PULSE;
        due && {
            let answered = alive();
            asked = world.clock.now();
            answered
        }
    };
    let told = || format!("{what} did not answer for {}", minutes());
    attended(world, stopper, sign, told, work)
}

/// `sign` is asked every quarter of a second whether there was a sign of life since it was last asked. When it was too late, that
/// is the cause, whatever the work made of it.
fn attended<T>(
    world: &World,
    stopper: &Stopper,
    mut sign: impl FnMut() -> bool + Send,
    told: impl Fn() -> String + Send,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let (done, ended) = channel::<()>();
    std::thread::scope(|scope| {
        let watch = scope.spawn(move || {
            let (mut since, mut looks) = (world.clock.now(), 0);
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if sign() {
                    (since, looks) = (world.clock.now(), 0);
                    continue;
                }
                looks += 1;
                if looks >= LOOKS && world.clock.now().saturating_sub(since) >= PATIENCE {
                    let message = format!("{}, and was killed", told());
                    let hint = "see whether the server is paused or hung: docker compose ps, docker compose logs";
                    stopper.stop();
                    return Some(Refusal::new(RefusalKind::Timeout, message, hint));
                }
            }
            None
        });
        let result = work();
        drop(done);
        match watch.join() {
            Ok(Some(refusal)) if result.is_err() => Err(refusal.into()),
            _ => result,
        }
    })
}

fn minutes() -> String {
    format!("{} minutes", PATIENCE.as_secs() / 60)
}
