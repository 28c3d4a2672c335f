//! An independent witness: a container started by `testcontainers` and PostgreSQL's own programs restore a set that this project
//! made. None of the project's restoring code has a hand in it, so it cannot be wrong in the same way twice.

use crate::support::{everywhere, postgres, run_name, world};
use std::io::Read;
use testcontainers::core::{CmdWaitFor, ExecCommand};
use testcontainers::runners::SyncRunner;
use testcontainers::{Container, GenericImage, ImageExt};
use xtask::adapters::docker::RunIdentity;
use xtask::archive::vault::Vault;
use xtask::domain::census::Entry;
use xtask::flow::backup::{Source, backup};
use xtask::flow::world::World;
use xtask::flow::{child, prove};

/// A command that is waited for.
fn command(words: &[&str]) -> ExecCommand {
    ExecCommand::new(words.iter().map(|w| (*w).to_owned())).with_cmd_ready_condition(CmdWaitFor::exit())
}

fn answer(witness: &Container<GenericImage>, words: &[&str]) -> String {
    let mut done = witness.exec(command(words)).unwrap();
    let (out, err) = (done.stdout_to_vec().unwrap(), done.stderr_to_vec().unwrap());
    assert_eq!(done.exit_code().unwrap(), Some(0), "{words:?}: {}", String::from_utf8_lossy(&err));
    String::from_utf8(out).unwrap().trim().to_owned()
}

/// Over TCP: the first boot's temporary server listens on its socket only.
fn await_server(world: &World, witness: &Container<GenericImage>) {
    let ready = ["pg_isready", "-q", "-h", "127.0.0.1"];
    let deadline = world.clock.now() + std::time::Duration::from_secs(120);
    while witness.exec(command(&ready)).unwrap().exit_code().unwrap() != Some(0) {
        assert!(world.clock.now() < deadline, "the witness is not ready after two minutes");
        world.clock.sleep(std::time::Duration::from_millis(100));
    }
}

#[test]
fn a_set_restores_in_the_hands_of_a_stranger() {
    let run = run_name();
    let Some(sites) = everywhere("a_set_restores_in_the_hands_of_a_stranger", &run) else { return };
    let world = world(&run, sites.clone());
    let (engine, store) = postgres();
    let site = sites.open(&engine.site(&store), "origin").unwrap();
    let mut target = engine.owned_target(&store);
    target.scratch = site.scratch();
    let at = prove::Place { site: site.as_site(), engine, target: &target };
    prove::ready(&world, at, std::time::Duration::from_secs(120)).unwrap();
    for act in engine.seed(&target, 400_000) {
        child::plain_act(&world, site.as_site(), engine, &act).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let source = Source { store: &store, engine, site: site.as_site(), target: &target };
    let set = backup(&world, "shop", &[source], &Vault::at(&folder.path().join("sets")), None).unwrap().set;
    site.destroy().unwrap();

    let component = set.manifest.component(&store.name).unwrap();
    let bytes = |file| {
        let mut plain = Vec::new();
        set.plain(file).unwrap().read_to_end(&mut plain).unwrap();
        plain
    };
    let (dump, roles) = (bytes(component.data().unwrap()), bytes(component.extra("globals").unwrap()));
    let labels = RunIdentity::of_this_process(&run).unwrap().labels();
    let witness = GenericImage::new("localhost/xtask-postgres", "17")
        .with_env_var("POSTGRES_PASSWORD", "not-a-real-password")
        .with_labels(labels)
        .with_copy_to("/tmp/set.dump", dump)
        .with_copy_to("/tmp/globals.sql", roles)
        .start()
        .unwrap();
    await_server(&world, &witness);
    // As the manual of pg_dumpall says: roles that are there already are complained of, and the rest is made.
    answer(&witness, &["psql", "-X", "-q", "-U", "postgres", "-f", "/tmp/globals.sql"]);
    answer(
        &witness,
        &[
            "pg_restore",
            "-U",
            "postgres",
            "-d",
            "postgres",
            "--no-owner",
            "--no-acl",
            "--exit-on-error",
            "/tmp/set.dump",
        ],
    );
    let mut compared = 0;
    for (object, entry) in &component.census.objects {
        let (Some(table), Entry::Content { rows, .. }) = (object.strip_prefix("table "), entry) else { continue };
        let sql = format!("SELECT count(*) FROM ONLY {table}");
        assert_eq!(answer(&witness, &["psql", "-U", "postgres", "-Atqc", &sql]), rows.to_string(), "{object}");
        compared += 1;
    }
    assert!(compared >= 20, "only {compared} tables were compared");
}
