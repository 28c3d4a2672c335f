//! Owned sites: labelled in every part, cut off from the world, hurt as asked, and gone without a trace.

use crate::docker_rig::{Rig, docker, run, said, sh};
use xtask::domain::exec::Exec;
use xtask::domain::site::{Attachment, SiteSpec};
use xtask::ports::Sites;

#[test]
fn docker_every_part_of_a_site_carries_the_labels() {
    let Some(rig) = Rig::new("docker_every_part_of_a_site_carries_the_labels") else { return };
    let site = rig.open();
    let parts = rig.left();
    assert_eq!(parts.len(), 4, "container, network, data, scratch: {parts:?}");
    for part in parts {
        let (kind, name) = part.split_once(' ').unwrap();
        let path = if kind == "container" { "{{json .Config.Labels}}" } else { "{{json .Labels}}" };
        let labels = docker(&[kind, "inspect", "--format", path, name]).unwrap();
        for label in [
            r#""io.xtask.managed":"1""#.to_owned(),
            format!(r#""io.xtask.run":"{}""#, rig.run.run),
            format!(r#""io.xtask.owner":"{}""#, rig.run.owner),
        ] {
            assert!(labels.contains(&label), "{part}: {labels}");
        }
    }
    let mounts = docker(&["inspect", "--format", "{{range .Mounts}}{{.Name}} {{end}}", &site.identity().name]).unwrap();
    assert!(mounts.split_whitespace().all(|name| name.starts_with("xtask-")), "an anonymous volume: {mounts}");
}

#[test]
fn docker_a_site_has_no_way_out_and_gains_no_rights() {
    let Some(rig) = Rig::new("docker_a_site_has_no_way_out_and_gains_no_rights") else { return };
    let site = rig.open();
    let network = format!("{}-net", site.identity().name);
    assert_eq!(docker(&["network", "inspect", "--format", "{{.Internal}}", &network]).unwrap(), "true");
    let attached =
        docker(&["inspect", "--format", "{{json .NetworkSettings.Networks}}", &site.identity().name]).unwrap();
    assert!(
        attached.starts_with(&format!("{{\"{network}\":")) && attached.matches("NetworkID").count() == 1,
        "{attached}"
    );
    assert!(said(site.as_site(), &["cat", "/proc/self/status"]).contains("NoNewPrivs:\t1"));
}

#[test]
fn docker_the_staging_folder_can_be_written_by_every_user() {
    let Some(rig) = Rig::new("docker_the_staging_folder_can_be_written_by_every_user") else { return };
    let site = rig.open();
    let path = format!("{}/x", site.scratch());
    for user in ["postgres", "nobody", "root"] {
        let (_, exit) = run(site.as_site(), sh(&format!("echo x > {path}-{user}")).user(user));
        assert!(exit.unwrap().ok(), "{user}");
    }
}

#[test]
fn docker_data_survives_kill_and_restart() {
    let Some(rig) = Rig::new("docker_data_survives_kill_and_restart") else { return };
    let mut spec = rig.spec();
    let server = "trap 'echo stopped in good order; exit' INT TERM; sleep infinity & wait";
    spec.command = ["sh", "-c", server].map(str::to_owned).to_vec();
    let site = rig.sites.open(&SiteSpec::Container(spec), "test").unwrap();
    run(site.as_site(), sh("echo kept > /var/lib/postgresql/data/x")).1.unwrap();
    site.kill().unwrap();
    assert!(site.start(&Exec::site("true")).is_err());
    for _ in 0..2 {
        site.restart().unwrap();
        assert_eq!(said(site.as_site(), &["cat", "/var/lib/postgresql/data/x"]), "kept");
    }
    assert_eq!(site.logs(10).unwrap().trim(), "stopped in good order", "once by the second restart, never by the kill");
}

#[test]
fn docker_pause_and_resume_freeze_and_thaw() {
    let Some(rig) = Rig::new("docker_pause_and_resume_freeze_and_thaw") else { return };
    let site = rig.open();
    site.pause().unwrap();
    assert!(site.start(&Exec::site("true")).is_err());
    site.resume().unwrap();
    assert_eq!(said(site.as_site(), &["echo", "thawed"]), "thawed");
}

#[test]
fn docker_disconnect_and_reconnect_take_and_give_the_network() {
    let Some(rig) = Rig::new("docker_disconnect_and_reconnect_take_and_give_the_network") else { return };
    let site = rig.open();
    let networks = || said(site.as_site(), &["sh", "-c", "tail -n +3 /proc/net/dev | grep -vc ' lo:' ; :"]);
    let before = networks();
    site.disconnect().unwrap();
    assert_ne!(networks(), before);
    site.reconnect().unwrap();
    assert_eq!(networks(), before);
}

#[test]
fn docker_the_log_shows_its_last_lines() {
    let Some(rig) = Rig::new("docker_the_log_shows_its_last_lines") else { return };
    let mut spec = rig.spec();
    spec.command = ["sh", "-c", "echo one; echo two >&2; echo three; sleep infinity"].map(str::to_owned).to_vec();
    let site = rig.sites.open(&SiteSpec::Container(spec), "test").unwrap();
    let complete = (0..100).any(|_| {
        said(site.as_site(), &["sleep", "0.05"]);
        site.logs(10).unwrap().lines().count() == 3
    });
    assert!(complete, "{}", site.logs(10).unwrap());
    // The engine takes the two streams separately: their order against each other is not kept.
    let all = site.logs(10).unwrap();
    assert!(["one", "two", "three"].iter().all(|line| all.contains(line)), "{all}");
    assert_eq!(site.logs(1).unwrap().lines().count(), 1);
}

#[test]
fn docker_destroy_leaves_nothing_even_of_a_paused_site_and_twice() {
    let Some(rig) = Rig::new("docker_destroy_leaves_nothing_even_of_a_paused_site_and_twice") else { return };
    let site = rig.open();
    site.pause().unwrap();
    site.destroy().unwrap();
    assert_eq!(rig.left(), Vec::<String>::new());
    site.destroy().unwrap();
    assert!(site.restart().unwrap_err().to_string().contains("destroyed"));
}

#[test]
fn docker_a_panic_leaves_nothing() {
    let Some(rig) = Rig::new("docker_a_panic_leaves_nothing") else { return };
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _site = rig.open();
        assert_eq!(rig.left().len(), 4);
        panic!("on purpose");
    }));
    assert!(died.is_err());
    assert_eq!(rig.left(), Vec::<String>::new());
}

#[test]
fn docker_a_site_that_cannot_start_leaves_nothing() {
    let Some(rig) = Rig::new("docker_a_site_that_cannot_start_leaves_nothing") else { return };
    let mut spec = rig.spec();
    spec.data = "/proc/self/fd".to_owned();
    let error = rig.sites.open(&SiteSpec::Container(spec), "test").err().expect("cannot be mounted");
    assert!(format!("{error:#}").contains("/proc"), "{error:#}");
    assert_eq!(rig.left(), Vec::<String>::new());
}

#[test]
fn docker_folders_are_somebody_elses() {
    let Some(rig) = Rig::new("docker_folders_are_somebody_elses") else { return };
    assert!(rig.sites.open(&SiteSpec::Directory, "test").is_err());
    assert!(rig.sites.attach(&Attachment::Folder("/tmp".into())).is_err());
}
