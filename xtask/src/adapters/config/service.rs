//! The services of a Compose file: image, mounts, labels, what they wait for. It must not know which of them hold data.

use super::compose::{profiles, unknown};
use super::fields::{flag, mapping, text, texts};
use super::mounts::{Ground, mounts};
use super::node::{Kind, Node};
use super::{secrets, variables};
use crate::adapters::environment::Lookup;
use crate::domain::compose::{ComposeProject, Service};
use crate::domain::place::Place;
use crate::domain::refusal::Refusal;
use std::collections::BTreeMap;

/// The keys of a service, as the Compose specification lists them.
const KEYS: &[&str] = &[
    "annotations",
    "attach",
    "blkio_config",
    "build",
    "cap_add",
    "cap_drop",
    "cgroup",
    "cgroup_parent",
    "command",
    "configs",
    "container_name",
    "cpu_count",
    "cpu_percent",
    "cpu_period",
    "cpu_quota",
    "cpu_rt_period",
    "cpu_rt_runtime",
    "cpu_shares",
    "cpus",
    "cpuset",
    "credential_spec",
    "depends_on",
    "deploy",
    "develop",
    "device_cgroup_rules",
    "devices",
    "dns",
    "dns_opt",
    "dns_search",
    "domainname",
    "driver_opts",
    "entrypoint",
    "env_file",
    "environment",
    "expose",
    "extends",
    "external_links",
    "extra_hosts",
    "gpus",
    "group_add",
    "healthcheck",
    "hostname",
    "image",
    "init",
    "ipc",
    "isolation",
    "label_file",
    "labels",
    "links",
    "logging",
    "mac_address",
    "mem_limit",
    "mem_reservation",
    "mem_swappiness",
    "memswap_limit",
    "models",
    "network_mode",
    "networks",
    "oom_kill_disable",
    "oom_score_adj",
    "pid",
    "pids_limit",
    "platform",
    "ports",
    "post_start",
    "pre_stop",
    "privileged",
    "profiles",
    "provider",
    "pull_policy",
    "read_only",
    "restart",
    "runtime",
    "scale",
    "secrets",
    "security_opt",
    "shm_size",
    "stdin_open",
    "stop_grace_period",
    "stop_signal",
    "storage_opt",
    "sysctls",
    "tmpfs",
    "tty",
    "ulimits",
    "use_api_socket",
    "user",
    "userns_mode",
    "uts",
    "volumes",
    "volumes_from",
    "working_dir",
];

/// Reads every service into the project.
pub(super) fn services(
    tree: &Node,
    project: &mut ComposeProject,
    active: &[String],
    lookup: Lookup<'_>,
) -> Result<(), Refusal> {
    let Some(services) = tree.get("services") else { return Ok(()) };
    for (key, node) in mapping(services, "`services`")? {
        let what = format!("service `{}`", key.text);
        for (field, _) in mapping(node, &what)? {
            unknown(&field.text, &field.at.place(), &what, KEYS, &mut project.notes)?;
        }
        if let Some(wanted) = profiles(node)?
            && !wanted.iter().any(|p| active.contains(p) || active.iter().any(|a| a == "*"))
        {
            let note = format!(
                "{}: service `{}` starts only with profile {}: left out",
                key.at.place(),
                key.text,
                wanted.join(" or ")
            );
            project.notes.push(note);
            project.inactive.push(key.text.to_string());
            match service(&key.text, key.at.place(), node, project, lookup) {
                Ok(service) => project.asleep.push(service),
                // Compose does not start it: it may be wrong without any harm but this one.
                Err(refusal) => project.unseen.push(format!("service `{}`: {}", key.text, refusal.message)),
            }
            inherits(&key.text, node, project);
            continue;
        }
        inherits(&key.text, node, project);
        let mut service = service(&key.text, key.at.place(), node, project, lookup)?;
        secrets::add(&mut service, tree, &project.folder, lookup)?;
        project.services.insert(service.name.clone(), service);
    }
    known_dependencies(project)
}

