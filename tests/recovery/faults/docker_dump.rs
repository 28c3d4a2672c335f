//! Faults of a backup: wrong name, nothing in it, wrong password, a full disk, a killed `pg_dump`, a killed server.

use super::docker_server::{IMAGE, Server, rig};
use super::rig::{CANARY, Mounted, Tripped, holds_only, refused};
use crate::docker_rig::docker;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use xtask::domain::refusal::RefusalKind;

const TEST: &str = "faults of a dump";

/// Kills every `pg_dump` of the container and says how many there were.
const KILL: &str = r#"n=0; for p in /proc/[0-9]*; do read -r c <"$p/comm" && [ "$c" = pg_dump ] && kill -KILL "${p#/proc/}" && n=$((n+1)); done 2>/dev/null; echo $n"#;

#[test]
fn what_cannot_be_dumped_is_refused_by_name_and_leaves_no_backup() {
    let Some(rig) = rig(TEST, &[IMAGE]) else { return };
    let server = Server::start(&rig);
    server.sql("shop", "CREATE TABLE orders AS SELECT 1 AS id");
    server.sql("shop", "CREATE DATABASE hollow");
    rig.backup(&server.store, server.site(), &server.at).expect("a sound backup comes first");
    holds_only(&rig.vault(), 1);

    let (store, at) = server.database("shpo");
    assert!(!server.sql("shop", "SELECT datname FROM pg_database").contains("shpo"));
    let says = ["back up postgres", "\"shpo\" does not exist", "shop"];
    refused(rig.backup(&store, server.site(), &at), RefusalKind::MissingStore, &says, "recovery.yaml");
    holds_only(&rig.vault(), 1);

    let (store, at) = server.database("hollow");
    assert_eq!(server.sql("hollow", "SELECT count(*) FROM pg_stat_user_tables"), "0");
    let says = ["\"hollow\" has no table"];
    refused(rig.backup(&store, server.site(), &at), RefusalKind::EmptyStore, &says, "allow it to be empty");
    server.sql("hollow", "CREATE TABLE t (id int)");
    let says = ["\"hollow\" has 1 tables and not one row"];
    refused(rig.backup(&store, server.site(), &at), RefusalKind::EmptyStore, &says, "allow it to be empty");
    holds_only(&rig.vault(), 1);

    // The server asks for a password at its own address, not at 127.0.0.1.
    let at = server.seen_from_outside(CANARY);
    let says = ["password authentication failed", &server.at.user];
    refused(rig.backup(&server.store, server.site(), &at), RefusalKind::AccessDenied, &says, "password");
    holds_only(&rig.vault(), 1);

    server.sql("shop", "CREATE ROLE clerk LOGIN");
    let mut at = server.at.clone();
    "clerk".clone_into(&mut at.user);
    let says = ["role clerk may not read", "orders"];
    refused(rig.backup(&server.store, server.site(), &at), RefusalKind::AccessDenied, &says, "GRANT pg_read_all_data");
    holds_only(&rig.vault(), 1);
}

#[test]
fn a_dump_that_does_not_arrive_whole_is_no_backup() {
    let Some(rig) = rig(TEST, &[IMAGE]) else { return };
    let server = Server::start(&rig);
    server.fill();
    rig.backup(&server.store, server.site(), &server.at).expect("a sound backup comes first");

    let (name, killed) = (server.name(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&killed);
    let mut site = Tripped::dump(server.site(), move || {
        let said = docker(&["exec", &name, "sh", "-c", KILL]).unwrap();
        count.store(said.parse().unwrap(), Ordering::SeqCst);
    });
    // Nobody waits for the rest of a census whose dump is lost.
    site.slow_census = Some(600);
    refused(
        rig.backup(&server.store, &site, &server.at),
        RefusalKind::Producer,
        &["back up postgres", "pg_dump", "killed"],
        "memory",
    );
    assert!(site.fired());
    assert_eq!(killed.load(Ordering::SeqCst), 1, "exactly one pg_dump was killed");
    holds_only(&rig.vault(), 1);

    if let Some(small) = Mounted::tmpfs(TEST, rig.path("small"), "size=4m,mode=0700") {
        refused(
            rig.backup_into(small.path(), &server.store, server.site(), &server.at),
            RefusalKind::Storage,
            &["cannot write", "postgres.dump", "No space left", "bytes free"],
            "larger disk",
        );
        holds_only(small.path(), 0);
        let free = rustix::fs::statvfs(small.path()).unwrap();
        assert!(free.f_bavail * free.f_frsize > 3 << 20, "what was half-written is gone");
    }

    // The site itself goes: its server, and pg_dump with it.
    let doomed = Arc::clone(&server.site);
    let site = Tripped::dump(server.site(), move || doomed.kill().unwrap());
    refused(
        rig.backup(&server.store, &site, &server.at),
        RefusalKind::Producer,
        &["back up postgres", "pg_dump", "killed"],
        "look at",
    );
    assert!(site.fired());
    assert_eq!(docker(&["inspect", "-f", "{{.State.Running}}", &server.name()]).unwrap(), "false");
    holds_only(&rig.vault(), 1);
}

#[test]
fn a_table_that_somebody_empties_meanwhile_is_in_the_backup_with_all_its_rows() {
    let Some(rig) = rig(TEST, &[IMAGE]) else { return };
    let server = Server::start(&rig);
    server.fill();
    let name = server.name();
    let mut site = Tripped::dump(server.site(), move || {
        docker(&["exec", "-d", &name, "psql", "-XqU", "xtask_owner", "-d", "shop", "-c", "TRUNCATE orders"]).unwrap();
    });
    // Long after the dump's end: an older snapshot would find the table empty.
    site.slow_census = Some(5);
    let taken = rig.backup(&server.store, &site, &server.at).unwrap();
    assert!(site.fired());
    assert_eq!(taken.set.manifest.components[0].census.rows(), 30_000);
    let emptied = || server.sql("shop", "SELECT count(*) FROM orders") == "0";
    let clock = &rig.world.clock;
    let deadline = clock.now() + Duration::from_secs(30);
    while !emptied() {
        assert!(clock.now() < deadline, "nobody emptied the table");
        clock.sleep(Duration::from_millis(50));
    }
}
