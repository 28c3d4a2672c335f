//! Connections. Reading somebody's database must leave no trace: no checkpoint, no journal-mode change and, where SQLite can avoid it,
//! no file beside it.

use super::header::{self, Header};
use super::held;
use crate::adapters::beneath;
use crate::adapters::data_tool::{beside, refuse};
use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::{Context, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// How long a lock of another process is waited for.
const BUSY: Duration = Duration::from_secs(20);

/// The files that SQLite keeps beside a database.
pub const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// How a database can be read without leaving a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approach {
    /// Through the locks that everybody uses: a rollback-journal database, or a WAL database whose `-wal` and `-shm` exist already.
    Shared,
    /// A WAL database that nobody has open and whose WAL is empty: an ordinary reader would create `-wal` and `-shm`, and cannot at
    /// all in a read-only folder. Read as immutable; the caller checks with [`Stamp`] that nobody wrote meanwhile.
    Quiet,
    /// Somebody died and left a WAL that nobody has open: it is replayed in a private copy.
    Deserted,
}

/// Chooses the approach. Never while this process holds a connection to the file.
///
/// # Errors
/// `Refusal` of kind `Preflight`: a sidecar is a link, or somebody has the database open whose WAL is not the one beside it.
pub fn approach(path: &Path, header: &Header) -> Result<Approach> {
    for sidecar in SIDECARS.map(|s| beside(path, s)) {
        if std::fs::symlink_metadata(&sidecar).is_ok_and(|m| m.is_symlink()) {
            let message = format!("{} is a link: SQLite itself would not follow it", sidecar.display());
            let hint = "find out who put it there; a database's own -wal, -shm and -journal are plain files";
            return Err(refuse(RefusalKind::Preflight, message, hint));
        }
    }
    if !header.wal {
        return Ok(Approach::Shared);
    }
    // Whoever is just opening or closing the database shows for a moment what would be wrong if it stayed.
    held::settled(|| {
        let size = |suffix| std::fs::metadata(beside(path, suffix)).ok().map(|m| m.len());
        let chosen = match (size("-wal"), size("-shm")) {
            (Some(_), Some(_)) => Approach::Shared,
            (None | Some(0), _) => Approach::Quiet,
            (Some(_), None) => Approach::Deserted,
        };
        let astray = held::database(path)? && (chosen != Approach::Shared || !held::wal_index(path)?);
        Ok(if astray { Err(elsewhere(path, chosen)) } else { Ok(chosen) })
    })?
}

/// What is wrong when a WAL database is open and yet nobody uses the files beside it.
fn elsewhere(path: &Path, found: Approach) -> anyhow::Error {
    let at = path.display();
    if found == Approach::Deserted {
        let message = format!("{at} is open in exclusive locking mode, or with a WAL that is not the one beside it");
        let hint = "stop its service, or mount the folder of the database into the container instead of the file alone";
        return refuse(RefusalKind::Preflight, message, hint);
    }
    let message = format!(
        "{at} is open, but its WAL is not beside it: what was committed there would be missing \
         (a file that is mounted alone keeps its -wal and -shm inside the container)"
    );
    let hint =
        "mount the folder of the database into the container instead of the file alone, then start its service again";
    refuse(RefusalKind::Preflight, message, hint)
}

/// What tells whether a database and its sidecars were written meanwhile: length, time of change and inode of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(Vec<Option<(u64, i64, i64, u64)>>);

impl Stamp {
    /// Takes the stamp of the files of a database.
    pub fn of(path: &Path) -> Self {
        use std::os::unix::fs::MetadataExt;
        let of = |suffix: &str| {
            std::fs::metadata(beside(path, suffix)).ok().map(|m| (m.len(), m.mtime(), m.mtime_nsec(), m.ino()))
        };
        Self(["", "-wal", "-journal"].iter().map(|s| of(s)).collect())
    }
}

/// A connection for reading a live database.
pub fn reader(path: &Path) -> Result<Connection> {
    let found = header::database(path)?;
    match approach(path, &found)? {
        Approach::Quiet => quiet(path),
        Approach::Shared | Approach::Deserted => shared(path),
    }
}

/// A connection for a first look, which leaves no trace at all: what only a WAL or a journal of a dead writer holds may be unseen.
pub fn glance(path: &Path) -> Result<Connection> {
    let found = header::database(path)?;
    match approach(path, &found)? {
        Approach::Quiet | Approach::Deserted => quiet(path),
        Approach::Shared => shared(path).or_else(|e| if e.is::<Refusal>() { quiet(path) } else { Err(e) }),
    }
}

/// A read-only connection that takes part in locking.
pub fn shared(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).with_context(|| format!("open {}", path.display()))?;
    let conn = hardened(conn).map_err(|e| unreachable_wal(e, path))?;
    beneath::opened(path).map(|()| conn)
}

/// A read-only connection to somebody's database that trusts nobody to write: see [`Approach::Quiet`].
pub fn quiet(path: &Path) -> Result<Connection> {
    let conn = immutable(path)?;
    beneath::opened(path).map(|()| conn)
}

/// A read-only connection that trusts nobody to write: for private copies.
pub fn immutable(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let uri = uri(path, "immutable=1");
    hardened(Connection::open_with_flags(uri, flags).with_context(|| format!("open {}", path.display()))?)
}

/// A connection as an application has it; never creates the file.
pub fn writer(path: &Path) -> Result<Connection> {
    let conn = own(path)?;
    beneath::opened(path).map(|()| conn)
}

/// As [`writer`], to a private copy.
pub fn own(path: &Path) -> Result<Connection> {
    header::database(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).with_context(|| format!("open {}", path.display()))?;
    conn.busy_timeout(BUSY)?;
    Ok(conn)
}

/// As [`writer`], to which others can be attached by their URI.
pub fn attaching(path: &Path) -> Result<Connection> {
    header::database(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let conn = Connection::open_with_flags(uri(path, "mode=rw"), flags);
    let conn = conn.with_context(|| format!("open {}", path.display()))?;
    conn.busy_timeout(BUSY)?;
    beneath::opened(path).map(|()| conn)
}

/// A connection that creates the file.
pub fn creator(path: &Path) -> Result<Connection> {
    let conn = Connection::open(path).with_context(|| format!("create {}", path.display()))?;
    conn.busy_timeout(BUSY)?;
    Ok(conn)
}

/// A `file:` URI of a path (<https://www.sqlite.org/uri.html>).
pub fn uri(path: &Path, parameters: &str) -> String {
    use std::os::unix::ffi::OsStrExt;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut uri = String::from("file:");
    for byte in absolute.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("{uri}?{parameters}")
}

/// The schema of a database is somebody else's text: it may not call functions with side effects, and memory stays bounded.
fn hardened(conn: Connection) -> Result<Connection> {
    conn.busy_timeout(BUSY)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.pragma_update(None, "cache_size", -8192)?;
    conn.pragma_update(None, "query_only", true)?;
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get::<_, i64>(0)).context("read the schema")?;
    Ok(conn)
}

/// Says what "unable to open database file" means for a WAL database.
fn unreachable_wal(error: anyhow::Error, path: &Path) -> anyhow::Error {
    let code =
        error.chain().find_map(|e| e.downcast_ref::<rusqlite::Error>()).and_then(rusqlite::Error::sqlite_error_code);
    match code {
        Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::ReadOnly) => refuse(
            RefusalKind::AccessDenied,
            format!("{} cannot be read beside its writer: {error:#}", path.display()),
            "a database with a WAL or a hot journal needs a folder this user may write, or its service stopped in good order",
        ),
        _ => error,
    }
}
