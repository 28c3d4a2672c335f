//! What owned containers and sidecars have in common: creation with labels and limits, and the log's end.
//! It must not know volumes' contents or what runs inside.

use super::engine::Engine;
use super::fault::{self, within};
use super::pipe::Pipes;
use anyhow::Result;
use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, ImageConfig};
use bollard::query_parameters::{CreateContainerOptionsBuilder, LogsOptionsBuilder};
use futures_util::StreamExt;
use std::collections::HashMap;
use std::time::Duration;

/// For reading a log that somebody else may be filling meanwhile.
const LOGS: Duration = Duration::from_secs(10);
/// The most of a log that is kept, in bytes.
const LOG_BYTES: usize = 256 * 1024;

/// Creates a container by this name and returns its id.
pub(super) async fn create(docker: &Docker, name: &str, body: ContainerCreateBody) -> Result<String> {
    let options = CreateContainerOptionsBuilder::default().name(name).build();
    let created =
        within(fault::CHANGE, &format!("create the container {name}"), docker.create_container(Some(options), body))
            .await?;
    Ok(created.id)
}

/// As [`create`], with a folder of pipes; without it when the engine cannot mount a folder of this host.
pub(super) async fn create_with(
    engine: &Engine,
    docker: &Docker,
    name: &str,
    body: ContainerCreateBody,
    pipes: Option<&Pipes>,
) -> Result<String> {
    if let Some(pipes) = pipes {
        let mut with = body.clone();
        with.host_config.get_or_insert_default().mounts.get_or_insert_default().push(pipes.mount());
        match create(docker, name, with).await {
            Err(error) if fault::status(&error) == Some(400) => engine.pipes_work(|| false),
            created => return created,
        };
    }
    create(docker, name, body).await
}

/// Starts it.
pub(super) async fn start(docker: &Docker, name: &str) -> Result<()> {
    within(fault::CHANGE, &format!("start the container {name}"), docker.start_container(name, None)).await
}

/// Processes and threads of one container. A server with all its parallel workers has some hundred.
const MOST_PROCESSES: i64 = 1024;

/// What runs there may have been made by somebody else: no process has or gains rights, none can starve the host of others, and no
/// log fills the disk.
pub(super) fn limits() -> HostConfig {
    let log = HashMap::from([("max-size".to_owned(), "8m".to_owned()), ("max-file".to_owned(), "2".to_owned())]);
    HostConfig {
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        cap_drop: Some(vec!["ALL".to_owned()]),
        pids_limit: Some(MOST_PROCESSES),
        log_config: Some(HostConfigLogConfig { typ: Some("json-file".to_owned()), config: Some(log) }),
        ..Default::default()
    }
}

/// Labels for a container of this image. Compose marks the images it builds as belonging to a service; a container of ours
/// must not be taken for one of that service's.
pub(super) fn labels(ours: &HashMap<String, String>, image: &ImageConfig) -> HashMap<String, String> {
    let inherited =
        image.labels.iter().flatten().map(|(key, _)| key).filter(|key| key.starts_with("com.docker.compose."));
    inherited.map(|key| (key.clone(), String::new())).chain(ours.clone()).collect()
}

/// The last lines of a container's log, both streams.
pub(super) async fn logs(docker: &Docker, name: &str, lines: usize) -> Result<String> {
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&lines.to_string()).build();
    let mut stream = docker.logs(name, Some(options));
    let mut text = Vec::new();
    let read = async {
        while let Some(frame) = stream.next().await {
            text.extend_from_slice(frame?.as_ref());
            if text.len() > 2 * LOG_BYTES {
                text.drain(..text.len() - LOG_BYTES);
            }
        }
        Ok(())
    };
    within(LOGS, &format!("read the log of {name}"), read).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_of_a_service_s_image_is_not_taken_for_the_service() {
        let of_image = [("com.docker.compose.service", "db"), ("vendor", "x")];
        let image = ImageConfig {
            labels: Some(of_image.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
            ..Default::default()
        };
        let labels = labels(&HashMap::from([("io.xtask.run".to_owned(), "r".to_owned())]), &image);
        assert_eq!(labels["com.docker.compose.service"], "");
        assert_eq!(labels["io.xtask.run"], "r");
        assert!(!labels.contains_key("vendor"));
    }
}
