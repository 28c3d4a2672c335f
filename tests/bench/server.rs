//! The server that both sides of the benchmark use: an owned site, seeded by the engine, on the local Docker engine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use xtask::adapters::clock::SystemClock;
use xtask::adapters::docker::{DockerSites, NoRecipes, RunIdentity};
use xtask::domain::census::Census;
use xtask::domain::engine::{Act, Engine, Target};
use xtask::domain::event::Event;
use xtask::domain::exec::Exec;
use xtask::domain::store::{Location, Store};
use xtask::domain::timeline::Phase;
use xtask::flow::prove::{self, Place};
use xtask::flow::{child, world::World};
use xtask::ports::{Events, OwnedSite, Site, Sites};

const IMAGE: &str = "localhost/xtask-postgres:17";

/// A running server with a seeded database `shop`.
pub struct Server {
    pub world: World,
    pub engine: &'static dyn Engine,
    pub store: Store,
    pub target: Target,
    owned: Box<dyn OwnedSite>,
}

impl Server {
    /// `None` after saying why there is none.
    pub fn start() -> Option<Self> {
        let run: String = std::iter::repeat_with(|| fastrand::char('a'..='z')).take(10).collect();
        let run = format!("bench-{run}");
        let identity = RunIdentity::of_this_process(&run).unwrap();
        let sites: Arc<dyn Sites> = Arc::new(DockerSites::connect(&identity, Arc::new(NoRecipes)).unwrap());
        if let Err(error) = sites.containers() {
            println!("SKIPPED pipes: {error:#}");
            return None;
        }
        let abandoned = Arc::clone(&sites);
        xtask::adapters::signals::clean_up_on_signals(move || abandoned.abandon()).unwrap();
        let engine = xtask::engines::find("postgres").unwrap();
        let store = Store {
            name: "db".into(),
            engine: "postgres".into(),
            service: None,
            image: Some(IMAGE.into()),
            location: Location::Database { database: "shop".into(), user: "shop".into(), password: None, port: 5432 },
            allow_empty: false,
        };
        let world = World { clock: Arc::new(SystemClock::start()), sites, events: Arc::new(Silence), run };
        let owned = world.sites.open(&engine.site(&store), "bench").unwrap();
        let target = Target { scratch: owned.scratch(), ..engine.owned_target(&store) };
        let server = Self { world, engine, store, target, owned };
        prove::ready(&server.world, server.place(&server.target), Duration::from_secs(120)).unwrap();
        Some(server)
    }

    /// Fills the database.
    pub fn seed(&self, bytes: u64) {
        for act in self.engine.seed(&self.target, bytes) {
            self.act(&act);
        }
    }

    /// Where commands run.
    pub fn site(&self) -> &dyn Site {
        self.owned.as_site()
    }

    /// The container's name.
    pub fn container(&self) -> String {
        self.site().identity().name
    }

    /// The same server, another database.
    pub fn named(&self, name: &str) -> Target {
        Target { name: name.into(), ..self.target.clone() }
    }

    /// Everything that a database holds.
    pub fn census(&self, target: &Target) -> Census {
        prove::census(&self.world, self.place(target)).unwrap()
    }

    /// Makes an empty database.
    pub fn create(&self, name: &str) {
        self.sql(&format!("CREATE DATABASE {name} TEMPLATE template0;\n"));
    }

    /// Removes one, and what it left to be written.
    pub fn drop(&self, name: &str) {
        self.sql(&format!("DROP DATABASE {name} WITH (FORCE);\nCHECKPOINT;\n"));
    }

    /// The size of the seeded database.
    pub fn database_bytes(&self) -> u64 {
        self.sql("SELECT pg_database_size('shop');\n").trim().parse().unwrap()
    }

    /// The server's own words.
    pub fn version(&self) -> String {
        self.sql("SELECT version();\n").trim().to_owned()
    }

    /// What the figures depend on.
    pub fn machine(&self) -> String {
        let machine = self.world.sites.machine();
        let docker = machine.docker.unwrap_or_default();
        let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model =
            model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("?", |m| m.1);
        format!(
            "{} x {model}, {}, Docker {docker}, xtask {}",
            machine.cpus,
            machine.platform,
            env!("CARGO_PKG_VERSION")
        )
    }

    /// Seconds that processors have worked so far, for this process, for its children that ended, and in the container.
    pub fn processor_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let fields: Vec<f64> =
            stat.rsplit(')').next().unwrap_or_default().split(' ').filter_map(|word| word.parse().ok()).collect();
        // From the fourth field on: the 14th to 17th are user and system time, own and of children, in ticks of 10 ms.
        let own: f64 = fields[10..14].iter().sum::<f64>() / 100.0;
        let script =
            "cat /sys/fs/cgroup/cpuacct/cpuacct.usage 2>/dev/null || sed -n 's/usage_usec //p' /sys/fs/cgroup/cpu.stat";
        let said = self.act(&Act::run(Phase::Probe, "ask", Exec::site("sh").args(["-c", script])));
        let (number, old) = (said.trim().parse::<f64>().unwrap(), Path::new("/sys/fs/cgroup/cpuacct").exists());
        own + number / if old { 1e9 } else { 1e6 }
    }

    fn sql(&self, script: &str) -> String {
        let exec = Exec::site("psql").args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        let exec = exec.args(["--username=xtask_owner", "--dbname=postgres"]);
        self.act(&Act::text(Phase::Probe, "ask", exec, script))
    }

    fn act(&self, act: &Act) -> String {
        child::plain_act(&self.world, self.site(), self.engine, act).unwrap()
    }

    fn place<'a>(&'a self, target: &'a Target) -> Place<'a> {
        Place { site: self.site(), engine: self.engine, target }
    }
}

/// Nobody watches a benchmark.
struct Silence;

impl Events for Silence {
    fn tell(&self, _event: Event) {}
}
