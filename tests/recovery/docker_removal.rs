//! Cleaning up after others: a dead owner's things go, a living one's and a stranger's stay; a run cleans up after itself.

use crate::docker_rig::{Rig, docker, labelled, random};
use xtask::adapters::owner::Owner;
use xtask::ports::Sites;

/// One container, volume and network under this run and owner.
fn plant(image: &str, run: &str, owner: &Owner) {
    let name = format!("xtask-planted-{}", random());
    let labels = ["io.xtask.managed=1".to_owned(), format!("io.xtask.run={run}"), format!("io.xtask.owner={}", owner)];
    let labels: Vec<&str> = labels.iter().flat_map(|l| ["--label", l.as_str()]).collect();
    let made =
        |args: &[&str]| docker(&[&args[..2], &labels, &args[2..]].concat()).unwrap_or_else(|| panic!("{args:?}"));
    made(&["volume", "create", &name]);
    made(&["network", "create", &name]);
    let volume = format!("{name}:/x");
    made(&["container", "create", "--name", &name, "--network", &name, "-v", &volume, image, "sleep", "infinity"]);
    docker(&["start", &name]).expect("starts");
}

#[test]
fn docker_a_sweep_removes_what_the_dead_left_and_nothing_of_the_living() {
    let Some(rig) = Rig::new("docker_a_sweep_removes_what_the_dead_left_and_nothing_of_the_living") else { return };
    let _site = rig.open();
    let mine = rig.left();
    let (dead, rebooted) = (format!("dead-{}", random()), format!("old-{}", random()));
    plant(&rig.image, &dead, &Owner { started: rig.run.owner.started + 1, ..rig.run.owner.clone() });
    plant(&rig.image, &rebooted, &Owner { boot: "another-boot".to_owned(), ..rig.run.owner.clone() });

    let swept = rig.sites.sweep().unwrap();

    assert_eq!((labelled(&dead), labelled(&rebooted)), (vec![], vec![]));
    assert_eq!(rig.left(), mine);
    assert!(swept.removed.iter().filter(|name| name.contains("planted")).count() >= 6, "{swept:?}");
    assert!(mine.iter().all(|name| swept.kept.contains(name)), "{swept:?}");
}

#[test]
fn docker_a_sweep_leaves_alone_what_names_no_owner() {
    let Some(rig) = Rig::new("docker_a_sweep_leaves_alone_what_names_no_owner") else { return };
    // A user's own container of an image that a recipe built inherits the image's labels.
    let name = format!("stranger-{}", random());
    docker(&["create", "--name", &name, "--label", "io.xtask.managed=1", &rig.image]).expect("created");
    let swept = rig.sites.sweep().unwrap();
    let removed = docker(&["rm", "-v", &name]);
    assert!(removed.is_some(), "the stranger's container was swept: {swept:?}");
    assert!(!swept.kept.iter().any(|kept| kept.contains(&name)));
}

#[test]
fn docker_abandoning_a_run_removes_its_things_while_others_work_and_stops_it_making_more() {
    let Some(rig) = Rig::new("docker_abandoning_a_run_removes_its_things_while_others_work_and_stops_it_making_more")
    else {
        return;
    };
    let opened = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let spec = xtask::domain::site::SiteSpec::Container(rig.spec());
                    (0..50).map_while(|_| rig.sites.open(&spec, "busy").ok()).map(std::mem::forget).count()
                })
            })
            .collect();
        while rig.left().is_empty() {}
        rig.sites.abandon().unwrap();
        makers.into_iter().map(|maker| maker.join().unwrap()).sum::<usize>()
    });
    assert!(opened < 150, "nothing stopped the makers");
    assert_eq!(rig.left(), Vec::<String>::new());
    assert!(rig.sites.open(&xtask::domain::site::SiteSpec::Container(rig.spec()), "late").is_err());
}
