//! What runs on a container engine, as a person who only looks sees it: containers with their labels, health and addresses, and
//! networks. It must not know who asks, nor what the labels mean.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Everything that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Landscape {
    /// Containers, running or not.
    pub containers: Vec<Container>,
    /// Networks; a name may stand for several.
    pub networks: Vec<Network>,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name, without the slash.
    pub name: String,
    /// The image it was made from, as it was named.
    pub image: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The names and values of its environment that configure Traefik (`TRAEFIK_…`); no other variable is kept.
    pub settings: BTreeMap<String, String>,
    /// `running`, `exited`, `restarting`, …
    pub state: String,
    /// What its health check says.
    pub health: Health,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The networks it is attached to, by name.
    pub networks: BTreeMap<String, Attached>,
    /// Whether it uses the host's own network.
    pub host_network: bool,
    /// TCP ports that its image or its file exposes.
    pub exposed: Vec<u16>,
    /// TCP ports that are published on the host.
    pub published: Vec<Published>,
    /// What of the host is mounted.
    pub binds: Vec<Bind>,
}

/// What a health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// There is no health check.
    #[default]
    Unchecked,
    /// It has not said anything yet.
    Starting,
    /// Well.
    Healthy,
    /// Not well.
    Unhealthy,
}

/// A container's place in a network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attached {
    /// The network's id.
    pub network: String,
    /// Its addresses there.
    pub addresses: Vec<IpAddr>,
}

/// A published TCP port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The host's address; the unspecified one means all of them.
    pub address: IpAddr,
    /// The host's port.
    pub port: u16,
    /// The container's port.
    pub inside: u16,
}

/// A file or folder of the host in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// On the host.
    pub source: String,
    /// In the container.
    pub target: String,
    /// Whether it was mounted for writing.
    pub writable: bool,
}

/// One network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its driver (`bridge`).
    pub driver: String,
}

const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const ONE_OFF: &str = "com.docker.compose.oneoff";

impl Container {
    /// The Compose project it belongs to, as its label says; never guessed from its name.
    pub fn project(&self) -> Option<&str> {
        self.labels.get(PROJECT).map(String::as_str)
    }

    /// The Compose service it belongs to.
    pub fn service(&self) -> Option<&str> {
        self.labels.get(SERVICE).map(String::as_str)
    }

    /// Whether it is one of the containers that Compose keeps for this service, not one that somebody started for a single command.
    pub fn is_of(&self, project: &str, service: &str) -> bool {
        let one_off = self.labels.get(ONE_OFF).is_some_and(|v| v == "True");
        self.project() == Some(project) && self.service() == Some(service) && !one_off
    }

    /// Whether its process runs.
    pub fn runs(&self) -> bool {
        self.state == "running"
    }

    /// Whether requests may be sent to it: it runs, and no health check says otherwise.
    pub fn serves(&self) -> bool {
        self.runs() && matches!(self.health, Health::Healthy | Health::Unchecked)
    }

    /// All its addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.networks.values().flat_map(|attached| attached.addresses.iter().copied())
    }

    /// Whether a container can send packets to this one at the address that this network gives it.
    pub fn shares(&self, other: &Self) -> Vec<&str> {
        let mine = self.networks.iter();
        let shared = mine.filter(|(_, a)| other.networks.values().any(|b| b.network == a.network));
        shared.map(|(name, _)| name.as_str()).collect()
    }
}
