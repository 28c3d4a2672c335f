//! The data tool for SQLite, verb by verb, on real files.

use super::*;
use crate::domain::census::Census;

mod repairs;
mod restores;
mod snapshots;

/// What a verb printed.
#[derive(Debug)]
struct Said {
    out: Vec<u8>,
    err: String,
}

impl Said {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    fn census(&self) -> Census {
        Census::parse(self.text()).unwrap()
    }
}

/// Runs a verb at a path of the test's own.
fn fed(verb: &str, db: &Path, rest: &[&str], mut input: &[u8]) -> Result<Said> {
    let rest: Vec<String> = rest.iter().map(|w| (*w).to_owned()).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut streams = Streams { stdin: &mut input, stdout: &mut out, stderr: &mut err };
    match verb {
        "census-copy" | "read" | "release" | "stage" => on_copy(verb, db, &mut streams),
        _ => at(verb, db, Args::new(&rest), &mut streams),
    }
    .map_err(|e| known(e, db))?;
    streams.stdout.flush().unwrap();
    Ok(Said { out, err: String::from_utf8(err).unwrap() })
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
