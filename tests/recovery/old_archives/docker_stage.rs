//! A stack with a database, an engine to adopt its old dumps with, and the shop that they are dumps of. It must not know what is expected.

use super::rig::{PASSPHRASE, Rig, fixture};
use crate::docker_rig::{docker, labelled};
use crate::support::{everywhere, run_name, world};
use std::io::Read;
use std::path::Path;
use xtask::adapters::config::{LoadOptions, load};
use xtask::archive::vault::Vault;
use xtask::domain::census::Census;
use xtask::domain::engine::{Act, Target};
use xtask::domain::exec::Exec;
use xtask::domain::refusal::Refusal;
use xtask::domain::store::{Location, Store};
use xtask::domain::timeline::Phase;
use xtask::engines;
use xtask::flow::child::plain_act;
use xtask::flow::prove::{self, Place};
use xtask::flow::world::World;
use xtask::ports::Site;
use xtask::tasks::adopt::{Args, run};

/// A stack with one database of this version, and a world with an engine.
pub struct Stage {
    pub world: World,
    pub rig: Rig,
    version: u32,
}

impl Stage {
    pub fn open(test: &str, version: u32, programs: &[&str]) -> Option<Self> {
        let rig = Rig::new(test, programs)?;
        let run = run_name();
        let sites = everywhere(test, &run)?;
        let image = format!("localhost/xtask-postgres:{version}");
        if docker(&["image", "inspect", &image]).is_none() {
            return crate::docker_rig::skip(test, &format!("no image {image}"));
        }
        let text = format!(
            "stacks:\n  shop:\n    folder: .\n    stores:\n      db: {{ engine: postgres, image: \"{image}\", database: shop, user: recyclic }}\n"
        );
        std::fs::write(rig.path("recovery.yaml"), text).unwrap();
        Some(Self { world: world(&run, sites), rig, version })
    }

    pub fn args(archive: &Path) -> Args {
        Args {
            stack: "shop".into(),
            archive: archive.to_owned(),
            store: None,
            key_from: None,
            key_file: None,
            derivation: None,
            as_of: None,
            inside: None,
            inspect: false,
        }
    }

    pub fn adopt(&self, args: &Args) -> anyhow::Result<String> {
        let environment = |name: &str| (name == "BACKUP_ENCRYPTION_KEY").then(|| PASSPHRASE.to_owned());
        let options = LoadOptions {
            config: Some(self.rig.path("recovery.yaml")),
            folder: self.rig.path(""),
            environment: &environment,
        };
        let project = load(&options)?;
        let mut out = Vec::new();
        run(&self.world, project.stack("shop")?, args, &environment, false, &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    pub fn vault(&self) -> Vault {
        Vault::at(&self.rig.path("backups/shop"))
    }

    pub fn refused(&self, name: &str, script: &str) -> Refusal {
        let path = self.rig.file(name, script.as_bytes());
        let error = self.adopt(&Self::args(&path)).unwrap_err();
        assert!(self.vault().list().unwrap().is_empty(), "{name}: a set was made of it");
        assert_eq!(labelled(&self.world.run), Vec::<String>::new(), "{name}: something of the run is still there");
        assert_eq!(std::fs::read(&path).unwrap(), script.as_bytes(), "{name}: the archive itself was changed");
        Refusal::within(&error).unwrap_or_else(|| panic!("{name}: no known cause: {error:?}")).clone()
    }

    pub fn store(&self) -> Store {
        let location =
            Location::Database { database: "shop".into(), user: "recyclic".into(), password: None, port: 5432 };
        Store {
            name: "db".into(),
            engine: "postgres".into(),
            service: None,
            image: Some(format!("localhost/xtask-postgres:{}", self.version)),
            location,
            allow_empty: false,
        }
    }

    /// The shop itself in a site of its own: its census, and what a program there writes.
    pub fn original<T>(&self, work: impl FnOnce(&dyn Site, &Target) -> T) -> (Census, T) {
        let (engine, store) = (engines::find("postgres").unwrap(), self.store());
        let site = self.world.sites.open(&engine.site(&store), "shop").unwrap();
        let target = Target { scratch: site.scratch(), ..engine.owned_target(&store) };
        let place = Place { site: site.as_site(), engine, target: &target };
        prove::ready(&self.world, place, std::time::Duration::from_secs(120)).unwrap();
        let script = std::fs::read_to_string(fixture("shop.sql")).unwrap();
        let psql = Exec::site("psql").args([
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "xtask_owner",
            "-d",
            "shop",
            "-f",
            "-",
        ]);
        plain_act(&self.world, site.as_site(), engine, &Act::text(Phase::Load, "fill the shop", psql, script)).unwrap();
        let census = prove::census(&self.world, place).unwrap();
        (census, work(site.as_site(), &target))
    }
}

pub fn output(site: &dyn Site, program: &str, words: &[&str]) -> Vec<u8> {
    let mut running = site.start(&Exec::site(program).args(words.iter().copied())).unwrap();
    let mut bytes = Vec::new();
    running.stdout.read_to_end(&mut bytes).unwrap();
    let exit = running.control.wait().unwrap();
    assert!(exit.ok(), "{program} {words:?}: {exit:?}");
    bytes
}

pub fn dumped(site: &dyn Site, how: &[&str]) -> Vec<u8> {
    output(site, "pg_dump", &[&["-U", "xtask_owner", "-d", "shop"], how].concat())
}

/// The differences between what was there and what the newest set holds, roles aside: their rights are in no dump.
pub fn lost(stage: &Stage, original: &Census) -> Vec<String> {
    let sets = stage.vault().list().unwrap();
    let manifest = sets.last().unwrap().public.as_ref().unwrap().whole.as_ref().unwrap();
    let differences = original.differences(&manifest.components[0].census);
    differences.iter().filter(|d| !d.object.starts_with("role ")).map(ToString::to_string).collect()
}

/// A small whole script around these statements.
pub fn around(statements: &str) -> String {
    format!(
        "--\n-- PostgreSQL database dump\n--\n\nCREATE TABLE public.t (a integer);\nINSERT INTO public.t VALUES (1);\n{statements}\n\
         --\n-- PostgreSQL database dump complete\n--\n\n"
    )
}
