//! Container sites on a local Docker engine. The only folder that knows tokio and bollard: the core stays synchronous.
//! It must not know engines, scenarios or backups; folders on the host are another adapter's.

mod address;
mod attached;
mod channel;
mod container;
mod control;
mod engine;
mod exec;
mod fault;
mod heard;
mod identity;
mod images;
mod mounted;
mod mounts;
mod owned;
mod pipe;
mod pull;
mod pump;
mod removal;
mod store;
mod surroundings;
mod trailer;

pub use identity::RunIdentity;
pub use images::{Build, ImageRecipes, NoRecipes, Recipe};
pub use store::DockerImages;
pub use surroundings::DockerSurroundings;

use crate::domain::event::Event;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::report::Machine;
use crate::domain::site::{Attachment, ImageIdentity, SiteSpec, VolumeOf};
use crate::ports::{Events, OwnedSite, Site, Sites, Swept};
use anyhow::Result;
use engine::Engine;
use images::Images;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Sites in containers.
pub struct DockerSites {
    engine: Arc<Engine>,
    images: Images,
}

impl DockerSites {
    /// Prepares for the engine that `DOCKER_HOST` names, or the usual socket. Talks to nobody yet, so that a run without
    /// containers never waits for an engine: [`Sites::containers`] asks. Fails only when no runtime can be started.
    pub fn connect(run: &RunIdentity, images: Arc<dyn ImageRecipes>) -> Result<Self> {
        Self::with(Engine::new(address::socket(), run.clone())?, images)
    }

    /// As [`DockerSites::connect`], for the engine behind this socket.
    pub fn at(socket: &Path, run: &RunIdentity, images: Arc<dyn ImageRecipes>) -> Result<Self> {
        Self::with(Engine::new(Ok(socket.to_owned()), run.clone())?, images)
    }

    fn with(engine: Engine, recipes: Arc<dyn ImageRecipes>) -> Result<Self> {
        Ok(Self { engine: Arc::new(engine), images: Images::new(recipes) })
    }
}

impl Sites for DockerSites {
    fn containers(&self) -> Result<()> {
        self.engine.ping()
    }

    fn prepare_image(&self, spec: &SiteSpec, events: &dyn Events) -> Result<Option<ImageIdentity>> {
        match spec {
            SiteSpec::Container(spec) => Ok(Some(self.images.resolve(&self.engine, spec, events)?.identity)),
            SiteSpec::Directory => Ok(None),
        }
    }

    fn open(&self, spec: &SiteSpec, purpose: &str) -> Result<Box<dyn OwnedSite>> {
        match spec {
            SiteSpec::Container(spec) => {
                let image = self.images.resolve(&self.engine, spec, &Silent)?;
                Ok(Box::new(owned::OwnedContainer::open(&self.engine, spec, image, purpose)?))
            }
            SiteSpec::Directory => Err(not_ours("make a folder").into()),
        }
    }

    fn volume(&self, of: &VolumeOf) -> Result<PathBuf> {
        mounts::kept_at(&self.engine, of)
    }

    fn attach(&self, to: &Attachment) -> Result<Box<dyn Site>> {
        match to {
            Attachment::Service { project, service } => {
                Ok(Box::new(attached::AttachedService::attach(&self.engine, project, service)?))
            }
            Attachment::Folder(_) | Attachment::Volume(_) => Err(not_ours("attach to a folder").into()),
        }
    }

    fn sweep(&self) -> Result<Swept> {
        removal::sweep(&self.engine)
    }

    fn abandon(&self) -> Result<()> {
        // The engine's things go whether or not a build ends as it should.
        let ended = self.images.abandon();
        let folders = self.engine.folders.abandon();
        removal::abandon(&self.engine).and(ended).and(folders)
    }

    fn machine(&self) -> Machine {
        Machine {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            docker: self.engine.version(),
        }
    }
}

fn not_ours(what: &str) -> Refusal {
    let message = format!("cannot {what}: this adapter makes container sites only");
    Refusal::new(
        RefusalKind::Configuration,
        message,
        "give the store an engine that runs in a container, or use the directory site",
    )
}

/// For preparations that nobody watches.
struct Silent;

impl Events for Silent {
    fn tell(&self, _event: Event) {}
}
