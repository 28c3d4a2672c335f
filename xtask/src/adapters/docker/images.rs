//! The image policy: present here, else pulled, else built from a local recipe; and always says which.
//! It must not know how a recipe builds.

use super::engine::Engine;
use super::fault::{self, within};
use super::pull;
use crate::domain::event::Event;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::site::{ContainerSpec, ImageIdentity, ImageOrigin};
use crate::ports::Events;
use anyhow::{Context, Result};
use bollard::Docker;
use bollard::models::ImageInspect;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// On every image that a recipe built, so that a stand-in is known under whatever name it goes.
const RECIPE: &str = "io.xtask.recipe";

/// Local recipes that can stand in for an image.
pub trait ImageRecipes: Send + Sync {
    /// The recipe for an engine (`postgres`) that was asked for by this image (`postgres:15`), when there is one.
    fn recipe_for(&self, engine: &str, image: &str) -> Option<Recipe>;

    /// Ends what is being built: for signals and panics.
    fn abandon(&self) -> Result<()> {
        Ok(())
    }
}

/// Builds an image, telling what it does.
pub type Build = Box<dyn Fn(&dyn Events) -> Result<()> + Send + Sync>;

/// One way to build a stand-in.
pub struct Recipe {
    /// What it is called in messages (`postgres-15`).
    pub name: String,
    /// The image it makes, always below `localhost/`.
    pub reference: String,
    /// The label, and its value, that the image has when it was built from the recipe as it is now.
    pub current: (String, String),
    /// Builds it; the image is on the engine afterwards.
    pub build: Build,
}

/// No recipes at all.
pub struct NoRecipes;

impl ImageRecipes for NoRecipes {
    fn recipe_for(&self, _engine: &str, _image: &str) -> Option<Recipe> {
        None
    }
}

/// An image that was found or made.
#[derive(Clone)]
pub(super) struct Prepared {
    pub(super) identity: ImageIdentity,
    /// The image id: what was prepared is what runs, even when a tag moves meanwhile.
    pub(super) id: String,
    pub(super) config: bollard::models::ImageConfig,
}

/// Resolves images, each once a run.
pub(super) struct Images {
    recipes: Arc<dyn ImageRecipes>,
    prepared: Mutex<HashMap<(String, String), Prepared>>,
}

impl Images {
    pub(super) fn new(recipes: Arc<dyn ImageRecipes>) -> Self {
        Self { recipes, prepared: Mutex::default() }
    }

    /// Ends what is being built.
    pub(super) fn abandon(&self) -> Result<()> {
        self.recipes.abandon()
    }

    pub(super) fn resolve(&self, engine: &Engine, spec: &ContainerSpec, events: &dyn Events) -> Result<Prepared> {
        let key = (spec.engine.clone(), spec.image.clone());
        // Held while an image is made: two drills that want the same image must not both build it.
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = prepared.get(&key) {
            return Ok(known.clone());
        }
        let found = self.find(engine, spec, events).with_context(|| format!("prepare the image {}", spec.image))?;
        events.tell(Event::ImageReady(found.identity.clone()));
        prepared.insert(key, found.clone());
        Ok(found)
    }

    fn find(&self, engine: &Engine, spec: &ContainerSpec, events: &dyn Events) -> Result<Prepared> {
        let docker = engine.client()?;
        let wanted = spec.image.as_str();
        let begun = Instant::now();
        if let Some(image) = engine.run(inspect(&docker, wanted))? {
            return Ok(describe(image, wanted, wanted, ImageOrigin::Present, begun.elapsed()));
        }
        let pulled = match engine.run(pull::pull(&docker, wanted, events)) {
            Ok(()) => engine
                .run(inspect(&docker, wanted))?
                .context("it was pulled but is not there")
                .map_err(|e| e.to_string()),
            Err(why) => Err(why),
        };
        let not_pulled = match pulled {
            Ok(image) => return Ok(describe(image, wanted, wanted, ImageOrigin::Pulled, begun.elapsed())),
            Err(why) => why,
        };
        let no_recipe = match self.recipes.recipe_for(&spec.engine, wanted) {
            None => format!("no local recipe stands in for it (engine {})", spec.engine),
            Some(recipe) => match stand_in(engine, &docker, &recipe, events, wanted) {
                Ok((image, origin)) => return Ok(describe(image, wanted, &recipe.reference, origin, begun.elapsed())),
                Err(error) => format!("the local recipe {} failed: {error:#}", recipe.name),
            },
        };
        let message =
            format!("no image for {wanted}: it is not on the engine; pulling it failed: {not_pulled}; {no_recipe}");
        let hint = format!("cargo xtask images build (or, with access to a registry: docker pull {wanted})");
        Err(Refusal::new(RefusalKind::ImageUnavailable, message, hint).into())
    }
}

