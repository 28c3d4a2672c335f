//! Stores of plain files in named volumes: read where the engine keeps them, under writes, and left as they are.

use crate::docker_rig::{IMAGES, docker, random};
use crate::support::{everywhere, order, run_name, said, sqlite, uploads, world};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use xtask::domain::outcome::Outcome;
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::domain::site::{Attachment, VolumeOf};
use xtask::flow::drill::{Input, Order, drill};
use xtask::ports::Sites;

/// Somebody's volume and, once it is up, the service that mounts it; removed on drop.
struct Volume {
    name: String,
    project: String,
}

impl Volume {
    /// With these words more for `docker volume create`.
    fn create(more: &[&str]) -> Self {
        let project = format!("xtasktest{}", random());
        let name = format!("{project}_data");
        docker(&[["volume", "create"].as_slice(), more, &[&name]].concat()).expect("a volume");
        Self { name, project }
    }

    /// Starts a service of a Compose project that mounts it.
    fn up(&self, project: &str) {
        let labels = [format!("com.docker.compose.project={project}"), "com.docker.compose.service=app".to_owned()];
        let (name, mount) = (format!("{project}-app-1"), format!("{}:/data", self.name));
        let image = IMAGES.iter().find(|image| docker(&["image", "inspect", image]).is_some()).expect("an image");
        let words = ["run", "-d", "--name", &name, "--label", &labels[0], "--label", &labels[1], "-v", &mount];
        docker(&[words.as_slice(), &["--entrypoint", "sleep", image, "infinity"]].concat()).expect("runs");
    }

    fn down(project: &str) {
        docker(&["rm", "-f", "-v", &format!("{project}-app-1")]);
    }

    fn of(&self, project: Option<&str>) -> VolumeOf {
        let service = project.map(|_| "app".to_owned());
        VolumeOf { name: self.name.clone(), project: project.map(str::to_owned), service }
    }

    /// The folder where the engine keeps it; `None`, said aloud, for those who may not look there.
    fn folder(&self, test: &str, sites: &dyn Sites) -> Option<PathBuf> {
        let refused = |e: &anyhow::Error| Refusal::within(e).is_some_and(|r| r.kind == RefusalKind::AccessDenied);
        match sites.volume(&self.of(Some(&self.project))) {
            Ok(folder) => Some(folder),
            Err(error) if refused(&error) => {
                println!("SKIPPED {test}: {error:#}");
                None
            }
            Err(error) => panic!("{error:#}"),
        }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        Self::down(&self.project);
        Self::down(&format!("{}other", self.project));
        docker(&["volume", "rm", &self.name]).expect("removed");
    }
}

/// What is refused, as the user reads it.
fn refused(sites: &dyn Sites, of: &VolumeOf) -> Refusal {
    Refusal::within(&sites.volume(of).unwrap_err()).expect("a refusal").clone()
}

#[test]
fn docker_stores_in_a_named_volume_are_drilled_live_under_writes() {
    const TEST: &str = "docker_stores_in_a_named_volume_are_drilled_live_under_writes";
    let run = run_name();
    let Some(sites) = everywhere(TEST, &run) else { return };
    let volume = Volume::create(&[]);
    volume.up(&volume.project);
    let Some(folder) = volume.folder(TEST, sites.as_ref()) else { return };
    let world = world(&run, sites);
    let made = rusqlite::Connection::open(folder.join("app.db")).unwrap();
    made.execute_batch("PRAGMA journal_mode = wal; CREATE TABLE notes (text); INSERT INTO notes VALUES ('first')")
        .unwrap();
    let over = AtomicBool::new(false);
    let live = |engine, store| {
        let input = Input::Live(Attachment::Volume(volume.of(Some(&volume.project))));
        drill(&world, &Order { input, ..order(engine, store, "total-loss") })
    };
    let (engine, store) = sqlite();
    let database = std::thread::scope(|scope| {
        let (over, writer) = (&over, made);
        scope.spawn(move || {
            while !over.load(Ordering::SeqCst) {
                writer.execute("INSERT INTO notes VALUES ('more')", []).unwrap();
            }
        });
        let drilled = live(engine, &store);
        over.store(true, Ordering::SeqCst);
        drilled
    });
    assert_eq!(database.outcome, Outcome::Passed, "{}", said(&database));
    assert!(database.runs[0].proof.as_ref().unwrap().rows > 0, "{database:?}");
    assert!(database.runs[0].sites[0].name.contains(&volume.name), "{:?}", database.runs[0].sites);

    let (engine, store) = uploads();
    std::fs::write(folder.join("picture.jpg"), b"not a picture").unwrap();
    let files = live(engine, &store);
    assert_eq!(files.outcome, Outcome::Passed, "{}", said(&files));
    let mut left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort_unstable();
    assert_eq!(left, ["app.db", "picture.jpg"], "nothing of ours is in the volume");
    world.sites.abandon().unwrap();
}

