//! The local recipes: what a stand-in image is made of, read from the files that travel inside this binary. Pure.
//! It must not know mirrors, folders or the container engine.

use super::reference;
use crate::domain::artifact::hex;
use anyhow::{Context, Result};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The first process of the image.
pub(super) const ENTRYPOINT: &[u8] = include_bytes!("../../../../fixtures/images/postgres/entrypoint.sh");
const RECIPE: &str = include_str!("../../../../fixtures/images/postgres/recipe.yml");

/// An image's label that holds [`ImageRecipe::digest`].
pub const DIGEST_LABEL: &str = "io.xtask.recipe-digest";

/// One local recipe: how an image that stands in for a public one can be built here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRecipe {
    /// `postgres-15`.
    pub name: String,
    /// The major version.
    pub major: String,
    /// What the built image is called: `localhost/xtask-postgres:15`.
    pub reference: String,
    /// SHA-256 (hex) of everything that decides the image except the packages' versions. An image whose [`DIGEST_LABEL`] is
    /// equal is up to date.
    pub digest: String,
}

impl ImageRecipe {
    /// Whether an image with these labels was built from this recipe as it is now.
    pub fn is_current(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(DIGEST_LABEL) == Some(&self.digest)
    }
}

/// The recipe that can stand in for this image.
pub fn recipe_for(engine: &str, wanted_image: &str) -> Option<ImageRecipe> {
    stand_in(engine, wanted_image).ok()
}

/// The recipe that can stand in for this image.
///
/// # Errors
/// Why there is none, for a message: `no local recipe: …`.
pub fn stand_in(engine: &str, wanted_image: &str) -> Result<ImageRecipe, String> {
    if engine != "postgres" {
        return Err(format!("there is none for the engine `{engine}`"));
    }
    let book = Book::embedded().map_err(|e| format!("{e:#}"))?;
    let own = book.image.tag.replace(":{major}", "");
    let major = reference::postgres_major(wanted_image, book.newest(), &own)?;
    if book.majors.contains_key(&major) {
        Ok(book.recipe(&major))
    } else {
        let known: Vec<&str> = book.majors.keys().map(String::as_str).collect();
        Err(format!("`{wanted_image}` is major {major}, and there are recipes for {} only", known.join(" and ")))
    }
}

/// Every recipe, oldest major first.
///
/// # Errors
/// The embedded recipe cannot be read.
pub fn recipes() -> Result<Vec<ImageRecipe>> {
    let book = Book::embedded()?;
    Ok(book.majors.keys().map(|major| book.recipe(major)).collect())
}

