//! `cargo xtask init`: writes `recovery.yaml` from what the Compose files say, each value with where it came from.
//! It never writes a secret, and never over a file that is there.

mod draft;
#[cfg(test)]
mod tests;

pub use draft::draft;

use crate::adapters::config::{Given, LoadOptions, infer};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::exit_code;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What to start from.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Start from this Compose file instead of the folder's own (repeatable; later ones are merged over earlier ones)
    #[arg(long, value_name = "FILE")]
    pub compose: Vec<PathBuf>,
    /// The env file that goes with it, as in `docker compose --env-file`
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// The project's name, as in `docker compose --project-name`
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Print it and write nothing
    #[arg(long)]
    pub print: bool,
}

/// Writes the file, or prints it.
///
/// # Errors
/// A configuration refusal when there is no Compose file, when it cannot be read, and when the file is there already.
pub fn run(args: &Args, options: &LoadOptions<'_>, out: &mut dyn Write) -> Result<u8> {
    let mut given =
        Given { compose: args.compose.clone(), env_file: args.env_file.clone(), project: args.project.clone() };
    let file = options.folder.join(options.config.as_deref().unwrap_or(Path::new("recovery.yaml")));
    let folder = file.parent().unwrap_or(&options.folder).to_owned();
    if folder != options.folder {
        // What is typed starts from here; what the file leaves out, such as the vault, starts from the file's folder.
        given.compose.iter_mut().chain(&mut given.env_file).for_each(|path| *path = options.folder.join(&path));
    }
    let from = LoadOptions { config: None, folder: folder.clone(), environment: options.environment };
    let project = infer(&from, &given)?;
    let text = draft(&project, &folder);
    if args.print {
        write!(out, "{text}")?;
        return Ok(exit_code::PASSED);
    }
    let mut target = match File::create_new(&file) {
        Ok(target) => target,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            let message = format!("{} is there already", file.display());
            let hint = "see what would be written with `cargo xtask init --print`, or move the file away";
            return Err(Refusal::new(RefusalKind::Configuration, message, hint).into());
        }
        Err(e) => return Err(e).with_context(|| format!("write {}", file.display())),
    };
    target.write_all(text.as_bytes()).with_context(|| format!("write {}", file.display()))?;
    let stores: Vec<String> = project
        .stacks
        .iter()
        .flat_map(|s| s.stores.iter().map(move |store| format!("{}/{} ({})", s.name, store.name, store.engine)))
        .collect();
    writeln!(out, "wrote {}", file.display())?;
    writeln!(out, "stores: {}", if stores.is_empty() { "none found".to_owned() } else { stores.join(", ") })?;
    for note in project.stacks.iter().flat_map(|s| &s.notes) {
        writeln!(out, "note: {note}")?;
    }
    writeln!(out, "next: cargo xtask test-recovery")?;
    Ok(exit_code::PASSED)
}
