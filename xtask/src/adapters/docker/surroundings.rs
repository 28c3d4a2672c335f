//! What runs on the engine, looked at and never touched: the containers of a project, whatever is labelled for Traefik, Traefik itself,
//! and all networks. Of a container's environment nothing is kept but Traefik's own settings.

use super::address;
use super::attached::PROJECT;
use super::engine::Engine;
use super::fault::{self, within};
use super::identity::RunIdentity;
use crate::domain::landscape::{Attached, Bind, Container, Health, Landscape, Network, Published};
use crate::domain::traefik::proxy::is_traefik;
use crate::ports::Surroundings;
use anyhow::Result;
use bollard::Docker;
use bollard::models::{
    ContainerInspectResponse, ContainerSummary, EndpointSettings, HealthStatusEnum, MountPoint, PortMap,
};
use bollard::query_parameters::ListContainersOptionsBuilder;
use futures_util::future::join_all;
use std::collections::HashMap;
use std::time::Duration;

/// For one question. A person waits for the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The surroundings on the engine that `DOCKER_HOST` names, or on the usual socket's.
pub struct DockerSurroundings {
    engine: Engine,
}

impl DockerSurroundings {
    /// Talks to nobody yet. Fails only when no runtime can be started.
    pub fn connect(run: &RunIdentity) -> Result<Self> {
        Ok(Self { engine: Engine::new(address::socket(), run.clone())? })
    }
}

impl Surroundings for DockerSurroundings {
    fn look(&self, project: &str) -> Result<Landscape> {
        let docker = self.engine.client()?;
        self.engine.run(async {
            let (containers, networks) = tokio::join!(containers(&docker, project), networks(&docker));
            Ok(Landscape { containers: containers?, networks: networks? })
        })
    }
}

