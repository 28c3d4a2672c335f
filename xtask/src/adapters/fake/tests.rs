//! What a fake site promises to the tests that use it.

use super::*;
use crate::domain::exec::Input;
use crate::domain::refusal::RefusalKind;
use crate::ports::Running;
use std::io::{Read, Write};
use std::time::Duration;

fn sites() -> (FakeSites, Arc<ManualClock>, Box<dyn OwnedSite>) {
    let clock = Arc::new(ManualClock::default());
    let sites = FakeSites::strict(Arc::clone(&clock) as Arc<dyn Clock>);
    let site = sites.open(&SiteSpec::Directory, "drill").unwrap();
    (sites, clock, site)
}

fn read(mut running: Running) -> (String, Result<crate::domain::exec::Exit>) {
    let mut text = String::new();
    running.stdout.read_to_string(&mut text).unwrap();
    (text, running.control.wait())
}

#[test]
fn the_last_fitting_rule_answers_and_once_means_once() {
    let (sites, _, site) = sites();
    sites
        .on("pg_dump", Answer::prints("old"))
        .on("pg_dump", Answer::prints("new"))
        .once("--fast", Answer::prints("fast"));
    let dump = Exec::site("pg_dump").arg("--fast");
    assert_eq!(read(site.start(&dump).unwrap()).0, "fast");
    assert_eq!(read(site.start(&dump).unwrap()).0, "new");
    let error = site.start(&Exec::site("psql")).err().unwrap();
    assert!(error.to_string().contains("no answer is scripted for `psql`"), "{error:#}");
}

#[test]
fn everything_is_recorded_in_order_with_what_was_written_to_it() {
    let (sites, _, site) = sites();
    sites.on("psql", Answer::session(|line| vec![format!("ack {line}")]));
    let mut running = site.start(&Exec::site("psql").reads_stdin()).unwrap();
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(b"1\n2\n").unwrap();
    drop(stdin);
    assert_eq!(read(running).0, "ack 1\nack 2\n");
    site.destroy().unwrap();
    drop(site);
    let name = "fake-drill-1".to_owned();
    let exec = Exec { input: Input::Stream, ..Exec::site("psql") };
    assert_eq!(
        sites.happenings(),
        [
            Happening::Opened { site: name.clone(), purpose: "drill".to_owned() },
            Happening::Ran { site: name.clone(), exec, stdin: b"1\n2\n".to_vec() },
            Happening::Struck { site: name, how: "destroy" },
        ]
    );
    assert_eq!(sites.command_lines(), ["psql"]);
}

#[test]
fn failures_happen_as_scripted() {
    let (sites, _, site) = sites();
    let dump = Exec::site("pg_dump");
    sites.on("pg_dump", Answer::prints("0123456789").cut_after(4).declares(99).exits(3).complains("out of luck"));
    let (text, exit) = read(site.start(&dump).unwrap());
    let exit = exit.unwrap();
    assert_eq!(
        (text.as_str(), exit.code, exit.stderr.as_str(), exit.declared_bytes),
        ("0123", 3, "out of luck", Some(99))
    );
    sites.on("pg_dump", Answer::does_not_start("no such program"));
    assert_eq!(
        site.start(&dump).err().unwrap().downcast_ref::<Refusal>().unwrap().kind,
        RefusalKind::MissingCapability
    );
}

#[test]
fn time_passes_on_the_manual_clock_only_and_a_command_that_takes_too_long_is_killed() {
    let (sites, clock, site) = sites();
    sites.on("restore", Answer::prints("done").takes(Duration::from_secs(2)));
    let restore = Exec::site("restore");
    assert_eq!(read(site.start(&restore).unwrap()).0, "done");
    assert_eq!(clock.now(), Duration::from_secs(2));
    let (text, exit) = read(site.start(&restore.timeout(Duration::from_secs(1))).unwrap());
    assert_eq!((text.as_str(), clock.now()), ("", Duration::from_secs(3)));
    assert_eq!(exit.unwrap_err().downcast_ref::<Refusal>().unwrap().kind, RefusalKind::Timeout);
}

#[test]
fn a_killed_server_answers_nothing_until_it_is_restarted() {
    let (sites, _, site) = sites();
    sites.on("psql", Answer::prints("1"));
    site.kill().unwrap();
    assert!(site.start(&Exec::site("psql")).is_err());
    site.restart().unwrap();
    assert_eq!(read(site.start(&Exec::site("psql")).unwrap()).0, "1");
}

#[test]
fn a_recorder_answers_everything_with_nothing() {
    let sites = FakeSites::lenient(Arc::new(ManualClock::default()));
    let site = sites.open(&SiteSpec::Directory, "plan").unwrap();
    assert_eq!(read(site.start(&Exec::site("pg_dump")).unwrap()).1.unwrap().code, 0);
}

#[test]
fn without_containers_the_reason_is_given() {
    let (sites, ..) = sites();
    sites.without_containers(Refusal::new(RefusalKind::DockerUnavailable, "no engine", "start it"));
    let service = Attachment::Service { project: "shop".to_owned(), service: "db".to_owned() };
    for error in [sites.containers().unwrap_err(), sites.attach(&service).err().unwrap()] {
        assert_eq!(error.to_string(), "no engine");
    }
}
