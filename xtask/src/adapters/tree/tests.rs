//! The data tool for folders, verb by verb, on real files.

use super::*;
use crate::adapters::data_tool::tests::Said;
use crate::domain::census::Census;
use crate::domain::refusal::{Refusal, RefusalKind};

mod exchanges;
mod hostile;
mod rounds;

fn fed(verb: &str, path: &Path, rest: &[&str], input: &[u8]) -> Result<Said> {
    let told = Said::of(input, rest, |rest, streams| match verb {
        "census-taken" | "release" | "stage" => on_file(verb, path, streams),
        _ => at(verb, path, Args::new(rest), streams),
    });
    told.map_err(|e| known_storage(e, path))
}

fn ran(verb: &str, path: &Path, rest: &[&str]) -> Said {
    fed(verb, path, rest, b"").unwrap_or_else(|e| panic!("{verb}: {e:#}"))
}

fn refusal(result: Result<Said>) -> Refusal {
    let error = result.map(|s| format!("{s:?}")).unwrap_err();
    error.downcast_ref::<Refusal>().unwrap_or_else(|| panic!("no refusal: {error:#}")).clone()
}

fn names(folder: &Path) -> Vec<String> {
    let mut all: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    all.sort();
    all
}

/// A scratch place with a seeded folder `data` in it.
fn uploads() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    ran("seed", &data, &["--bytes", "500000"]);
    (place, data)
}

/// Dumps a folder: the archive and its census.
fn dumped(data: &Path) -> (Vec<u8>, Census) {
    let scratch = tempfile::tempdir().unwrap();
    let census = scratch.path().join("census");
    let said = ran("dump", data, &["--census", census.to_str().unwrap()]);
    assert!(said.err.ends_with(&format!("xtask-declared-bytes {}\n", said.out.len())), "{}", said.err);
    let taken = ran("census-taken", &census, &[]).census();
    ran("release", &census, &[]);
    (said.out, taken)
}
