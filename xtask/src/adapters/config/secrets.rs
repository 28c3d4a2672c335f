//! `NAME_FILE` variables: the value is in a secret or a mounted file. It reads what can be read from here and nothing else.

use super::node::Node;
use super::{fields::text, mounts::tidy, source};
use crate::adapters::environment::{Lookup, text_of};
use crate::domain::compose::{Service, Variable};
use crate::domain::refusal::Refusal;
use crate::domain::secret::Secret;
use crate::domain::store::Root;
use std::path::{Path, PathBuf};

/// The variables whose file form the database images know.
const NAMES: [&str; 6] = [
    "POSTGRES_PASSWORD",
    "POSTGRES_USER",
    "POSTGRES_DB",
    "POSTGRESQL_PASSWORD",
    "POSTGRESQL_USERNAME",
    "POSTGRESQL_DATABASE",
];

/// Gives the service the variables whose values are kept in files.
pub(super) fn add(service: &mut Service, tree: &Node, folder: &Path, lookup: Lookup<'_>) -> Result<(), Refusal> {
    for name in NAMES {
        let Some(named) = service.variable(&format!("{name}_FILE")).cloned() else { continue };
        if service.variable(name).is_some() {
            continue;
        }
        let path = named.value.expose();
        let value = match path.strip_prefix("/run/secrets/") {
            Some(secret) => declared(secret, tree, folder, lookup)?,
            None => mounted(path, service).map(|p| content(&p)).transpose()?.flatten(),
        };
        if let Some(value) = value {
            service.environment.insert(name.into(), Variable { value: Secret::new(value), at: named.at });
        }
    }
    Ok(())
}

/// A secret of the Compose file: from a file, or from a variable.
fn declared(name: &str, tree: &Node, folder: &Path, lookup: Lookup<'_>) -> Result<Option<String>, Refusal> {
    let Some(secret) = tree.get("secrets").and_then(|s| s.get(name)) else { return Ok(None) };
    if let Some(variable) = secret.get("environment") {
        return Ok(lookup(&text(variable, "`environment` of a secret")?));
    }
    match secret.get("file") {
        Some(file) => content(&tidy(&folder.join(text(file, "`file` of a secret")?))),
        None => Ok(None),
    }
}

fn mounted(path: &str, service: &Service) -> Option<PathBuf> {
    service.mounts.iter().find_map(|m| match &m.root {
        Some(Root::Host(host)) => Path::new(path).strip_prefix(&m.target).ok().map(|below| tidy(&host.join(below))),
        _ => None,
    })
}

/// The file's text as the images read it: without the line breaks at its end.
pub(super) fn content(path: &Path) -> Result<Option<String>, Refusal> {
    let Some(bytes) = source::read_if_there(path)? else { return Ok(None) };
    Ok(Some(text_of(&bytes, path)?.trim_end_matches(['\n', '\r']).to_owned()))
}
