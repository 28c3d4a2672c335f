//! The tool's memory does not depend on the size of what it moves.

use crate::support::peak::{Peak, watched};
use std::path::Path;

/// The most that the tool may ever hold.
const MOST: u64 = 64 << 20;
/// The most by which six times the data may change it.
const WAVE: u64 = 16 << 20;

/// A stack with one store of this kind, drilled with this much data by the real program.
fn drilled(recovery: &str, size: &str) -> Peak {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("recovery.yaml"), recovery).unwrap();
    let words =
        ["test-recovery", "--scenario", "total-loss", "--exposure", "0s", "--require", "docker", "--size", size];
    let (status, peak) = watched(Path::new(env!("CARGO_BIN_EXE_xtask")), folder.path(), &words);
    let report = std::fs::read_to_string(folder.path().join("target/recovery/report.json")).unwrap_or_default();
    assert!(status.success(), "{size}: {status}\n{report}");
    assert!(report.contains("\"word\": \"passed\"") || report.contains("passed"), "{report}");
    assert!(peak.tool > 1 << 20, "nothing was measured: {peak:?}");
    println!("{size}: {peak:?}");
    peak
}

fn is_flat(recovery: &str, small: &str, large: &str) {
    let (small, large) = (drilled(recovery, small), drilled(recovery, large));
    for (less, more) in [(small.tool, large.tool), (small.data_tool, large.data_tool)] {
        assert!(more < MOST, "{more} bytes at the large size");
        assert!(more.saturating_sub(less) < WAVE, "{less} bytes became {more}");
    }
}

#[test]
fn memory_stays_flat_while_files_of_any_size_are_drilled() {
    let recovery = "stacks:\n  embedded:\n    folder: .\n    stores:\n      app: { engine: sqlite, path: app.db }\n";
    is_flat(recovery, "20MB", "120MB");
}

/// What a store holds is kept in mind object by object; docs/decisions/0007-plain-file-stores.md says how much that is.
#[test]
fn memory_grows_by_the_files_of_a_folder_and_by_no_more_than_is_said() {
    const FILES: u64 = 10_000;
    let folder = tempfile::tempdir().unwrap();
    for number in 0..FILES {
        let path = folder.path().join(format!("uploads/{}/thumbnail-{number:06}.jpg", number / 1000));
        if number % 1000 == 0 {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        std::fs::write(path, b"x").unwrap();
    }
    let recovery = "stacks:\n  s:\n    folder: .\n    stores:\n      up: { engine: files, path: uploads }\n";
    std::fs::write(folder.path().join("recovery.yaml"), recovery).unwrap();
    let words = ["test-recovery", "--live", "--scenario", "total-loss"];
    let (status, peak) = watched(Path::new(env!("CARGO_BIN_EXE_xtask")), folder.path(), &words);
    assert!(status.success(), "{status}");
    println!("{FILES} files: {peak:?}");
    assert!(peak.tool > 1 << 20 && peak.tool < (36 << 20) + FILES * 1500, "{peak:?}");
}

#[cfg(feature = "docker")]
#[test]
fn docker_memory_stays_flat_while_databases_of_any_size_are_drilled() {
    const NAME: &str = "docker_memory_stays_flat_while_databases_of_any_size_are_drilled";
    let Some(_) = crate::docker_rig::Rig::new(NAME) else { return };
    let recovery = "stacks:\n  served:\n    folder: .\n    stores:\n      db:\n        engine: postgres\n        \
                    database: shop\n        user: shop\n        image: localhost/xtask-postgres:17\n";
    is_flat(recovery, "20MB", "120MB");
}
