//! Faults of an SQLite file: not there, nothing in it, not a database, no table, no row; and a restore over a file that is there.

use super::rig::{CANARY, Rig, holds_only, refused};
use std::path::Path;
use xtask::domain::engine::{Engine, Target};
use xtask::domain::refusal::RefusalKind;
use xtask::domain::site::Attachment;
use xtask::domain::store::{Location, Root, Store};
use xtask::domain::timeline::{Phase, Stopwatch};
use xtask::engines;
use xtask::flow::restore::{Into, whole};
use xtask::flow::visit;
use xtask::ports::Site;

pub fn engine() -> &'static dyn Engine {
    engines::find("sqlite").unwrap()
}

/// The file of this name in this folder, as a store, with the site where it is.
pub fn attached(rig: &Rig, folder: &Path, name: &str) -> (Store, Box<dyn Site>, Target) {
    let location = Location::File { root: Root::Host(folder.to_owned()), path: name.into() };
    let store = Store { name: "app".to_owned(), location, ..engine().rehearsal_store(None) };
    let site = rig.world.sites.attach(&Attachment::Folder(folder.to_owned())).unwrap();
    let target = visit::target(engine(), &store, site.as_ref());
    (store, site, target)
}

/// A database with one table of so many random KiB.
pub fn database(path: &Path, kib: u32) {
    let made = rusqlite::Connection::open(path).unwrap();
    made.execute_batch(&format!(
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, text BLOB);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {kib})
         INSERT INTO notes SELECT i, randomblob(1024) FROM n;"
    ))
    .unwrap();
}

/// So many random KiB more.
pub fn more(path: &Path, kib: u32) {
    let there = rusqlite::Connection::open(path).unwrap();
    let insert = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                  INSERT INTO notes (text) SELECT randomblob(1024) FROM n";
    there.execute(insert, [kib]).unwrap();
}

#[test]
fn a_file_that_is_no_database_with_rows_is_refused_by_name_and_leaves_no_backup() {
    let rig = Rig::folders();
    let folder = rig.path("data");
    std::fs::create_dir(&folder).unwrap();
    database(&folder.join("app.db"), 1);
    std::fs::write(folder.join("zero.db"), b"").unwrap();
    std::fs::write(folder.join("text.db"), format!("just text {CANARY}\n").repeat(100)).unwrap();
    rusqlite::Connection::open(folder.join("bare.db")).unwrap().execute_batch("PRAGMA user_version = 7").unwrap();
    rusqlite::Connection::open(folder.join("hollow.db")).unwrap().execute_batch("CREATE TABLE t (id)").unwrap();

    let (store, site, at) = attached(&rig, &folder, "app.db");
    rig.backup(&store, site.as_ref(), &at).expect("a sound backup comes first");
    let faults: [(&str, RefusalKind, &[&str], &str); 5] = [
        ("zero.db", RefusalKind::BadArtifact, &["back up app", "0 bytes"], "recovery.yaml"),
        ("text.db", RefusalKind::BadArtifact, &["back up app", "not a", "SQLite"], "recovery.yaml"),
        ("gone.db", RefusalKind::MissingStore, &["back up app", "no database file"], "recovery.yaml"),
        ("bare.db", RefusalKind::EmptyStore, &["back up app", "no tables"], "allow_empty"),
        ("hollow.db", RefusalKind::EmptyStore, &["back up app", "has a row"], "allow_empty"),
    ];
    for (name, kind, says, hint) in faults {
        let (store, site, at) = attached(&rig, &folder, name);
        refused(rig.backup(&store, site.as_ref(), &at), kind, says, hint);
        holds_only(&rig.vault(), 1);
    }
    assert!(!folder.join("gone.db").exists(), "looking for a file must not make it");
}

#[test]
fn a_database_is_not_restored_over_one_that_is_there() {
    let rig = Rig::folders();
    let folder = rig.path("data");
    std::fs::create_dir(&folder).unwrap();
    database(&folder.join("app.db"), 3);
    let (store, site, at) = attached(&rig, &folder, "app.db");
    let set = rig.backup(&store, site.as_ref(), &at).unwrap().set;
    database(&folder.join("newer.db"), 5);
    std::fs::rename(folder.join("newer.db"), folder.join("app.db")).unwrap();
    let newer = std::fs::read(folder.join("app.db")).unwrap();

    let component = set.manifest.component("app").unwrap();
    let into = Into { store: &store, engine: engine(), site: site.as_ref(), target: &at, set: &set, component };
    let mut watch = Stopwatch::start(Phase::Provision, rig.world.clock.now());
    let result = whole(&rig.world, into, &mut watch);
    refused(result, RefusalKind::TargetNotEmpty, &["app", "holds a file already"], "move the file away");
    assert_eq!(std::fs::read(folder.join("app.db")).unwrap(), newer, "nothing was overwritten");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing was left beside it");
}
