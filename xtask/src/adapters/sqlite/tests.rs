//! The data tool for SQLite, verb by verb, on real files.

use super::*;
use crate::adapters::data_tool::tests::Said;
use crate::domain::census::Census;

mod exchanges;
mod repairs;
mod restores;
mod snapshots;

/// Runs a verb at a path of the test's own.
fn fed(verb: &str, db: &Path, rest: &[&str], input: &[u8]) -> Result<Said> {
    let told = Said::of(input, rest, |rest, streams| match verb {
        "census-copy" | "read" | "release" | "stage" => on_copy(verb, db, streams),
        _ => at(verb, db, Args::new(rest), streams),
    });
    told.map_err(|e| known(e, db))
}

fn ran(verb: &str, db: &Path, rest: &[&str]) -> Said {
    fed(verb, db, rest, b"").unwrap_or_else(|e| panic!("{verb}: {e:#}"))
}

fn kind(result: Result<Said>) -> RefusalKind {
    let error = result.map(|s| format!("{s:?}")).unwrap_err();
    error.downcast_ref::<Refusal>().unwrap_or_else(|| panic!("no refusal: {error:#}")).kind
}

/// A folder with a seeded database in it.
fn shop() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("app.db");
    ran("seed", &db, &["--bytes", "400000"]);
    (folder, db)
}

fn names(folder: &Path) -> Vec<String> {
    let mut all: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    all.sort();
    all
}

fn number(db: &Path, sql: &str) -> i64 {
    rusqlite::Connection::open(db).unwrap().query_row(sql, [], |r| r.get(0)).unwrap()
}
