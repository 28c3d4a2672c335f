//! What the PostgreSQL engine describes, performed on real servers of both supported majors.

mod rig;

use rig::{Rig, engine};
use xtask::domain::scenario::Strike;

const SIZE: u64 = 2_000_000;

/// A seeded server, unless there is none to be had.
fn seeded(major: u32) -> Option<Rig> {
    let rig = Rig::start(major)?;
    rig.acts(&engine().seed(&rig.at, SIZE), None);
    Some(rig)
}

fn restores_equal(major: u32) {
    let Some(rig) = seeded(major) else { return };
    let kept = rig.backup();
    assert!(kept.component.census.contents() > 20);
    rig.strike(Strike::DeleteData);
    rig.restore(&kept);
    assert_eq!(rig.differences(&kept), [""; 0]);
    let Some(fresh) = Rig::start(major) else { return };
    fresh.restore(&kept);
    assert_eq!(fresh.differences(&kept), [""; 0]);
    let probe = fresh.run(&engine().probe(&fresh.at), std::process::Stdio::null());
    assert!(probe.exit.ok() && probe.stdout.contains("tables of shop answer"), "{}", probe.exit.stderr);
}

#[test]
fn postgres_15_restores_equal_where_it_was_and_on_a_fresh_server() {
    restores_equal(15);
}

#[test]
fn postgres_17_restores_equal_where_it_was_and_on_a_fresh_server() {
    restores_equal(17);
}
