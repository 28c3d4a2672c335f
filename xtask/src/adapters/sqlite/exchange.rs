//! A restored and proven database takes the place of the one that is there, in one step. A sound database is written over by the online
//! backup, which is one transaction: whoever has it open goes on with it. Anything else changes names. It must not know who restores.

use super::header::{self, Found};
use super::integrity;
use super::load::{pending, put_aside, put_in_place, refuse_occupied};
use super::open::{self, SIDECARS};
use super::snapshot::{self, release};
use super::{census, held};
use crate::adapters::data_tool::{Streams, beside as behind, parent, refuse, sync_folder};
use crate::domain::refusal::RefusalKind;
use anyhow::{Context, Result};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The two places that a restore has beside the database.
pub struct Places {
    /// The proven copy.
    pub fresh: PathBuf,
    /// What is there now is called this afterwards.
    pub previous: PathBuf,
}

impl Places {
    /// What is there now, while it is copied.
    fn copy(&self) -> PathBuf {
        behind(&self.fresh, ".previous")
    }

    /// Tells whether a transaction that nobody saw the end of was committed.
    fn note(&self) -> PathBuf {
        behind(&self.fresh, ".exchange")
    }
}

/// Exchanges. `keep`: what is there now stays under its other name; `replace`: something may be there.
pub fn exchange(db: &Path, places: &Places, (keep, replace): (bool, bool), streams: &mut Streams) -> Result<()> {
    header::whole(&places.fresh).context("find the restored database")?;
    let found = header::look(db)?;
    if matches!(found, Found::Missing | Found::Zero) {
        for kept in put_aside(db)? {
            streams.line(format_args!("aside={}", kept.display()))?;
        }
        put_in_place(&places.fresh, db)?;
        sync_folder(parent(db))?;
        return streams.line("exchanged=named");
    }
    if !replace {
        refuse_occupied(db)?;
    }
    if matches!(found, Found::Database(_)) && written_over(db, places, keep)? {
        // The database is the restored one from here on: what fails now is told and undoes nothing. The note goes last, for with it
        // the copy of what was there is found again.
        let settled = match keep {
            true => std::fs::rename(places.copy(), &places.previous).context("name the copy of what was there"),
            false => Ok(()),
        };
        let settled = settled.and_then(|()| release(&places.fresh)).and_then(|()| forget(&places.note()));
        told(settled.and_then(|()| sync_folder(parent(db))), streams)?;
        return streams.line("exchanged=written");
    }
    renamed(db, places)?;
    let settled = sync_folder(parent(db)).and_then(|()| if keep { Ok(()) } else { release(&places.previous) });
    told(settled, streams)?;
    streams.line("exchanged=renamed")
}

/// Writes the copy into the database; `false` when that cannot be written to.
fn written_over(db: &Path, places: &Places, keep: bool) -> Result<bool> {
    // Closing any descriptor of the file would drop this process's locks on it: this one goes last.
    let (raw, _) = header::open_plain(db).with_context(|| format!("open {}", db.display()))?;
    let mut live = open::writer(db)?;
    let read = live.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get::<_, i64>(0));
    match read {
        Err(e) if integrity::is_damage(&e) => return Ok(false),
        read => read.with_context(|| format!("read {}", db.display()))?,
    };
    let source = open::immutable(&places.fresh)?;
    let wal = live.query_row("PRAGMA journal_mode", [], |r| r.get::<_, String>(0))? == "wal";
    if wal && census::setting(&live, "page_size")? != census::setting(&source, "page_size")? {
        // SQLite cannot change it below a WAL.
        return Ok(false);
    }
    live.pragma_update(None, "synchronous", "FULL")?;
    let version = version(&live)?;
    {
        let run = Backup::new(&source, &mut live).context("begin to write the restored database")?;
        // Takes the lock for writing and copies nothing yet: from here on what is there stays what it is.
        locked(run.step(0).context("lock the database")?, db, false)?;
        if keep {
            release(&places.copy())?;
            let mut file = snapshot::create(&places.copy())?;
            if wal {
                drop(file);
                release(&places.copy())?;
                // Beside a writer, a reader sees the last committed state.
                snapshot::backup(&open::shared(db)?, &places.copy())?;
                file = File::open(places.copy()).context("open the copy")?;
            } else {
                std::io::copy(&mut &raw, &mut file).with_context(|| format!("copy {}", db.display()))?;
            }
            like(&raw, &file).context("give the copy the rights of what is there")?;
            file.sync_all().context("sync the copy of what is there")?;
        }
        write_note(&places.note(), &version.to_string())?;
        locked(run.step(-1).context("write the restored database")?, db, true)?;
    }
    drop(live);
    drop(raw);
    Ok(true)
}

