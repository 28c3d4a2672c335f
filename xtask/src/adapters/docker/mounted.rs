//! Who mounts a named volume: the one of a computed name may be a stale one of a stack that runs under another name, or not at all.
//! It must not know what is stored in it.

use super::attached::{ONE_OFF, PROJECT, SERVICE, known, label, name};
use super::fault::{self, within};
use super::identity::OWNER;
use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::Result;
use bollard::Docker;
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::ListContainersOptionsBuilder;
use std::collections::{BTreeSet, HashMap};

/// Fails unless a running container of the Compose project, and of the service when one is named, mounts the volume.
pub(super) async fn ensure(docker: &Docker, volume: &str, project: &str, service: Option<&str>) -> Result<()> {
    let labelled = HashMap::from([("label", vec![PROJECT])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&labelled).build();
    let all = within(fault::LOOK, "list the containers of Compose", docker.list_containers(Some(options))).await?;
    Ok(judge(&all, volume, project, service)?)
}

fn judge(all: &[ContainerSummary], volume: &str, project: &str, service: Option<&str>) -> Result<(), Refusal> {
    let real: Vec<_> = all.iter().filter(|c| label(c, OWNER).is_empty() && label(c, ONE_OFF) != "True").collect();
    let of_project: Vec<_> = real.iter().copied().filter(|c| label(c, PROJECT) == project).collect();
    let wanted = |c: &&ContainerSummary| service.is_none_or(|service| label(c, SERVICE) == service);
    let chosen: Vec<_> = of_project.iter().copied().filter(wanted).collect();
    let running: Vec<_> =
        chosen.iter().copied().filter(|c| c.state == Some(ContainerSummaryStateEnum::RUNNING)).collect();
    if running.iter().any(|c| volumes(c).any(|v| v == volume)) {
        return Ok(());
    }
    let whose = match service {
        Some(service) => format!("the service {service} of the Compose project {project}"),
        None => format!("the Compose project {project}"),
    };
    let why = if of_project.is_empty() {
        format!(
            "the engine has no container of a Compose project {project}; it has projects: {}",
            known(&real, PROJECT)
        )
    } else if chosen.is_empty() {
        format!("{whose} has no container; the project has: {}", known(&of_project, SERVICE))
    } else if running.is_empty() {
        let state =
            |c: &&ContainerSummary| format!("{} is {}", name(c), c.status.as_deref().unwrap_or("in an unknown state"));
        format!("{whose} does not run: {}", chosen.iter().map(state).collect::<Vec<_>>().join(", "))
    } else {
        let theirs: BTreeSet<&str> = running.iter().flat_map(|c| volumes(c)).collect();
        let theirs = if theirs.is_empty() { "none".into() } else { theirs.into_iter().collect::<Vec<_>>().join(", ") };
        format!("{whose} runs without it; it mounts volumes: {theirs}")
    };
    let message = format!("volume {volume} may be a stale one: no running container of the stack mounts it; {why}");
    let up = service.map_or_else(|| "up -d".to_owned(), |service| format!("up -d {service}"));
    let hint = format!(
        "docker compose -p {project} {up}   (or set `project:` in recovery.yaml to the name that the stack runs under)"
    );
    Err(Refusal::new(RefusalKind::MissingStore, message, hint))
}

/// The names of the volumes that a container mounts.
fn volumes(container: &ContainerSummary) -> impl Iterator<Item = &str> {
    container.mounts.iter().flatten().filter_map(|m| m.name.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::MountPoint;

    const RUNNING: ContainerSummaryStateEnum = ContainerSummaryStateEnum::RUNNING;

    fn container(service: &str, state: ContainerSummaryStateEnum, volume: &str) -> ContainerSummary {
        let labels = [(PROJECT, "shop"), (SERVICE, service)].map(|(k, v)| (k.to_owned(), v.to_owned()));
        ContainerSummary {
            names: Some(vec![format!("/shop-{service}-1")]),
            state: Some(state),
            labels: Some(labels.into()),
            mounts: Some(vec![MountPoint { name: Some(volume.to_owned()), ..Default::default() }]),
            ..Default::default()
        }
    }

    #[test]
    fn only_a_volume_that_the_running_stack_mounts_is_its_own() {
        let all = [
            container("web", RUNNING, "shop_data"),
            container("web", RUNNING, "shop_data"),
            container("old", ContainerSummaryStateEnum::EXITED, "shop_old"),
        ];
        let said = |volume, project, service| judge(&all, volume, project, service).map_err(|r| r.message);
        assert_eq!(said("shop_data", "shop", None), Ok(()));
        assert_eq!(said("shop_data", "shop", Some("web")), Ok(()));
        for (volume, project, service, why) in [
            ("store_data", "store", None, "it has projects: shop"),
            ("shop_other", "shop", Some("web"), "it mounts volumes: shop_data"),
            ("shop_data", "shop", Some("cache"), "the project has: old, web"),
            ("shop_old", "shop", Some("old"), "shop-old-1 is"),
            ("shop_old", "shop", None, "it mounts volumes: shop_data"),
        ] {
            let message = said(volume, project, service).unwrap_err();
            assert!(message.contains(why) && message.contains(volume), "{message}");
        }
    }
}
