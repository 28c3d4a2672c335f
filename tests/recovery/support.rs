//! What tests of whole drills stand on: a world of real adapters, a recorder of events, and sites that can be meddled with.

pub mod meddling;
pub mod peak;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use xtask::adapters::clock::SystemClock;
use xtask::adapters::directory::DirectorySites;
use xtask::adapters::sites::LocalSites;
use xtask::domain::engine::Engine;
use xtask::domain::event::Event;
use xtask::domain::objective::Objective;
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::domain::report::Drill;
use xtask::domain::store::{Location, Root, Store};
use xtask::flow::drill::{Input, Order, drill};
use xtask::flow::world::World;
use xtask::ports::{Events, Sites};
use xtask::{engines, scenarios};

/// Keeps every event.
#[derive(Default)]
pub struct Recorder(pub Mutex<Vec<Event>>);

impl Events for Recorder {
    fn tell(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// A run's name that no other test has.
pub fn run_name() -> String {
    let random: String = std::iter::repeat_with(|| fastrand::char('a'..='z')).take(10).collect();
    format!("test-{random}")
}

/// Directory sites only.
pub fn directories(run: &str) -> Arc<dyn Sites> {
    let none = Refusal::new(RefusalKind::DockerUnavailable, "this test has no engine", "none");
    Arc::new(LocalSites::new(DirectorySites::new(run, PathBuf::from(env!("CARGO_BIN_EXE_xtask")), None), Err(none)))
}

/// Directory and container sites; `None` after saying `SKIPPED` when no engine answers.
#[cfg(feature = "docker")]
pub fn everywhere(test: &str, run: &str) -> Option<Arc<dyn Sites>> {
    use xtask::adapters::docker::{DockerSites, NoRecipes, RunIdentity};
    // The rig says SKIPPED, or fails when Docker is required.
    drop(crate::docker_rig::Rig::new(test)?);
    let identity = RunIdentity::of_this_process(run).unwrap();
    let docker = DockerSites::connect(&identity, Arc::new(NoRecipes)).unwrap();
    let directory = DirectorySites::new(run, PathBuf::from(env!("CARGO_BIN_EXE_xtask")), None);
    Some(Arc::new(LocalSites::new(directory, Ok(Arc::new(docker)))))
}

/// A world on these sites with the system's clock.
pub fn world(run: &str, sites: Arc<dyn Sites>) -> World {
    World { clock: Arc::new(SystemClock::start()), sites, events: Arc::new(Recorder::default()), run: run.to_owned() }
}

/// The embedded database.
pub fn sqlite() -> (&'static dyn Engine, Store) {
    let location = Location::File { root: Root::Host(".".into()), path: "app.db".into() };
    (engines::find("sqlite").unwrap(), store("app", "sqlite", None, location))
}

/// A PostgreSQL database in a container.
pub fn postgres() -> (&'static dyn Engine, Store) {
    let location = Location::Database { database: "app".into(), user: "app".into(), password: None, port: 5432 };
    (engines::find("postgres").unwrap(), store("db", "postgres", Some("localhost/xtask-postgres:17"), location))
}

/// A folder of uploads.
pub fn uploads() -> (&'static dyn Engine, Store) {
    let location = Location::Folder { root: Root::Host("uploads".into()) };
    (engines::find("files").unwrap(), store("uploads", "files", None, location))
}

fn store(name: &str, engine: &str, image: Option<&str>, location: Location) -> Store {
    Store {
        name: name.into(),
        engine: engine.into(),
        service: None,
        image: image.map(Into::into),
        location,
        allow_empty: false,
    }
}

/// A small rehearsal that ends as soon as it can.
pub fn order<'a>(engine: &'static dyn Engine, store: &'a Store, scenario: &str) -> Order<'a> {
    Order {
        stack: "test",
        store,
        engine,
        scenario: scenarios::find(scenario).unwrap(),
        input: Input::Rehearsal { bytes: 400_000 },
        objective: Objective::minutes(30, 60),
        schedule: None,
        compression: None,
        exposure: Duration::ZERO,
        repeat: 1,
    }
}

/// A small rehearsal, carried out.
pub fn rehearse(world: &World, engine: &'static dyn Engine, store: &Store, scenario: &str) -> Drill {
    drill(world, &order(engine, store, scenario))
}

/// What a drill said when it did not pass.
pub fn said(drill: &Drill) -> String {
    drill.outcome.why().map(|why| why.message.clone()).unwrap_or_default()
}
