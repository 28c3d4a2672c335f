//! A real PostgreSQL server in a site of the product's own, filled with more than pipes and sockets can keep back.

use super::rig::{CANARY, Rig, random};
use crate::docker_rig::{docker, said, skip};
use std::sync::Arc;
use std::time::Duration;
use xtask::adapters::docker::{DockerSites, NoRecipes, RunIdentity};
use xtask::domain::engine::{Engine, Target};
use xtask::domain::secret::Secret;
use xtask::domain::site::{ContainerSpec, Reach, SiteSpec};
use xtask::domain::store::{Location, Store};
use xtask::engines;
use xtask::flow::prove::{Place, ready};
use xtask::ports::{OwnedSite, Site};

pub const IMAGE: &str = "localhost/xtask-postgres:17";
pub const OLDER: &str = "localhost/xtask-postgres:15";

pub fn engine() -> &'static dyn Engine {
    engines::find("postgres").unwrap()
}

/// A rig with containers, or `None`, said aloud, where there is no engine or one of the images is missing.
pub fn rig(test: &str, images: &[&str]) -> Option<Rig> {
    let run = random();
    let identity = RunIdentity::of_this_process(run.clone()).unwrap();
    let sites = DockerSites::connect(&identity, Arc::new(NoRecipes)).unwrap();
    let rig = Rig::with(Ok(Arc::new(sites)), run);
    if let Err(error) = rig.world.sites.containers() {
        return skip(test, &format!("{error:#}"));
    }
    match images.iter().find(|image| docker(&["image", "inspect", image]).is_none()) {
        Some(image) => skip(test, &format!("no image {image} on the engine; run: cargo xtask images build")),
        None => Some(rig),
    }
}

/// The site of a store, on a network where others can reach it.
fn reachable(store: &Store) -> ContainerSpec {
    let SiteSpec::Container(spec) = engine().site(store) else { panic!("not a container") };
    ContainerSpec { reach: Reach::PrivateNetwork, ..spec }
}

pub struct Server {
    pub site: Arc<dyn OwnedSite>,
    pub store: Store,
    pub at: Target,
}

impl Server {
    /// A ready server whose database `shop` is empty.
    pub fn start(rig: &Rig) -> Self {
        let store = engine().rehearsal_store(Some(IMAGE));
        let site: Arc<dyn OwnedSite> =
            rig.world.sites.open(&SiteSpec::Container(reachable(&store)), "test").unwrap().into();
        let at = engine().owned_target(&store);
        let server = Self { site, store, at };
        server.wait(rig);
        server
    }

    pub fn wait(&self, rig: &Rig) {
        let place = Place { site: self.site(), engine: engine(), target: &self.at };
        ready(&rig.world, place, Duration::from_secs(60)).unwrap();
    }

    pub fn site(&self) -> &dyn Site {
        self.site.as_site()
    }

    pub fn name(&self) -> String {
        self.site.identity().name
    }

    pub fn sql(&self, database: &str, script: &str) -> String {
        said(self.site(), &["psql", "-XAtq", "-U", &self.at.user, "-d", database, "-c", script])
    }

    /// Thirty MB that do not compress well: more than a pipe and two sockets, grown as large as they can, keep back.
    pub fn fill(&self) {
        self.sql(
            "shop",
            "CREATE TABLE orders AS SELECT i AS id, (SELECT string_agg(md5(random()::text), '') \
             FROM generate_series(1, 32) WHERE i > 0) AS text FROM generate_series(1, 30000) AS i",
        );
    }

    /// The same server's other database.
    pub fn database(&self, name: &str) -> (Store, Target) {
        let mut store = self.store.clone();
        let Location::Database { database, password, .. } = &mut store.location else { panic!("no database") };
        (*database, *password) = (name.to_owned(), Some(Secret::new(CANARY)));
        let at = engine().owned_target(&store);
        (store, at)
    }

    /// A container beside the server, from which it is reached over the network like from another machine.
    pub fn neighbour(&self, rig: &Rig, image: &str) -> Box<dyn OwnedSite> {
        let mut spec = reachable(&self.store);
        spec.image = image.to_owned();
        spec.command = ["sleep", "infinity"].map(str::to_owned).to_vec();
        let site = rig.world.sites.open(&SiteSpec::Container(spec), "client").unwrap();
        let network = format!("{}-net", self.name());
        docker(&["network", "connect", &network, &site.identity().name]).expect("the networks are joined");
        site
    }

    /// How a neighbour addresses the server.
    pub fn seen_from_outside(&self, password: &str) -> Target {
        Target { host: self.name(), password: Some(Secret::new(password)), ..self.at.clone() }
    }
}

/// The password of the product's own servers.
pub fn password(store: &Store) -> String {
    let SiteSpec::Container(spec) = engine().site(store) else { panic!("not a container") };
    spec.secret_env[0].1.expose().to_owned()
}
