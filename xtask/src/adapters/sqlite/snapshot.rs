//! Holds one moment of a live database: an exact copy in the scratch folder, made without leaving a trace at the source.

use super::header::{self, Header};
use super::open::{self, Approach, Stamp};
use crate::adapters::beneath;
use crate::adapters::data_tool::{Streams, beside, parent, refuse};
use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::{Context, Result, bail};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// How often a source that was written meanwhile is read again.
const TRIES: usize = 5;

/// Copies `source` to `copy`.
pub fn take(source: &Path, copy: &Path) -> Result<Header> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(parent(copy)).context("make the scratch folder")?;
    for _ in 0..TRIES {
        release(copy)?;
        let found = header::database(source)?;
        let before = Stamp::of(source);
        let copied = match open::approach(source, &found)? {
            Approach::Shared => match open::shared(source).and_then(|conn| backup(&conn, copy)) {
                // A hot journal: whoever wrote it died. It is rolled back in the copy, never at the source.
                Err(e) if !found.wal && needs_rollback(source, &e) => deserted(source, copy, &["-journal"]),
                copied => {
                    copied?;
                    return header::whole(copy);
                }
            },
            Approach::Quiet => open::quiet(source).and_then(|conn| backup(&conn, copy)),
            Approach::Deserted => deserted(source, copy, &["-wal"]),
        };
        // Read without locks: it counts only if nobody wrote.
        if before == Stamp::of(source) {
            copied?;
            return header::whole(copy);
        }
    }
    bail!("{} was written again and again while it was read", source.display())
}

fn needs_rollback(source: &Path, error: &anyhow::Error) -> bool {
    let denied = error.downcast_ref::<Refusal>().is_some_and(|r| r.kind == RefusalKind::AccessDenied);
    denied && std::fs::metadata(beside(source, "-journal")).is_ok_and(|m| m.len() > 0)
}

/// The online backup API in one step: the read transaction of one step is one moment. Many small steps would start again with each
/// write of another process, for ever.
pub fn backup(source: &Connection, copy: &Path) -> Result<()> {
    create(copy)?;
    let mut to = open::creator(copy)?;
    to.pragma_update(None, "synchronous", "OFF")?;
    to.query_row("PRAGMA journal_mode = OFF", [], |_| Ok(()))?;
    let run = Backup::new(source, &mut to).context("begin the copy")?;
    match run.step(-1).context("copy the database")? {
        StepResult::Done => Ok(()),
        other => Err(refuse(
            RefusalKind::Producer,
            format!("the database stayed locked by another process ({other:?})"),
            "run it again when the long transaction has ended",
        )),
    }
}

/// Copies the files themselves and lets SQLite recover the copy, as the application would have.
fn deserted(source: &Path, copy: &Path, sidecars: &[&str]) -> Result<()> {
    release(copy)?;
    for suffix in sidecars.iter().chain(&[""]) {
        let (at, to) = (beside(source, suffix), beside(copy, suffix));
        let (mut from, _) = header::open_plain(&at).with_context(|| format!("open {}", at.display()))?;
        beneath::opened(&at)?;
        let mut to = create(&to)?;
        std::io::copy(&mut from, &mut to).context("copy the database's files")?;
    }
    let conn = open::own(copy)?;
    let read = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get::<_, i64>(0));
    read.context("recover what a dead writer left")?;
    let busy: i64 =
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |r| r.get(0)).context("recover the copy's WAL")?;
    if busy != 0 {
        bail!("the copy's WAL could not be folded in");
    }
    conn.close().map_err(|(_, e)| e).context("close the copy")?;
    Ok(())
}

/// A new private file.
pub fn create(path: &Path) -> Result<std::fs::File> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.with_context(|| format!("create {}", path.display()))
}

/// Removes a copy with its sidecars; it need not exist.
pub fn release(copy: &Path) -> Result<()> {
    for suffix in [""].iter().chain(&open::SIDECARS) {
        let path = beside(copy, suffix);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(e).with_context(|| format!("remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Streams a copy and declares its length.
pub fn read(copy: &Path, streams: &mut Streams) -> Result<()> {
    let found = header::whole(copy)?;
    if std::fs::metadata(beside(copy, "-wal")).is_ok_and(|m| m.len() > 0) {
        bail!("{} has a WAL of its own: it is no finished copy", copy.display());
    }
    let (mut file, _) = header::open_plain(copy).with_context(|| format!("open {}", copy.display()))?;
    let sent = pour(&mut file, streams.stdout).with_context(|| format!("read {}", copy.display()))?;
    if sent != found.length {
        bail!("{} changed while it was read: {sent} bytes instead of {}", copy.display(), found.length);
    }
    streams.declare(sent)
}

/// Copies everything through one buffer and says how much it was.
pub fn pour(from: &mut dyn Read, to: &mut dyn Write) -> std::io::Result<u64> {
    let mut buffer = vec![0; 256 * 1024];
    let mut total = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(n) => {
                to.write_all(&buffer[..n])?;
                total += n as u64;
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
