//! Whether another process has a database open, told by the locks of SQLite's own protocol. Never ask while this process holds a
//! connection to the file: closing any descriptor drops POSIX locks, and one's own are not seen.

use crate::adapters::data_tool::beside;
use anyhow::{Context, Result};
use rustix::process::{Flock, FlockType};
use std::path::Path;
use std::time::Duration;

/// The bytes of the database of which every connection in WAL mode holds a shared lock while it lives: first and how many
/// (`SHARED_FIRST` and `SHARED_SIZE` in SQLite's `os.h`).
const DATABASE: (u64, u64) = (0x4000_0002, 510);
/// The byte of `-shm` that every connection holds which uses it (`UNIX_SHM_DMS` in SQLite's `os_unix.c`).
const WAL_INDEX: (u64, u64) = (128, 1);
/// How often, and in what distance, is looked again at what may be a moment's state.
const LOOKS: u32 = 60;
const PAUSE: Duration = Duration::from_millis(25);

/// Whether somebody else has the database open. In WAL mode that is so from the first read to the connection's end.
pub fn database(path: &Path) -> Result<bool> {
    locked(path, DATABASE)
}

/// Whether somebody else uses the `-shm` beside the database.
pub fn wal_index(path: &Path) -> Result<bool> {
    locked(&beside(path, "-shm"), WAL_INDEX)
}

fn locked(path: &Path, (start, length): (u64, u64)) -> Result<bool> {
    let (file, _) = match super::header::open_plain(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        opened => opened.with_context(|| format!("open {}", path.display()))?,
    };
    let wanted = Flock { start, length, ..Flock::from(FlockType::WriteLock) };
    let found = rustix::process::fcntl_getlk(&file, &wanted).map_err(std::io::Error::from);
    Ok(found.with_context(|| format!("ask who has {} open", path.display()))?.is_some())
}

/// Looks until the answer is good, for a second and a half at most; then the bad one is the answer.
#[expect(clippy::disallowed_methods, reason = "the pause between two looks of a poll that is bounded by their number")]
pub fn settled<T, E>(look: impl Fn() -> Result<Result<T, E>>) -> Result<Result<T, E>> {
    let mut last = look()?;
    for _ in 1..LOOKS {
        if last.is_ok() {
            break;
        }
        std::thread::sleep(PAUSE);
        last = look()?;
    }
    Ok(last)
}
