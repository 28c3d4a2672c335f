//! The local recipes as the container adapter asks for them: build, then hand over to the engine.
//! It must not know when a stand-in is wanted: that is the image policy's.

use super::{DIGEST_LABEL, Provisioner, recipe_for};
use crate::adapters::docker::{ImageRecipes, Recipe};
use crate::ports::ImageLoader;
use anyhow::Result;
use std::sync::Arc;

/// Every local recipe, ready to be built and loaded.
pub struct StandIns {
    provisioner: Arc<Provisioner>,
    loader: Arc<dyn ImageLoader>,
}

impl StandIns {
    /// Builds with this provisioner, loads with this loader.
    pub fn new(provisioner: Arc<Provisioner>, loader: Arc<dyn ImageLoader>) -> Self {
        Self { provisioner, loader }
    }
}

impl ImageRecipes for StandIns {
    fn recipe_for(&self, engine: &str, image: &str) -> Option<Recipe> {
        let recipe = recipe_for(engine, image)?;
        let (provisioner, loader) = (Arc::clone(&self.provisioner), Arc::clone(&self.loader));
        Some(Recipe {
            name: recipe.name.clone(),
            reference: recipe.reference.clone(),
            current: (DIGEST_LABEL.to_owned(), recipe.digest.clone()),
            build: Box::new(move |events| provisioner.provide(&recipe, &*loader, events)),
        })
    }

    fn abandon(&self) -> Result<()> {
        self.provisioner.abandon()
    }
}
