//! What Traefik's own API answers, as far as anybody here reads it (<https://doc.traefik.io/traefik/operations/api/>). What it leaves out
//! is empty. It must not know how it was asked.

use serde::Deserialize;
use std::collections::BTreeMap;

/// All its answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers {
    /// `/api/version`.
    pub version: String,
    /// `/api/entrypoints`.
    pub entrypoints: Vec<Entrypoint>,
    /// `/api/http/routers`.
    pub routers: Vec<Router>,
    /// `/api/http/services`.
    pub services: Vec<Service>,
    /// `/api/http/middlewares`.
    pub middlewares: Vec<Middleware>,
}

/// `/api/version`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Version {
    /// `3.7.15`.
    pub version: String,
}

/// A door that Traefik listens at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Entrypoint {
    /// Its name.
    pub name: String,
    /// `:80`, `127.0.0.1:80`, `:443/tcp`.
    #[serde(default)]
    pub address: String,
}

impl Entrypoint {
    /// The TCP port it listens on; `None` for one of another protocol.
    pub fn port(&self) -> Option<u16> {
        let address = self.address.strip_suffix("/tcp").unwrap_or(&self.address);
        address.rsplit(':').next()?.parse().ok()
    }
}

/// An HTTP router.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Router {
    /// `name@provider`.
    pub name: String,
    /// Its rule.
    pub rule: String,
    /// The doors it was meant for.
    pub entry_points: Vec<String>,
    /// The doors it is really at.
    pub using: Vec<String>,
    /// Its middlewares, in order.
    pub middlewares: Vec<String>,
    /// Where it leads.
    pub service: String,
    /// `enabled`, `disabled`, `warning`.
    pub status: String,
    /// Why it is not.
    pub error: Vec<String>,
    /// Larger is asked first.
    pub priority: i64,
    /// Present when it answers encrypted requests only.
    pub tls: Option<Tls>,
}

/// How a router encrypts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Tls {
    /// Who is asked for certificates; the API does not say whether there is such a one.
    pub cert_resolver: String,
}

/// An HTTP service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Service {
    /// `name@provider`.
    pub name: String,
    /// `enabled`, `disabled`, `warning`.
    pub status: String,
    /// Why it is not.
    pub error: Vec<String>,
    /// The servers, for a service that has its own.
    pub load_balancer: Option<LoadBalancer>,
    /// `UP` or `DOWN` for each server's address; missing for a service that no router leads to.
    pub server_status: BTreeMap<String, String>,
}

/// The servers of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct LoadBalancer {
    /// In no order.
    pub servers: Vec<Server>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Server {
    /// `http://172.18.0.4:8000`.
    pub url: String,
}

impl Server {
    /// Host and port; `None` when the address names no port.
    pub fn address(&self) -> Option<(&str, u16)> {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let (host, port) = rest.split('/').next()?.rsplit_once(':')?;
        Some((host.trim_matches(['[', ']']), port.parse().ok()?))
    }
}

impl Service {
    /// Its servers.
    pub fn servers(&self) -> &[Server] {
        self.load_balancer.as_ref().map_or(&[], |balancer| &balancer.servers)
    }
}

/// An HTTP middleware.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Middleware {
    /// `name@provider`.
    pub name: String,
    /// `enabled`, `disabled`, `warning`.
    pub status: String,
    /// Why it is not.
    pub error: Vec<String>,
    /// `basicauth`, `redirectscheme`, …
    #[serde(rename = "type")]
    pub kind: String,
}

impl Answers {
    /// The service that a router leads to. A name without a provider is of the router's own.
    pub fn service_of(&self, router: &Router) -> Option<&Service> {
        let name = qualified(&router.service, &router.name);
        self.services.iter().find(|service| service.name == name)
    }
}

/// `name` with the provider of `owner`, unless it names one itself.
pub fn qualified(name: &str, owner: &str) -> String {
    match (name.contains('@'), owner.rsplit_once('@')) {
        (false, Some((_, provider))) => format!("{name}@{provider}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let server = |url: &str| Server { url: url.into() };
        assert_eq!(server("http://10.0.0.2:80").address(), Some(("10.0.0.2", 80)));
        assert_eq!(server("h2c://[fd00::2]:8443/x").address(), Some(("fd00::2", 8443)));
        assert_eq!(server("http://web").address(), None);
        let port = |address: &str| Entrypoint { name: "web".into(), address: address.into() }.port();
        assert_eq!((port(":80"), port("127.0.0.1:443/tcp"), port(":53/udp")), (Some(80), Some(443), None));
    }

    #[test]
    fn a_name_without_provider_is_of_the_routers_own() {
        assert_eq!(qualified("api", "api@docker"), "api@docker");
        assert_eq!(qualified("api@file", "api@docker"), "api@file");
    }
}
