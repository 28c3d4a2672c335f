//! A whole store's bytes go through a named pipe, past the engine, and everything else is as with any other command: every byte,
//! the true exit status, time limits, and no end that is not one.

use crate::docker_rig::{Rig, digest_of, noise, run, said, sh};
use std::io::{Read, Write};
use std::time::Duration;
use xtask::domain::exec::{Bulk, Exec};
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::ports::Site;

const SIZE: u64 = 64 << 20;
const KEPT: &str = "/var/lib/postgresql/data/kept";

/// Where this stream of a command leads, as the command sees it.
fn leads_to(site: &dyn Site, stream: u8, bulk: Option<Bulk>) -> String {
    let mut exec = sh(&format!("readlink /proc/self/fd/{stream}")).reads_stdin();
    exec.bulk = bulk;
    let (text, exit) = run(site, exec);
    assert!(exit.unwrap().ok());
    text
}

#[test]
fn docker_a_whole_store_goes_in_and_out_past_the_engine() {
    let Some(rig) = Rig::new("docker_a_whole_store_goes_in_and_out_past_the_engine") else { return };
    let owned = rig.open();
    let site = owned.as_site();
    assert!(leads_to(site, 1, Some(Bulk::Output)).starts_with("/xtask-pipes/"), "no pipe: slow, on this very host");
    assert!(leads_to(site, 0, Some(Bulk::Input)).starts_with("/xtask-pipes/"));
    assert!(!leads_to(site, 1, None).starts_with("/xtask-pipes/"));

    let keep = Exec::site("dd").arg(format!("of={KEPT}")).args(["bs=1M", "status=none"]).reads_stdin();
    let mut keeping = site.start(&keep.moves(Bulk::Input)).unwrap();
    let mut stdin = keeping.stdin.take().unwrap();
    let sent = noise(SIZE, |block| stdin.write_all(block).unwrap());
    drop(stdin);
    keeping.stdout.read_to_end(&mut Vec::new()).unwrap();
    assert!(keeping.control.wait().unwrap().ok());
    assert_eq!(said(site, &["sha256sum", KEPT]).split(' ').next(), Some(sent.as_str()));

    let mut giving = site.start(&Exec::site("cat").arg(KEPT).moves(Bulk::Output)).unwrap();
    assert_eq!(digest_of(&mut giving.stdout), (SIZE, sent));
    assert!(giving.control.wait().unwrap().ok());
}

#[test]
fn docker_a_producer_at_a_pipe_ends_as_it_really_ended() {
    let Some(rig) = Rig::new("docker_a_producer_at_a_pipe_ends_as_it_really_ended") else { return };
    let owned = rig.open();
    let site = owned.as_site();
    let ends = |script: &str| {
        let (text, exit) = run(site, sh(script).moves(Bulk::Output));
        let exit = exit.unwrap();
        (text, exit.code, exit.stderr)
    };
    assert_eq!(ends("printf all"), ("all".to_owned(), 0, String::new()));
    assert_eq!(ends("exit 0"), (String::new(), 0, String::new()));
    assert_eq!(ends("printf half; echo why >&2; exit 7"), ("half".to_owned(), 7, "why\n".to_owned()));
    assert_eq!(ends("printf half; kill -KILL $$").1, 137);

    let mut ignored = site.start(&Exec::site("yes").moves(Bulk::Output).timeout(Duration::from_secs(60))).unwrap();
    ignored.stdout.read_exact(&mut [0; 100]).unwrap();
    drop(ignored.stdout);
    assert!(!ignored.control.wait().unwrap().ok(), "a pipe that nobody reads is broken, at once");

    let mut late =
        site.start(&Exec::site("sleep").arg("600").moves(Bulk::Output).timeout(Duration::from_secs(1))).unwrap();
    assert!(late.stdout.read_to_end(&mut Vec::new()).is_err(), "an end by the time limit is no end");
    let error = late.control.wait().unwrap_err();
    assert_eq!(error.downcast_ref::<Refusal>().map(|r| r.kind), Some(RefusalKind::Timeout), "{error:#}");

    let mut doomed = site.start(&sh("printf half; sleep 600").moves(Bulk::Output)).unwrap();
    doomed.stdout.read_exact(&mut [0; 4]).unwrap();
    owned.kill().unwrap();
    assert!(doomed.stdout.read_to_end(&mut Vec::new()).is_err(), "the container died: that is no end");
}

#[test]
fn docker_a_consumer_at_a_pipe_may_get_nothing_or_take_nothing() {
    let Some(rig) = Rig::new("docker_a_consumer_at_a_pipe_may_get_nothing_or_take_nothing") else { return };
    let owned = rig.open();
    let site = owned.as_site();
    let (text, exit) = run(site, Exec::site("cat").reads_stdin().moves(Bulk::Input));
    assert!(exit.unwrap().ok() && text.is_empty(), "nothing was sent, nothing came");

    let mut refusing = site.start(&sh("exit 3").reads_stdin().moves(Bulk::Input)).unwrap();
    let mut stdin = refusing.stdin.take().unwrap();
    let mut sent = 0;
    let error = loop {
        match stdin.write(&[7; 100_000]) {
            Ok(n) => sent += n,
            Err(error) => break error,
        }
        assert!(sent < 64 << 20, "a command that is gone takes more and more");
    };
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    drop(stdin);
    refusing.stdout.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(refusing.control.wait().unwrap().code, 3);
}
