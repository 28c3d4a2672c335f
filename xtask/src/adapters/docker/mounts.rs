//! Labelled volumes and where they are mounted. An image's own `VOLUME`s are covered too: the engine would make unlabelled ones.
//! It must not know what is stored in them.

use super::fault::{self, within};
use anyhow::{Context, Result};
use bollard::Docker;
use bollard::models::{ImageConfig, Mount, MountType, MountVolumeOptions, VolumeCreateRequest};
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use std::collections::HashMap;

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
    fn the_staging_folder_is_named_below_its_parent() {
        assert_eq!(trimmed_parts("/scratch").unwrap(), ("/", "scratch"));
        assert_eq!(trimmed_parts("/var/lib/scratch/").unwrap(), ("/var/lib", "scratch"));
        assert!(trimmed_parts("/").is_err() && trimmed_parts("scratch").is_err());
    }
}
