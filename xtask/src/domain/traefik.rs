//! All that is asked about the routes of one stack through Traefik: what its Compose files want, what runs, what Traefik's API says, and
//! what requests through its doors came to. Data only: `flow::routes` gathers it, `checks::traefik` judges it.

pub mod answers;
pub mod proxy;
pub mod rule;
pub mod wanted;

use super::fact::Fact;
use super::landscape::{Container, Landscape};
use super::secret::Secret;
use super::web::{Answer, Unanswered};
use answers::Answers;
use jiff::Timestamp;
use proxy::Door;
use std::collections::BTreeMap;
use wanted::{Routed, Router};

/// Where a stack's Traefik is, as far as the configuration says; what is left out is found on this host.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Proxy {
    /// The API: `http://host:port` or `https://host:port`.
    pub api: Option<Api>,
    /// `host:port` of each door, by name.
    pub entrypoints: BTreeMap<String, String>,
}

/// Traefik's API.
#[derive(Debug, Clone, PartialEq)]
pub struct Api {
    /// Whether it is asked over TLS.
    pub tls: bool,
    /// Its host, as the certificate and the request name it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The variable that holds its login.
    pub login_from: Option<String>,
    /// `user:password`, for basic authentication.
    pub login: Option<Secret>,
}

impl Api {
    /// As it is written.
    pub fn shown(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("http{}://{host}:{}", if self.tls { "s" } else { "" }, self.port)
    }

    /// Whether it is on this host: then its container is here too.
    pub fn local(&self) -> bool {
        let loopback = self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        loopback || self.host == "localhost"
    }
}

/// A request through a door, made as often as it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// The router's name, as the stack's labels have it.
    pub router: String,
    /// The door's name.
    pub entrypoint: String,
    /// Where that is.
    pub door: Door,
    /// Whether it was asked over TLS.
    pub tls: bool,
    /// The host that was named.
    pub host: String,
    /// The path.
    pub path: String,
    /// What came back, each time.
    pub answers: Vec<Result<Answer, Unanswered>>,
}

impl Probe {
    /// `http://a.example/api through web (127.0.0.1:80)`.
    pub fn shown(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let at = format!("{} ({})", self.entrypoint, self.door.address);
        format!("{scheme}://{}{} through {at}", self.host, self.path)
    }
}

/// All that is asked.
#[derive(Debug, Clone)]
pub struct TraefikFacts {
    /// The stack.
    pub stack: String,
    /// Its Compose project.
    pub project: String,
    /// The moment of the question.
    pub now: Timestamp,
    /// The services that Traefik is meant to route.
    pub wanted: Vec<Routed>,
    /// The API's address when Traefik does not run on this host: then nothing of its engine is seen.
    pub remote: Option<String>,
    /// What runs here.
    pub landscape: Fact<Landscape>,
    /// The API's address, once it is known.
    pub api: Option<String>,
    /// What the API said.
    pub answers: Fact<Answers>,
    /// Where the doors are.
    pub doors: BTreeMap<String, Door>,
    /// Routers that could not be asked, and why.
    pub unasked: Vec<(String, String)>,
    /// What the stack's routes answered.
    pub probes: Vec<Probe>,
    /// What the doors without encryption answer for hosts whose routes are encrypted.
    pub plain: Vec<Probe>,
    /// What the public doors answer when asked for the dashboard and the API.
    pub intrusions: Vec<Probe>,
}

impl TraefikFacts {
    /// Every wanted router with its service.
    pub fn routers(&self) -> impl Iterator<Item = (&Routed, &Router)> {
        self.wanted.iter().flat_map(|routed| routed.routers.iter().map(move |router| (routed, router)))
    }

    /// The one Traefik that is meant; `None` when there is none, or several and nothing says which.
    pub fn proxy<'a>(&self, landscape: &'a Landscape) -> Option<&'a Container> {
        let all = proxy::proxies(landscape);
        let port = self.api.as_ref().and_then(|api| api.rsplit(':').next()?.parse().ok());
        match all.as_slice() {
            [one] => Some(one),
            many => port.and_then(|port| proxy::behind(many, port)),
        }
    }

    /// The containers of a service.
    pub fn containers<'a>(&self, landscape: &'a Landscape, service: &str) -> Vec<&'a Container> {
        landscape.containers.iter().filter(|c| c.is_of(&self.project, service)).collect()
    }
}

/// The routers of the API that a wanted one became: Traefik makes one for each door that has settings of its own.
pub fn became<'a>(answers: &'a Answers, router: &Router) -> Vec<&'a answers::Router> {
    let own = format!("{}@docker", router.name);
    let of_door = |name: &str| {
        let doors = answers.entrypoints.iter().map(|door| format!("{}-{own}", door.name));
        doors.into_iter().any(|derived| derived == name)
    };
    let wanted_too = |found: &&answers::Router| found.name == own || of_door(&found.name);
    answers.routers.iter().filter(wanted_too).collect()
}

/// Whether the API says that something works.
pub fn works(status: &str) -> bool {
    status == "enabled" || status == "warning"
}
