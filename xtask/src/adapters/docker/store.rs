//! The engine's own images: look one up, load one from a file. Never pulls.
//! It must not know recipes, nor which image is wanted for what.

use super::address;
use super::engine::Engine;
use super::fault::{self, within};
use super::identity::RunIdentity;
use super::images::inspect;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::ports::{EngineImage, ImageLoader};
use anyhow::{Context, Result, anyhow};
use bollard::Docker;
use bollard::models::ImageInspect;
use bollard::query_parameters::{ImportImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions};
use futures_util::{StreamExt, stream};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// For an engine on a slow disk.
const LOAD: Duration = Duration::from_secs(15 * 60);
const CHUNK: u64 = 256 << 10;
/// On every image that was built here.
const OURS: &str = "io.xtask.managed=1";

/// The images of the engine that `DOCKER_HOST` names, or of the usual socket's.
pub struct DockerImages {
    engine: Engine,
}

impl DockerImages {
    /// Talks to nobody yet. Fails only when no runtime can be started.
    pub fn connect(run: &RunIdentity) -> Result<Self> {
        Ok(Self { engine: Engine::new(address::socket(), run.clone())? })
    }
}

impl ImageLoader for DockerImages {
    fn find(&self, reference: &str) -> Result<Option<EngineImage>> {
        let docker = self.engine.client()?;
        Ok(self.engine.run(inspect(&docker, reference))?.map(described))
    }

    fn load(&self, file: &Path) -> Result<()> {
        let docker = self.engine.client()?;
        let archive = File::open(file).with_context(|| format!("open {}", file.display()))?;
        self.engine.run(async {
            let before = nameless(&docker).await?;
            let loaded = tokio::time::timeout(LOAD, load(&docker, archive)).await;
            loaded.map_err(|_| anyhow!(fault::silent(LOAD)))?.with_context(|| format!("load {}", file.display()))?;
            // Whoever lost its name just now is of no use to anybody, unless a container still runs from it.
            for id in nameless(&docker).await?.difference(&before) {
                remove(&docker, id).await?;
            }
            Ok(())
        })
    }
}

async fn load(docker: &Docker, archive: File) -> Result<()> {
    let chunks = stream::unfold(archive, |mut archive| async move {
        let mut chunk = Vec::new();
        match archive.by_ref().take(CHUNK).read_to_end(&mut chunk) {
            Ok(0) => None,
            Ok(_) => Some((Ok(chunk.into()), archive)),
            Err(error) => Some((Err(error), archive)),
        }
    });
    let options = ImportImageOptionsBuilder::default().quiet(true).build();
    let mut lines = std::pin::pin!(docker.import_image_stream(options, chunks, None));
    while let Some(line) = lines.next().await {
        if let Err(error) = line {
            let said = fault::message(&error.into());
            let full = said.contains("no space left");
            let kind = if full { RefusalKind::Storage } else { RefusalKind::ImageUnavailable };
            let hint = if full {
                "free some space on the engine's disk: docker system df"
            } else {
                "look at the engine's own log"
            };
            return Err(Refusal::new(kind, format!("the engine does not take the image: {said}"), hint).into());
        }
    }
    Ok(())
}

/// Ids of images of ours that no name leads to.
async fn nameless(docker: &Docker) -> Result<HashSet<String>> {
    let filters = HashMap::from([("label", vec![OURS]), ("dangling", vec!["true"])]);
    let options = ListImagesOptionsBuilder::default().filters(&filters).build();
    let found = within(fault::LOOK, "list images without a name", docker.list_images(Some(options))).await?;
    Ok(found.into_iter().map(|image| image.id).collect())
}

/// Without force: an image that a container uses stays, and 409 says so.
async fn remove(docker: &Docker, id: &str) -> Result<()> {
    let removed =
        within(fault::CHANGE, "remove an image", docker.remove_image(id, None::<RemoveImageOptions>, None)).await;
    match removed.map(drop) {
        Err(error) if matches!(fault::status(&error), Some(404 | 409)) => Ok(()),
        other => other,
    }
}

fn described(image: ImageInspect) -> EngineImage {
    let labels = image.config.and_then(|c| c.labels).unwrap_or_default();
    EngineImage {
        id: image.id.unwrap_or_default(),
        bytes: image.size.and_then(|s| u64::try_from(s).ok()).unwrap_or_default(),
        labels: labels.into_iter().collect(),
    }
}