/// `fixtures/images/postgres/recipe.yml`, whose comments say what each part is for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Book {
    #[serde(rename = "format")]
    _format: u32,
    pub(super) keyring: String,
    pub(super) majors: BTreeMap<String, Major>,
    packages: Vec<String>,
    left_out: Vec<String>,
    pub(super) dropped: Vec<String>,
    pub(super) directories: Vec<Directory>,
    pub(super) links: BTreeMap<String, String>,
    pub(super) files: BTreeMap<String, String>,
    pub(super) locale: Locale,
    pub(super) image: Image,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Major {
    pub(super) suite: String,
    left_out: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Directory {
    pub(super) path: String,
    mode: String,
    owner: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Locale {
    pub(super) name: String,
    pub(super) source: String,
    pub(super) charmap: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Image {
    tag: String,
    pub(super) entrypoint: Vec<String>,
    pub(super) command: Vec<String>,
    pub(super) stop_signal: String,
    pub(super) exposed_ports: Vec<String>,
    environment: BTreeMap<String, String>,
}

impl Book {
    pub(super) fn embedded() -> Result<Self> {
        serde_saphyr::from_str(RECIPE).context("read the embedded image recipe")
    }

    fn newest(&self) -> &str {
        self.majors.keys().max_by_key(|m| m.parse::<u32>().unwrap_or(0)).map_or("", String::as_str)
    }

    fn recipe(&self, major: &str) -> ImageRecipe {
        let name = format!("postgres-{major}");
        let digest = digest(&name, &[("entrypoint.sh", ENTRYPOINT), ("recipe.yml", RECIPE.as_bytes())]);
        ImageRecipe { digest, reference: with(&self.image.tag, major), major: major.to_owned(), name }
    }

    pub(super) fn packages(&self, major: &str) -> Vec<String> {
        self.packages.iter().map(|p| with(p, major)).collect()
    }

    /// What apt is told is there already.
    pub(super) fn left_out(&self, major: &Major) -> Vec<String> {
        self.left_out.iter().chain(&major.left_out).cloned().collect()
    }

    /// `NAME=value`, sorted.
    pub(super) fn environment(&self, major: &str) -> Vec<String> {
        self.image.environment.iter().map(|(k, v)| format!("{k}={}", with(v, major))).collect()
    }
}

impl Directory {
    /// Mode bits, user id, group id.
    pub(super) fn rights(&self) -> Result<(u32, u64, u64)> {
        let mode = u32::from_str_radix(&self.mode, 8).with_context(|| format!("mode of {}", self.path))?;
        let (uid, gid) = self.owner.split_once(':').with_context(|| format!("owner of {}", self.path))?;
        Ok((mode, uid.parse()?, gid.parse()?))
    }
}

fn with(text: &str, major: &str) -> String {
    text.replace("{major}", major)
}

/// Names and lengths go in too, so that moving a byte from one file to the next changes the digest.
fn digest(name: &str, files: &[(&str, &[u8])]) -> String {
    let mut sum = Sha256::new();
    sum.update(format!("{name}\0"));
    for (file, bytes) in files {
        sum.update(format!("{file}\0{}\0", bytes.len()));
        sum.update(bytes);
    }
    hex(&sum.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_recipe_is_readable_and_complete() {
        let book = Book::embedded().unwrap();
        assert_eq!(book.majors.keys().collect::<Vec<_>>(), ["15", "17"]);
        assert!(book.packages("15").contains(&"postgresql-15".to_owned()));
        assert!(book.left_out(&book.majors["15"]).contains(&"libllvm14".to_owned()));
        assert!(book.environment("17").contains(&"PG_MAJOR=17".to_owned()));
        let data = book.directories.iter().find(|d| d.path == "var/lib/postgresql/data").unwrap();
        assert_eq!(data.rights().unwrap(), (0o1777, 999, 999));
    }

    #[test]
    fn a_recipe_is_found_for_the_majors_it_covers_and_refused_with_a_reason_for_others() {
        assert_eq!(recipe_for("postgres", "postgres:15.6-alpine").unwrap().reference, "localhost/xtask-postgres:15");
        assert_eq!(recipe_for("postgres", "postgres").unwrap().reference, "localhost/xtask-postgres:17");
        assert_eq!(
            stand_in("postgres", "postgres:16").unwrap_err(),
            "`postgres:16` is major 16, and there are recipes for 15 and 17 only"
        );
        assert!(stand_in("postgres", "postgis/postgis:15-3.4").unwrap_err().contains("not the public postgres image"));
        assert!(stand_in("mongodb", "mongo:7").unwrap_err().contains("mongodb"));
    }

    #[test]
    fn the_digest_is_stable_differs_per_major_and_changes_with_every_byte() {
        let files: [(&str, &[u8]); 2] = [("entrypoint.sh", b"ab"), ("recipe.yml", b"c")];
        let moved: [(&str, &[u8]); 2] = [("entrypoint.sh", b"a"), ("recipe.yml", b"bc")];
        let changed: [(&str, &[u8]); 2] = [("entrypoint.sh", b"aB"), ("recipe.yml", b"c")];
        let pinned = "4785fb840b4f1e23c5db25acae7e8a50aea03b1c5f50d8890e5b19d6f78f87bc";
        assert_eq!(digest("postgres-15", &files), pinned);
        for other in [digest("postgres-17", &files), digest("postgres-15", &moved), digest("postgres-15", &changed)] {
            assert_ne!(other, pinned);
        }
    }

    #[test]
    fn an_image_is_current_only_with_an_equal_label() {
        let recipe = recipe_for("postgres", "postgres:15").unwrap();
        let label = |value: &str| BTreeMap::from([(DIGEST_LABEL.to_owned(), value.to_owned())]);
        assert!(recipe.is_current(&label(&recipe.digest)));
        assert!(!recipe.is_current(&label("0000")));
        assert!(!recipe.is_current(&BTreeMap::new()));
    }
}
