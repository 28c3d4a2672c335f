//! What a stack's Compose files want of Traefik: the services that it routes, their routers, and where each label is written.
//! It must not know what really runs.

use crate::domain::compose::{ComposeProject, Service};
use crate::domain::place::Place;
use std::collections::BTreeMap;

/// A label and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its value. It may hold a password's hash: never shown whole.
    pub value: String,
    /// Where.
    pub at: Place,
}

/// A service that Traefik is meant to route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed {
    /// The service.
    pub name: String,
    /// Where it is written.
    pub at: Place,
    /// Its labels for Traefik.
    pub labels: BTreeMap<String, Label>,
    /// Its networks, by the names that Docker knows, and whether each is made outside of the project.
    pub networks: BTreeMap<String, bool>,
    /// Its routers.
    pub routers: Vec<Router>,
}

/// An HTTP router as labels declare it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Router {
    /// Its name.
    pub name: String,
    /// Where its rule, or else its first label, is written.
    pub at: Place,
    /// Its rule; `None` = Traefik makes one up of the container's name.
    pub rule: Option<String>,
    /// The doors it is meant for; none = Traefik's own choice.
    pub entrypoints: Vec<String>,
    /// Its middlewares.
    pub middlewares: Vec<(String, Place)>,
    /// The certificate resolver that it names.
    pub resolver: Option<(String, Place)>,
}

impl Routed {
    /// A label, by its name in lower case.
    pub fn label(&self, name: &str) -> Option<&Label> {
        self.labels.iter().find(|(label, _)| label.to_ascii_lowercase() == name).map(|(_, label)| label)
    }

    /// The labels that tell a service's port.
    pub fn ports(&self) -> Vec<&Label> {
        let tells = |label: &str| {
            let label = label.to_ascii_lowercase();
            let of_service = label.starts_with("traefik.http.services.");
            of_service && (label.ends_with(".loadbalancer.server.port") || label.ends_with(".loadbalancer.server.url"))
        };
        self.labels.iter().filter(|(label, _)| tells(label)).map(|(_, label)| label).collect()
    }

    /// Where the port is written, or else the service.
    pub fn port_at(&self) -> &Place {
        self.ports().first().map_or(&self.at, |label| &label.at)
    }
}

/// The services that Traefik is meant to route: those with `traefik.enable: true`, or with a router of their own.
pub fn routed(project: &ComposeProject) -> Vec<Routed> {
    project.services.values().filter_map(|service| of(project, service)).collect()
}

fn of(project: &ComposeProject, service: &Service) -> Option<Routed> {
    let label = |(name, value): (&String, &String)| {
        let at = service.label_places.get(name).unwrap_or(&service.at).clone();
        (name.clone(), Label { value: value.clone(), at })
    };
    let ours = service.labels.iter().filter(|(name, _)| name.to_ascii_lowercase().starts_with("traefik."));
    let labels: BTreeMap<String, Label> = ours.map(label).collect();
    let enabled = labels.iter().find(|(name, _)| name.eq_ignore_ascii_case("traefik.enable")).map(|(_, l)| l);
    if enabled.is_some_and(|l| !truthy(&l.value)) {
        return None;
    }
    let routers = routers(&labels);
    if enabled.is_none() && routers.is_empty() {
        return None;
    }
    let at = enabled.map_or(&service.at, |label| &label.at).clone();
    // Without a router of its own the service gets one that is called after it.
    let own = |at: Place| Router {
        name: normal(&format!("{}-{}", service.name, project.name)),
        at,
        rule: None,
        entrypoints: Vec::new(),
        middlewares: Vec::new(),
        resolver: None,
    };
    let routers = if routers.is_empty() && !speaks_otherwise(&labels) { vec![own(at)] } else { routers };
    let networks = service.networks.iter().map(String::as_str);
    let networks: Vec<&str> = if service.networks.is_empty() { vec!["default"] } else { networks.collect() };
    let named = |key: &str| match project.networks.get(key) {
        Some(network) => (network.name.clone(), network.external),
        None => (format!("{}_{key}", project.name), false),
    };
    let networks = networks.into_iter().map(named).collect();
    Some(Routed { name: service.name.clone(), at: service.at.clone(), labels, networks, routers })
}

fn routers(labels: &BTreeMap<String, Label>) -> Vec<Router> {
    let mut found: BTreeMap<String, Router> = BTreeMap::new();
    for (name, label) in labels {
        let parts: Vec<&str> = name.split('.').collect();
        let [_, http, routers, router, keys @ ..] = parts.as_slice() else { continue };
        if !http.eq_ignore_ascii_case("http") || !routers.eq_ignore_ascii_case("routers") {
            continue;
        }
        let entry = found.entry((*router).to_owned()).or_insert_with(|| Router {
            name: (*router).to_owned(),
            at: label.at.clone(),
            rule: None,
            entrypoints: Vec::new(),
            middlewares: Vec::new(),
            resolver: None,
        });
        let listed = || label.value.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty());
        match keys.join(".").to_ascii_lowercase().as_str() {
            "rule" => (entry.rule, entry.at) = (Some(label.value.clone()), label.at.clone()),
            "entrypoints" => entry.entrypoints = listed().collect(),
            "middlewares" => entry.middlewares = listed().map(|name| (name, label.at.clone())).collect(),
            "tls.certresolver" => entry.resolver = Some((label.value.clone(), label.at.clone())),
            _ => {}
        }
    }
    found.into_values().collect()
}

/// Whether the service is routed by TCP or UDP alone.
fn speaks_otherwise(labels: &BTreeMap<String, Label>) -> bool {
    let other = |name: &String| {
        let name = name.to_ascii_lowercase();
        name.starts_with("traefik.tcp.routers.") || name.starts_with("traefik.udp.routers.")
    };
    labels.keys().any(other)
}

/// As Go's `strconv.ParseBool` reads it.
fn truthy(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

/// As Traefik makes names of names: what is neither letter nor digit is a hyphen.
fn normal(name: &str) -> String {
    let parts = name.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-")
}