/// The same rights, and the same owner as far as this user may.
fn like(from: &File, to: &File) -> Result<()> {
    let meta = from.metadata()?;
    to.set_permissions(meta.permissions())?;
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::fchown(to, Some(meta.uid()), Some(meta.gid()))?;
    }
    Ok(())
}

fn locked(step: StepResult, db: &Path, to_the_end: bool) -> Result<()> {
    match step {
        StepResult::Done => Ok(()),
        StepResult::More if !to_the_end => Ok(()),
        other => {
            let message = format!("{} is locked by another process ({other:?})", db.display());
            Err(refuse(RefusalKind::Preflight, message, "run it again when the long transaction has ended"))
        }
    }
}

/// Counts the changes of the schema; the backup API counts it up by one.
fn version(conn: &Connection) -> Result<i64> {
    conn.query_row("PRAGMA schema_version", [], |r| r.get(0)).context("read the schema's version")
}

fn write_note(path: &Path, text: &str) -> Result<()> {
    let mut file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).context("write the note of the exchange")?;
    sync_folder(parent(path))
}

fn forget(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Exchanges by names, for what is no sound database. What has it open would go on with the old one.
fn renamed(db: &Path, places: &Places) -> Result<()> {
    if header::look(db).is_ok_and(|found| matches!(found, Found::Database(_))) && held::database(db)? {
        let message = format!("{} cannot be written over, and it is open", db.display());
        return Err(refuse(RefusalKind::Preflight, message, "stop what uses the database, then run it again"));
    }
    std::fs::hard_link(db, &places.previous).with_context(|| format!("keep {}", db.display()))?;
    // Their names decide whether SQLite replays them onto whatever bears the database's name next.
    move_sidecars(db, &places.previous)?;
    std::fs::rename(&places.fresh, db).with_context(|| format!("put {} in place", db.display()))
}

/// What went wrong after the exchange.
fn told(settled: Result<()>, streams: &mut Streams) -> Result<()> {
    match settled {
        Ok(()) => Ok(()),
        Err(error) => {
            let why = format!("{error:#}").replace(|c: char| c.is_control(), " ");
            streams.line(format_args!("note=what was there before could not be put aside or removed: {why}"))
        }
    }
}

fn move_sidecars(from: &Path, to: &Path) -> Result<()> {
    for suffix in SIDECARS {
        let (from, to) = (behind(from, suffix), behind(to, suffix));
        if from.symlink_metadata().is_ok() {
            std::fs::rename(&from, &to).with_context(|| format!("rename {}", from.display()))?;
        }
    }
    sync_folder(parent(to))
}

/// Removes what an unfinished restore left, and lets its exchange be the one or the other.
pub fn clear(db: &Path, places: &Places, streams: &mut Streams) -> Result<()> {
    let there = |path: &Path| path.symlink_metadata().is_ok();
    let same = |a: &Path, b: &Path| {
        let id = |p: &Path| p.symlink_metadata().ok().map(|m| (m.dev(), m.ino()));
        id(a).is_some() && id(a) == id(b)
    };
    if same(db, &places.previous) {
        // Linked, and not yet replaced.
        move_sidecars(&places.previous, db)?;
        std::fs::remove_file(&places.previous).context("remove the second name")?;
    }
    if std::fs::metadata(behind(db, "-journal")).is_ok_and(|m| m.len() > 0)
        && matches!(header::look(db)?, Found::Database(_))
    {
        // The journal of the dead writer: the first to read rolls it back.
        let conn = open::writer(db)?;
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get::<_, i64>(0)).context("roll back")?;
    }
    if there(&places.copy()) {
        let before = std::fs::read_to_string(places.note()).ok().and_then(|text| text.parse::<i64>().ok());
        let now = || open::writer(db).and_then(|conn| version(&conn));
        match (before, now()) {
            // Not written over, so what was copied is still there.
            (None, _) => release(&places.copy())?,
            (Some(before), Ok(now)) if before == now => release(&places.copy())?,
            // Nobody can tell, or it was: this is what was there.
            _ => {
                std::fs::rename(places.copy(), &places.previous).context("name the copy of what was there")?;
                streams.line(format_args!("kept={}", places.previous.display()))?;
            }
        }
    }
    release(&pending(&places.fresh))?;
    release(&places.fresh)?;
    forget(&places.note())?;
    sync_folder(parent(db))
}
