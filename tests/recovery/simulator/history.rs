//! One history from one seed: runs of backup, verify, prune, hold and sweep on one simulated machine, with faults, and what is to be
//! expected of each. What must hold after every run is in `promises`.

use super::disk::SimDisk;
use super::faults::{Fault, Tally};
use super::machine::{Ended, Machine, Plan};
use super::sabotage::Sabotage;
use super::world::{CANARY, Heard, SimClock, SimSite, VERBS, artifact};
use anyhow::Result;
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use xtask::adapters::fake::FakeSites;
use xtask::archive::access::Access;
use xtask::archive::vault::Vault;
use xtask::domain::deed::{Deed, What};
use xtask::domain::objective::Objectives;
use xtask::domain::protection::{Encryption, Protection};
use xtask::domain::retention::Policy;
use xtask::domain::stack::{Backups, Compression, Stack};
use xtask::domain::store::{Location, Root, Store};
use xtask::engines;
use xtask::flow::audit;
use xtask::flow::world::World;
use xtask::ports::Clock;

/// Where the vault is on the machine.
pub const VAULT: &str = "/srv/vault";
/// The stack that is backed up.
pub const STACK: &str = "shop";

/// A set as whoever made it knows it.
#[derive(Debug, Clone)]
pub struct Known {
    /// The plain bytes of each store.
    pub content: Content,
    /// Its place in the order.
    pub sequence: u64,
    /// A bit of it was flipped.
    pub rotten: bool,
    /// Nobody was told that it exists: a power cut may take it.
    pub unsure: bool,
}

/// The plain bytes of each store.
pub type Content = BTreeMap<String, Vec<u8>>;

/// Everything that happened on one machine.
pub struct History {
    pub rng: Rng,
    pub machine: Machine,
    /// What is missing from the code that is tried.
    pub sabotage: Sabotage,
    pub clock: Arc<SimClock>,
    pub tally: Arc<Tally>,
    pub protection: Protection,
    pub stack: Stack,
    /// What happened, a line each.
    pub told: Vec<String>,
    pub known: BTreeMap<String, Known>,
    /// Sets that may have been removed, or may come back once the power fails.
    pub limbo: BTreeMap<String, Known>,
    /// Sets whose removal was reported.
    pub removed: BTreeSet<String>,
    /// What runs were about to commit whose end nobody heard.
    pub unheard: Vec<Content>,
    /// What runs failed to commit: a power cut may bring it to light.
    pub late: Vec<Content>,
    pub held: BTreeSet<String>,
    /// The runs whose line in the audit log was promised.
    pub deeds: Vec<String>,
    pub highest: u64,
    pub heard: Arc<Heard>,
    runs: u32,
    /// How many steps each kind of run took when it was last seen.
    pub steps: BTreeMap<&'static str, u64>,
}

impl History {
    pub fn new(seed: u64, tally: Arc<Tally>, sabotage: Sabotage) -> Self {
        let keys = protected();
        fastrand::seed(seed);
        let mut rng = Rng::with_seed(seed);
        let floor = rng.u32(1..=3);
        let policy = if rng.bool() {
            Policy { daily: rng.u32(0..3), weekly: rng.u32(0..2), monthly: rng.u32(0..2), floor }
        } else {
            Policy { daily: 0, weekly: 0, monthly: 0, floor }
        };
        let protection = if rng.u8(..48) == 0 { keys.clone() } else { Protection::default() };
        let compression = match rng.u8(..32) {
            0 => Compression::Zstd,
            1..4 => Compression::Gzip,
            _ => Compression::None,
        };
        let noon = jiff::Timestamp::constant(1_795_176_000, 0);
        let clock = Arc::new(SimClock::at(noon));
        Self {
            machine: Machine::new(Arc::clone(&tally)),
            sabotage,
            stack: stack(protection.clone(), policy, compression, &mut rng),
            rng,
            clock,
            tally,
            protection,
            told: Vec::new(),
            known: BTreeMap::new(),
            limbo: BTreeMap::new(),
            removed: BTreeSet::new(),
            unheard: Vec::new(),
            late: Vec::new(),
            held: BTreeSet::new(),
            deeds: Vec::new(),
            highest: 0,
            heard: Arc::default(),
            runs: 0,
            steps: BTreeMap::new(),
        }
    }