fn stand_in(
    engine: &Engine,
    docker: &Docker,
    recipe: &Recipe,
    events: &dyn Events,
    wanted: &str,
) -> Result<(ImageInspect, ImageOrigin)> {
    let present = engine.run(inspect(docker, &recipe.reference))?;
    let reference = &recipe.reference;
    if let Some(image) = present.clone().filter(|image| is_current(image, recipe)) {
        events.tell(Event::Note(format!("{reference} stands in for {wanted}, which is not available")));
        return Ok((image, ImageOrigin::PresentStandIn));
    }
    let again = if present.is_some() { " again, because it is of an older recipe" } else { "" };
    let what = format!("building {reference}{again} from the local recipe {}, to stand in for {wanted}", recipe.name);
    events.tell(Event::ImagePreparing { what });
    match ((recipe.build)(events), present) {
        (Ok(()), _) => {}
        (Err(error), None) => return Err(error),
        (Err(error), Some(older)) => {
            events.tell(Event::Note(format!(
                "{reference} of an older recipe is used: building it again failed: {error:#}"
            )));
            return Ok((older, ImageOrigin::PresentStandIn));
        }
    }
    let image = engine.run(inspect(docker, &recipe.reference))?;
    Ok((image.with_context(|| format!("it left no image {}", recipe.reference))?, ImageOrigin::BuiltLocally))
}

fn is_current(image: &ImageInspect, recipe: &Recipe) -> bool {
    let (label, value) = &recipe.current;
    let labels = image.config.as_ref().and_then(|config| config.labels.as_ref());
    labels.and_then(|labels| labels.get(label)) == Some(value)
}

/// `None` when the engine has no such image.
pub(super) async fn inspect(docker: &Docker, image: &str) -> Result<Option<ImageInspect>> {
    match within(fault::LOOK, &format!("look for the image {image}"), docker.inspect_image(image)).await {
        Ok(image) => Ok(Some(image)),
        Err(error) if fault::status(&error) == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

fn describe(image: ImageInspect, wanted: &str, used: &str, origin: ImageOrigin, took: Duration) -> Prepared {
    let id = image.id.unwrap_or_default();
    let config = image.config.unwrap_or_default();
    let built_here = config.labels.as_ref().is_some_and(|labels| labels.contains_key(RECIPE));
    let origin = if origin == ImageOrigin::Present && built_here { ImageOrigin::PresentStandIn } else { origin };
    let repository_digest =
        image.repo_digests.unwrap_or_default().into_iter().find_map(|d| Some(d.split_once('@')?.1.to_owned()));
    let identity = ImageIdentity {
        wanted: wanted.to_owned(),
        used: used.to_owned(),
        digest: repository_digest.unwrap_or_else(|| id.clone()),
        origin,
        prepared_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    };
    Prepared { identity, id, config }
}

/// As found by its id under a running container; it may have lost its name since.
pub(super) async fn running(docker: &Docker, id: &str, name: &str) -> Result<Prepared> {
    let image = inspect(docker, id)
        .await?
        .with_context(|| format!("the image of a running container, {name}, is not there"))?;
    Ok(describe(image, name, name, ImageOrigin::Present, Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::ImageConfig;

    fn image(labels: &[(&str, &str)], digests: &[&str]) -> ImageInspect {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ImageInspect {
            id: Some("sha256:id".into()),
            repo_digests: Some(digests.iter().map(|d| (*d).to_owned()).collect()),
            config: Some(ImageConfig { labels: Some(labels), ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn a_stand_in_under_the_official_name_is_still_called_a_stand_in() {
        let found = describe(
            image(&[(RECIPE, "postgres-15")], &[]),
            "postgres:15",
            "postgres:15",
            ImageOrigin::Present,
            Duration::ZERO,
        );
        assert_eq!(found.identity.origin, ImageOrigin::PresentStandIn);
    }

    #[test]
    fn the_registry_s_digest_is_preferred_to_the_engine_s_own_id() {
        let pulled = describe(
            image(&[], &["postgres@sha256:repo"]),
            "postgres:15",
            "postgres:15",
            ImageOrigin::Pulled,
            Duration::ZERO,
        );
        assert_eq!(pulled.identity.digest, "sha256:repo");
        let local = describe(image(&[], &[]), "x", "x", ImageOrigin::Present, Duration::ZERO);
        assert_eq!(local.identity.digest, "sha256:id");
    }
}
