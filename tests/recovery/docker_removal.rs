//! Cleaning up after others: a dead owner's things go, a living one's and a stranger's stay; a run cleans up after itself.

use crate::docker_rig::{Rig, docker, labelled, random};
use xtask::adapters::owner::Owner;
use xtask::ports::Sites;

/// An owner that can be made to die: while it lives, no sweep of another test touches what is planted under its name.
struct Mortal(std::process::Child);

impl Mortal {
    #[expect(clippy::disallowed_methods, reason = "a process that can be made to die")]
    fn born() -> Self {
        Self(std::process::Command::new("sleep").arg("300").spawn().expect("sleep runs"))
    }

    fn name(&self, of: &Owner) -> Owner {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).expect("it lives");
        let fields = stat.rsplit_once(')').expect("a name in parentheses").1.split_ascii_whitespace();
        let started = fields.map(str::to_owned).nth(19).expect("22 fields").parse().expect("clock ticks");
        Owner { pid: self.0.id(), started, ..of.clone() }
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("it dies");
    }
}

fn labels(run: &str, owner: &Owner) -> Vec<String> {
    let labels = ["io.xtask.managed=1".to_owned(), format!("io.xtask.run={run}"), format!("io.xtask.owner={owner}")];
    labels.into_iter().flat_map(|label| ["--label".to_owned(), label]).collect()
}

fn made(args: &[&str], labels: &[String]) {
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    docker(&[&args[..2], &labels, &args[2..]].concat()).unwrap_or_else(|| panic!("{args:?}"));
}

/// One running container, volume and network under this run and owner.
fn plant(image: &str, run: &str, owner: &Owner) {
    let (name, labels) = (format!("xtask-planted-{}", random()), labels(run, owner));
    made(&["volume", "create", &name], &labels);
    made(&["network", "create", &name], &labels);
    let volume = format!("{name}:/x");
    let options = ["--name", &name, "--network", &name, "-v", &volume];
    made(&[&["container", "create"], &options[..], &[image, "sleep", "infinity"]].concat(), &labels);
    docker(&["start", &name]).expect("starts");
}

#[test]
fn docker_a_sweep_removes_what_the_dead_left_and_nothing_of_the_living() {
    let Some(rig) = Rig::new("docker_a_sweep_removes_what_the_dead_left_and_nothing_of_the_living") else { return };
    let _site = rig.open();
    let mine = rig.left();
    let (dead, rebooted) = (format!("dead-{}", random()), format!("old-{}", random()));
    let owner = Mortal::born();
    plant(&rig.image, &dead, &owner.name(&rig.run.owner));
    assert_eq!(rig.sites.sweep().map(|_| labelled(&dead).len()).unwrap(), 3, "its owner still lives");
    drop(owner);
    // Dead from its birth, so one thing alone: another test's sweep may come at any moment.
    made(
        &["volume", "create"],
        &labels(&rebooted, &Owner { boot: "another-boot".to_owned(), ..rig.run.owner.clone() }),
    );

    let swept = rig.sites.sweep().unwrap();

    assert_eq!((labelled(&dead), labelled(&rebooted)), (vec![], vec![]));
    assert_eq!(rig.left(), mine);
    // Another test may have swept some of it meanwhile: gone is what counts.
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
