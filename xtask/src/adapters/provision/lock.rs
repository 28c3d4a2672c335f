//! The lock on the cache's package folders: apt refuses a second user at once, and two builders would unpack into one folder.
//! The kernel drops it when its holder dies. It must not know what is done under it.

use crate::domain::event::Event;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::ports::{Clock, Events};
use anyhow::{Context, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

/// The held lock; dropping it lets go.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Waits for the lock at `path`, telling once whom for, and then holds it.
    ///
    /// # Errors
    /// `Refusal` of kind `Locked` after `at_most`, or the file cannot be written.
    pub(super) fn wait(
        path: &Path,
        purpose: &str,
        clock: &dyn Clock,
        events: &dyn Events,
        at_most: Duration,
    ) -> Result<Self> {
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = open.with_context(|| format!("open the lock {}", path.display()))?;
        let until = clock.now() + at_most;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("lock {}", path.display()));
                }
                Err(TryLockError::WouldBlock) => {}
            }
            if !told {
                events.tell(Event::Note(format!("waiting for {}", holder(&mut file))));
                told = true;
            }
            if clock.now() >= until {
                let message = format!("{} holds {}", holder(&mut file), path.display());
                let hint = "wait for it to end and run this again; the lock never outlives its process";
                return Err(Refusal::new(RefusalKind::Locked, message, hint).into());
            }
            clock.sleep(Duration::from_millis(100));
        }
        let text = format!("process {} ({purpose})", std::process::id());
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
        written.with_context(|| format!("write {}", path.display()))?;
        Ok(Self(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The name goes first, so that nobody is told of a holder that has let go.
        let _ = self.0.set_len(0);
        let _ = self.0.unlock();
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file.rewind();
    let _ = file.take(1024).read_to_string(&mut text);
    if text.is_empty() { "a process that has only just begun".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::clock::SystemClock;
    use std::sync::{Arc, Mutex};

    #[derive(Default)]
    struct Heard(Mutex<Vec<Event>>);
    impl Events for Heard {
        fn tell(&self, event: Event) {
            self.0.lock().unwrap().push(event);
        }
    }

    #[test]
    fn the_second_is_told_who_holds_it_and_gets_it_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let (clock, heard) = (SystemClock::start(), Heard::default());
        let first = Lock::wait(&path, "postgres-15", &clock, &heard, Duration::ZERO).unwrap();
        assert!(heard.0.lock().unwrap().is_empty());

        let refused = Lock::wait(&path, "postgres-17", &clock, &heard, Duration::ZERO).unwrap_err();
        let refusal = refused.downcast_ref::<Refusal>().unwrap();
        assert_eq!(refusal.kind, RefusalKind::Locked);
        let name = format!("process {} (postgres-15)", std::process::id());
        assert!(refusal.message.contains(&name), "{refusal}");
        assert_eq!(heard.0.lock().unwrap().as_slice(), [Event::Note(format!("waiting for {name}"))]);

        drop(first);
        Lock::wait(&path, "postgres-17", &clock, &heard, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_waiter_gets_it_when_the_holder_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let clock = SystemClock::start();
        let heard = Arc::new(Heard::default());
        let first = Lock::wait(&path, "a", &clock, &*heard, Duration::ZERO).unwrap();
        let waiter = std::thread::spawn({
            let (path, heard) = (path.clone(), Arc::clone(&heard));
            move || Lock::wait(&path, "b", &SystemClock::start(), &*heard, Duration::from_secs(60)).map(drop)
        });
        while heard.0.lock().unwrap().is_empty() {
            assert!(clock.now() < Duration::from_secs(60), "the second waited for nobody");
            clock.sleep(Duration::from_millis(5));
        }
        drop(first);
        waiter.join().unwrap().unwrap();
    }
}
