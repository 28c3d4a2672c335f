//! All sites of this machine: folders always, containers when there is an engine, and otherwise the reason why not.
//! It must not know how either kind works.

use super::directory::DirectorySites;
use crate::domain::refusal::Refusal;
use crate::domain::report::Machine;
use crate::domain::site::{Attachment, ImageIdentity, SiteSpec, VolumeOf};
use crate::ports::{Events, OwnedSite, Site, Sites, Swept};
use anyhow::Result;
use std::path::PathBuf;
use std::sync::Arc;

/// Why there are no container sites: a message and what to do about it.
pub type Why = Refusal;

/// Directory sites, and container sites when there can be any.
pub struct LocalSites {
    directory: DirectorySites,
    containers: std::result::Result<Arc<dyn Sites>, Why>,
}

impl LocalSites {
    /// Both kinds of sites; `containers` may be missing for a reason, which everybody who asks for one is told.
    pub fn new(directory: DirectorySites, containers: std::result::Result<Arc<dyn Sites>, Why>) -> Self {
        Self { directory, containers }
    }

    fn docker(&self) -> Result<&dyn Sites> {
        self.containers.as_deref().map_err(|why| why.clone().into())
    }

    fn of(&self, spec: &SiteSpec) -> Result<&dyn Sites> {
        match spec {
            SiteSpec::Container(_) => self.docker(),
            SiteSpec::Directory => Ok(&self.directory),
        }
    }
}

impl Sites for LocalSites {
    fn containers(&self) -> Result<()> {
        self.docker()?.containers()
    }

    fn prepare_image(&self, spec: &SiteSpec, events: &dyn Events) -> Result<Option<ImageIdentity>> {
        self.of(spec)?.prepare_image(spec, events)
    }

    fn open(&self, spec: &SiteSpec, purpose: &str) -> Result<Box<dyn OwnedSite>> {
        self.of(spec)?.open(spec, purpose)
    }

    fn volume(&self, of: &VolumeOf) -> Result<PathBuf> {
        self.docker()?.volume(of)
    }

    fn attach(&self, to: &Attachment) -> Result<Box<dyn Site>> {
        match to {
            Attachment::Service { .. } => self.docker()?.attach(to),
            Attachment::Folder(_) => self.directory.attach(to),
            Attachment::Volume(of) => self.directory.attach(&Attachment::Folder(self.volume(of)?)),
        }
    }

    fn sweep(&self) -> Result<Swept> {
        // Each kind is swept whatever becomes of the other; an engine that is not there is said, not guessed about.
        let folders = self.directory.sweep();
        let containers = match self.containers() {
            Ok(()) => self.docker()?.sweep(),
            Err(why) => Ok(Swept { unseen: vec![format!("containers: {why:#}")], ..Swept::default() }),
        };
        let (mut swept, more) = (folders?, containers?);
        swept.removed.extend(more.removed);
        swept.kept.extend(more.kept);
        swept.unseen.extend(more.unseen);
        Ok(swept)
    }

    fn abandon(&self) -> Result<()> {
        let containers = self.containers.as_ref().map_or(Ok(()), |docker| docker.abandon());
        self.directory.abandon().and(containers)
    }

    fn machine(&self) -> Machine {
        let docker = self.containers.as_ref().ok().and_then(|docker| docker.machine().docker);
        Machine { docker, ..self.directory.machine() }
    }
}
