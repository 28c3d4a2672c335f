//! Somebody's running Compose service, seen from beside: commands run in a sidecar of ours that shares its image and network.
//! It must never run anything inside the service's own container, nor change it.

use super::container;
use super::engine::Engine;
use super::exec;
use super::fault::{self, within};
use super::identity::OWNER;
use super::images::{self, Prepared};
use super::mounts::{self, Volume};
use super::pipe::Pipes;
use super::removal::{self, Thing};
use crate::domain::exec::Exec;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::site::{ImageIdentity, SiteIdentity};
use crate::ports::{Running, Site};
use anyhow::{Context, Result};
use bollard::Docker;
use bollard::models::{ContainerCreateBody, ContainerSummary, ContainerSummaryStateEnum, HostConfig};
use bollard::query_parameters::ListContainersOptionsBuilder;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub(super) const PROJECT: &str = "com.docker.compose.project";
pub(super) const SERVICE: &str = "com.docker.compose.service";
pub(super) const ONE_OFF: &str = "com.docker.compose.oneoff";
/// Where the sidecar's own staging volume is mounted.
const SCRATCH: &str = "/xtask-scratch";

pub(super) struct AttachedService {
    engine: Arc<Engine>,
    sidecar: String,
    service: String,
    container: String,
    address: Option<String>,
    volumes: Vec<Volume>,
    image: ImageIdentity,
    pipes: Option<Pipes>,
}

/// The service's container, as found.
struct Found {
    id: String,
    name: String,
    image: String,
    image_id: String,
    address: Option<String>,
}

impl AttachedService {
    pub(super) fn attach(engine: &Arc<Engine>, project: &str, service: &str) -> Result<Self> {
        let docker = engine.client()?;
        let _creating = engine.creating()?;
        let found =
            engine.run(find(&docker, project, service)).with_context(|| format!("attach to {project}/{service}"))?;
        let image = engine.run(images::running(&docker, &found.image_id, &found.image))?;
        let sidecar = engine.name("sidecar");
        let site = Self {
            engine: engine.clone(),
            volumes: mounts::volumes(&sidecar, &[("scratch", SCRATCH)], &image.config),
            sidecar,
            service: found.name,
            container: found.id,
            address: found.address,
            image: image.identity.clone(),
            pipes: engine.pipes(),
        };
        engine.run(site.create(&docker, &image)).with_context(|| format!("start a sidecar of {}", site.service))?;
        Ok(site)
    }

    async fn create(&self, docker: &Docker, image: &Prepared) -> Result<()> {
        let labels = self.engine.identity.labels();
        for volume in &self.volumes {
            self.engine.not_abandoned()?;
            mounts::create(docker, volume, &labels).await?;
        }
        self.engine.not_abandoned()?;
        let host = HostConfig {
            network_mode: Some(format!("container:{}", self.container)),
            mounts: Some(self.volumes.iter().map(|v| mounts::mount(v, &labels)).collect()),
            ..container::limits()
        };
        let body = ContainerCreateBody {
            image: Some(image.id.clone()),
            entrypoint: Some(["tail", "-f", "/dev/null"].map(str::to_owned).to_vec()),
            cmd: Some(Vec::new()),
            labels: Some(container::labels(&labels, &image.config)),
            host_config: Some(host),
            ..Default::default()
        };
        container::create_with(&self.engine, docker, &self.sidecar, body, self.pipes.as_ref()).await?;
        mounts::open_to_all(docker, &self.sidecar, SCRATCH).await?;
        self.engine.not_abandoned()?;
        container::start(docker, &self.sidecar).await
    }

    fn detach(&self) -> Result<()> {
        let mut parts = vec![Thing::Container(self.sidecar.clone())];
        parts.extend(self.volumes.iter().map(|v| Thing::Volume(v.name.clone())));
        let docker = self.engine.client()?;
        self.engine.streams.release(Some(&self.sidecar));
        self.engine.run(removal::remove_all(&docker, &parts))
    }
}

impl Site for AttachedService {
    fn identity(&self) -> SiteIdentity {
        SiteIdentity { name: self.service.clone(), kind: "container".to_owned(), image: Some(self.image.clone()) }
    }

    fn start(&self, exec: &Exec) -> Result<Running> {
        exec::start(&self.engine, &self.sidecar, &format!("a sidecar of {}", self.service), exec, self.pipes.as_ref())
    }

    fn logs(&self, lines: usize) -> Result<String> {
        let docker = self.engine.client()?;
        self.engine.run(container::logs(&docker, &self.container, lines))
    }

    fn scratch(&self) -> String {
        SCRATCH.to_owned()
    }

    fn address(&self) -> Option<String> {
        self.address.clone()
    }
}

impl Drop for AttachedService {
    fn drop(&mut self) {
        // As for owned sites: what cannot be removed keeps its labels and is removed by the next sweep.
        std::thread::scope(|scope| {
            scope.spawn(|| self.detach()).join().ok();
        });
    }
}

