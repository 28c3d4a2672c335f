//! What tests of whole drills stand on: a world of real adapters, a recorder of events, and sites that can be meddled with.

pub mod meddling;
pub mod peak;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use xtask::adapters::clock::SystemClock;
use xtask::adapters::directory::DirectorySites;
use xtask::adapters::sites::LocalSites;
use xtask::domain::engine::Engine;
use xtask::domain::event::Event;
use xtask::domain::mark::Moment;
use xtask::domain::objective::Objective;
use xtask::domain::protection::Encryption;
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::domain::report::Drill;
use xtask::domain::store::{Location, Root, Store};
use xtask::flow::drill::{Input, Order, drill};
use xtask::flow::world::World;
use xtask::ports::{Clock, Events, Sites};
use xtask::{engines, scenarios};

/// Keeps every event.
#[derive(Default)]
pub struct Recorder(pub Mutex<Vec<Event>>);

impl Events for Recorder {
    fn tell(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// A clock on which time flies: what waits for ten minutes waits for four seconds.
pub struct Hurried(pub SystemClock);

impl Clock for Hurried {
    fn now(&self) -> Moment {
        self.0.now() * 150
    }

    fn wall(&self) -> jiff::Timestamp {
        self.0.wall()
    }

    fn sleep(&self, time: Duration) {
        self.0.sleep(time / 150);
    }
}

/// A run's name that no other test has.
pub fn run_name() -> String {
    let random: String = std::iter::repeat_with(|| fastrand::char('a'..='z')).take(10).collect();
    format!("test-{random}")
}

/// The program, started in this folder, with a folder of its own for what is temporary, and without an engine or Actions.
pub fn program(folder: &Path, temporary: &Path, words: &[&str]) -> Command {
    #[expect(clippy::disallowed_methods, reason = "tests of the command line start the real program")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(words)
        .current_dir(folder)
        .env("TMPDIR", temporary)
        .env("DOCKER_HOST", format!("unix://{}/no.sock", temporary.display()))
        .env_remove("GITHUB_ACTIONS")
        .env_remove("GITHUB_STEP_SUMMARY")
        .stdin(Stdio::null());
    command
}

/// Reads the program's standard error until a line contains this.
pub fn wait_for(child: &mut Child, words: &str) {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let found = lines.by_ref().map_while(Result::ok).any(|line| line.contains(words));
    assert!(found, "the program never said `{words}`");
    // Goes on reading, so that the program never waits for us.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
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
    let location = Location::Folder { root: Root::Host("uploads".into()), path: "".into() };
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
        encryption: &Encryption::Off,
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
