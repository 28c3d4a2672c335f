//! All stores of a stack in one set: bound to the configuration they were made under, close together in time, all of them or none;
//! and sets of tools that said less of themselves.

use crate::protected::Desk;
use crate::support::meddling::{Meddle, Meddling};
use crate::support::{directories, run_name, sqlite, uploads, world};
use serde_json::Value;
use std::path::Path;
use std::sync::{Arc, Mutex};
use xtask::archive::vault::Vault;
use xtask::domain::engine::{Engine, Target};
use xtask::domain::exec::Exec;
use xtask::domain::site::SiteSpec;
use xtask::domain::store::Store;
use xtask::flow::backup::{Source, backup};

/// A desk with an SQLite store and a folder of uploads, described by a Compose file with an env file.
fn desk(max_skew: &str) -> Desk {
    let desk = Desk::new("ops.key");
    std::fs::create_dir(desk.at("uploads")).unwrap();
    std::fs::write(desk.at("uploads/picture"), "a picture").unwrap();
    std::fs::write(desk.at("compose.yaml"), "services: { app: { image: 'shop:1' } }\n").unwrap();
    std::fs::write(desk.at(".env"), "DB_PASSWORD=canary-4711\nAPP_MODE=prod\n").unwrap();
    let stores = "stores:\n      app: { engine: sqlite, path: app.db }\n      up: { engine: files, path: uploads }\n";
    let backups = format!("backups: {{ vault: vault, max_skew: {max_skew} }}\n");
    let text =
        format!("stacks:\n  shop:\n    compose: compose.yaml\n    project: shop-prod\n    {stores}    {backups}");
    std::fs::write(desk.at("recovery.yaml"), text).unwrap();
    desk
}

fn manifest(set: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(set.join("manifest.json")).unwrap()).unwrap()
}

#[test]
fn a_set_says_under_which_configuration_it_was_made_and_never_a_value_of_it() {
    let desk = desk("15m");
    let sha256 = |text: &str| {
        use sha2::{Digest, Sha256};
        xtask::domain::artifact::hex(&Sha256::digest(text))
    };
    let take = || {
        desk.ends(0, &["backup", "shop"]);
        manifest(&desk.set())
    };
    let first = take();
    let binding = &first["binding"];
    assert_eq!(binding["project"], "shop-prod");
    assert_eq!(binding["compose_sha256"], sha256("services: { app: { image: 'shop:1' } }\n"));
    assert_eq!(binding["env_names_sha256"], sha256("APP_MODE\nDB_PASSWORD\n"));
    assert!(binding["skew_ms"].is_u64() && !first.to_string().contains("canary"), "{first}");
    std::fs::write(desk.at(".env"), "DB_PASSWORD=canary-4712\nAPP_MODE=staging\n").unwrap();
    let second = take();
    assert_eq!(second["binding"]["env_names_sha256"], binding["env_names_sha256"], "values are in no digest");
    std::fs::write(desk.at(".env"), "DB_PASSWORD=canary-4712\nAPP_MOOD=prod\n").unwrap();
    std::fs::write(desk.at("compose.yaml"), "services: { app: { image: 'shop:2' } }\n").unwrap();
    let third = take();
    for part in ["env_names_sha256", "compose_sha256"] {
        assert_ne!(third["binding"][part], binding[part], "{part}");
    }
    desk.ends(0, &["verify", "shop", "all"]);
}

#[test]
fn flaw_48_stores_that_are_too_far_apart_are_a_failed_check_of_a_set_that_is_kept() {
    let desk = desk("0s");
    let said = desk.ends(1, &["backup", "shop"]);
    assert!(
        said.contains("its stores are at most 0.")
            && said.contains("FAILED")
            && said.contains("`backups.max_skew` is 0 s"),
        "{said}"
    );
    let json: Value = serde_json::from_slice(&desk.run(&["--json", "backup", "shop"]).stdout).unwrap();
    let skew = json["skew_seconds"].as_f64().unwrap();
    assert!(skew > 0.0 && json["max_skew_seconds"] == 0.0, "{json}");
    let set = manifest(&desk.set());
    assert_eq!(set["binding"]["skew_ms"].as_u64().unwrap(), (skew * 1000.0) as u64);
    let windows: Vec<u64> =
        set["components"].as_array().unwrap().iter().map(|c| c["as_of_window_ms"].as_u64().unwrap()).collect();
    assert!(windows.len() == 2 && windows.iter().all(|w| *w < 600_000), "{windows:?}");
    desk.ends(0, &["verify", "shop", "all"]);
    // One store alone is not apart from anything, whatever the limit.
    let said = desk.ends(0, &["backup", "shop", "--store", "app"]);
    assert!(!said.contains("apart"), "{said}");
    let wrong = std::fs::read_to_string(desk.at("recovery.yaml")).unwrap().replace("max_skew: 0s", "max_skew: soon");
    std::fs::write(desk.at("recovery.yaml"), wrong).unwrap();
    let said = desk.ends(2, &["backup", "shop"]);
    assert!(said.contains("recovery.yaml:8:") && said.contains("15m"), "{said}");
}

