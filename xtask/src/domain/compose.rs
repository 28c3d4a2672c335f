//! What a Compose project says that matters for recovery: services, where they keep data, how they are reached.
//! Resolved already: variables filled in, files merged, volume names as Docker knows them. No I/O.

use super::place::Place;
use super::secret::Secret;
use super::store::Root;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A Compose project, files merged.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ComposeProject {
    /// The project's name, as Docker labels it.
    pub name: String,
    /// The folder that relative paths start from.
    pub folder: PathBuf,
    /// Services that the active profiles start, by name.
    pub services: BTreeMap<String, Service>,
    /// Services that no active profile starts.
    pub inactive: Vec<String>,
    /// What those are: their data is there whether they run or not.
    pub asleep: Vec<Service>,
    /// Named volumes that are declared: key to the name Docker knows.
    pub volumes: BTreeMap<String, Volume>,
    /// Networks that are declared: key to the name Docker knows.
    pub networks: BTreeMap<String, Network>,
    /// What was seen and not understood (`extends`, `include`, …).
    pub notes: Vec<String>,
    /// Those of the notes that tell of services or mounts which nobody here has seen.
    pub unseen: Vec<String>,
}

/// A declared volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The name Docker knows it by.
    pub name: String,
    /// Made outside of this project.
    pub external: bool,
    /// Where it is declared.
    pub at: Place,
}

/// A declared network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The name Docker knows it by.
    pub name: String,
    /// Made outside of this project.
    pub external: bool,
    /// Where it is declared.
    pub at: Place,
}

/// One service.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Where it is written.
    pub at: Place,
    /// The image and where it is named; `None` for a service that is only built.
    pub image: Option<(String, Place)>,
    /// The container's working folder, when the service sets it.
    pub working_dir: Option<String>,
    /// Environment: values are secret until proven otherwise.
    pub environment: BTreeMap<String, Variable>,
    /// What it mounts.
    pub mounts: Vec<Mount>,
    /// Whether Compose is told how to see that it is healthy.
    pub healthcheck: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Where each label is written.
    pub label_places: BTreeMap<String, Place>,
    /// The networks it is attached to, by key.
    pub networks: Vec<String>,
    /// The services it waits for.
    pub depends_on: Vec<String>,
}

/// An environment variable of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// The value.
    pub value: Secret,
    /// Where it is set.
    pub at: Place,
}

/// Something mounted into a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted; `None` for an anonymous volume.
    pub root: Option<Root>,
    /// Where, inside the container.
    pub target: String,
    /// Whether the service can write to it.
    pub writable: bool,
    /// Where it is written.
    pub at: Place,
}

/// A Traefik router as labels declare it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Router {
    /// Its name.
    pub name: String,
    /// Its rule (``Host(`a.example`)``).
    pub rule: Option<String>,
    /// Its entry points.
    pub entrypoints: Option<String>,
    /// The service it leads to.
    pub service: Option<String>,
}

impl ComposeProject {
    /// All services, whatever profiles start them.
    pub fn all(&self) -> impl Iterator<Item = &Service> {
        self.services.values().chain(&self.asleep)
    }
}

impl Service {
    /// The HTTP routers that its labels declare, by name; empty unless `traefik.enable` allows them.
    pub fn routers(&self) -> Vec<Router> {
        if self.labels.get("traefik.enable").is_some_and(|v| v.eq_ignore_ascii_case("false")) {
            return Vec::new();
        }
        let mut routers: BTreeMap<String, Router> = BTreeMap::new();
        for (label, value) in &self.labels {
            let Some((name, key)) = label.strip_prefix("traefik.http.routers.").and_then(|l| l.split_once('.')) else {
                continue;
            };
            let router =
                routers.entry(name.to_owned()).or_insert_with(|| Router { name: name.to_owned(), ..Router::default() });
            match key {
                "rule" => router.rule = Some(value.clone()),
                "entrypoints" => router.entrypoints = Some(value.clone()),
                "service" => router.service = Some(value.clone()),
                _ => {}
            }
        }
        routers.into_values().collect()
    }

    /// The value of an environment variable.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.environment.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(labels: &[(&str, &str)]) -> Service {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Service {
            name: "api".into(),
            at: Place::new("compose.yaml", 1, 1),
            image: None,
            working_dir: None,
            environment: BTreeMap::new(),
            mounts: Vec::new(),
            healthcheck: false,
            labels,
            label_places: BTreeMap::new(),
            networks: Vec::new(),
            depends_on: Vec::new(),
        }
    }

    #[test]
    fn routers_are_read_from_labels_unless_traefik_is_told_to_look_away() {
        let rule = ("traefik.http.routers.api.rule", "Host(`a.example`)");
        let routers = labelled(&[rule, ("traefik.http.routers.api.entrypoints", "websecure")]).routers();
        assert_eq!(routers.len(), 1);
        assert_eq!(routers[0].rule.as_deref(), Some("Host(`a.example`)"));
        assert_eq!(routers[0].entrypoints.as_deref(), Some("websecure"));
        assert!(labelled(&[("traefik.enable", "false"), rule]).routers().is_empty());
    }
}