    pub fn tell(&mut self, line: impl Into<String>) {
        self.told.push(line.into());
    }

    /// Once in so many times.
    pub fn once_in(&mut self, times: u32) -> bool {
        self.rng.u32(..times) == 0
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.usize(..of.len())]
    }

    /// A fault of the disk for a run of this kind, at a step that it probably reaches.
    pub fn disk_fault(&mut self, kind: &'static str) -> Plan {
        use Fault::*;
        let fault = self.pick(&[
            PowerCut, PowerCut, PowerCut, PowerCut, Kill, Kill, Full, FullOnce, FullAtSync, WriteError, SyncError,
            SyncError, ReadError, ReadErrors, ShortWrite,
        ]);
        let steps = self.steps.get(kind).copied().unwrap_or(150);
        let most = match fault {
            PowerCut | Kill => steps,
            ReadError | ReadErrors => steps * 2 / 3,
            Full | FullOnce | ShortWrite => steps / 6,
            WriteError => steps / 5,
            _ => steps / 12,
        };
        Plan { fault, after: self.rng.u64(..most.max(2)) }
    }

    /// A process of its own with a vault.
    pub fn process(&self, plan: Option<Plan>) -> (u32, Vault) {
        let process = self.machine.start(plan);
        let disk = Arc::new(SimDisk { machine: self.machine.clone(), process, sabotage: self.sabotage });
        let access = Access::of(&self.protection).expect("the keys are there");
        (process, Vault::on_disk(disk, Path::new(VAULT), access))
    }

    /// A run: a process that does one thing and writes down what came of it.
    pub fn run<T>(
        &mut self,
        kind: &'static str,
        plan: Option<Plan>,
        work: impl FnOnce(&World, &Vault) -> (Result<T>, Option<Deed>),
    ) -> (Result<T>, Ended) {
        self.runs += 1;
        let world = World {
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            sites: Arc::new(FakeSites::strict(Arc::clone(&self.clock) as Arc<dyn Clock>)),
            events: Arc::clone(&self.heard) as _,
            run: format!("run-{}", self.runs),
        };
        let (process, vault) = self.process(plan);
        let (result, deed) = work(&world, &vault);
        let noted = deed.map(|deed| audit::record(&world, &vault, deed));
        drop(vault);
        let ended = self.machine.end(process, &mut self.rng);
        if !ended.died && matches!(noted, Some(Ok(()))) && self.exists() {
            self.deeds.push(world.run.clone());
        }
        if ended.fired && plan.is_some_and(|p| p.fault == Fault::PowerCut) {
            self.unheard.append(&mut self.late);
        }
        if !ended.died && !ended.fired {
            self.steps.insert(kind, ended.steps);
        }
        let fault = plan.map_or(String::new(), |p| {
            let what = if ended.fired { p.fault.words() } else { "nothing" };
            format!(", {what} (step {})", p.after)
        });
        let came = match &result {
            Ok(_) => "done".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        let died = if ended.died { "; it died" } else { "" };
        self.tell(format!("{} {kind}{fault}: {came}{died}", world.run));
        (result, ended)
    }

    /// Whether there is a vault.
    fn exists(&self) -> bool {
        self.machine.state().find(Path::new(VAULT)).is_ok()
    }

    /// New data for both stores, and the places where they are.
    pub fn stores(&mut self, trouble: Option<Fault>) -> (Content, Vec<SimSite>, Arc<Mutex<bool>>) {
        let fired = Arc::new(Mutex::new(false));
        let count = self.stack.stores.len();
        let which = self.rng.usize(..count);
        let mut content = Content::new();
        let mut sites = Vec::new();
        for at in 0..count {
            let size = if self.once_in(80) { self.rng.usize(..600_000) } else { self.rng.usize(2..2_000) };
            let mut data = CANARY.as_bytes().to_vec();
            data.resize(CANARY.len() + size, 0);
            self.rng.fill(&mut data[CANARY.len()..]);
            let engine = self.stack.stores[at].engine.clone();
            let data = artifact(&engine, &data);
            content.insert(self.stack.stores[at].name.clone(), data.clone());
            let verbs = VERBS.iter().find(|(name, _)| *name == engine).map_or(&[][..], |(_, verbs)| verbs);
            let trouble = trouble.filter(|_| at == which).map(|fault| (fault, self.verb(fault, verbs)));
            let (clock, tally) = (Arc::clone(&self.clock), Arc::clone(&self.tally));
            let sabotage = self.sabotage;
            sites.push(SimSite { data, clock, tally, trouble, fired: Arc::clone(&fired), sabotage });
        }
        (content, sites, fired)
    }

    fn verb(&mut self, fault: Fault, verbs: &'static [&'static str]) -> &'static str {
        match fault {
            Fault::ProducerExit | Fault::ProducerKilled | Fault::ProducerTimeout | Fault::ProducerAbsent => {
                self.pick(verbs)
            }
            _ => verbs[verbs.len() - 1],
        }
    }

    /// The power fails while nothing runs.
    pub fn power_cut(&mut self) {
        if self.machine.cut(&mut self.rng) {
            self.tally.fired(Fault::IdlePowerCut);
            self.tell("the power fails");
        }
        self.unheard.append(&mut self.late);
    }

    /// Some of a night.
    pub fn time_passes(&mut self) {
        let minutes = self.rng.u64(1..60 * 40);
        self.clock.pass(Duration::from_secs(minutes * 60));
    }

    /// A deed of this stack.
    pub fn deed(what: What) -> Deed {
        Deed::new(what, STACK)
    }
}

