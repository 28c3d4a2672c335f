//! Labelled volumes and where they are mounted. An image's own `VOLUME`s are covered too: the engine would make unlabelled ones.
//! It must not know what is stored in them.

use super::engine::Engine;
use super::fault::{self, within};
use super::mounted;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::site::VolumeOf;
use anyhow::{Context, Result};
use bollard::Docker;
use bollard::models::{ImageConfig, Mount, MountType, MountVolumeOptions, VolumeCreateRequest};
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// One volume to be made and mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Volume {
    pub(super) name: String,
    pub(super) target: String,
}

/// The volumes of a container: those wanted at these places, and one for every other place where the image declares one.
pub(super) fn volumes(name: &str, wanted: &[(&str, &str)], image: &ImageConfig) -> Vec<Volume> {
    let mut volumes: Vec<Volume> = Vec::new();
    for (word, target) in wanted {
        volumes.push(Volume { name: format!("{name}-{word}"), target: trimmed(target) });
    }
    for (number, declared) in image.volumes.iter().flatten().enumerate() {
        let target = trimmed(declared);
        if volumes.iter().all(|v| v.target != target) {
            volumes.push(Volume { name: format!("{name}-image{number}"), target });
        }
    }
    volumes
}

fn trimmed(target: &str) -> String {
    let trimmed = target.trim_end_matches('/');
    if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() }
}

/// Makes one volume, labelled from its first moment.
pub(super) async fn create(docker: &Docker, volume: &Volume, labels: &HashMap<String, String>) -> Result<()> {
    let request =
        VolumeCreateRequest { name: Some(volume.name.clone()), labels: Some(labels.clone()), ..Default::default() };
    within(fault::CHANGE, &format!("create the volume {}", volume.name), docker.create_volume(request)).await?;
    Ok(())
}

/// Where the engine keeps a volume of somebody's, when that is a folder of this host: the engine must say that it runs on the host
/// of this name, because one behind a forwarded socket may keep another volume at the same path. The running stack must mount it.
pub(super) fn kept_at(engine: &Engine, of: &VolumeOf) -> Result<PathBuf> {
    let name = of.name.as_str();
    let docker = engine.client()?;
    let look = async {
        let volume = within(fault::LOOK, "look at the volume", docker.inspect_volume(name)).await;
        let info = within(fault::LOOK, "ask the engine where it runs", docker.info()).await?;
        anyhow::Ok((volume, info.name.unwrap_or_default()))
    };
    let (volume, engines) = engine.run(look)?;
    let refuse = |kind, message: String, hint: &str| anyhow::Error::new(Refusal::new(kind, message, hint));
    let volume = match volume {
        Err(error) if fault::status(&error) == Some(404) => {
            let message = format!("the engine has no volume {name}");
            let hint = "start the stack once (docker compose up), or correct the volume in recovery.yaml";
            return Err(refuse(RefusalKind::MissingStore, message, hint));
        }
        other => other?,
    };
    let here = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let folder = PathBuf::from(&volume.mountpoint);
    if engines != here || volume.driver != "local" {
        let message =
            format!("volume {name} is kept by driver {} on {engines}, not on this host ({here})", volume.driver);
        let hint = "run this on the engine's own host, or bind-mount a folder for the store";
        return Err(refuse(RefusalKind::MissingCapability, message, hint));
    }
    if let Some(project) = &of.project {
        engine.run(mounted::ensure(&docker, name, project, of.service.as_deref()))?;
    }
    let device = volume.options.get("device").filter(|device| !device.is_empty());
    if let Some(device) = device.filter(|_| is_mount_point(&folder) == Some(false)) {
        let message = format!(
            "volume {name} is {device}, which the engine mounts at {} only while a container uses it; it is not mounted there now",
            folder.display()
        );
        let hint =
            "start the stack (docker compose up -d), or name the folder behind the volume as the store's `path:`";
        return Err(refuse(RefusalKind::MissingStore, message, hint));
    }
    match std::fs::read_dir(&folder) {
        Ok(_) => Ok(folder),
        Err(error) => {
            let message = format!("volume {name} cannot be read at {}: {error}", folder.display());
            let hint = "the engine's volumes are for root: run this with sudo, or bind-mount a folder for the store";
            Err(refuse(RefusalKind::AccessDenied, message, hint))
        }
    }
}

/// Whether something is mounted at this folder, as far as this process sees; `None` when it cannot be told.
fn is_mount_point(folder: &Path) -> Option<bool> {
    let found = statx(CWD, folder, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS).ok()?;
    let told = found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
    told.then(|| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Labelled here once more: a volume that vanished since would be made anew with the container.
pub(super) fn mount(volume: &Volume, labels: &HashMap<String, String>) -> Mount {
    Mount {
        target: Some(volume.target.clone()),
        source: Some(volume.name.clone()),
        typ: Some(MountType::VOLUME),
        volume_options: Some(MountVolumeOptions { labels: Some(labels.clone()), ..Default::default() }),
        ..Default::default()
    }
}

/// Opens a folder of a container that was not started yet to every user in it, as `/tmp` is. Done by unpacking an archive with
/// just that folder, because the image need not hold any program that could do it.
pub(super) async fn open_to_all(docker: &Docker, container: &str, folder: &str) -> Result<()> {
    let (parent, name) = trimmed_parts(folder)?;
    let archive = folder_archive(name).context("describe the staging folder")?;
    let options = UploadToContainerOptionsBuilder::default().path(parent).build();
    let upload = docker.upload_to_container(container, Some(options), bollard::body_full(archive.into()));
    within(fault::CHANGE, &format!("open {folder} to all users of the container"), upload).await
}

fn trimmed_parts(folder: &str) -> Result<(&str, &str)> {
    let (parent, name) =
        folder.trim_end_matches('/').rsplit_once('/').context("the staging folder's path is not absolute")?;
    anyhow::ensure!(!name.is_empty(), "the root folder cannot be the staging folder");
    Ok((if parent.is_empty() { "/" } else { parent }, name))
}

fn folder_archive(name: &str) -> std::io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o1777);
    header.set_size(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, format!("{name}/"), std::io::empty())?;
    archive.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_volume_that_the_image_declares_gets_a_name_and_so_labels() {
        let image = ImageConfig { volumes: Some(vec!["/data/".into(), "/var/cache".into()]), ..Default::default() };
        let found = volumes("c", &[("data", "/data"), ("scratch", "/scratch/")], &image);
        let targets: Vec<_> = found.iter().map(|v| (v.name.as_str(), v.target.as_str())).collect();
        assert_eq!(targets, [("c-data", "/data"), ("c-scratch", "/scratch"), ("c-image1", "/var/cache")]);
    }

    #[test]
    fn a_mount_point_is_told_from_a_folder() {
        assert_eq!(is_mount_point(Path::new("/proc")), Some(true));
        assert_eq!(is_mount_point(tempfile::tempdir().unwrap().path()), Some(false));
        assert_eq!(is_mount_point(Path::new("/no such folder")), None);
    }

    #[test]
    fn the_staging_folder_is_named_below_its_parent() {
        assert_eq!(trimmed_parts("/scratch").unwrap(), ("/", "scratch"));
        assert_eq!(trimmed_parts("/var/lib/scratch/").unwrap(), ("/var/lib", "scratch"));
        assert!(trimmed_parts("/").is_err() && trimmed_parts("scratch").is_err());
    }
}
