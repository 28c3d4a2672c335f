//! Tests of the provisioner as a whole, without network and without a container engine.

use super::fixture::Silent;
use super::*;
use crate::adapters::clock::SystemClock;
use crate::domain::refusal::Refusal;
use crate::ports::EngineImage;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

fn provisioner(cache: &Path) -> Provisioner {
    Provisioner::new(cache.to_owned(), Arc::new(SystemClock::start()))
}

fn postgres() -> ImageRecipe {
    recipe_for("postgres", "postgres:15").unwrap()
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Events for Heard {
    fn tell(&self, event: Event) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

/// An engine that has at most one image, gets the current one by loading (unless it is `forgetful`), and remembers what it loaded.
#[derive(Default)]
struct Engine {
    has: Mutex<Option<EngineImage>>,
    loaded: Mutex<Vec<PathBuf>>,
    forgetful: bool,
}

impl Engine {
    fn with_label(value: &str) -> Self {
        let labels = BTreeMap::from([(DIGEST_LABEL.to_owned(), value.to_owned())]);
        let has = Mutex::new(Some(EngineImage { id: "sha256:1".into(), bytes: 1, labels }));
        Self { has, ..Self::default() }
    }
}

impl ImageLoader for Engine {
    fn find(&self, _reference: &str) -> Result<Option<EngineImage>> {
        Ok(self.has.lock().unwrap().clone())
    }

    fn load(&self, file: &Path) -> Result<()> {
        self.loaded.lock().unwrap().push(file.to_owned());
        if !self.forgetful {
            *self.has.lock().unwrap() = Self::with_label(&postgres().digest).has.into_inner().unwrap();
        }
        Ok(())
    }
}

/// A cache with a built image file in it, as an earlier run left it.
fn with_kept_image(cache: &Path) -> PathBuf {
    use sha2::Digest;
    let (recipe, bytes) = (postgres(), b"an image file");
    let (archive, _) = image::places(cache, &recipe);
    fs::create_dir_all(archive.parent().unwrap()).unwrap();
    fs::write(&archive, bytes).unwrap();
    let contents = Contents {
        reference: recipe.reference.clone(),
        image_id: "sha256:1".into(),
        recipe_digest: recipe.digest.clone(),
        packages_digest: "2".into(),
        server_version: "15.1".into(),
        packages: 3,
        file_bytes: bytes.len() as u64,
        file_sha256: crate::domain::artifact::hex(&sha2::Sha256::digest(bytes)),
    };
    image::note(cache, &recipe, &contents).unwrap();
    archive
}

#[test]
fn a_kept_image_file_is_used_without_any_network() {
    let cache = tempfile::tempdir().unwrap();
    let archive = with_kept_image(cache.path());
    let heard = Heard::default();
    let built = provisioner(cache.path()).build(&postgres(), Freshness::Kept, &heard).unwrap();
    assert_eq!((built.archive, built.contents.packages), (archive, 3));
    assert!(heard.0.lock().unwrap()[0].contains("is in the cache already"));
}

#[test]
fn an_image_of_the_current_recipe_is_left_alone_and_any_other_is_replaced() {
    let cache = tempfile::tempdir().unwrap();
    let archive = with_kept_image(cache.path());
    let provisioner = provisioner(cache.path());
    let current = Engine::with_label(&postgres().digest);
    provisioner.provide(&postgres(), &current, &Silent).unwrap();
    assert!(current.loaded.lock().unwrap().is_empty());
    for other in [Engine::with_label("an older recipe"), Engine::default()] {
        provisioner.provide(&postgres(), &other, &Silent).unwrap();
        assert_eq!(*other.loaded.lock().unwrap(), vec![archive.clone()]);
    }
}

#[test]
fn an_engine_that_takes_the_file_and_has_no_image_afterwards_is_not_believed() {
    let cache = tempfile::tempdir().unwrap();
    with_kept_image(cache.path());
    let engine = Engine { forgetful: true, ..Engine::default() };
    let error = provisioner(cache.path()).provide(&postgres(), &engine, &Silent).unwrap_err();
    assert!(error.to_string().contains("has no current localhost/xtask-postgres:15"), "{error:#}");
}

#[test]
fn a_compose_of_the_host_is_used_and_the_cached_one_comes_first() {
    let cache = tempfile::tempdir().unwrap();
    let host = cache.path().join("host-compose");
    fs::write(&host, "#!/bin/sh\necho 2.30.1\n").unwrap();
    fs::set_permissions(&host, fs::Permissions::from_mode(0o755)).unwrap();
    let provisioner = provisioner(cache.path());
    assert_eq!(provisioner.compose_among(std::slice::from_ref(&host), &Silent).unwrap(), host);

    let own = cache.path().join("bin/docker-compose");
    fs::create_dir(own.parent().unwrap()).unwrap();
    fs::write(&own, "program").unwrap();
    let sum = packages::sha256_of(&own).unwrap();
    fs::write(own.with_extension("sha256"), format!("{sum}  docker-compose\n")).unwrap();
    assert_eq!(provisioner.compose_among(&[host], &Silent).unwrap(), own);
}

#[test]
fn a_cache_folder_that_apt_cannot_name_is_refused_before_anything_is_written_there() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("with\"quote");
    let error = provisioner(&cache).build(&postgres(), Freshness::Newest, &Silent).unwrap_err();
    assert!(format!("{error:#}").contains("which apt cannot take"), "{error:#}");
    assert!(error.chain().all(|e| e.downcast_ref::<Refusal>().is_none()));
    assert!(!cache.join("apt").exists());
}
