//! Names what no store covers: every place that a service can write to and that would be lost.

use super::{Kind, elsewhere, kind_of};
use crate::domain::compose::{ComposeProject, Mount, Service};
use crate::domain::coverage::{Coverage, Gap, names};
use crate::domain::stack::Foreign;
use crate::domain::store::{Location, Root, Store};
use std::path::Path;

/// Trees that belong to the host, not to the stack. Below `/etc` and `/run` only what is named: people keep data there too.
const HOSTS_OWN: [&str; 16] = [
    "/dev",
    "/proc",
    "/sys",
    "/run/docker",
    "/run/containerd",
    "/run/dbus",
    "/run/systemd",
    "/run/udev",
    "/run/user",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/machine-id",
    "/etc/resolv.conf",
];
/// The same, whole: what is below is looked at.
const HOSTS_FILES: [&str; 6] = ["/etc/hosts", "/etc/hostname", "/etc/passwd", "/etc/group", "/etc/os-release", "/run"];

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
    found.unseen.clone_from(&project.unseen);
    for service in project.all() {
        let server = is_postgres(service);
        let stored = stores.iter().any(|s| s.service.as_deref() == Some(&service.name));
        let known = service.image.as_ref().map(|(image, _)| kind_of(image));
        let unknown = foreign.iter().find(|f| f.service == service.name).map(|f| f.what.as_str());
        let unknown = unknown.or(if let Some(Kind::Unsupported(what)) = known { Some(what) } else { None });
        let what = match (unknown, server && !stored) {
            (Some(what), _) => format!("service `{}` is {what}: no engine backs that up yet", service.name),
            (None, true) => format!("service `{}` is PostgreSQL, and no store covers it", service.name),
            (None, false) => String::new(),
        };
        if server || unknown.is_some() {
            found.places.push(format!("service {}", service.name));
        } else if service.mounts.is_empty() && !stored && !keeps_nothing_known(service) {
            found.bare.push(service.name.clone());
        }
        if !what.is_empty() {
            let (at, names) = (service.at.clone(), vec![service.name.clone()]);
            found.gaps.push(Gap { what, at, writers: names.clone(), names });
        }
    }
    found.gaps.extend(elsewhere::uncovered(project, stores));
    found
}

/// Whether its image is one that serves, routes or computes, and keeps nothing.
fn keeps_nothing_known(service: &Service) -> bool {
    const IMAGES: [&str; 20] = [
        "nginx",
        "nginx-unprivileged",
        "httpd",
        "caddy",
        "traefik",
        "haproxy",
        "envoy",
        "varnish",
        "memcached",
        "pgbouncer",
        "postgres-exporter",
        "node-exporter",
        "blackbox-exporter",
        "cadvisor",
        "whoami",
        "hello-world",
        "busybox",
        "alpine",
        "mailpit",
        "socat",
    ];
    let name = |image: &str| {
        let image = image.split('@').next().unwrap_or(image);
        let last = image.rsplit('/').next().unwrap_or(image);
        last.split(':').next().unwrap_or(last).to_lowercase()
    };
    service.image.as_ref().is_some_and(|(image, _)| IMAGES.contains(&name(image).as_str()))
}

/// Who can write to a root.
fn writers(project: &ComposeProject, service: &Service, mount: &Mount) -> Vec<String> {
    let writes = |s: &&Service| s.mounts.iter().any(|m| m.writable && m.root == mount.root);
    match &mount.root {
        None => vec![service.name.clone()],
        Some(_) => project.all().filter(writes).map(|s| s.name.clone()).collect(),
    }
}

/// What services can write to.
fn looked_at(project: &ComposeProject, stores: &[Store]) -> Coverage {
    let mut found = Coverage::default();
    let mut told: Vec<&Root> = Vec::new();
    for service in project.all() {
        for mount in service.mounts.iter().filter(|m| m.writable && !of_the_host(m)) {
            let mut gap = |what| {
                let (names, writers) = (names(project, mount), writers(project, service, mount));
                found.gaps.push(Gap { what, at: mount.at.clone(), names, writers });
            };
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
    let target = Path::new(target);
    let said = |name: &str| service.variable(name).map(|v| v.value.expose().to_owned());
    // The server's own place and what is above it; any other folder below is somebody else's.
    let own = |below: &Path| {
        let parts: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let version = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] | ["data"] | ["data", "pgdata"] => true,
            [number] | [number, "docker" | "data" | "main"] => version(number),
            _ => false,
        }
    };
    let folders = ["/var/lib/postgresql", "/bitnami/postgresql"];
    folders.iter().filter_map(|f| target.strip_prefix(f).ok()).any(own)
        || ["PGDATA", "POSTGRES_INITDB_WALDIR"]
            .iter()
            .filter_map(|n| said(n))
            .any(|p| Path::new(&p).starts_with(target))
}

fn is_postgres(service: &Service) -> bool {
    service.image.as_ref().is_some_and(|(image, _)| kind_of(image) == Kind::Postgres)
}

/// Database servers whose data folder nobody mounts.
fn keeps_nothing(project: &ComposeProject, stores: &[Store]) -> Vec<String> {
    let server = |s: &&Service| is_postgres(s);
    let bare = |s: &&Service| !s.mounts.iter().any(|m| m.root.is_some() && data_folder(s, &m.target));
    let known = |s: &&Service| stores.iter().any(|store| store.service.as_deref() == Some(&s.name));
    let services = project.services.values().filter(server).filter(bare).filter(known);
    services
        .map(|s| format!("{}: service `{}` keeps its data in no named volume: `down` loses it", s.at, s.name))
        .collect()
}

/// Volumes that are declared and that no service mounts: what is believed to be kept there is not.
fn unused(project: &ComposeProject) -> Vec<Gap> {
    if !project.unseen.is_empty() {
        return Vec::new();
    }
    let mounted = |name: &str| {
        project.all().flat_map(|s| &s.mounts).any(|m| matches!(&m.root, Some(Root::Volume(v)) if v == name))
    };
    let idle = project.volumes.iter().filter(|(_, v)| !mounted(&v.name));
    let gap = |(key, v): (&String, &crate::domain::compose::Volume)| Gap {
        what: format!("volume `{key}` is declared and no service mounts it"),
        at: v.at.clone(),
        names: vec![v.name.clone(), key.clone()],
        writers: Vec::new(),
    };
    idle.map(gap).collect()
}

fn of_the_host(mount: &Mount) -> bool {
    match &mount.root {
        Some(Root::Host(path)) => {
            let path = path.strip_prefix("/var").ok().map_or_else(|| path.clone(), |below| Path::new("/").join(below));
            HOSTS_OWN.iter().any(|own| path.starts_with(own))
                || HOSTS_FILES.iter().any(|own| path == Path::new(own))
                || path.extension().is_some_and(|e| e == "sock")
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