async fn containers(docker: &Docker, project: &str) -> Result<Vec<Container>> {
    let options = ListContainersOptionsBuilder::default().all(true).build();
    let all = within(PATIENCE, "list the containers", docker.list_containers(Some(options))).await?;
    let ids = all.iter().filter(|summary| concerns(summary, project)).filter_map(|summary| summary.id.as_deref());
    let looked = join_all(ids.map(|id| async move {
        within(PATIENCE, &format!("look at the container {id}"), docker.inspect_container(id, None)).await
    }));
    let mut found = Vec::new();
    for container in looked.await {
        match container {
            Ok(container) => found.push(described(container)),
            // It went while we looked.
            Err(error) if fault::status(&error) == Some(404) => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn concerns(summary: &ContainerSummary, project: &str) -> bool {
    let labels = summary.labels.iter().flatten();
    let labelled = labels.clone().any(|(name, _)| name.to_ascii_lowercase().starts_with("traefik."));
    let of_project = labels.into_iter().any(|(name, value)| name == PROJECT && value == project);
    let command = summary.command.as_deref().unwrap_or_default();
    let proxy = Container {
        image: summary.image.clone().unwrap_or_default(),
        command: command.split_whitespace().map(str::to_owned).collect(),
        ..Container::default()
    };
    labelled || of_project || is_traefik(&proxy)
}

async fn networks(docker: &Docker) -> Result<Vec<Network>> {
    let all = within(PATIENCE, "list the networks", docker.list_networks(None)).await?;
    let network = |n: bollard::models::Network| Network {
        id: n.id.unwrap_or_default(),
        name: n.name.unwrap_or_default(),
        driver: n.driver.unwrap_or_default(),
    };
    Ok(all.into_iter().map(network).collect())
}

fn described(container: ContainerInspectResponse) -> Container {
    let config = container.config.unwrap_or_default();
    let state = container.state.unwrap_or_default();
    let settings = container.network_settings.unwrap_or_default();
    let mode = container.host_config.and_then(|host| host.network_mode).unwrap_or_default();
    let health = match state.health.and_then(|health| health.status) {
        Some(HealthStatusEnum::STARTING) => Health::Starting,
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        Some(HealthStatusEnum::EMPTY | HealthStatusEnum::NONE) | None => Health::Unchecked,
    };
    let environment = config.env.unwrap_or_default();
    let setting = |line: &String| {
        let (name, value) = line.split_once('=')?;
        name.to_uppercase().starts_with("TRAEFIK_").then(|| (name.to_uppercase(), value.to_owned()))
    };
    let program = container.path.into_iter().chain(container.args.into_iter().flatten());
    Container {
        id: container.id.unwrap_or_default(),
        name: container.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        image: config.image.unwrap_or_default(),
        command: program.collect(),
        settings: environment.iter().filter_map(setting).collect(),
        state: state.status.map(|status| status.to_string()).unwrap_or_default(),
        health,
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        networks: attached(settings.networks.unwrap_or_default()),
        host_network: mode == "host",
        exposed: config.exposed_ports.iter().flatten().filter_map(|port| tcp(port)).collect(),
        published: published(settings.ports.unwrap_or_default()),
        binds: container.mounts.into_iter().flatten().filter_map(bind).collect(),
    }
}

fn attached(networks: HashMap<String, EndpointSettings>) -> std::collections::BTreeMap<String, Attached> {
    let place = |(name, end): (String, EndpointSettings)| {
        let addresses = [end.ip_address, end.global_ipv6_address].into_iter().flatten();
        let addresses = addresses.filter_map(|address| address.parse().ok()).collect();
        (name, Attached { network: end.network_id.unwrap_or_default(), addresses })
    };
    networks.into_iter().map(place).collect()
}

fn published(ports: PortMap) -> Vec<Published> {
    let mut found = Vec::new();
    for (inside, bindings) in ports {
        let Some(inside) = tcp(&inside) else { continue };
        for binding in bindings.into_iter().flatten() {
            let address = binding.host_ip.filter(|ip| !ip.is_empty()).unwrap_or_else(|| "0.0.0.0".to_owned());
            let port = binding.host_port.and_then(|port| port.parse().ok());
            if let (Ok(address), Some(port)) = (address.parse(), port) {
                found.push(Published { address, port, inside });
            }
        }
    }
    found.sort_by_key(|published| (published.inside, published.address));
    found
}

/// `80/tcp`; nothing for another protocol.
fn tcp(port: &str) -> Option<u16> {
    port.strip_suffix("/tcp").unwrap_or(port).parse().ok()
}

fn bind(mount: MountPoint) -> Option<Bind> {
    let source = mount.source.filter(|_| mount.typ.as_deref() == Some("bind"))?;
    Some(Bind { source, target: mount.destination.unwrap_or_default(), writable: mount.rw.unwrap_or(true) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::{ContainerConfig, PortBinding};

    #[test]
    fn nothing_of_an_environment_is_kept_but_traefiks_own_settings() {
        let env = ["POSTGRES_PASSWORD=canary", "traefik_api_insecure=true"].map(str::to_owned).to_vec();
        let config = ContainerConfig { env: Some(env), ..Default::default() };
        let seen = described(ContainerInspectResponse { config: Some(config), ..Default::default() });
        assert_eq!(seen.settings.len(), 1);
        assert_eq!(seen.settings["TRAEFIK_API_INSECURE"], "true");
        assert!(!format!("{seen:?}").contains("canary"));
    }

    #[test]
    fn ports_of_other_protocols_are_no_ports_here() {
        let binding = |ip: &str, port: &str| PortBinding { host_ip: Some(ip.into()), host_port: Some(port.into()) };
        let ports = HashMap::from([
            ("80/tcp".to_owned(), Some(vec![binding("", "8081"), binding("::1", "8082")])),
            ("53/udp".to_owned(), Some(vec![binding("", "53")])),
            ("443/tcp".to_owned(), None),
        ]);
        let shown: Vec<String> = published(ports).iter().map(|p| format!("{}:{}", p.address, p.port)).collect();
        assert_eq!(shown, ["0.0.0.0:8081", "::1:8082"]);
    }
}
