//! Sites as places: what they hold, what they can suffer, and what is left of them.

use super::{Rig, endless, exec, run, text};
use std::io::Read;
use xtask::ports::{OwnedSite, Site};

pub fn two_sites_share_nothing(rig: &Rig) {
    let (one, other) = (rig.open(), rig.open());
    assert_ne!(one.identity().name, other.identity().name);
    let file = |site: &dyn Site| format!("{}/only-here", site.scratch());
    text(one.as_site(), &exec("touch", &[&file(one.as_site())]));
    let (_, exit) = run(other.as_site(), &exec("ls", &[&file(other.as_site())]), b"");
    assert!(!exit.ok(), "a file of one site is in the other's scratch folder");
}

pub fn scratch_can_be_written(rig: &Rig) {
    let site = rig.open();
    let file = format!("{}/a file", site.scratch());
    text(site.as_site(), &exec("touch", &[&file]));
    assert_eq!(text(site.as_site(), &exec("ls", &[&site.scratch()])), "a file\n");
}

type Suffering = fn(&dyn OwnedSite) -> anyhow::Result<()>;

fn sufferings() -> [(&'static str, Suffering); 5] {
    [
        ("pause", |site| site.pause()),
        ("resume", |site| site.resume()),
        ("disconnect", |site| site.disconnect()),
        ("reconnect", |site| site.reconnect()),
        ("restart", |site| site.restart()),
    ]
}

fn can(site: &dyn OwnedSite, what: &str) -> bool {
    let can = site.capabilities();
    match what {
        "pause" | "resume" => can.pause,
        "restart" => can.server,
        _ => can.network,
    }
}

pub fn what_it_cannot_suffer_is_an_error(rig: &Rig) {
    let site = rig.open();
    for (what, suffer) in sufferings() {
        if !can(&*site, what) {
            assert!(suffer(&*site).is_err(), "{what} went well although it says that it cannot");
        }
    }
    assert_eq!(text(site.as_site(), &exec("echo", &["still here"])), "still here\n");
}

pub fn what_it_can_suffer_is_done(rig: &Rig) {
    let site = rig.open();
    for (what, suffer) in sufferings() {
        if can(&*site, what) {
            suffer(&*site).unwrap_or_else(|e| panic!("{what}: {e:#}"));
        }
    }
    assert_eq!(text(site.as_site(), &exec("echo", &["still here"])), "still here\n");
}

pub fn killing_the_site_ends_its_commands(rig: &Rig) {
    let site = rig.open();
    let mut running = endless(site.as_site());
    site.kill().unwrap();
    let _ = running.stdout.read_to_end(&mut Vec::new());
    assert!(!running.control.wait().is_ok_and(|exit| exit.ok()));
}

pub fn a_destroyed_site_runs_nothing_and_stays_destroyed(rig: &Rig) {
    let site = rig.open();
    site.destroy().unwrap();
    site.destroy().unwrap();
    if let Ok(mut running) = site.start(&exec("true", &[])) {
        assert!(!running.control.wait().is_ok_and(|exit| exit.ok()));
    }
}

pub fn destroying_ends_what_runs_there(rig: &Rig) {
    let site = rig.open();
    let mut running = endless(site.as_site());
    site.destroy().unwrap();
    let _ = running.stdout.read_to_end(&mut Vec::new());
    assert!(!running.control.wait().is_ok_and(|exit| exit.ok()));
}

pub fn a_sweep_leaves_the_living_alone(rig: &Rig) {
    let site = rig.open();
    rig.sites.sweep().unwrap();
    let file = format!("{}/kept", site.scratch());
    text(site.as_site(), &exec("touch", &[&file]));
    let swept = rig.sites.sweep().unwrap();
    assert!(!swept.kept.is_empty(), "{swept:?}");
    assert_eq!(text(site.as_site(), &exec("ls", &[&site.scratch()])), "kept\n");
}

pub fn after_abandoning_nothing_of_the_run_is_left(rig: &Rig) {
    let site = rig.open();
    let mut running = endless(site.as_site());
    rig.sites.abandon().unwrap();
    let _ = running.stdout.read_to_end(&mut Vec::new());
    assert!(!running.control.wait().is_ok_and(|exit| exit.ok()));
    let again = site.start(&exec("true", &[])).and_then(|mut running| running.control.wait());
    assert!(!again.is_ok_and(|exit| exit.ok()));
    let name = site.identity().name;
    drop(site);
    let swept = rig.sites.sweep().unwrap();
    assert!(!swept.kept.iter().any(|kept| kept.contains(&name)), "{swept:?}");
}

pub fn its_identity_names_it(rig: &Rig) {
    let site = rig.open();
    let identity = site.identity();
    assert!(!identity.name.is_empty());
    assert!(["container", "directory", "fake"].contains(&identity.kind.as_str()), "{identity:?}");
    assert_eq!(identity.kind == "container", identity.image.is_some());
    assert!(!site.scratch().is_empty());
    site.logs(10).unwrap();
}
