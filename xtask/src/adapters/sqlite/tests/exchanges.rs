//! What is cleared after a restore that died before, in and after its exchange: each state is planted as the exchange leaves it.

use super::*;
use crate::adapters::sqlite::exchange::{Places, clear};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

/// A database of one row `old`, the restored one beside it with a row `new`, and the places of a restore.
struct Scene {
    place: tempfile::TempDir,
    db: PathBuf,
    places: Places,
}

impl Scene {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let (db, places) = (at("app.db"), Places { fresh: at("app.fresh"), previous: at("app.previous") });
        for (path, row) in [(&db, "old"), (&places.fresh, "new")] {
            let made = Connection::open(path).unwrap();
            made.execute_batch(&format!("CREATE TABLE t(a); INSERT INTO t VALUES ('{row}')")).unwrap();
        }
        Self { place, db, places }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// What is there is copied, and noted.
    fn copied(&self, noted: bool) {
        std::fs::copy(&self.db, self.at("app.fresh.previous")).unwrap();
        if noted {
            let version = number(&self.db, "PRAGMA schema_version");
            std::fs::write(self.at("app.fresh.exchange"), version.to_string()).unwrap();
        }
    }

    /// The one transaction.
    fn written(&self) {
        let (from, mut to) = (Connection::open(&self.places.fresh).unwrap(), Connection::open(&self.db).unwrap());
        let step = Backup::new(&from, &mut to).unwrap().step(-1).unwrap();
        assert_eq!(step, StepResult::Done);
    }

    /// What `clear` says, and what is there then.
    fn cleared(&self) -> (String, Vec<String>) {
        let said = Said::of(b"", &[], |_, streams| clear(&self.db, &self.places, streams)).unwrap();
        (said.text().to_owned(), names(self.place.path()))
    }
}

fn row(db: &Path) -> String {
    Connection::open(db).unwrap().query_row("SELECT a FROM t", [], |r| r.get(0)).unwrap()
}

#[test]
fn before_the_transaction_the_restored_database_goes_and_nothing_else() {
    for (copied, noted) in [(false, false), (true, false), (true, true)] {
        let scene = Scene::new();
        if copied {
            scene.copied(noted);
        }
        assert_eq!(scene.cleared(), (String::new(), vec!["app.db".to_owned()]), "copied {copied}, noted {noted}");
        assert_eq!(row(&scene.db), "old");
    }
}

#[test]
fn after_the_transaction_the_copy_of_what_was_there_gets_its_own_name_and_is_never_removed() {
    let scene = Scene::new();
    scene.copied(true);
    scene.written();
    let (said, there) = scene.cleared();
    assert_eq!(said, format!("kept={}\n", scene.places.previous.display()));
    assert_eq!(there, ["app.db", "app.previous"]);
    assert_eq!((row(&scene.db).as_str(), row(&scene.places.previous).as_str()), ("new", "old"));
    assert_eq!(scene.cleared(), (String::new(), there), "clearing twice changes nothing");
}

#[test]
fn a_copy_beside_a_database_that_nobody_can_read_is_kept() {
    let scene = Scene::new();
    scene.copied(true);
    std::fs::write(&scene.db, "no database any more").unwrap();
    let (said, there) = scene.cleared();
    assert!(said.starts_with("kept=") && there == ["app.db", "app.previous"], "{said}{there:?}");
    assert_eq!(row(&scene.places.previous), "old");
}

#[test]
fn a_second_name_that_was_given_before_the_rename_is_taken_back_with_its_log() {
    let scene = Scene::new();
    std::fs::hard_link(&scene.db, &scene.places.previous).unwrap();
    std::fs::write(scene.at("app.previous-wal"), "").unwrap();
    assert_eq!(scene.cleared().1, ["app.db", "app.db-wal"]);
    assert_eq!(row(&scene.db), "old");
}

#[test]
fn after_the_rename_what_was_there_stays_under_its_other_name() {
    let scene = Scene::new();
    std::fs::hard_link(&scene.db, &scene.places.previous).unwrap();
    std::fs::rename(&scene.places.fresh, &scene.db).unwrap();
    assert_eq!(scene.cleared(), (String::new(), vec!["app.db".to_owned(), "app.previous".to_owned()]));
    assert_eq!((row(&scene.db).as_str(), row(&scene.places.previous).as_str()), ("new", "old"));
}
