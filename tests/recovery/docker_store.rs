//! Image files on a real engine: loaded, found with their labels, replaced without a trace, refused when they are no images.

use crate::docker_rig::{Rig, docker, random};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use tar::{Builder, Header};
use xtask::adapters::docker::DockerImages;
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::ports::ImageLoader;

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

/// An image file with one layer that holds `content`.
fn image(folder: &Path, reference: &str, content: &str) -> PathBuf {
    let layer = tar(&[("content", content.as_bytes())]);
    let config = serde_json::json!({
        "architecture": "amd64",
        "os": "linux",
        "config": { "Labels": { "io.xtask.managed": "1", "io.xtask.recipe-digest": content } },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", hex(&layer))] },
    });
    let config = config.to_string();
    let name = format!("{}.json", hex(config.as_bytes()));
    let manifest = serde_json::json!([{ "Config": name, "RepoTags": [reference], "Layers": ["layer.tar"] }]);
    let files = [
        ("manifest.json", manifest.to_string().into_bytes()),
        (name.as_str(), config.into_bytes()),
        ("layer.tar", layer),
    ];
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    let path = folder.join(format!("{content}.tar"));
    std::fs::write(&path, tar(&files)).unwrap();
    path
}

#[test]
fn docker_an_image_file_is_loaded_and_the_image_it_replaces_goes_unless_it_is_in_use() {
    let test = "docker_an_image_file_is_loaded_and_the_image_it_replaces_goes_unless_it_is_in_use";
    let Some(rig) = Rig::new(test) else { return };
    let folder = tempfile::tempdir().unwrap();
    let reference = format!("localhost/xtask-test:{}", random());
    let images = DockerImages::connect(&rig.run).unwrap();
    assert_eq!(images.find(&reference).unwrap(), None);

    let words: [String; 3] = std::array::from_fn(|_| random());
    let [first, second, third] = words.each_ref().map(|word| {
        images.load(&image(folder.path(), &reference, word)).unwrap();
        let found = images.find(&reference).unwrap().expect("the loaded image");
        assert_eq!(found.labels["io.xtask.recipe-digest"], *word);
        if *word == words[1] {
            docker(&["create", "--name", &format!("xtask-test-{word}"), &reference, "none"]).expect("a container");
        }
        found.id
    });
    let there = |id: &str| docker(&["image", "inspect", id]).is_some();
    let left = [there(&first), there(&second), there(&third)];
    docker(&["rm", "-f", &format!("xtask-test-{}", words[1])]).expect("removed");
    docker(&["rmi", &reference]).expect("removed");
    docker(&["rmi", &second]).expect("removed");
    assert_eq!(left, [false, true, true], "replaced, replaced but in use, current");
}

#[test]
fn docker_a_file_that_is_no_image_is_refused_in_the_engine_s_words() {
    let Some(rig) = Rig::new("docker_a_file_that_is_no_image_is_refused_in_the_engine_s_words") else { return };
    let folder = tempfile::tempdir().unwrap();
    let images = DockerImages::connect(&rig.run).unwrap();
    let path = folder.path().join("none.tar");
    std::fs::write(&path, tar(&[("hello", b"world")])).unwrap();
    let error = images.load(&path).unwrap_err();
    let refusal = error.downcast_ref::<Refusal>().unwrap_or_else(|| panic!("{error:#}"));
    assert_eq!(refusal.kind, RefusalKind::ImageUnavailable);
    assert!(refusal.message.starts_with("the engine does not take the image: "), "{}", refusal.message);
    assert!(images.load(&folder.path().join("absent.tar")).is_err());
}
