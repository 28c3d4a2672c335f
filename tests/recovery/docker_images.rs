//! The image policy on a real engine: present, stand-in, built, or a refusal that names all that was tried.

use crate::docker_rig::{Rig, docker, random};
use std::sync::{Arc, Mutex};
use xtask::adapters::docker::{DockerSites, ImageRecipes, Recipe};
use xtask::adapters::provision::DIGEST_LABEL;
use xtask::domain::event::Event;
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::domain::site::{ImageIdentity, ImageOrigin, SiteSpec};
use xtask::ports::{Events, Sites};

/// A recipe that "builds" by giving another image a name.
struct Tagging {
    from: String,
    to: String,
    fails: bool,
    /// The digest of the recipe as it is now; the image's own unless a test says otherwise.
    digest: String,
}

impl ImageRecipes for Tagging {
    fn recipe_for(&self, engine: &str, _image: &str) -> Option<Recipe> {
        let (from, to, fails) = (self.from.clone(), self.to.clone(), self.fails);
        let current = (DIGEST_LABEL.to_owned(), self.digest.clone());
        (engine == "postgres").then(|| Recipe {
            name: "tagging".to_owned(),
            reference: self.to.clone(),
            current,
            build: Box::new(move |_| {
                anyhow::ensure!(!fails, "the oven is cold");
                docker(&["tag", &from, &to]).map(drop).ok_or_else(|| anyhow::anyhow!("docker tag failed"))
            }),
        })
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<Event>>);

impl Events for Heard {
    fn tell(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// A name that no registry serves: `.invalid` never resolves (RFC 6761).
const WANTED: &str = "registry.invalid/postgres:15";

fn prepare(rig: &Rig, recipe: Tagging, image: &str) -> (anyhow::Result<ImageIdentity>, Vec<Event>) {
    let sites = DockerSites::connect(&rig.run, Arc::new(recipe)).unwrap();
    let mut spec = rig.spec();
    spec.image = image.to_owned();
    let heard = Heard::default();
    let prepared = sites.prepare_image(&SiteSpec::Container(spec), &heard).map(|image| image.expect("an image"));
    (prepared, heard.0.into_inner().unwrap())
}

fn tagging(rig: &Rig, fails: bool) -> Tagging {
    let digest =
        docker(&["inspect", "-f", &format!("{{{{index .Config.Labels \"{DIGEST_LABEL}\"}}}}"), &rig.image]).unwrap();
    Tagging { from: rig.image.clone(), to: format!("localhost/xtask-test:{}", random()), fails, digest }
}

#[test]
fn docker_an_image_that_is_there_is_used_and_its_digest_told() {
    let Some(rig) = Rig::new("docker_an_image_that_is_there_is_used_and_its_digest_told") else { return };
    let (image, events) = prepare(&rig, tagging(&rig, true), &rig.image);
    let image = image.unwrap();
    assert!(image.digest.starts_with("sha256:") && image.digest.len() == 71, "{image:?}");
    assert_eq!((&image.wanted, &image.used), (&rig.image, &rig.image));
    assert_eq!(events, [Event::ImageReady(image)]);
}

#[test]
fn docker_a_local_recipe_stands_in_under_its_own_name() {
    let Some(rig) = Rig::new("docker_a_local_recipe_stands_in_under_its_own_name") else { return };
    let recipe = tagging(&rig, false);
    let name = recipe.to.clone();
    let (built, events) = prepare(&rig, recipe, WANTED);
    let again = prepare(&rig, Tagging { to: name.clone(), ..tagging(&rig, true) }, WANTED).0;
    let newer = |fails| Tagging { to: name.clone(), digest: "of a newer recipe".into(), ..tagging(&rig, fails) };
    let rebuilt = prepare(&rig, newer(false), WANTED);
    let stale = prepare(&rig, newer(true), WANTED);
    docker(&["rmi", "--no-prune", &name]).expect("untagged");
    let built = built.unwrap();
    assert_eq!((built.wanted.as_str(), &built.used, built.origin), (WANTED, &name, ImageOrigin::BuiltLocally));
    assert_eq!(again.unwrap().origin, ImageOrigin::PresentStandIn);
    assert_eq!(rebuilt.0.unwrap().origin, ImageOrigin::BuiltLocally, "an image of an older recipe is built again");
    assert_eq!(
        stale.0.unwrap().origin,
        ImageOrigin::PresentStandIn,
        "what cannot be built again is still better than none"
    );
    let told =
        |e: &Event| matches!(e, Event::Note(n) if n.contains("older recipe is used") && n.contains("the oven is cold"));
    assert!(stale.1.iter().any(told), "{:?}", stale.1);
    assert!(events.iter().any(|e| matches!(e, Event::ImagePreparing { what } if what.contains(&name))), "{events:?}");
}

#[test]
fn docker_when_nothing_works_all_three_tries_are_named() {
    let Some(rig) = Rig::new("docker_when_nothing_works_all_three_tries_are_named") else { return };
    let error = prepare(&rig, tagging(&rig, true), WANTED).0.unwrap_err();
    let refusal = error.downcast_ref::<Refusal>().unwrap();
    assert_eq!(refusal.kind, RefusalKind::ImageUnavailable);
    for words in [WANTED, "not on the engine", "pulling it failed", "the oven is cold"] {
        assert!(refusal.message.contains(words), "{words}: {}", refusal.message);
    }
    assert!(refusal.hint.contains("cargo xtask images build"));
}
