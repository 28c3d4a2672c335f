//! Faults of a restore: a target that holds data, no room to stage the archive, a missing extension, an older server.

use super::docker_server::{IMAGE, Server, engine, rig};
use super::rig::{Rig, holds_only, refused};
use crate::docker_rig::{docker, said};
use xtask::archive::vault::BackupSet;
use xtask::domain::engine::Target;
use xtask::domain::refusal::RefusalKind;
use xtask::domain::store::Store;
use xtask::domain::timeline::{Phase, Stopwatch};
use xtask::flow::restore::{Into, whole};

const TEST: &str = "faults of a restore";
const CONTROL: &str = "/usr/share/postgresql/17/extension/pg_trgm.control";

fn restore(rig: &Rig, server: &Server, store: &Store, target: &Target, set: &BackupSet) -> anyhow::Result<()> {
    let component = set.manifest.component("postgres").unwrap();
    let into = Into { store, engine: engine(), site: server.site(), target, set, component };
    whole(&rig.world, into, &mut Stopwatch::start(Phase::Provision, rig.world.clock.now()))
}

#[test]
fn a_restore_that_cannot_go_well_is_refused_by_name_and_touches_nothing() {
    let Some(rig) = rig(TEST, &[IMAGE]) else { return };
    let server = Server::start(&rig);
    server.sql("shop", "CREATE EXTENSION pg_trgm; CREATE TABLE orders AS SELECT * FROM generate_series(1, 9) AS id");
    let set = rig.backup(&server.store, server.site(), &server.at).unwrap().set;
    server.sql("shop", "INSERT INTO orders VALUES (10)");
    let databases = || server.sql("postgres", "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database");
    let before = databases();

    assert_eq!(server.sql("shop", "SELECT count(*) FROM orders"), "10");
    let says = ["\"shop\" holds 1 tables"];
    let result = restore(&rig, &server, &server.store, &server.at, &set);
    refused(result, RefusalKind::TargetNotEmpty, &says, "fresh place");
    assert_eq!(server.sql("shop", "SELECT count(*) FROM orders"), "10", "nothing was overwritten");

    let (store, mut at) = server.database("other");
    said(server.site(), &["mkdir", "/tmp/full"]);
    said(server.site(), &["ln", "-s", "/dev/full", "/tmp/full/data.dump"]);
    "/tmp/full".clone_into(&mut at.scratch);
    let says = ["stage the archive", "/tmp/full/data.dump", "No space left on device"];
    refused(restore(&rig, &server, &store, &at, &set), RefusalKind::Storage, &says, "free space");

    let (store, at) = server.database("other");
    // In the image, where nobody but root may write; the server is not root.
    let moved = |from: &str, to: &str| docker(&["exec", "--user", "0", &server.name(), "mv", from, to]).expect("moved");
    moved(CONTROL, "/tmp/");
    assert_eq!(server.sql("shop", "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'"), "0");
    let says = ["the server lacks", "extension pg_trgm"];
    refused(restore(&rig, &server, &store, &at, &set), RefusalKind::MissingCapability, &says, "an image that brings");

    assert_eq!(databases(), before, "no restore left a database behind");
    moved("/tmp/pg_trgm.control", CONTROL);
    restore(&rig, &server, &store, &at, &set).expect("without the faults it goes well");
    assert_eq!(server.sql("other", "SELECT count(*) FROM orders"), "9");
    holds_only(&rig.vault(), 1);
}
