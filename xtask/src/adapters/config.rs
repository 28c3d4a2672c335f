//! Turns `recovery.yaml`, or Compose files alone, into stacks. Files are read once, within budgets, before anything else
//! reads them. It must not start anything nor talk to Docker.

mod compose;
mod fields;
mod infer;
mod merge;
mod mounts;
mod node;
mod old_variables;
mod protection;
mod proxy;
mod recovery;
mod resolve;
mod retention;
mod secrets;
mod service;
mod source;
#[cfg(test)]
mod tests;
mod variables;
mod version;
mod yaml;

pub use version::compose_version;

pub use crate::domain::project::{Project, Source};

use crate::domain::objective::Objectives;
use crate::domain::place::Place;
use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::{Context, Result};
use mounts::tidy;
use recovery::StackText;
use retention::RetentionText;
use std::path::{Path, PathBuf};

/// The names under which `recovery.yaml` is looked for.
const RECOVERY: [&str; 2] = ["recovery.yaml", "recovery.yml"];
/// The names under which Compose looks for its file, in its order.
const COMPOSE: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// The names of a second file that Compose merges by itself.
const OVERRIDE: [&str; 4] =
    ["compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// Where to look.
pub struct LoadOptions<'a> {
    /// The file given on the command line; `None` = `recovery.yaml` in the folder, else the folder's Compose file.
    pub config: Option<PathBuf>,
    /// The folder the command runs in.
    pub folder: PathBuf,
    /// The process environment.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
}

/// Loads what the options point at.
///
/// # Errors
/// A configuration [`Refusal`] with file, line, column, cause and hint.
pub fn load(options: &LoadOptions<'_>) -> Result<Project> {
    let found = match &options.config {
        Some(file) => Some(file.clone()),
        None => first(&options.folder, &RECOVERY)?,
    };
    let project = match found {
        Some(file) => from_recovery(&file, options.environment),
        None => infer(options, &Given::default()),
    };
    project.context("load the configuration")
}

/// What inference starts from, where it is not the folder's own Compose file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// Compose files in merge order; none = the ones that Compose itself would take.
    pub compose: Vec<PathBuf>,
    /// The env file.
    pub env_file: Option<PathBuf>,
    /// The project's name.
    pub project: Option<String>,
}

/// What Compose files alone say, whether or not there is a `recovery.yaml`.
///
/// # Errors
/// As [`load`]; also when there is no Compose file.
pub fn infer(options: &LoadOptions<'_>, given: &Given) -> Result<Project> {
    let files = if given.compose.is_empty() { default_files(&options.folder)? } else { given.compose.clone() };
    if files.is_empty() {
        let message = format!("{}: neither recovery.yaml nor a Compose file is here", options.folder.display());
        let hint = match lookalikes(&options.folder) {
            files if files.is_empty() => "go to the project's folder, or name a file with --config".to_owned(),
            files => format!("name the file: cargo xtask init --compose {}", files[0]),
        };
        return Err(Refusal::new(RefusalKind::Configuration, message, hint).into());
    }
    let stack = StackText {
        name: String::new(),
        at: Place::new(&files[0], 1, 1),
        folder: None,
        compose: files.clone(),
        env_file: given.env_file.clone(),
        project: given.project.clone(),
        profiles: Vec::new(),
        stores: None,
        objectives: Objectives::default(),
        schedule: None,
        vault: None,
        compression: None,
        max_skew: None,
        protection: Default::default(),
        retention: RetentionText::default(),
        traefik: Default::default(),
        waivers: Vec::new(),
        environment: None,
    };
    let (stack, findings) = resolve::resolve(stack, &options.folder, options.environment)?;
    let notes = vec![format!(
        "no recovery.yaml in {}: everything is inferred from Compose; `cargo xtask init` writes it down",
        options.folder.display()
    )];
    Ok(Project { stacks: vec![stack], source: Source::Compose(files), notes, findings: vec![findings] })
}

fn from_recovery(file: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Project> {
    let text = source::read_text(file, "the configuration", "check --config, or let `cargo xtask init` write one")?;
    let base = match file.parent() {
        Some(parent) => tidy(parent),
        None => PathBuf::from("."),
    };
    project_from(&text, file, &base, environment)
}

/// A project from the text of a `recovery.yaml`; relative paths start from `base`.
fn project_from(text: &str, file: &Path, base: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Project> {
    let tree = fields::fill(&yaml::compose(text, file)?, environment)?;
    let (mut stacks, mut findings) = (Vec::new(), Vec::new());
    for stack in recovery::stacks(&tree, base)? {
        let name = stack.name.clone();
        let (stack, found) = resolve::resolve(stack, base, environment).with_context(|| format!("stack `{name}`"))?;
        stacks.push(stack);
        findings.push(found);
    }
    Ok(Project { stacks, source: Source::Recovery(file.to_owned()), notes: Vec::new(), findings })
}

/// The Compose files that Compose itself would take in a folder.
fn default_files(folder: &Path) -> Result<Vec<PathBuf>, Refusal> {
    let Some(file) = first(folder, &COMPOSE)? else { return Ok(Vec::new()) };
    Ok(std::iter::once(file).chain(first(folder, &OVERRIDE)?).collect())
}

/// The first of these names that a folder holds.
fn first(folder: &Path, names: &[&str]) -> Result<Option<PathBuf>, Refusal> {
    for name in names {
        let path = tidy(&folder.join(name));
        match path.try_exists() {
            Ok(true) => return Ok(Some(path)),
            Ok(false) => {}
            Err(e) => {
                let message = format!("{}: cannot be looked at: {e}", path.display());
                return Err(Refusal::new(RefusalKind::Configuration, message, "check the folder and its permissions"));
            }
        }
    }
    Ok(None)
}

/// Files that look like Compose files of another name, for a hint.
fn lookalikes(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|e| e.file_name().into_string().ok());
    let alike = |n: &String| {
        (n.starts_with("docker-compose.") || n.starts_with("compose.")) && (n.ends_with(".yml") || n.ends_with(".yaml"))
    };
    let mut names: Vec<String> = names.filter(alike).collect();
    names.sort();
    names
}
