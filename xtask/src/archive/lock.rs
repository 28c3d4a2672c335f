//! The lock on a vault: one run at a time, and whoever is refused learns who holds it. The kernel drops it when its holder
//! dies, however that happens. It must not know what is done under it.

use super::disk::{self, Disk, Opened};
use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::path::Path;

/// The lock file's name in a vault. It stays there: removing it would let two runs hold two locks.
pub(super) const NAME: &str = ".lock";

/// How often a lock is tried that nobody living says he holds: somebody may just be asking.
const TRIES: u32 = 200;

/// Who holds the lock.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    run: String,
    started_at: String,
}

/// The held lock; dropping it lets go.
#[derive(Debug)]
pub(super) struct Lock(Box<dyn Opened>);

impl Lock {
    /// Takes the lock of this vault at once, or says who holds it.
    pub(super) fn take(on: &dyn Disk, vault: &Path, run: &str, now: jiff::Timestamp) -> Result<Self> {
        Self::take_named(on, vault, NAME, run, now)
    }

    /// As [`Lock::take`], of a lock of another name.
    pub(super) fn take_named(on: &dyn Disk, vault: &Path, name: &str, run: &str, now: jiff::Timestamp) -> Result<Self> {
        let path = vault.join(name);
        let mut file = on.extend(&path).map_err(|e| disk::storage(on, &e, "lock", &path, None))?;
        for left in (0..TRIES).rev() {
            if file.lock_now().map_err(|e| disk::storage(on, &e, "lock", &path, None))? {
                break;
            }
            // Whoever only asks who holds it has it for a moment, and leaves no name.
            if left == 0 || lives(&mut file) {
                return Err(held(file, vault).into());
            }
            std::thread::yield_now();
        }
        let holder = Holder { pid: std::process::id(), run: run.to_owned(), started_at: now.to_string() };
        let text = serde_json::to_vec(&holder).context("write the lock's holder")?;
        let written = file.cut(0).and_then(|()| file.write_all(&text));
        written.map_err(|e| disk::storage(on, &e, "lock", &path, Some(text.len() as u64)))?;
        Ok(Self(file))
    }
}

/// Who holds the lock of this vault; nothing is created, and a lock that is free stays free.
///
/// # Errors
/// `Refusal` of kind `Integrity` (it is no regular file) or `Storage`.
pub(super) fn holder(on: &dyn Disk, vault: &Path) -> Result<Option<String>, Refusal> {
    let path = vault.join(NAME);
    if disk::is_missing(on, &path) {
        return Ok(None);
    }
    let file = disk::open(on, &path)?;
    // Whoever holds it has written its name there; only a name that may be of a dead run is worth trying the lock for.
    if file.look().map_err(|e| disk::reading(&e, &path))?.bytes == 0 {
        return Ok(None);
    }
    if file.lock_now().map_err(|e| disk::reading(&e, &path))? {
        file.unlock();
        return Ok(None);
    }
    Ok(Some(named(file)))
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The name goes first, so that nobody is ever told of a holder that has let go.
        let _ = self.0.cut(0);
        self.0.unlock();
    }
}

/// Whether a process of this name's number is there. In another container it may live and have another number here.
fn lives(file: &mut Box<dyn Opened>) -> bool {
    let bytes = file.look().map_or(0, |found| found.bytes.min(4096));
    let mut text = vec![0; usize::try_from(bytes).unwrap_or_default()];
    let holder = file.read_at(&mut text, 0).ok().and_then(|()| serde_json::from_slice::<Holder>(&text).ok());
    let pid = holder.and_then(|holder| rustix::process::Pid::from_raw(i32::try_from(holder.pid).ok()?));
    pid.is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

fn named(file: Box<dyn Opened>) -> String {
    let mut text = String::new();
    let _ = file.take(4096).read_to_string(&mut text);
    match serde_json::from_str::<Holder>(&text) {
        Ok(Holder { pid, run, started_at }) => format!("run {run} (pid {pid}) since {started_at}"),
        Err(_) => "a run that has only just begun".to_owned(),
    }
}

fn held(file: Box<dyn Opened>, vault: &Path) -> Refusal {
    let by = named(file);
    Refusal::new(
        RefusalKind::Locked,
        format!("vault {} is in use by {by}", vault.display()),
        "wait for that run to end; a lock never outlives its process",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::disk::HostDisk;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn whoever_asks_who_holds_the_lock_keeps_nobody_from_taking_it() {
        let vault = tempfile::tempdir().unwrap();
        let path = vault.path().join(NAME);
        // The name of a run that died: the next one that asks must try the lock.
        let dead = br#"{"pid":2147483646,"run":"dead","started_at":"2026-11-20T00:00:00Z"}"#;
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        holder(&HostDisk, vault.path()).unwrap();
                    }
                });
            }
            let refused = (0..2000)
                .filter(|_| {
                    std::fs::write(&path, dead).unwrap();
                    Lock::take(&HostDisk, vault.path(), "run", jiff::Timestamp::UNIX_EPOCH).is_err()
                })
                .count();
            over.store(true, Ordering::Relaxed);
            assert_eq!(refused, 0);
        });
        let _held = Lock::take(&HostDisk, vault.path(), "run", jiff::Timestamp::UNIX_EPOCH).unwrap();
        assert!(holder(&HostDisk, vault.path()).unwrap().unwrap().contains("run run"));
        assert!(Lock::take(&HostDisk, vault.path(), "other", jiff::Timestamp::UNIX_EPOCH).is_err());
    }
}
