//! Set-up by itself: what a run needs and no registry gives is made here from Debian packages, in the cache folder only.
//! It must not know drills, nor talk to the container engine: built images leave as files for its `load`.

mod apt;
mod child;
mod compose;
mod image;
mod layer;
mod locale;
mod lock;
mod packages;
mod recipe;
mod reference;
#[cfg(feature = "docker")]
mod stand_ins;
mod trouble;

#[cfg(test)]
#[path = "provision/tests/fixture.rs"]
mod fixture;

pub use image::Contents;
pub use recipe::{DIGEST_LABEL, ImageRecipe, recipe_for, recipes, stand_in};
#[cfg(feature = "docker")]
pub use stand_ins::StandIns;

use crate::domain::event::Event;
use crate::ports::{Clock, Events, ImageLoader};
use anyhow::{Context, Result, ensure};
use apt::AptRoot;
use child::Children;
use lock::Lock;
use packages::Wish;
use recipe::Book;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use trouble::Purpose;

/// How long one process waits for another that prepares something in the same cache.
const LOCK_WAIT: Duration = Duration::from_secs(900);

/// Whether an image file that was built earlier will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// One built from the recipe as it is now will do, whatever its packages' age; needs no network then.
    Kept,
    /// The mirror's newest packages.
    Newest,
}

/// A built image, as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// In the format of `docker save`: load it with `docker load -i`.
    pub archive: PathBuf,
    /// What is in it.
    pub contents: Contents,
}

/// Prepares images and programs in one cache folder.
pub struct Provisioner {
    cache: PathBuf,
    children: Children,
}

impl Provisioner {
    /// `cache` is the workspace's `.cache/xtask`; it is made when first needed.
    pub fn new(cache: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { cache, children: Children::new(clock) }
    }

    /// Builds a recipe's image and returns it as a file.
    ///
    /// # Errors
    /// `Refusal`: `ImageUnavailable` with the reason and what else can be done, `Integrity` (a package that is not the signed one),
    /// `Storage`, `Locked` (another process builds for too long), `Timeout`.
    pub fn build(&self, recipe: &ImageRecipe, freshness: Freshness, events: &dyn Events) -> Result<Built> {
        let (archive, _) = image::places(&self.cache, recipe);
        let _lock = self.lock(&recipe.name, events)?;
        if freshness == Freshness::Kept
            && let Some(contents) = image::kept(&self.cache, recipe)
        {
            events.tell(Event::Note(format!("{} is in the cache already: {}", recipe.reference, archive.display())));
            return Ok(Built { archive, contents });
        }
        events.tell(Event::ImagePreparing { what: format!("building {} from Debian packages", recipe.reference) });
        self.build_locked(recipe, &archive, events).with_context(|| format!("build {}", recipe.reference))
    }

    fn build_locked(&self, recipe: &ImageRecipe, archive: &Path, events: &dyn Events) -> Result<Built> {
        let book = Book::embedded()?;
        let major = book.majors.get(&recipe.major).with_context(|| format!("no recipe for major {}", recipe.major))?;
        let root = AptRoot::prepare(&self.cache, &major.suite, &book.keyring, &self.children, Purpose::Image)?;
        let (left_out, wanted) = (book.left_out(major), book.packages(&recipe.major));
        let wish = Wish { name: &recipe.name, left_out: &left_out, packages: &wanted, purpose: Purpose::Image };
        let packages = packages::fetch(&root, &wish, &self.children, events)?;
        if let Some(contents) = image::kept(&self.cache, recipe).filter(|c| c.packages_digest == packages.digest()) {
            return Ok(Built { archive: archive.to_owned(), contents });
        }
        let plan = image::Plan { book: &book, major, recipe, packages: &packages, architecture: &root.architecture };
        let contents = plan.write(archive, &self.children)?;
        image::note(&self.cache, recipe, &contents)?;
        let (n, mb) = (contents.packages, packages.bytes() as f64 / 1e6);
        let what = format!("{}: PostgreSQL {}, {n} packages ({mb:.1} MB)", recipe.reference, contents.server_version);
        events.tell(Event::Note(what));
        Ok(Built { archive: archive.to_owned(), contents })
    }

    /// Makes sure that the engine has a recipe's image as the recipe is now; builds and loads it otherwise.
    ///
    /// # Errors
    /// Those of [`Provisioner::build`] and of the engine.
    pub fn provide(&self, recipe: &ImageRecipe, loader: &dyn ImageLoader, events: &dyn Events) -> Result<()> {
        if loader.find(&recipe.reference)?.is_some_and(|image| recipe.is_current(&image.labels)) {
            return Ok(());
        }
        let built = self.build(recipe, Freshness::Kept, events)?;
        loader.load(&built.archive).with_context(|| format!("load {}", recipe.reference))?;
        let loaded = loader.find(&recipe.reference)?.is_some_and(|image| recipe.is_current(&image.labels));
        ensure!(loaded, "the engine took {} and has no current {}", built.archive.display(), recipe.reference);
        Ok(())
    }

    /// A Docker Compose program of version 2 or newer: from the cache, else the host's, else fetched into the cache.
    /// Call it by this path; its name alone may mean another one.
    ///
    /// # Errors
    /// `Refusal` of kind `Preflight` with the reason and what else can be done, or as [`Provisioner::build`].
    pub fn compose_plugin(&self, events: &dyn Events) -> Result<PathBuf> {
        self.compose_among(&compose::candidates(), events)
    }

    fn compose_among(&self, candidates: &[PathBuf], events: &dyn Events) -> Result<PathBuf> {
        if let Some(program) = compose::cached(&self.cache) {
            return Ok(program);
        }
        let found = compose::look(candidates, &self.children);
        if let Some((program, version)) = found.usable {
            events.tell(Event::Note(format!("using Docker Compose {version}: {}", program.display())));
            return Ok(program);
        }
        let why = if found.unusable.is_empty() { "none is here".to_owned() } else { found.unusable.join("; ") };
        events.tell(Event::Note(format!("fetching Docker Compose v2 from Debian's package: {why}")));
        self.fetch_compose(events).with_context(|| format!("get Docker Compose v2 ({why})"))
    }

    fn fetch_compose(&self, events: &dyn Events) -> Result<PathBuf> {
        let _lock = self.lock("docker-compose", events)?;
        // Whoever held the lock may just have fetched it.
        if let Some(program) = compose::cached(&self.cache) {
            return Ok(program);
        }
        let keyring = Book::embedded()?.keyring;
        let root = AptRoot::prepare(&self.cache, compose::SUITE, &keyring, &self.children, Purpose::Compose)?;
        let (left_out, wanted) = ([compose::LEFT_OUT.to_owned()], [compose::PACKAGE.to_owned()]);
        let wish = Wish { name: "docker-compose", left_out: &left_out, packages: &wanted, purpose: Purpose::Compose };
        let packages = packages::fetch(&root, &wish, &self.children, events)?;
        compose::install(&self.cache, &packages, &self.children, events)
    }

    /// Kills every child that runs for this provisioner and starts no more: for signals and panics.
    ///
    /// # Errors
    /// A child that does not go.
    pub fn abandon(&self) -> Result<()> {
        self.children.abandon()
    }

    fn lock(&self, purpose: &str, events: &dyn Events) -> Result<Lock> {
        apt::make(&self.cache)?;
        Lock::wait(&self.cache.join("packages.lock"), purpose, self.children.clock(), events, LOCK_WAIT)
    }
}

#[cfg(test)]
#[path = "provision/tests/provisioner.rs"]
mod tests;
