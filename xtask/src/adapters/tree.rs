//! The data tool for folders: `xtask __tool files <verb> <folder> …`, run by the directory site. One deterministic archive out, and
//! archives in only after nothing in them could leave the folder. It must not know who asks.

use crate::adapters::beneath;
use crate::adapters::data_tool::{Args, Streams, known_storage, on_this_process};
use crate::domain::data_tool::ALLOW_EMPTY;
use crate::domain::engine::MarkTable;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

mod archive;
mod census;
mod drill;
mod dump;
mod exchange;
mod extract;
mod load;
mod marks;
mod names;
mod pick;
#[cfg(test)]
mod tests;
mod walk;

/// Runs one verb on this process's streams.
pub fn tool(args: &[String]) -> Result<()> {
    on_this_process(args, run)
}

/// Runs one verb. Paths are relative to the working folder and stay below it, except those into the scratch folder.
pub fn run(args: &[String], streams: &mut Streams) -> Result<()> {
    let mut args = Args::new(args);
    let verb = args.word("what to do")?;
    match verb {
        "version" => {
            args.end()?;
            streams.line("files 1")
        }
        "census-taken" | "release" | "stage" => {
            let file = PathBuf::from(args.word("the file")?);
            args.end()?;
            on_file(verb, &file, streams).map_err(|e| known_storage(e, &file))
        }
        _ => {
            let folder = beneath::resolve(Path::new("."), &args.own_path("the folder")?)?;
            at(verb, &folder, args, streams).map_err(|e| known_storage(e, &folder))
        }
    }
}

fn on_file(verb: &str, file: &Path, streams: &mut Streams) -> Result<()> {
    match verb {
        "census-taken" => dump::census_taken(file, streams),
        "release" => dump::release(file),
        _ => pick::stage(file, streams),
    }
}

/// A verb at a folder. Tests call it with a path of their own.
fn at(verb: &str, folder: &Path, mut args: Args, streams: &mut Streams) -> Result<()> {
    match verb {
        "inspect" => census::inspect(folder, streams),
        "facts" => census::facts(folder, streams),
        "probe" => census::probe(folder, args.flag(ALLOW_EMPTY), streams),
        "census" => census::print(folder, census::Purpose::Finding, streams),
        "diagnose" => census::print(folder, census::Purpose::Diagnosis, streams),
        "dump" => {
            let census = args.option("--census")?.context("--census is missing")?;
            dump::dump(folder, Path::new(census), streams)
        }
        "vacant" => load::vacancy(folder, args.number("--needs")?, streams),
        "movable" => exchange::movable(folder, streams),
        "exchange" | "clear" => {
            let mut place = |what| beneath::resolve(Path::new("."), &args.own_path(what)?);
            let places =
                exchange::Places { fresh: place("the restored folder")?, previous: place("the previous one's name")? };
            let how = (args.flag("--keep"), args.flag("--replace"));
            match verb {
                "clear" => exchange::clear(folder, &places, streams),
                _ => exchange::exchange(folder, &places, how, streams),
            }
        }
        "load" => load::fetch(folder, streams),
        "adopt" => load::adopt(folder),
        "pick" => pick::pick(folder, Path::new(args.word("the staged archive")?), streams),
        "seed" => drill::seed(folder, args.number("--bytes")?.context("--bytes is missing")?),
        "churn" => drill::churn(folder),
        "mark" => marks::session(folder, streams),
        "marks" => {
            let of = match args.word("which marks")? {
                "kept" => MarkTable::Kept,
                "struck" => MarkTable::Struck,
                other => bail!("`{other}` are no marks"),
            };
            marks::list(folder, of, streams)
        }
        "strike-delete" => drill::delete(folder),
        "strike-corrupt" => drill::corrupt(folder),
        _ => bail!("files: unknown verb `{verb}`"),
    }?;
    args.end()
}
