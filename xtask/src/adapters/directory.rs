//! The directory sites: a private folder for stores that are plain files, or somebody's folder to read from. Commands are
//! children of this process with that folder as their own. It must not know what a store is.

mod home;
mod place;

use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::report::Machine;
use crate::domain::site::{Attachment, ImageIdentity, SiteSpec, VolumeOf};
use crate::ports::{Events, OwnedSite, Site, Sites, Swept};
use anyhow::{Result, ensure};
use home::Run;
use place::{OwnedPlace, Place};
use std::path::PathBuf;
use std::sync::Arc;

/// Makes directory sites and finds them.
#[derive(Clone)]
pub struct DirectorySites {
    run: Arc<Run>,
}

impl DirectorySites {
    /// For the run with this id. `own` is the binary whose `__tool` serves [`crate::domain::exec::Program::Own`]; `base` is
    /// where private folders are made, the system's temporary folder when `None`.
    pub fn new(run: &str, own: PathBuf, base: Option<PathBuf>) -> Self {
        Self { run: Arc::new(Run::new(run, own, base.unwrap_or_else(std::env::temp_dir))) }
    }
}

impl Sites for DirectorySites {
    fn containers(&self) -> Result<()> {
        Err(no_containers().into())
    }

    fn prepare_image(&self, spec: &SiteSpec, _events: &dyn Events) -> Result<Option<ImageIdentity>> {
        match spec {
            SiteSpec::Directory => Ok(None),
            SiteSpec::Container(_) => Err(no_containers().into()),
        }
    }

    fn open(&self, spec: &SiteSpec, purpose: &str) -> Result<Box<dyn OwnedSite>> {
        match spec {
            SiteSpec::Directory => Ok(Box::new(OwnedPlace::new(Place::open(&self.run, purpose)?))),
            SiteSpec::Container(_) => Err(no_containers().into()),
        }
    }

    fn volume(&self, _of: &VolumeOf) -> Result<PathBuf> {
        Err(no_containers().into())
    }

    fn attach(&self, to: &Attachment) -> Result<Box<dyn Site>> {
        let Attachment::Folder(folder) = to else {
            return Err(no_containers().into());
        };
        let found = folder.canonicalize().map_err(|e| {
            let kind = match e.kind() {
                std::io::ErrorKind::PermissionDenied => RefusalKind::AccessDenied,
                _ => RefusalKind::MissingStore,
            };
            Refusal::new(kind, format!("folder {}: {e}", folder.display()), "check the store's path in recovery.yaml")
        })?;
        ensure!(found.is_dir(), "{} is not a folder", folder.display());
        Ok(Box::new(Place::attach(&self.run, found)?))
    }

    fn sweep(&self) -> Result<Swept> {
        self.run.sweep()
    }

    fn abandon(&self) -> Result<()> {
        self.run.abandon()
    }

    fn machine(&self) -> Machine {
        Machine {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            docker: None,
        }
    }
}

fn no_containers() -> Refusal {
    Refusal::new(
        RefusalKind::DockerUnavailable,
        "a directory site cannot run a container",
        "start the container engine, or drill a store that is plain files",
    )
}

#[cfg(test)]
mod tests;