#[test]
fn f17_one_store_that_fails_fails_the_whole_set() {
    let desk = desk("15m");
    desk.ends(0, &["backup", "shop"]);
    let (before, sets) = (desk.set(), || std::fs::read_dir(desk.at("vault")).unwrap().count());
    let count = sets();
    // The database is sound and comes first; the folder after it is gone, then a link that leaves, then empty.
    std::fs::rename(desk.at("uploads"), desk.at("elsewhere")).unwrap();
    assert!(desk.ends(22, &["backup", "shop"]).contains("uploads"), "the fault has happened");
    std::fs::create_dir(desk.at("uploads")).unwrap();
    assert!(desk.ends(23, &["backup", "shop"]).contains("up"));
    std::fs::remove_dir(desk.at("uploads")).unwrap();
    std::fs::rename(desk.at("elsewhere"), desk.at("uploads")).unwrap();
    // And the other way round: the folder is sound.
    let whole = std::fs::read(desk.at("app.db")).unwrap();
    std::fs::write(desk.at("app.db"), "not a database").unwrap();
    desk.ends(28, &["backup", "shop"]);
    std::fs::write(desk.at("app.db"), whole).unwrap();
    assert_eq!((desk.set(), sets()), (before, count), "no set, and nothing half-made");
    desk.ends(0, &["verify", "shop", "all", "--level", "L4"]);
    desk.ends(0, &["backup", "shop"]);
}

#[test]
fn a_set_that_says_nothing_of_its_binding_is_read_and_restored_as_before() {
    let desk = Desk::new("ops.key");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/sets/unbound");
    let set = std::fs::read_dir(fixture).unwrap().next().unwrap().unwrap();
    let to = desk.at("vault").join(set.file_name());
    std::fs::create_dir_all(&to).unwrap();
    for file in std::fs::read_dir(set.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    let text = "stacks:\n  shop:\n    folder: .\n    stores:\n      app: { engine: sqlite, path: app.db }\n    backups: { vault: vault }\n";
    std::fs::write(desk.at("recovery.yaml"), text).unwrap();
    assert!(manifest(&to)["binding"].is_null(), "the fixture is of before");
    let said = desk.ends(0, &["verify", "shop", "all", "--level", "L4"]);
    assert!(said.contains("1 of 1 sets reached L4"), "{said}");
    desk.ends(0, &["backup", "shop"]);
    desk.ends(0, &["verify", "shop", "all"]);
}

/// Which store a command belongs to, and what it does to it.
fn word(purpose: &str, exec: &Exec) -> Option<String> {
    let does = ["snapshot", "read", "dump"].into_iter().find(|word| exec.args.iter().any(|arg| arg == word))?;
    Some(format!("{does} {purpose}"))
}

#[test]
fn every_snapshot_is_held_before_anything_is_read_and_folders_are_read_last() {
    let (run, seen) = (run_name(), Arc::new(Mutex::new(Vec::new())));
    let log = Arc::clone(&seen);
    let sites = Meddling::with(directories(&run), move |purpose, _, exec| {
        log.lock().unwrap().extend(word(purpose, exec));
        Ok(Meddle::Let)
    });
    let world = world(&run, Arc::new(sites));
    let named = |name: &str, (engine, store): (&'static dyn Engine, Store)| {
        let site = world.sites.open(&SiteSpec::Directory, name).unwrap();
        let folder = Path::new(&site.identity().name).to_owned();
        let target = Target { scratch: site.scratch(), ..engine.attached_target(&store) };
        (engine, Store { name: name.to_owned(), ..store }, site, target, folder)
    };
    let places = [named("pictures", uploads()), named("one", sqlite()), named("two", sqlite())];
    for (engine, _, _, target, folder) in &places {
        if engine.name() == "sqlite" {
            let made = rusqlite::Connection::open(folder.join("app.db")).unwrap();
            made.execute_batch("CREATE TABLE notes (text); INSERT INTO notes VALUES ('one')").unwrap();
        } else {
            std::fs::create_dir_all(folder.join(&target.root)).unwrap();
            std::fs::write(folder.join(&target.root).join("picture"), "a picture").unwrap();
        }
    }
    let mut sources = Vec::new();
    for (engine, store, site, target, _) in &places {
        sources.push(Source { store, engine: *engine, site: site.as_site(), target });
    }
    let vault = tempfile::tempdir().unwrap();
    let taken = backup(&world, "shop", &sources, &Vault::at(&vault.path().join("sets")), None).unwrap();
    let wanted = ["snapshot one", "snapshot two", "read one", "read two", "dump pictures"];
    assert_eq!(*seen.lock().unwrap(), wanted);
    let stores: Vec<&str> = taken.set.manifest.components.iter().map(|c| c.store.as_str()).collect();
    assert_eq!(stores, ["pictures", "one", "two"], "the manifest keeps the configuration's order");
    assert!(taken.skew.unwrap() > std::time::Duration::ZERO);
}
