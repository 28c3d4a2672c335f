//! Which container is Traefik, how it was started, and at which addresses its doors can be reached from this host.
//! It must not know what it routes.

use super::answers::Entrypoint;
use crate::domain::landscape::{Container, Landscape};
use std::net::{IpAddr, Ipv4Addr};

/// Where a door is, seen from this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// `host:port`.
    pub address: String,
    /// Whether somebody outside can reach it: its port is published, or the configuration names it.
    pub published: bool,
}

/// The containers that run Traefik, by program or by image.
pub fn proxies(landscape: &Landscape) -> Vec<&Container> {
    landscape.containers.iter().filter(|container| container.runs() && is_traefik(container)).collect()
}

/// Whether a container runs Traefik.
pub fn is_traefik(container: &Container) -> bool {
    let program = |word: &String| word.rsplit('/').next() == Some("traefik");
    if container.command.iter().take(2).any(program) {
        return true;
    }
    let image = container.image.split('@').next().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    let name = last.split(':').next().unwrap_or_default();
    name == "traefik" || name.ends_with("-traefik")
}

/// The one that publishes the port of this API, when that is on this host's own loopback address.
pub fn behind<'a>(proxies: &[&'a Container], port: u16) -> Option<&'a Container> {
    let publishes = |container: &&&Container| container.published.iter().any(|p| p.port == port);
    let addressed = proxies.iter().filter(publishes).copied().next();
    addressed.or_else(|| proxies.iter().copied().find(|container| container.host_network))
}

/// A setting of the static configuration, as an argument (`--api.insecure=true`) or a variable (`TRAEFIK_API_INSECURE`). A setting
/// in a file is not seen.
pub fn setting(container: &Container, name: &str) -> Option<String> {
    let argument = container.command.iter().find_map(|word| {
        let word = word.trim_start_matches('-');
        let (key, value) = word.split_once('=').unwrap_or((word, "true"));
        key.eq_ignore_ascii_case(name).then(|| value.to_owned())
    });
    let variable = format!("TRAEFIK_{}", name.replace('.', "_")).to_uppercase();
    argument.or_else(|| container.settings.get(&variable).cloned())
}

/// The port that the API's own door has: 8080 unless it is moved.
pub fn api_port(container: &Container) -> u16 {
    let moved = setting(container, "entrypoints.traefik.address");
    moved.and_then(|address| Entrypoint { name: "traefik".into(), address }.port()).unwrap_or(8080)
}

/// Where a port of the container can be reached from this host.
pub fn door(container: &Container, port: u16) -> Option<Door> {
    if container.host_network {
        return Some(Door { address: format!("127.0.0.1:{port}"), published: true });
    }
    let published: Vec<_> = container.published.iter().filter(|p| p.inside == port).collect();
    // The family that every host has first.
    let chosen = published.iter().find(|p| p.address.is_ipv4()).or(published.first());
    if let Some(found) = chosen {
        let address = if found.address.is_unspecified() { loopback(found.address) } else { found.address };
        return Some(Door { address: written(address, found.port), published: true });
    }
    let address = container.addresses().next()?;
    Some(Door { address: written(address, port), published: false })
}

fn loopback(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
    }
}

fn written(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::landscape::Published;

    fn container(image: &str, command: &[&str]) -> Container {
        let command = command.iter().map(|w| (*w).to_owned()).collect();
        Container { image: image.into(), command, state: "running".into(), ..Container::default() }
    }

    #[test]
    fn traefik_is_known_by_program_or_image_and_its_neighbours_are_not_taken_for_it() {
        for (image, command) in [
            ("traefik:v3.3", ["/entrypoint.sh", "--api"]),
            ("registry.example:5000/proxy@sha256:00", ["/traefik", "--api"]),
            ("localhost/xtask-traefik:3", ["/t", "--api"]),
            ("debian", ["/entrypoint.sh", "traefik"]),
        ] {
            assert!(is_traefik(&container(image, &command)), "{image}");
        }
        for (image, program) in [("traefik/whoami", "/whoami"), ("x/traefik-forward-auth:2", "/traefik-forward-auth")] {
            assert!(!is_traefik(&container(image, &[program])), "{image}");
        }
    }

    #[test]
    fn settings_are_arguments_or_variables() {
        let mut traefik = container("traefik", &["/traefik", "--api.insecure", "--entryPoints.traefik.address=:9000"]);
        assert_eq!(setting(&traefik, "api.insecure").as_deref(), Some("true"));
        assert_eq!(api_port(&traefik), 9000);
        assert_eq!(setting(&traefik, "providers.docker.network"), None);
        traefik.settings.insert("TRAEFIK_PROVIDERS_DOCKER_NETWORK".into(), "public".into());
        assert_eq!(setting(&traefik, "providers.docker.network").as_deref(), Some("public"));
    }

    #[test]
    fn a_door_is_asked_where_it_is_published() {
        let mut traefik = container("traefik", &["/traefik"]);
        assert_eq!(door(&traefik, 80), None);
        traefik.published = vec![Published { address: "0.0.0.0".parse().unwrap(), port: 8081, inside: 80 }];
        assert_eq!(door(&traefik, 80), Some(Door { address: "127.0.0.1:8081".into(), published: true }));
        traefik.host_network = true;
        assert_eq!(door(&traefik, 80).map(|d| d.address), Some("127.0.0.1:80".into()));
    }
}