#[test]
fn docker_a_volume_that_is_not_there_is_named() {
    let Some(sites) = everywhere("docker_a_volume_that_is_not_there_is_named", &run_name()) else { return };
    let of = VolumeOf { name: "xtask-test-no-such-volume".into(), project: None, service: None };
    let refusal = refused(sites.as_ref(), &of);
    assert_eq!(refusal.kind, RefusalKind::MissingStore);
    assert!(refusal.message.contains("xtask-test-no-such-volume") && refusal.hint.contains("docker compose up"));
}

/// The name of a volume is computed from the project's; the stack may run under another one, or not at all.
#[test]
fn docker_a_stale_volume_is_not_taken_for_the_stacks_own() {
    const TEST: &str = "docker_a_stale_volume_is_not_taken_for_the_stacks_own";
    let Some(sites) = everywhere(TEST, &run_name()) else { return };
    let volume = Volume::create(&[]);
    let own = volume.of(Some(&volume.project));
    let refusal = refused(sites.as_ref(), &own);
    assert_eq!(refusal.kind, RefusalKind::MissingStore);
    assert!(refusal.message.contains(&volume.name) && refusal.message.contains("stale"), "{}", refusal.message);
    assert!(refusal.hint.contains(&format!("docker compose -p {} up -d app", volume.project)), "{}", refusal.hint);
    let other = format!("{}other", volume.project);
    volume.up(&other);
    assert!(
        refused(sites.as_ref(), &own)
            .message
            .contains(&format!("no container of a Compose project {}", volume.project))
    );
    volume.up(&volume.project);
    if volume.folder(TEST, sites.as_ref()).is_some() {
        docker(&["stop", "-t", "0", &format!("{}-app-1", volume.project)]).unwrap();
        assert!(refused(sites.as_ref(), &own).message.contains("does not run"));
    }
}

#[test]
fn docker_a_volume_that_is_mounted_from_elsewhere_is_not_taken_for_an_empty_one() {
    const TEST: &str = "docker_a_volume_that_is_mounted_from_elsewhere_is_not_taken_for_an_empty_one";
    let Some(sites) = everywhere(TEST, &run_name()) else { return };
    let behind = tempfile::tempdir().unwrap();
    std::fs::write(behind.path().join("picture.jpg"), "x").unwrap();
    let device = format!("device={}", behind.path().display());
    let volume = Volume::create(&["--driver", "local", "-o", "type=none", "-o", "o=bind", "-o", &device]);
    let unmounted = refused(sites.as_ref(), &volume.of(None));
    if unmounted.kind == RefusalKind::AccessDenied {
        println!("SKIPPED {TEST}: {unmounted}");
        return;
    }
    assert_eq!(unmounted.kind, RefusalKind::MissingStore);
    assert!(unmounted.message.contains(&behind.path().display().to_string()), "{}", unmounted.message);
    volume.up(&volume.project);
    let Some(folder) = volume.folder(TEST, sites.as_ref()) else { return };
    assert_eq!(std::fs::read_to_string(folder.join("picture.jpg")).unwrap(), "x");
}