fn stack(protection: Protection, retention: Policy, compression: Compression, rng: &mut Rng) -> Stack {
    let store = |name: &str, engine: &str| {
        let location = Location::Folder { root: Root::Host("/data".into()), path: name.into() };
        let engine = engine.to_owned();
        assert!(engines::find(&engine).is_some());
        Store { name: name.to_owned(), engine, service: None, image: None, location, allow_empty: false }
    };
    let mut stores = vec![store("db", "sqlite"), store("uploads", "files")];
    if rng.bool() {
        stores.truncate(1);
    }
    Stack {
        name: STACK.to_owned(),
        folder: "/data".into(),
        compose_files: Vec::new(),
        env_file: None,
        project: STACK.to_owned(),
        stores,
        objectives: Objectives::default(),
        backups: Backups {
            schedule: None,
            max_skew: xtask::domain::stack::MAX_SKEW,
            vault: VAULT.into(),
            compression,
            protection,
            retention,
        },
        binding: Default::default(),
        without_engine: Vec::new(),
        notes: Vec::new(),
        traefik: Default::default(),
    }
}

/// Keys for encrypted and signed sets, made once.
fn protected() -> &'static Protection {
    static KEYS: OnceLock<(tempfile::TempDir, Protection)> = OnceLock::new();
    &KEYS
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let (identity, signing) = (folder.path().join("identity"), folder.path().join("signing"));
            let reader = xtask::archive::keys::make(&identity).unwrap();
            let signer = xtask::archive::signature::make(&signing).unwrap();
            let protection = Protection {
                encryption: Encryption::Recipients(vec![reader]),
                identities: vec![identity],
                signing_key: Some(signing),
                trusted: vec![signer],
                passphrase_file: None,
            };
            (folder, protection)
        })
        .1
}