/// Notes what a service has from elsewhere: nobody here has seen it.
fn inherits(name: &str, node: &Node, project: &mut ComposeProject) {
    for (key, what) in [("extends", "what service"), ("volumes_from", "which volumes service")] {
        if let Some(from) = node.get(key) {
            let has = if key == "extends" { "inherits" } else { "mounts" };
            let note = format!("{}: `{key}` is not followed: {what} `{name}` {has} is not seen", from.at.place());
            project.notes.push(note.clone());
            project.unseen.push(note);
        }
    }
}

fn service(
    name: &str,
    at: Place,
    node: &Node,
    project: &ComposeProject,
    lookup: Lookup<'_>,
) -> Result<Service, Refusal> {
    let field = |key: &'static str| node.get(key).map(|n| text(n, key).map(|t| (t, n.at.place()))).transpose();
    let ground = Ground { folder: &project.folder, home: lookup("HOME"), volumes: &project.volumes };
    let mounts = node.get("volumes").map(|n| mounts(n, &ground)).transpose()?.unwrap_or_default();
    let labels = match node.get("labels") {
        Some(labels) => mapping(labels, "`labels`")?.iter().map(|(k, n)| (k.text.to_string(), shown(n))).collect(),
        None => BTreeMap::new(),
    };
    let label_places = match node.get("labels") {
        Some(labels) => mapping(labels, "`labels`")?.iter().map(|(k, _)| (k.text.to_string(), k.at.place())).collect(),
        None => BTreeMap::new(),
    };
    Ok(Service {
        name: name.to_owned(),
        at,
        image: field("image")?,
        working_dir: field("working_dir")?.map(|(dir, _)| dir),
        environment: variables::environment_of(node, &project.folder, lookup)?,
        mounts,
        healthcheck: healthcheck(node)?,
        labels,
        label_places,
        networks: names(node.get("networks"), "`networks`")?,
        depends_on: dependencies(node)?,
    })
}

fn healthcheck(node: &Node) -> Result<bool, Refusal> {
    let Some(check) = node.get("healthcheck") else { return Ok(false) };
    let disabled = check.get("disable").map(|n| flag(n, "`disable`")).transpose()?.unwrap_or(false);
    let test = check.get("test").map(|n| texts(n, "`test`")).transpose()?.unwrap_or_default();
    Ok(!disabled && test.first().is_some_and(|(word, _)| word != "NONE"))
}

/// The names of a list, or the keys of a mapping.
fn names(node: Option<&Node>, what: &str) -> Result<Vec<String>, Refusal> {
    match node.map(|n| (&n.kind, n)) {
        None => Ok(Vec::new()),
        Some((Kind::Map(pairs), _)) => Ok(pairs.iter().map(|(k, _)| k.text.to_string()).collect()),
        Some((_, node)) => Ok(texts(node, what)?.into_iter().map(|(name, _)| name).collect()),
    }
}

/// The services it waits for, without those that may be missing.
fn dependencies(node: &Node) -> Result<Vec<String>, Refusal> {
    let optional = |name: &String| {
        let required = node.get("depends_on").and_then(|d| d.get(name)).and_then(|d| d.get("required"));
        required.is_some_and(|r| matches!(&r.kind, Kind::Text(text, _) if &**text == "false"))
    };
    Ok(names(node.get("depends_on"), "`depends_on`")?.into_iter().filter(|name| !optional(name)).collect())
}

fn shown(node: &Node) -> String {
    match &node.kind {
        Kind::Text(text, _) => text.to_string(),
        _ => String::new(),
    }
}

/// Compose refuses to start what waits for a service that does not exist.
fn known_dependencies(project: &ComposeProject) -> Result<(), Refusal> {
    for service in project.services.values() {
        for other in &service.depends_on {
            if !project.services.contains_key(other) && !project.inactive.contains(other) {
                let cause = format!("service `{}` depends on `{other}`, which no file defines", service.name);
                return Err(service
                    .at
                    .refuse(cause, "name the Compose file that defines it too, or remove it from `depends_on`"));
            }
        }
    }
    Ok(())
}
