//! The data tool for SQLite files: `xtask __tool sqlite <verb> <database> …`, run by the directory site in the store's folder.
//! It must not know who asks: each verb prints what its engine description promises.

use crate::adapters::beneath;
use crate::adapters::data_tool::{Args, Streams, known_storage, on_this_process, refuse};
use crate::domain::data_tool::ALLOW_EMPTY;
use crate::domain::engine::MarkTable;
use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

mod census;
mod digest;
mod exchange;
mod finish;
mod header;
mod held;
mod integrity;
mod load;
mod marks;
mod open;
mod probe;
mod repair;
mod schema;
mod seed;
mod snapshot;
mod strike;
mod tables;
#[cfg(test)]
mod tests;

/// Runs one verb on this process's streams.
pub fn tool(args: &[String]) -> Result<()> {
    on_this_process(args, run)
}

/// Runs one verb. Paths are relative to the working folder and stay below it, except those into the scratch folder.
pub fn run(args: &[String], streams: &mut Streams) -> Result<()> {
    let mut args = Args::new(args);
    let verb = args.word("what to do")?;
    if verb == "version" {
        args.end()?;
        return streams.line(format_args!("sqlite {}", rusqlite::version()));
    }
    if verb == "census-copy" || verb == "read" || verb == "release" || verb == "stage" {
        let copy = PathBuf::from(args.word("the copy")?);
        args.end()?;
        return on_copy(verb, &copy, streams).map_err(|e| known(e, &copy));
    }
    let db = beneath::resolve(Path::new("."), &args.own_path("the database file")?)?;
    if verb == "exchange" || verb == "clear" {
        return changing(verb, &db, args, streams).map_err(|e| known(e, &db));
    }
    at(verb, &db, args, streams).map_err(|e| known(e, &db))
}

fn on_copy(verb: &str, copy: &Path, streams: &mut Streams) -> Result<()> {
    match verb {
        "census-copy" => {
            let wal = header::whole(copy)?.wal;
            print(&census::take(&open::immutable(copy)?, census::Purpose::Promise, wal)?.0, streams)
        }
        "read" => snapshot::read(copy, streams),
        "release" => snapshot::release(copy),
        _ => repair::stage(copy, streams),
    }
}

/// A verb of a restore at somebody's place.
fn changing(verb: &str, db: &Path, mut args: Args, streams: &mut Streams) -> Result<()> {
    let mut place = |what| beneath::resolve(Path::new("."), &args.own_path(what)?);
    let places =
        exchange::Places { fresh: place("the restored database")?, previous: place("the previous one's name")? };
    let (keep, replace) = (args.flag("--keep"), args.flag("--replace"));
    args.end()?;
    match verb {
        "clear" => exchange::clear(db, &places, streams),
        _ => exchange::exchange(db, &places, (keep, replace), streams),
    }
}

/// A verb at a database. Tests call it with a path of their own.
fn at(verb: &str, db: &Path, mut args: Args, streams: &mut Streams) -> Result<()> {
    let copy = |args: &mut Args| args.word("the copy").map(PathBuf::from);
    match verb {
        "inspect" => probe::inspect(db, streams),
        "facts" => probe::facts(db, streams),
        "probe" => probe::probe(db, args.flag(ALLOW_EMPTY), streams),
        "snapshot" => {
            let found = snapshot::take(db, &copy(&mut args)?)?;
            streams.line(format_args!("bytes={}", found.length))
        }
        "census" => {
            let wal = header::database(db)?.wal;
            print(&census::take(&open::reader(db)?, census::Purpose::Finding, wal)?.0, streams)
        }
        "vacant" => load::vacancy(db, args.number("--needs")?, streams),
        "load" => load::fetch(db, streams),
        "adopt" => {
            let mode = args.option("--mode")?.map(|m| u32::from_str_radix(m, 8)).transpose().context("--mode")?;
            load::adopt(db, mode, owner(&mut args)?, streams)
        }
        "diagnose" => probe::diagnose(db, streams),
        "repair" => repair::rebuild(db, &copy(&mut args)?, streams),
        "tables" => tables::replace(db, &copy(&mut args)?, streams),
        "finish" => finish::finish(db, &copy(&mut args)?, streams),
        "seed" => seed::fill(db, args.number("--bytes")?.context("--bytes is missing")?.try_into()?),
        "churn" => seed::churn(db),
        "mark" => marks::session(db, streams),
        "marks" => {
            let of = match args.word("which marks")? {
                "kept" => MarkTable::Kept,
                "struck" => MarkTable::Struck,
                other => bail!("`{other}` are no marks"),
            };
            marks::list(db, of, streams)
        }
        "strike-delete" => strike::delete(db),
        "strike-corrupt" => strike::corrupt(db, streams),
        _ => bail!("sqlite: unknown verb `{verb}`"),
    }?;
    args.end()
}

fn owner(args: &mut Args) -> Result<Option<(u32, u32)>> {
    let Some(text) = args.option("--owner")? else { return Ok(None) };
    let (uid, gid) = text.split_once(':').with_context(|| format!("--owner: `{text}` is not uid:gid"))?;
    Ok(Some((uid.parse().context("--owner")?, gid.parse().context("--owner")?)))
}

fn print(objects: &census::Objects, streams: &mut Streams) -> Result<()> {
    objects.iter().try_for_each(|(object, entry)| streams.line(census::line(object, entry)?))
}

/// Turns what SQLite and the system say into the refusals that users meet; other errors pass through.
fn known(error: anyhow::Error, path: &Path) -> anyhow::Error {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, NotADatabase};
    if Refusal::within(&error).is_some() {
        return error;
    }
    let code =
        error.chain().find_map(|e| e.downcast_ref::<rusqlite::Error>()).and_then(rusqlite::Error::sqlite_error_code);
    let said = format!("{}: {error:#}", path.display());
    match code {
        Some(DiskFull) => refuse(RefusalKind::Storage, said, "free some space there, then run it again"),
        Some(DatabaseBusy | DatabaseLocked) => {
            refuse(RefusalKind::Preflight, said, "stop what uses the database, then run it again")
        }
        Some(NotADatabase) => {
            refuse(RefusalKind::BadArtifact, said, "it may be encrypted or damaged: check the store's path")
        }
        _ => known_storage(error, path),
    }
}
