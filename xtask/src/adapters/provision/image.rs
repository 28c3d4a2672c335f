//! Puts a stand-in image together from checked packages and writes it as a file that `docker load` reads.
//! It must not know how packages are fetched, nor talk to the container engine. Same packages, same image id.

use super::apt;
use super::child::Children;
use super::layer::{Layer, Written};
use super::locale;
use super::packages::Packages;
use super::recipe::{Book, DIGEST_LABEL, ENTRYPOINT, ImageRecipe, Major};
use crate::adapters::processes::Environment;
use crate::domain::artifact::hex;
use crate::domain::exec::Exec;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const UNPACK: Duration = Duration::from_secs(120);
const BUFFER: usize = 256 << 10;

/// What goes into one image.
pub(super) struct Plan<'a> {
    pub(super) book: &'a Book,
    pub(super) major: &'a Major,
    pub(super) recipe: &'a ImageRecipe,
    pub(super) packages: &'a Packages,
    /// dpkg's name of it.
    pub(super) architecture: &'a str,
}

/// What an image file holds; kept next to it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Contents {
    /// What the image will be called: `localhost/xtask-postgres:15`.
    pub reference: String,
    /// The id that the engine gives it: `sha256:…`.
    pub image_id: String,
    /// The recipe's digest at that time.
    pub recipe_digest: String,
    /// SHA-256 (hex) over the list of packages.
    pub packages_digest: String,
    /// The server's package version.
    pub server_version: String,
    /// How many packages are in it.
    pub packages: usize,
    /// Size of the file.
    pub file_bytes: u64,
    /// SHA-256 (hex) of the file.
    pub file_sha256: String,
}

impl Plan<'_> {
    /// Writes the image file to `archive` (whole or not at all) and says what is in it.
    ///
    /// # Errors
    /// A package that cannot be unpacked, a failed locale compiler, no space.
    pub(super) fn write(&self, archive: &Path, children: &Children) -> Result<Contents> {
        let folder = archive.parent().context("an image file without a folder")?;
        apt::make(folder)?;
        let mut files = tempfile::tempfile_in(folder).with_context(|| format!("write in {}", folder.display()))?;
        let files_layer = self.files_layer(&mut files, folder, children).context("write the files layer")?;
        let (entry_layer, entry_bytes) = entrypoint_layer()?;
        let config = self.config(&files_layer, &entry_layer)?;
        let id = hex(&Sha256::digest(&config));
        let manifest = json!([{
            "Config": format!("{id}.json"),
            "RepoTags": [self.recipe.reference],
            "Layers": ["rootfs.tar", "entrypoint.tar"],
        }]);
        let partial = archive.with_extension("tar.partial");
        let out = File::create(&partial).with_context(|| format!("write {}", partial.display()))?;
        let mut tar = Layer::new(BufWriter::with_capacity(BUFFER, out), &[]);
        tar.file("manifest.json", 0o644, manifest.to_string().as_bytes())?;
        tar.file(&format!("{id}.json"), 0o644, &config)?;
        tar.file("entrypoint.tar", 0o644, &entry_bytes)?;
        files.rewind()?;
        tar.stream("rootfs.tar", files_layer.bytes, &mut BufReader::with_capacity(BUFFER, files))?;
        let (file, out) = tar.finish().with_context(|| format!("write {}", partial.display()))?;
        out.into_inner().map_err(|e| e.into_error())?.sync_all()?;
        fs::rename(&partial, archive).with_context(|| format!("name {}", archive.display()))?;
        Ok(Contents {
            reference: self.recipe.reference.clone(),
            image_id: format!("sha256:{id}"),
            recipe_digest: self.recipe.digest.clone(),
            packages_digest: self.packages.digest(),
            server_version: self.server_version()?,
            packages: self.packages.debs.len(),
            file_bytes: file.bytes,
            file_sha256: file.sha256,
        })
    }

    fn files_layer(&self, to: &mut File, folder: &Path, children: &Children) -> Result<Written> {
        let book = self.book;
        let scratch = folder.join(format!(".scratch-{}", self.recipe.name));
        let locale = locale::compile(&book.locale, self.packages, &scratch, children)?;
        let mut layer = Layer::new(BufWriter::with_capacity(BUFFER, to), &book.dropped);
        for directory in &book.directories {
            layer.directory(&directory.path, directory.rights()?)?;
        }
        for (path, target) in &book.links {
            layer.link(path, target)?;
        }
        for (path, text) in &book.files {
            layer.file(path, 0o644, text.as_bytes())?;
        }
        for deb in &self.packages.debs {
            let path = self.packages.path(deb);
            let unpack = Exec::site("dpkg-deb").args(["--fsys-tarfile".into(), path.to_string_lossy()]).timeout(UNPACK);
            let taken = children.stream(&unpack, Environment::Clean, |out| layer.package(out));
            taken.with_context(|| format!("unpack {}", deb.file))?;
        }
        for (path, bytes) in &locale {
            layer.file(path, 0o644, bytes)?;
        }
        layer.file("usr/share/xtask/packages.sha256", 0o644, self.packages.sums().as_bytes())?;
        Ok(layer.finish()?.0)
    }

    /// The image's configuration, whose SHA-256 is the image's id.
    fn config(&self, files: &Written, entrypoint: &Written) -> Result<Vec<u8>> {
        let (image, recipe) = (&self.book.image, self.recipe);
        let version = self.server_version()?;
        // A fixed date would show as decades old and be pruned as such; the packages' own date is as reproducible.
        let newest = i64::try_from(files.newest).context("a package from a far future")?;
        let created = jiff::Timestamp::from_second(newest)?.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let mut env = self.book.environment(&recipe.major);
        env.push(format!("PG_VERSION={version}"));
        let ports: serde_json::Map<String, Value> =
            image.exposed_ports.iter().map(|p| (p.clone(), json!({}))).collect();
        let what = format!("xtask: {} Debian packages, {}", self.packages.debs.len(), self.major.suite);
        let config = json!({
            "architecture": engine_architecture(self.architecture),
            "config": {
                "Cmd": image.command,
                "Entrypoint": image.entrypoint,
                "Env": env,
                "ExposedPorts": ports,
                "Labels": {
                    "io.xtask.managed": "1",
                    "io.xtask.packages-digest": self.packages.digest(),
                    "io.xtask.recipe": recipe.name,
                    (DIGEST_LABEL): recipe.digest,
                    "io.xtask.server-version": version,
                },
                "StopSignal": image.stop_signal,
                "WorkingDir": "/",
            },
            "created": created,
            "history": [
                { "created": created, "created_by": what },
                { "created": created, "created_by": "xtask: entrypoint.sh" },
            ],
            "os": "linux",
            "rootfs": {
                "diff_ids": [format!("sha256:{}", files.sha256), format!("sha256:{}", entrypoint.sha256)],
                "type": "layers",
            },
        });
        Ok(serde_json::to_vec(&config)?)
    }

    fn server_version(&self) -> Result<String> {
        Ok(self.packages.find(&format!("postgresql-{}", self.recipe.major))?.version())
    }
}

