//! SQLite files: paths in environment variables, followed through mounts to the host or to a volume.

use super::Inferred;
use crate::domain::compose::{Mount, Service};
use crate::domain::store::{Location, Root, Store};
use std::path::{Component, Path, PathBuf};

const ENDINGS: [&str; 4] = ["db", "sqlite", "sqlite3", "db3"];

/// Adds every SQLite file that the service's environment names, and mounted ones.
pub(super) fn add(service: &Service, found: &mut Inferred) {
    for (name, variable) in &service.environment {
        let Some(paths) = paths_in(variable.value.expose(), name) else { continue };
        match paths.iter().find_map(|p| locate(p, service)) {
            Some((location, mount)) => {
                let because = vec![
                    ("service", format!("{name} names an SQLite file"), Some(variable.at.clone())),
                    ("path", format!("mounted at {}", mount.target), Some(mount.at.clone())),
                ];
                warn_of_lone_file(mount, &location, found);
                found.push(store(service, location), because);
            }
            None => found.notes.push(format!(
                "{}: `{name}` of service `{}` names an SQLite file that no mount keeps: it is lost with the container",
                variable.at, service.name
            )),
        }
    }
    for mount in service.mounts.iter().filter(|m| m.writable && m.root.is_some()) {
        if has_ending(Path::new(&mount.target))
            && let Some((location, mount)) = locate(Path::new(&mount.target), service)
        {
            let because = vec![("path", "a mounted database file".into(), Some(mount.at.clone()))];
            warn_of_lone_file(mount, &location, found);
            found.push(store(service, location), because);
        }
    }
}

/// A file that is mounted alone leaves its sidecars in the container: what is only in the WAL is seen by nobody else, and lost with it.
fn warn_of_lone_file(mount: &Mount, location: &Location, found: &mut Inferred) {
    let Location::File { root: Root::Host(folder), path } = location else { return };
    let file = folder.join(path);
    let note = format!(
        "{}: {} is mounted alone, so its -wal and -shm stay inside the container: mount its folder instead, or a database in \
         WAL mode cannot be backed up while it is open",
        mount.at,
        file.display()
    );
    if mount.root == Some(Root::Host(file)) && !found.notes.contains(&note) {
        found.notes.push(note);
    }
}

fn store(service: &Service, location: Location) -> Store {
    let stem = match &location {
        Location::File { path, .. } => path.file_stem().map(|s| s.to_string_lossy().into_owned()),
        _ => None,
    };
    Store {
        name: stem.unwrap_or_else(|| service.name.clone()),
        engine: "sqlite".into(),
        service: Some(service.name.clone()),
        image: None,
        location,
        allow_empty: false,
    }
}

/// What a value may mean as a path inside the container, most literal first; `None` when it names no SQLite file.
fn paths_in(value: &str, name: &str) -> Option<Vec<PathBuf>> {
    let value = value.split(['?', '#']).next().unwrap_or("");
    let scheme = value.split_once(':').map(|(scheme, _)| scheme.to_lowercase());
    let (sure, path) = match scheme.as_deref() {
        Some(s) if s == "sqlite" || s == "sqlite3" || s.starts_with("sqlite+") => (true, &value[s.len() + 1..]),
        Some("file") => {
            let name = name.to_uppercase();
            (name.contains("DATABASE") || name.contains("SQLITE") || name.contains("DB"), &value["file:".len()..])
        }
        Some(_) => return None,
        None => (false, value),
    };
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty()
        || path.contains(":memory:")
        || (!sure && !has_ending(Path::new(path)))
        || path.contains(char::is_whitespace)
    {
        return None;
    }
    // Three slashes mean a relative path to some libraries and an absolute one to others: the mounts decide.
    let relative = path.strip_prefix('/').filter(|_| value.len() > path.len()).map(PathBuf::from);
    Some(std::iter::once(PathBuf::from(path)).chain(relative).collect())
}

fn has_ending(path: &Path) -> bool {
    path.extension().is_some_and(|e| ENDINGS.iter().any(|known| e.eq_ignore_ascii_case(known)))
}

/// Where a path of the container really is.
fn locate<'s>(path: &Path, service: &'s Service) -> Option<(Location, &'s Mount)> {
    let plain: PathBuf = path.components().filter(|c| !matches!(c, Component::CurDir)).collect();
    if plain.components().any(|c| matches!(c, Component::ParentDir)) {
        return None;
    }
    let (mount, below) = if plain.is_absolute() {
        deepest(&plain, service)?
    } else if let Some(dir) = &service.working_dir {
        deepest(&Path::new(dir).join(&plain), service)?
    } else {
        by_folder_name(&plain, service)?
    };
    let location = match (mount.root.clone()?, below.as_os_str().is_empty()) {
        (Root::Host(file), true) => {
            Location::File { root: Root::Host(file.parent()?.to_owned()), path: file.file_name()?.into() }
        }
        (Root::Host(folder), false) => {
            let file = folder.join(&below);
            Location::File { root: Root::Host(file.parent()?.to_owned()), path: file.file_name()?.into() }
        }
        (Root::Volume(_), true) => return None,
        (root @ Root::Volume(_), false) => Location::File { root, path: below },
    };
    Some((location, mount))
}

/// The mount nearest above an absolute path, and the way from it.
fn deepest<'s>(path: &Path, service: &'s Service) -> Option<(&'s Mount, PathBuf)> {
    let above = service.mounts.iter().filter(|m| path.starts_with(&m.target));
    let mount = above.max_by_key(|m| Path::new(&m.target).components().count())?;
    Some((mount, path.strip_prefix(&mount.target).ok()?.to_owned()))
}

/// A relative path whose working folder is the image's secret: `data/x.db` fits the one mount that ends in `/data`.
fn by_folder_name<'s>(path: &Path, service: &'s Service) -> Option<(&'s Mount, PathBuf)> {
    let folders: Vec<&Path> = path.ancestors().skip(1).filter(|a| !a.as_os_str().is_empty()).collect();
    for folder in folders {
        let mut fits = service.mounts.iter().filter(|m| Path::new(&m.target).ends_with(folder));
        if let (Some(mount), None) = (fits.next(), fits.next()) {
            return Some((mount, path.strip_prefix(folder).ok()?.to_owned()));
        }
    }
    None
}
