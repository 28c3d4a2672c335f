//! What a service mounts, from the short and the long form. Named volumes get the names that Docker knows them by.

use super::fields::{flag, mapping, text, wrong};
use super::node::{Kind, Node};
use crate::domain::compose::{Mount, Volume};
use crate::domain::refusal::Refusal;
use crate::domain::store::Root;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// What mounts are resolved against.
pub(super) struct Ground<'a> {
    pub(super) folder: &'a Path,
    pub(super) home: Option<String>,
    pub(super) volumes: &'a BTreeMap<String, Volume>,
}

/// The mounts of a `volumes:` list; of two with the same target the later wins.
pub(super) fn mounts(node: &Node, ground: &Ground<'_>) -> Result<Vec<Mount>, Refusal> {
    let items: &[Node] = match &node.kind {
        Kind::Null => &[],
        Kind::List(items) => items,
        _ => return Err(wrong(node, "`volumes`", "a list")),
    };
    let mut found: Vec<Mount> = Vec::new();
    for item in items {
        let Some(mount) = (match &item.kind {
            Kind::Map(_) => long(item, ground)?,
            _ => Some(short(item, ground)?),
        }) else {
            continue;
        };
        found.retain(|m| m.target != mount.target);
        found.push(mount);
    }
    Ok(found)
}

/// `source:target:mode`, `source:target` or `target`.
fn short(item: &Node, ground: &Ground<'_>) -> Result<Mount, Refusal> {
    let spec = text(item, "a volume")?;
    let parts: Vec<&str> = spec.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, mode] => (Some(*source), *target, *mode),
        _ => {
            return Err(item
                .at
                .place()
                .refuse("a volume with too many colons", "write source:target or source:target:ro"));
        }
    };
    if target.is_empty() || source == Some("") {
        return Err(item.at.place().refuse("a volume with an empty part", "write source:target"));
    }
    let root = source.map(|s| root(s, item, ground)).transpose()?;
    Ok(Mount { root, target: clean(target), writable: !mode.split(',').any(|m| m == "ro"), at: item.at.place() })
}

/// The mapping form; `None` for what keeps no data (`tmpfs`, sockets).
fn long(item: &Node, ground: &Ground<'_>) -> Result<Option<Mount>, Refusal> {
    mapping(item, "a volume")?;
    let field = |key: &str| item.get(key).map(|n| text(n, key)).transpose();
    let kind = field("type")?.unwrap_or_else(|| "volume".into());
    let target = field("target")?
        .ok_or_else(|| item.at.place().refuse("a volume without `target`", "say where it is mounted"))?;
    let writable = !item.get("read_only").map(|n| flag(n, "`read_only`")).transpose()?.unwrap_or(false);
    let root = match (kind.as_str(), field("source")?) {
        ("bind", Some(source)) => Some(Root::Host(host(&source, ground))),
        ("volume", Some(source)) => Some(named(&source, item, ground)?),
        ("volume", None) => None,
        ("bind", None) => {
            return Err(item.at.place().refuse("a bind mount without `source`", "say which folder is mounted"));
        }
        _ => return Ok(None),
    };
    Ok(Some(Mount { root, target: clean(&target), writable, at: item.at.place() }))
}

fn root(source: &str, item: &Node, ground: &Ground<'_>) -> Result<Root, Refusal> {
    // Compose's rule: a path begins with a dot, a slash or a tilde; anything else is a volume's name.
    if source.starts_with(['.', '/', '~']) { Ok(Root::Host(host(source, ground))) } else { named(source, item, ground) }
}

fn named(source: &str, item: &Node, ground: &Ground<'_>) -> Result<Root, Refusal> {
    match ground.volumes.get(source) {
        Some(volume) => Ok(Root::Volume(volume.name.clone())),
        None => {
            let cause = format!("volume `{source}` is not declared");
            Err(item.at.place().refuse(
                cause,
                format!("add `{source}:` below the file's own `volumes:`, or write ./{source} for a folder"),
            ))
        }
    }
}

fn host(source: &str, ground: &Ground<'_>) -> PathBuf {
    match (source.strip_prefix('~'), &ground.home) {
        (Some(rest), Some(home)) => tidy(&Path::new(home).join(rest.trim_start_matches('/'))),
        _ => tidy(&ground.folder.join(source)),
    }
}

/// The same path without `.` and, where it is plain, `..`.
pub(super) fn tidy(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            _ => out.push(part),
        }
    }
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}

/// A container path without a slash at its end.
fn clean(target: &str) -> String {
    let cut = target.trim_end_matches('/');
    if cut.is_empty() { "/".into() } else { cut.into() }
}