fn entrypoint_layer() -> Result<(Written, Vec<u8>)> {
    let mut layer = Layer::new(Vec::new(), &[]);
    layer.file("usr/local/bin/docker-entrypoint.sh", 0o755, ENTRYPOINT)?;
    layer.finish()
}

/// The container engine's name for dpkg's architecture.
fn engine_architecture(dpkg: &str) -> &str {
    match dpkg {
        "i386" => "386",
        "armhf" | "armel" => "arm",
        "ppc64el" => "ppc64le",
        "mips64el" => "mips64le",
        same => same,
    }
}

/// Where a recipe's image file lies in the cache, and the note of its contents next to it.
pub(super) fn places(cache: &Path, recipe: &ImageRecipe) -> (PathBuf, PathBuf) {
    let file = |ending: &str| cache.join("images").join(format!("{}.{ending}", recipe.name));
    (file("tar"), file("json"))
}

/// The noted contents of a recipe's image file, if that file is there, made from the recipe as it is now, and undamaged.
pub(super) fn kept(cache: &Path, recipe: &ImageRecipe) -> Option<Contents> {
    let (archive, note) = places(cache, recipe);
    let contents: Contents = serde_json::from_slice(&fs::read(note).ok()?).ok()?;
    let current = contents.recipe_digest == recipe.digest && contents.reference == recipe.reference;
    (current && super::packages::sha256_of(&archive).ok()? == contents.file_sha256).then_some(contents)
}

/// Notes the contents next to the image file.
pub(super) fn note(cache: &Path, recipe: &ImageRecipe, contents: &Contents) -> Result<()> {
    let (_, note) = places(cache, recipe);
    let mut text = serde_json::to_vec_pretty(contents)?;
    text.write_all(b"\n")?;
    fs::write(&note, text).with_context(|| format!("write {}", note.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::provision::recipe::recipe_for;

    fn contents(recipe: &ImageRecipe, file: &[u8]) -> Contents {
        Contents {
            reference: recipe.reference.clone(),
            image_id: "sha256:1".into(),
            recipe_digest: recipe.digest.clone(),
            packages_digest: "2".into(),
            server_version: "15.1".into(),
            packages: 3,
            file_bytes: file.len() as u64,
            file_sha256: hex(&Sha256::digest(file)),
        }
    }

    #[test]
    fn a_kept_image_file_counts_only_whole_and_from_the_recipe_as_it_is() {
        let cache = tempfile::tempdir().unwrap();
        let recipe = recipe_for("postgres", "postgres:15").unwrap();
        let (archive, _) = places(cache.path(), &recipe);
        fs::create_dir_all(archive.parent().unwrap()).unwrap();
        assert_eq!(kept(cache.path(), &recipe), None);

        fs::write(&archive, b"image").unwrap();
        let wanted = contents(&recipe, b"image");
        note(cache.path(), &recipe, &wanted).unwrap();
        assert_eq!(kept(cache.path(), &recipe), Some(wanted));

        let changed = ImageRecipe { digest: "other".into(), ..recipe.clone() };
        assert_eq!(kept(cache.path(), &changed), None);
        fs::write(&archive, b"imagf").unwrap();
        assert_eq!(kept(cache.path(), &recipe), None);
    }

    #[test]
    fn the_entrypoint_layer_is_executable_and_always_the_same() {
        let (written, tar) = entrypoint_layer().unwrap();
        assert_eq!(entrypoint_layer().unwrap(), (written, tar.clone()));
        let mut archive = tar::Archive::new(tar.as_slice());
        let last = archive.entries().unwrap().last().unwrap().unwrap();
        assert_eq!(last.path().unwrap().to_str(), Some("usr/local/bin/docker-entrypoint.sh"));
        assert_eq!(last.header().mode().unwrap(), 0o755);
    }

    #[test]
    fn architectures_have_the_engine_s_names() {
        for (dpkg, engine) in [("amd64", "amd64"), ("arm64", "arm64"), ("armhf", "arm"), ("ppc64el", "ppc64le")] {
            assert_eq!(engine_architecture(dpkg), engine);
        }
    }
}
