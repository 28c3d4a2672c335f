//! One service of a Compose file: image, environment, mounts, labels. It must not know which of them hold data.

use super::compose::{profiles, unknown};
use super::fields::{flag, mapping, only, text, texts, wrong};
use super::mounts::{Ground, mounts};
use super::node::{Kind, Node, Style};
use super::{secrets, source};
use crate::adapters::environment::{self, Lookup};
use crate::domain::compose::{ComposeProject, Service, Variable};
use crate::domain::place::Place;
use crate::domain::refusal::Refusal;
use crate::domain::secret::Secret;
use std::collections::BTreeMap;
use std::path::Path;

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
            continue;
        }
        if let Some(extends) = node.get("extends") {
            let note = format!(
                "{}: `extends` is not followed: what service `{}` inherits is not seen",
                extends.at.place(),
                key.text
            );
            project.notes.push(note);
        }
        let mut service = service(&key.text, key.at.place(), node, project, lookup)?;
        secrets::add(&mut service, tree, &project.folder, lookup)?;
        project.services.insert(service.name.clone(), service);
    }
    known_dependencies(project)
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
    Ok(Service {
        name: name.to_owned(),
        at,
        image: field("image")?,
        working_dir: field("working_dir")?.map(|(dir, _)| dir),
        environment: environment_of(node, &project.folder, lookup)?,
        mounts,
        healthcheck: healthcheck(node)?,
        labels,
        networks: names(node.get("networks"), "`networks`")?,
        depends_on: names(node.get("depends_on"), "`depends_on`")?,
    })
}

/// Env files in order, then `environment`; a name without a value takes it from outside, or is left out.
fn environment_of(node: &Node, folder: &Path, lookup: Lookup<'_>) -> Result<BTreeMap<String, Variable>, Refusal> {
    let mut all = BTreeMap::new();
    for (path, required, at) in env_files(node)? {
        let path = super::mounts::tidy(&folder.join(path));
        let Some(bytes) = source::read_if_there(&path)? else {
            if !required {
                continue;
            }
            let cause = format!("env file {} is not there", path.display());
            return Err(at.refuse(cause, "create it from its example, or write `required: false`"));
        };
        for variable in environment::parse(&bytes, &path, lookup)? {
            let at = Place::new(&path, variable.line, 1);
            all.insert(variable.name, Variable { value: Secret::new(variable.value), at });
        }
    }
    if let Some(own) = node.get("environment") {
        for (key, value) in mapping(own, "`environment`")? {
            let at = value.at.place();
            match &value.kind {
                Kind::Null => match lookup(&key.text) {
                    Some(found) => drop(all.insert(key.text.to_string(), Variable { value: Secret::new(found), at })),
                    None => drop(all.remove(&*key.text)),
                },
                Kind::Text(text, style) => {
                    if *style == Style::Plain && rewritten(text) {
                        let cause = format!(
                            "the unquoted value of `{}` is a number to YAML, and Compose writes it differently",
                            key.text
                        );
                        return Err(at.refuse(cause, "put quotes around it"));
                    }
                    all.insert(key.text.to_string(), Variable { value: Secret::new(&**text), at });
                }
                _ => return Err(wrong(value, &format!("variable `{}`", key.text), "a single value")),
            }
        }
    }
    Ok(all)
}

/// Path, whether it must be there, and where it is named.
fn env_files(node: &Node) -> Result<Vec<(String, bool, Place)>, Refusal> {
    let Some(files) = node.get("env_file") else { return Ok(Vec::new()) };
    let items: Vec<Node> = match &files.kind {
        Kind::List(items) => (**items).clone(),
        Kind::Null => Vec::new(),
        _ => vec![files.clone()],
    };
    let mut found = Vec::new();
    for item in items {
        let at = item.at.place();
        if matches!(item.kind, Kind::Map(_)) {
            only(&item, "`env_file`", &["path", "required", "format"])?;
            if let Some(format) = item.get("format") {
                return Err(format
                    .at
                    .place()
                    .refuse("env files of another format are not read", "remove `format`: the usual grammar is read"));
            }
            let path = item.get("path").ok_or_else(|| at.refuse("`env_file` without `path`", "say which file"))?;
            let required = item.get("required").map(|n| flag(n, "`required`")).transpose()?.unwrap_or(true);
            found.push((text(path, "`path`")?, required, at));
        } else {
            found.push((text(&item, "`env_file`")?, true, at));
        }
    }
    Ok(found)
}

/// Whether YAML takes this plain text for a number or date whose text Compose does not keep (`010` becomes `8`).
fn rewritten(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let whole = digits.bytes().all(|b| b.is_ascii_digit());
    if whole {
        return text.starts_with('+') || (digits.len() > 1 && digits.starts_with('0')) || digits.len() > 18;
    }
    let based = ["0x", "0o", "0b"].iter().any(|p| digits.starts_with(p));
    let date = digits.len() >= 8
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'-')
        && digits.matches('-').count() == 2;
    based || date || digits.replace('_', "").parse::<f64>().is_ok_and(|number| number.to_string() != text)
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
