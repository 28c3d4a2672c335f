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
        if !file.lock_now().map_err(|e| disk::storage(on, &e, "lock", &path, None))? {
            return Err(held(file, vault).into());
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
