//! Loads a Compose project: reads, fills in, merges, and says what its services are. It must not know what a store is.

use super::fields::{fill, flag, mapping, text, texts};
use super::merge::{merge, prepare, without_resets};
use super::mounts::tidy;
use super::node::{Kind, Node};
use super::{service, source, yaml};
use crate::adapters::environment::{self, Lookup};
use crate::domain::artifact::hex;
use crate::domain::compose::{ComposeProject, Network, Volume};
use crate::domain::refusal::Refusal;
use crate::domain::suggest;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The keys of a Compose file.
const TOP: [&str; 10] =
    ["version", "name", "services", "networks", "volumes", "configs", "secrets", "include", "models", "provider"];

/// What to load.
pub(super) struct Request<'a> {
    pub(super) files: Vec<PathBuf>,
    pub(super) env_file: Option<PathBuf>,
    pub(super) project: Option<String>,
    pub(super) profiles: Vec<String>,
    pub(super) environment: Lookup<'a>,
}

/// A loaded project and the variables of its env file.
pub(super) struct Loaded {
    pub(super) project: ComposeProject,
    pub(super) env_file: Option<PathBuf>,
    pub(super) variables: BTreeMap<String, String>,
    /// SHA-256 of the bytes of the files, in their order.
    pub(super) sha256: String,
}

/// Loads the files of one project.
pub(super) fn load(request: &Request<'_>) -> Result<Loaded, Refusal> {
    let first = request.files.first().map_or(Path::new("."), |f| f.as_path());
    let folder = tidy(first.parent().unwrap_or(Path::new(".")));
    let (env_file, variables) = variables(request, &folder)?;
    let known = |name: &str| (request.environment)(name).or_else(|| variables.get(name).cloned());

    let mut trees = Vec::new();
    let mut digest = Sha256::new();
    for file in &request.files {
        let text =
            source::read_text(file, "a Compose file", "check `compose:` in recovery.yaml, or the folder you are in")?;
        digest.update(&text);
        trees.push(yaml::compose(&text, file)?);
    }
    let sha256 = hex(&digest.finalize());
    let name = project_name(request, &trees, &folder, &known)?;
    let lookup = |variable: &str| match variable {
        "COMPOSE_PROJECT_NAME" => Some(name.clone()),
        _ => known(variable),
    };
    let mut merged: Option<Node> = None;
    for tree in &trees {
        let tree = prepare(&fill(tree, &lookup)?);
        merged = Some(merged.map_or_else(|| tree.clone(), |base| merge("", &base, &tree)));
    }
    let Some(tree) = merged.map(|t| without_resets(&t)) else {
        return Ok(Loaded { project: ComposeProject::default(), env_file, variables, sha256 });
    };
    let mut project = ComposeProject { name: name.clone(), folder, ..ComposeProject::default() };
    top(&tree, &mut project)?;
    let mut profiles = request.profiles.clone();
    profiles
        .extend(known("COMPOSE_PROFILES").unwrap_or_default().split(',').filter(|p| !p.is_empty()).map(str::to_owned));
    service::services(&tree, &mut project, &profiles, &lookup)?;
    Ok(Loaded { project, env_file, variables, sha256 })
}

/// The variables of the given env file, or of `.env` beside the first Compose file when there is one.
fn variables(request: &Request<'_>, folder: &Path) -> Result<(Option<PathBuf>, BTreeMap<String, String>), Refusal> {
    let (path, bytes) = match &request.env_file {
        Some(path) => {
            let hint = "copy the example env file to this name and fill it in, or correct `env_file` in recovery.yaml";
            (path.clone(), source::read(path, "the env file", hint)?)
        }
        None => {
            let path = folder.join(".env");
            match source::read_if_there(&path)? {
                Some(bytes) => (path, bytes),
                None => return Ok((None, BTreeMap::new())),
            }
        }
    };
    let found = environment::parse(&bytes, &path, request.environment)?;
    Ok((Some(path), found.into_iter().map(|v| (v.name, v.value)).collect()))
}

/// Who decides the project's name, in Compose's own order: `-p`, the environment, the last `name:`, the folder.
fn project_name(request: &Request<'_>, trees: &[Node], folder: &Path, known: Lookup<'_>) -> Result<String, Refusal> {
    if let Some(name) = &request.project {
        return Ok(name.clone());
    }
    if let Some(name) = known("COMPOSE_PROJECT_NAME").filter(|n| !n.is_empty()) {
        return Ok(name);
    }
    if let Some(node) = trees.iter().rev().find_map(|t| t.get("name")) {
        return text(&fill(node, known)?, "`name`");
    }
    let folder = std::path::absolute(folder).map_or_else(|_| folder.to_owned(), |f| tidy(&f));
    let base = folder.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name: String = base.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
    Ok(name.trim_start_matches(['-', '_']).to_owned())
}

/// The parts of the file beside its services.
fn top(tree: &Node, project: &mut ComposeProject) -> Result<(), Refusal> {
    for (key, _) in mapping(tree, "the Compose file")? {
        unknown(&key.text, &key.at.place(), "the Compose file", &TOP, &mut project.notes)?;
        if &*key.text == "include" {
            let note = format!("{}: `include` is not followed: stores in included files are not seen", key.at.place());
            project.notes.push(note.clone());
            project.unseen.push(note);
        }
    }
    for (key, node) in tree.get("volumes").map(|n| mapping(n, "`volumes`")).transpose()?.unwrap_or_default() {
        let (name, external) = known_as(&key.text, node, &project.name, "volume")?;
        project.volumes.insert(key.text.to_string(), Volume { name, external, at: key.at.place() });
    }
    for (key, node) in tree.get("networks").map(|n| mapping(n, "`networks`")).transpose()?.unwrap_or_default() {
        let (name, external) = known_as(&key.text, node, &project.name, "network")?;
        project.networks.insert(key.text.to_string(), Network { name, external, at: key.at.place() });
    }
    Ok(())
}

/// The name by which Docker knows a declared thing, and whether it is made outside of the project.
fn known_as(key: &str, node: &Node, project: &str, what: &str) -> Result<(String, bool), Refusal> {
    let external = match node.get("external") {
        Some(n) if matches!(n.kind, Kind::Map(_)) => true,
        Some(n) => flag(n, "`external`")?,
        None => false,
    };
    let given = node.get("name").or_else(|| node.get("external").and_then(|n| n.get("name")));
    let name = match given {
        Some(n) => text(n, &format!("`name` of a {what}"))?,
        None if external => key.to_owned(),
        None => format!("{project}_{key}"),
    };
    Ok((name, external))
}

/// A key that nobody knows: a slip when it is near a known one, else something newer, which is noted.
pub(super) fn unknown(
    key: &str,
    at: &crate::domain::place::Place,
    what: &str,
    known: &[&str],
    notes: &mut Vec<String>,
) -> Result<(), Refusal> {
    if known.contains(&key) || key.starts_with("x-") {
        return Ok(());
    }
    match suggest::nearest(key, known.iter().copied()) {
        Some(_) => Err(at.refuse(format!("unknown key `{key}` in {what}"), suggest::hint(key, known))),
        None => {
            notes.push(format!("{at}: key `{key}` in {what} is not known here and was not looked at"));
            Ok(())
        }
    }
}

/// The profiles of a service that must be active, `None` when it always starts.
pub(super) fn profiles(service: &Node) -> Result<Option<Vec<String>>, Refusal> {
    let Some(node) = service.get("profiles") else { return Ok(None) };
    let names: Vec<String> = texts(node, "`profiles`")?.into_iter().map(|(name, _)| name).collect();
    Ok((!names.is_empty()).then_some(names))
}
