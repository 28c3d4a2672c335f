//! The verifier under attack with a PostgreSQL set: archives listed and restored in containers.

use crate::support::{everywhere, postgres, run_name, world};
use xtask::adapters::config::{LoadOptions, load};
use xtask::archive::access::Access;
use xtask::archive::vault::Vault;
use xtask::domain::engine::Target;
use xtask::engines;
use xtask::flow::backup::{Source, backup};
use xtask::flow::child::plain_act;
use xtask::flow::mutate::{Order, mutate};
use xtask::flow::prove::{Place, ready};

#[test]
fn docker_every_mutant_of_a_postgres_set_is_refused() {
    let run = run_name();
    let Some(sites) = everywhere("docker_every_mutant_of_a_postgres_set_is_refused", &run) else { return };
    let world = world(&run, sites);
    let (engine, store) = postgres();
    let folder = tempfile::tempdir().unwrap();
    let recovery = "stacks:\n  shop:\n    folder: .\n    stores:\n      db: { engine: postgres, image: \"localhost/xtask-postgres:17\", \
                    database: app, user: app }\n    backups: { vault: vault, encryption: off }\n";
    std::fs::write(folder.path().join("recovery.yaml"), recovery).unwrap();
    let none = |_: &str| None;
    let options = LoadOptions { config: None, folder: folder.path().to_owned(), environment: &none };
    let project = load(&options).unwrap();
    let stack = project.stack("shop").unwrap();

    let site = world.sites.open(&engine.site(&store), "validate").unwrap();
    let target = Target { scratch: site.scratch(), ..engine.owned_target(&store) };
    let place = Place { site: site.as_site(), engine, target: &target };
    ready(&world, place, std::time::Duration::from_secs(120)).unwrap();
    for act in engine.seed(&target, 300_000) {
        plain_act(&world, site.as_site(), engine, &act).unwrap();
    }
    let vault = Vault::with(&stack.backups.vault, Access::of(&stack.backups.protection).unwrap());
    let source = Source { store: &store, engine, site: site.as_site(), target: &target };
    for _ in 0..2 {
        backup(&world, "shop", &[source], &vault, None).unwrap();
    }
    site.destroy().unwrap();
    let order = Order {
        stack,
        set: "latest",
        mutants: 60,
        controls: 2,
        seed: 17,
        only: None,
        // One of each kind that is sealed anew: an empty dump and one that is cut, which show by their end, objects too few and too
        // many in the census, and rows that only a restore compares.
        remade: Some(5),
        budget: 1 << 34,
        engines: engines::find,
    };
    let record = mutate(&world, order);
    assert!(record.outcome.passed(), "{record:#?}");
    assert_eq!((record.applied, record.killed, record.controls), (60, 60, 2), "{record:#?}");
    let levels: Vec<&String> = record.classes.iter().flat_map(|c| c.by.keys()).collect();
    for level in ["L0", "L1", "L2", "L4", "catalog"] {
        assert!(levels.iter().any(|by| *by == level), "nothing was refused by {level}: {record:#?}");
    }
}