async fn find(docker: &Docker, project: &str, service: &str) -> Result<Found> {
    let labelled = HashMap::from([("label", vec![PROJECT])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&labelled).build();
    let all = within(fault::LOOK, "list the containers of Compose", docker.list_containers(Some(options))).await?;
    let chosen = choose(&all, project, service)?;
    Ok(Found {
        id: chosen.id.clone().context("the service's container has no id")?,
        name: name(chosen),
        image: chosen.image.clone().unwrap_or_default(),
        image_id: chosen.image_id.clone().context("the service's container has no image")?,
        address: address(chosen),
    })
}

/// One of its own addresses: the name of a service may mean another container on a network that projects share.
fn address(container: &ContainerSummary) -> Option<String> {
    let networks = container.network_settings.as_ref()?.networks.as_ref()?;
    let named: BTreeMap<_, _> = networks.iter().collect();
    named.values().filter_map(|n| n.ip_address.clone()).find(|ip| !ip.is_empty())
}

/// The one running container of the service.
fn choose<'a>(all: &'a [ContainerSummary], project: &str, service: &str) -> Result<&'a ContainerSummary, Refusal> {
    let real: Vec<_> = all.iter().filter(|c| label(c, OWNER).is_empty() && label(c, ONE_OFF) != "True").collect();
    let of_project: Vec<_> = real.iter().copied().filter(|c| label(c, PROJECT) == project).collect();
    let of_service: Vec<_> = of_project.iter().copied().filter(|c| label(c, SERVICE) == service).collect();
    let running: Vec<_> =
        of_service.iter().copied().filter(|c| c.state == Some(ContainerSummaryStateEnum::RUNNING)).collect();
    let message = match (running.as_slice(), of_service.as_slice(), of_project.is_empty()) {
        ([one], _, _) => return Ok(*one),
        ([_, _, ..], _, _) => {
            let names = running.iter().map(|c| name(c)).collect::<Vec<_>>().join(", ");
            let message =
                format!("the service {service} of the Compose project {project} runs in several containers: {names}");
            return Err(Refusal::new(
                RefusalKind::Preflight,
                message,
                format!("docker compose -p {project} up -d --scale {service}=1"),
            ));
        }
        ([], [_, ..], _) => {
            let states = of_service
                .iter()
                .map(|c| format!("{} is {}", name(c), c.status.as_deref().unwrap_or("in an unknown state")));
            format!(
                "the service {service} of the Compose project {project} does not run: {}",
                states.collect::<Vec<_>>().join(", ")
            )
        }
        ([], [], false) => {
            format!(
                "the Compose project {project} has no container of a service {service}; it has: {}",
                known(&of_project, SERVICE)
            )
        }
        ([], [], true) => {
            format!(
                "the engine has no container of a Compose project {project}; it has projects: {}",
                known(&real, PROJECT)
            )
        }
    };
    let paused = of_service.iter().any(|c| c.state == Some(ContainerSummaryStateEnum::PAUSED));
    let verb = if paused { "unpause" } else { "up -d" };
    Err(Refusal::new(RefusalKind::MissingStore, message, format!("docker compose -p {project} {verb} {service}")))
}

pub(super) fn known(containers: &[&ContainerSummary], key: &str) -> String {
    let words: BTreeSet<&str> = containers.iter().map(|c| label(c, key)).filter(|word| !word.is_empty()).collect();
    if words.is_empty() { "none".to_owned() } else { words.into_iter().collect::<Vec<_>>().join(", ") }
}

pub(super) fn label<'a>(container: &'a ContainerSummary, key: &str) -> &'a str {
    container.labels.as_ref().and_then(|labels| labels.get(key)).map_or("", String::as_str)
}

pub(super) fn name(container: &ContainerSummary) -> String {
    container.names.iter().flatten().next().map(|n| n.trim_start_matches('/').to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str, state: ContainerSummaryStateEnum, labels: &[(&str, &str)]) -> ContainerSummary {
        ContainerSummary {
            names: Some(vec![format!("/{name}")]),
            state: Some(state),
            labels: Some(labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
            ..Default::default()
        }
    }

    const RUNNING: ContainerSummaryStateEnum = ContainerSummaryStateEnum::RUNNING;

    #[test]
    fn the_one_running_container_is_chosen_and_neither_sidecars_nor_one_off_runs() {
        let all = [
            container("shop-db-1", RUNNING, &[(PROJECT, "shop"), (SERVICE, "db")]),
            container("xtask-side", RUNNING, &[(PROJECT, "shop"), (SERVICE, "db"), (OWNER, "b:1:2")]),
            container("shop-db-run-1", RUNNING, &[(PROJECT, "shop"), (SERVICE, "db"), (ONE_OFF, "True")]),
            container("shop-db-2", ContainerSummaryStateEnum::EXITED, &[(PROJECT, "shop"), (SERVICE, "db")]),
        ];
        assert_eq!(name(choose(&all, "shop", "db").unwrap()), "shop-db-1");
    }

    #[test]
    fn what_is_missing_is_said_with_what_is_there() {
        let all = [
            container("shop-db-1", ContainerSummaryStateEnum::PAUSED, &[(PROJECT, "shop"), (SERVICE, "db")]),
            container("shop-web-1", RUNNING, &[(PROJECT, "shop"), (SERVICE, "web")]),
            container("shop-web-2", RUNNING, &[(PROJECT, "shop"), (SERVICE, "web")]),
        ];
        let said = |project, service| choose(&all, project, service).unwrap_err().message;
        assert!(said("shop", "db").contains("shop-db-1"), "{}", said("shop", "db"));
        assert!(said("shop", "cache").contains("db, web"));
        assert!(said("store", "db").contains("projects: shop"));
        assert!(said("shop", "web").contains("shop-web-1, shop-web-2"));
    }
}
