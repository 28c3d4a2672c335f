//! Faults between a client and a server on another machine: an older client, a cut network, a server that stands still, a server
//! that dies while its client lives.

use super::docker_server::{IMAGE, OLDER, Server, password, rig};
use super::rig::{Rig, Tripped, holds_only, refused};
use crate::docker_rig::docker;
use std::sync::Arc;
use std::time::Duration;
use xtask::domain::refusal::RefusalKind;

const TEST: &str = "faults of a network";
/// Instead of the hours that a large store may take.
const LIMIT: Option<Duration> = Some(Duration::from_secs(4));

#[test]
fn a_client_that_is_older_than_its_server_is_refused_before_it_dumps() {
    let Some(rig) = rig(TEST, &[IMAGE, OLDER]) else { return };
    let server = Server::start(&rig);
    server.sql("shop", "CREATE TABLE orders AS SELECT 1 AS id");
    let client = server.neighbour(&rig, OLDER);
    let at = server.seen_from_outside(&password(&server.store));
    let mut site = Tripped::dump(client.as_site(), || ());
    site.bytes = 0;
    let says = ["pg_dump 15.", "older than the server, 17."];
    refused(rig.backup(&server.store, &site, &at), RefusalKind::VersionMismatch, &says, "server's own image");
    assert!(!site.fired(), "nothing was dumped");
    holds_only(&rig.vault(), 0);
}

#[test]
fn a_server_out_of_reach_ends_a_dump_within_its_bound_and_is_no_backup() {
    let Some(rig) = rig(TEST, &[IMAGE]) else { return };
    let server = Server::start(&rig);
    server.fill();
    let client = server.neighbour(&rig, IMAGE);
    let at = server.seen_from_outside(&password(&server.store));
    rig.backup(&server.store, client.as_site(), &at).expect("a sound backup comes first");
    let network = || docker(&["inspect", "-f", "{{len .NetworkSettings.Networks}}", &server.name()]).unwrap();
    let state = || docker(&["inspect", "-f", "{{.State.Status}}", &server.name()]).unwrap();

    let distant = Arc::clone(&server.site);
    let mut site = Tripped::dump(client.as_site(), move || distant.disconnect().unwrap());
    site.limit = LIMIT;
    let says = ["back up postgres", "took longer than 4 s"];
    refused(rig.backup(&server.store, &site, &at), RefusalKind::Timeout, &says, "log");
    assert!(site.fired() && network() == "0", "the network was not cut");
    holds_only(&rig.vault(), 1);
    server.site.reconnect().unwrap();

    let frozen = Arc::clone(&server.site);
    let mut site = Tripped::dump(client.as_site(), move || frozen.pause().unwrap());
    site.limit = LIMIT;
    refused(rig.backup(&server.store, &site, &at), RefusalKind::Timeout, &says, "log");
    assert!(site.fired() && state() == "paused", "the server was not paused");
    holds_only(&rig.vault(), 1);

    server.site.resume().unwrap();

    // Without any bound of its own: nothing moves, and that is noticed.
    let hurried = Rig::hurried(&rig);
    let frozen = Arc::clone(&server.site);
    let site = Tripped::dump(client.as_site(), move || frozen.pause().unwrap());
    let stood = ["back up postgres", "gave no byte for 10 minutes, after "];
    refused(hurried.backup(&server.store, &site, &at), RefusalKind::Timeout, &stood, "docker compose ps");
    assert!(site.fired() && state() == "paused", "the server was not paused");
    holds_only(&hurried.vault(), 0);

    // The dump has ended, and the census still counts: nothing moves that could be counted, but the server is asked.
    server.site.resume().unwrap();
    let (frozen, name) = (Arc::clone(&server.site), server.name());
    let mut site = Tripped::dump(client.as_site(), move || {
        let (frozen, name) = (Arc::clone(&frozen), name.clone());
        std::thread::spawn(move || {
            let dumps = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'xtask-dump'";
            let ask = ["exec", &name, "psql", "-XAtqU", "xtask_owner", "-d", "shop", "-c", dumps];
            while docker(&ask).unwrap() != "0" {}
            frozen.pause().unwrap();
        });
    });
    site.slow_census = Some(600);
    let mute = ["back up postgres", "the server of postgres did not answer for 10 minutes"];
    refused(hurried.backup(&server.store, &site, &at), RefusalKind::Timeout, &mute, "docker compose ps");
    assert!(site.fired() && state() == "paused", "the server was not paused");
    holds_only(&hurried.vault(), 0);

    // It stands still already: the client's own bound is shorter than ours.
    let says = ["back up postgres", "timeout expired"];
    refused(rig.backup(&server.store, client.as_site(), &at), RefusalKind::Timeout, &says, "docker compose ps");
    holds_only(&rig.vault(), 1);
    server.site.resume().unwrap();

    // The server's process dies; its client lives and tells.
    let name = server.name();
    let mut site = Tripped::dump(client.as_site(), move || {
        let ask = "SELECT pid FROM pg_stat_activity WHERE application_name = 'xtask-dump'";
        let pid = docker(&["exec", &name, "psql", "-XAtqU", "xtask_owner", "-d", "shop", "-c", ask]).unwrap();
        docker(&["exec", &name, "sh", "-c", "kill -KILL $0", &pid]).unwrap();
    });
    site.limit = LIMIT.map(|limit| limit * 5);
    let says = ["back up postgres", "pg_dump", "server closed the connection unexpectedly"];
    refused(rig.backup(&server.store, &site, &at), RefusalKind::Producer, &says, "server's log");
    assert!(site.fired(), "the server's process was not killed");
    holds_only(&rig.vault(), 1);

    server.site.kill().unwrap();
    assert_eq!(state(), "exited");
    // Its name is gone with it.
    let says = ["back up postgres", "could not translate host name", &server.name()];
    refused(rig.backup(&server.store, client.as_site(), &at), RefusalKind::MissingStore, &says, "start the server");
    holds_only(&rig.vault(), 1);
}
