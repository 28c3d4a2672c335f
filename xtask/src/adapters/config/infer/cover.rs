//! Names what no store covers: every place that a service can write to and that would be lost.

use super::{Kind, kind_of};
use crate::domain::compose::{ComposeProject, Mount, Service};
use crate::domain::coverage::{Coverage, Gap, names};
use crate::domain::stack::Foreign;
use crate::domain::store::{Location, Root, Store};
use std::path::Path;

/// Mounts that belong to the host, not to the stack.
const HOSTS_OWN: [&str; 6] = ["/var/run", "/run", "/dev", "/proc", "/sys", "/etc"];

/// A note for each place without a store.
pub(in crate::adapters::config) fn uncovered(project: &ComposeProject, stores: &[Store]) -> Vec<String> {
    let gaps = looked_at(project, stores).gaps.into_iter().map(|gap| gap.to_string());
    gaps.chain(keeps_nothing(project, stores)).chain(unused(project).iter().map(ToString::to_string)).collect()
}

/// All places that hold data, and those that no store covers: database services among them, and volumes that nobody mounts.
pub(in crate::adapters::config) fn coverage(
    project: &ComposeProject,
    stores: &[Store],
    foreign: &[Foreign],
) -> Coverage {
    let mut found = looked_at(project, stores);
    found.gaps.extend(unused(project));
    for service in project.services.values() {
        let server = service.image.as_ref().is_some_and(|(image, _)| kind_of(image) == Kind::Postgres);
        let stored = stores.iter().any(|s| s.service.as_deref() == Some(&service.name));
        let unknown = foreign.iter().find(|f| f.service == service.name);
        let what = match (unknown, server && !stored) {
            (Some(foreign), _) => {
                format!("service `{}` is {}: no engine backs that up yet", service.name, foreign.what)
            }
            (None, true) => format!("service `{}` is PostgreSQL, and no store covers it", service.name),
            (None, false) => String::new(),
        };
        if server || unknown.is_some() {
            found.places.push(format!("service {}", service.name));
        }
        if !what.is_empty() {
            found.gaps.push(Gap { what, at: service.at.clone(), names: names(project, service, None) });
        }
    }
    found
}

/// What services can write to.
fn looked_at(project: &ComposeProject, stores: &[Store]) -> Coverage {
    let mut found = Coverage::default();
    let mut told: Vec<&Root> = Vec::new();
    for service in project.services.values() {
        for mount in service.mounts.iter().filter(|m| m.writable && !of_the_host(m)) {
            let mut gap =
                |what| found.gaps.push(Gap { what, at: mount.at.clone(), names: names(project, service, Some(mount)) });
            let Some(root) = &mount.root else {
                found.places.push(format!("an anonymous volume of {}", service.name));
                if !server_data(service, mount, stores) {
                    gap(format!(
                        "an anonymous volume (service `{}`, {}) is covered by no store",
                        service.name, mount.target
                    ));
                }
                continue;
            };
            if told.contains(&root) {
                continue;
            }
            if !found.places.contains(&shown(root)) {
                found.places.push(shown(root));
            }
            if server_data(service, mount, stores) {
                continue;
            }
            told.push(root);
            match how(root, stores) {
                Cover::Whole => {}
                Cover::OneFile(file) => gap(format!("of {} only {file} is covered", shown(root))),
                Cover::None => gap(format!(
                    "{} (service `{}`, {}) is covered by no store",
                    shown(root),
                    service.name,
                    mount.target
                )),
            }
        }
    }
    found
}

enum Cover {
    Whole,
    OneFile(String),
    None,
}

fn how(root: &Root, stores: &[Store]) -> Cover {
    let mut file = None;
    for store in stores {
        match &store.location {
            Location::Folder { root: kept, path } if holds(kept, path, root) => return Cover::Whole,
            Location::File { root: Root::Host(kept), path } => match root {
                Root::Host(mounted) if *mounted == kept.join(path) => return Cover::Whole,
                Root::Host(mounted) if kept.starts_with(mounted) => file = Some(path.display().to_string()),
                _ => {}
            },
            Location::File { root: kept, path } if kept == root => file = Some(path.display().to_string()),
            _ => {}
        }
    }
    file.map_or(Cover::None, Cover::OneFile)
}

fn holds(kept: &Root, path: &Path, root: &Root) -> bool {
    match (kept, root) {
        (Root::Host(kept), Root::Host(root)) => root.starts_with(kept.join(path)),
        _ => kept == root,
    }
}

/// A database server's own data folder is covered by the store that dumps the server; what only feeds its first start holds nothing.
fn server_data(service: &Service, mount: &Mount, stores: &[Store]) -> bool {
    let dumped = stores
        .iter()
        .any(|s| s.service.as_deref() == Some(&service.name) && matches!(s.location, Location::Database { .. }));
    dumped && (mount.target == "/docker-entrypoint-initdb.d" || data_folder(service, &mount.target))
}

fn data_folder(service: &Service, target: &str) -> bool {
    let pgdata = service.variable("PGDATA").map(|v| v.value.expose().to_owned());
    let folders = ["/var/lib/postgresql", "/bitnami/postgresql"];
    folders.iter().any(|f| Path::new(target).starts_with(f))
        || pgdata.is_some_and(|p| Path::new(&p).starts_with(target))
}

/// Database servers whose data folder nobody mounts.
fn keeps_nothing(project: &ComposeProject, stores: &[Store]) -> Vec<String> {
    let server = |s: &&Service| s.image.as_ref().is_some_and(|(image, _)| kind_of(image) == Kind::Postgres);
    let bare = |s: &&Service| !s.mounts.iter().any(|m| m.root.is_some() && data_folder(s, &m.target));
    let known = |s: &&Service| stores.iter().any(|store| store.service.as_deref() == Some(&s.name));
    let services = project.services.values().filter(server).filter(bare).filter(known);
    services
        .map(|s| format!("{}: service `{}` keeps its data in no named volume: `down` loses it", s.at, s.name))
        .collect()
}

/// Volumes that are declared and that no service mounts: what is believed to be kept there is not.
fn unused(project: &ComposeProject) -> Vec<Gap> {
    if !project.inactive.is_empty() {
        return Vec::new();
    }
    let mounted = |name: &str| {
        project.services.values().flat_map(|s| &s.mounts).any(|m| matches!(&m.root, Some(Root::Volume(v)) if v == name))
    };
    let idle = project.volumes.iter().filter(|(_, v)| !mounted(&v.name));
    let gap = |(key, v): (&String, &crate::domain::compose::Volume)| Gap {
        what: format!("volume `{key}` is declared and no service mounts it"),
        at: v.at.clone(),
        names: vec![v.name.clone(), key.clone()],
    };
    idle.map(gap).collect()
}

fn of_the_host(mount: &Mount) -> bool {
    match &mount.root {
        Some(Root::Host(path)) => {
            HOSTS_OWN.iter().any(|own| path.starts_with(own)) || path.extension().is_some_and(|e| e == "sock")
        }
        _ => false,
    }
}

fn shown(root: &Root) -> String {
    match root {
        Root::Host(path) => format!("folder {}", path.display()),
        Root::Volume(name) => format!("volume {name}"),
    }
}
