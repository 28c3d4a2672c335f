//! Pulls one image: tells how far it is, gives up on silence and after a limit, and says why in one line.
//! It must not know what happens when it fails.

use super::fault;
use crate::domain::event::Event;
use crate::ports::Events;
use anyhow::Error;
use bollard::Docker;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// For a registry that is slow but there.
const OVERALL: Duration = Duration::from_secs(30 * 60);
/// For a registry that swallows packets: the engine itself may wait much longer.
const SILENCE: Duration = Duration::from_secs(60);
/// How often progress is told.
const TELL: Duration = Duration::from_millis(500);

/// Pulls the image, or says in one line why not.
pub(super) async fn pull(docker: &Docker, image: &str, events: &dyn Events) -> Result<(), String> {
    // `localhost/…` without a port is where local recipes put their images: no registry is meant.
    if image.starts_with("localhost/") {
        return Err("its name is a local one".to_owned());
    }
    events.tell(Event::ImagePreparing { what: format!("pulling {image}") });
    match timeout(OVERALL, follow(docker, image, events)).await {
        Ok(result) => result,
        Err(_) => Err(format!("it took longer than {} minutes", OVERALL.as_secs() / 60)),
    }
}

async fn follow(docker: &Docker, image: &str, events: &dyn Events) -> Result<(), String> {
    let options = CreateImageOptionsBuilder::default().from_image(&tagged(image)).build();
    let mut lines = docker.create_image(Some(options), None, None);
    let mut layers = Layers::default();
    let mut told = Instant::now();
    loop {
        match timeout(SILENCE, lines.next()).await {
            Err(_) => return Err(format!("neither engine nor registry said anything for {} s", SILENCE.as_secs())),
            Ok(None) => return Ok(()),
            Ok(Some(Err(error))) => return Err(fault::message(&Error::new(error))),
            Ok(Some(Ok(line))) => layers.take(line),
        }
        if told.elapsed() >= TELL {
            told = Instant::now();
            events.tell(Event::ImagePreparing { what: format!("pulling {image}: {}", layers.said()) });
        }
    }
}

/// Without a tag the engine would pull every tag there is.
fn tagged(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains([':', '@']) { image.to_owned() } else { format!("{image}:latest") }
}

#[derive(Default)]
struct Layers(BTreeMap<String, (i64, i64)>);

impl Layers {
    fn take(&mut self, line: CreateImageInfo) {
        if let (Some(id), Some(detail), Some("Downloading")) = (line.id, line.progress_detail, line.status.as_deref()) {
            self.0.insert(id, (detail.current.unwrap_or(0), detail.total.unwrap_or(0)));
        }
    }

    fn said(&self) -> String {
        let sum = |of: fn(&(i64, i64)) -> i64| self.0.values().map(of).sum::<i64>() / 1_000_000;
        format!("{} of {} MB", sum(|layer| layer.0), sum(|layer| layer.1))
    }
}

#[cfg(test)]
mod tests {
    use super::tagged;

    #[test]
    fn one_tag_is_pulled_never_all_of_them() {
        assert_eq!(tagged("postgres"), "postgres:latest");
        assert_eq!(tagged("registry:5000/team/postgres"), "registry:5000/team/postgres:latest");
        for exact in ["postgres:15", "registry:5000/postgres:15", "postgres@sha256:abc"] {
            assert_eq!(tagged(exact), exact);
        }
    }
}
