//! A site with a database file and a folder of pictures, where it runs, and the program that backs it up and restores it.

use crate::support::program;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const COMPOSE: &str = "\
name: site
services:
  app:
    image: localhost/site:1
    environment: { DATABASE_URL: 'file:./data/site.db' }
    volumes: ['./data:/app/data', './uploads:/app/uploads']
";
const RECOVERY: &str = "\
stacks:
  site:
    compose: compose.yaml
    backups: { schedule: every 30m, vault: vault }
    stores:
      db: { engine: sqlite, path: data/site.db }
      pictures: { engine: files, path: uploads, service: app }
";

/// The project and a temporary folder of the program's own, so that what it leaves is seen.
pub struct Rig {
    pub project: TempDir,
    pub temporary: TempDir,
}

/// How one run of the program ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Both streams.
    pub fn said(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

impl Rig {
    /// A site whose database is in this journal mode and holds so many orders; one picture.
    pub fn new(mode: &str, orders: u32) -> Self {
        let rig = Self { project: tempfile::tempdir().unwrap(), temporary: tempfile::tempdir().unwrap() };
        std::fs::write(rig.path("compose.yaml"), COMPOSE).unwrap();
        std::fs::write(rig.path("recovery.yaml"), RECOVERY).unwrap();
        std::fs::create_dir(rig.path("data")).unwrap();
        std::fs::create_dir(rig.path("uploads")).unwrap();
        std::fs::write(rig.path("uploads/first.jpg"), "picture").unwrap();
        rig.sql(&format!(
            "PRAGMA journal_mode={mode}; CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT NOT NULL); \
             CREATE TABLE orders(id INTEGER PRIMARY KEY AUTOINCREMENT, customer REFERENCES customers(id), said TEXT); \
             CREATE INDEX of_customer ON orders(customer); INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bob'); \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {orders}) \
             INSERT INTO orders(customer, said) SELECT 1 + i % 2, 'order ' || i FROM n;"
        ));
        rig
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.project.path().join(below)
    }

    pub fn open(&self) -> Connection {
        let conn = Connection::open(self.path("data/site.db")).unwrap();
        conn.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
        conn
    }

    pub fn sql(&self, script: &str) {
        self.open().execute_batch(script).unwrap();
    }

    pub fn command(&self, words: &[&str]) -> Command {
        program(self.project.path(), self.temporary.path(), words)
    }

    pub fn run(&self, words: &[&str]) -> Ended {
        Ended::of(&self.command(words).output().unwrap())
    }

    /// A run that must end well.
    pub fn done(&self, words: &[&str]) -> Ended {
        let ended = self.run(words);
        assert_eq!(ended.code, Some(0), "{words:?}: {}", ended.said());
        ended
    }

    /// Backs up and says the set's id.
    pub fn backup(&self) -> String {
        let said = self.done(&["backup", "site", "--json"]).out;
        serde_json::from_str::<serde_json::Value>(&said).unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// The whole content of the database, sound and read through its own WAL.
    pub fn content(&self) -> Content {
        content(&self.path("data/site.db"))
    }

    /// The names and texts of the pictures.
    pub fn pictures(&self) -> Vec<(String, String)> {
        let entries = std::fs::read_dir(self.path("uploads")).unwrap().map(|e| e.unwrap());
        let mut all: Vec<_> = entries
            .map(|e| (e.file_name().to_string_lossy().into_owned(), std::fs::read_to_string(e.path()).unwrap()))
            .collect();
        all.sort();
        all
    }

    /// Everything in the project's folders whose name has this word in it.
    pub fn named(&self, word: &str) -> Vec<String> {
        let names = |folder: &Path| -> Vec<String> {
            let entries = std::fs::read_dir(folder).unwrap();
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect()
        };
        let mut all = [names(&self.path("data")), names(self.project.path())].concat();
        all.retain(|name| name.contains(word));
        all.sort();
        all
    }
}

/// Orders and customers.
pub type Content = Vec<(String, i64, Option<i64>, String)>;

/// The content of a database, which must be sound.
pub fn content(db: &Path) -> Content {
    let conn = Connection::open(db).unwrap();
    conn.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
    let sound: String = conn.query_row("PRAGMA integrity_check", [], |r| r.get(0)).unwrap();
    assert_eq!(sound, "ok", "{}", db.display());
    let ask = "SELECT 'order', id, customer, said FROM orders UNION ALL SELECT 'customer', id, NULL, name FROM customers ORDER BY 1, 2";
    let mut query = conn.prepare(ask).unwrap();
    let rows = query.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))).unwrap();
    rows.map(Result::unwrap).collect()
}
