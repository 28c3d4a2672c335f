//! The audit log as a vault's owner reads it: what was done, to which set, by whom, and how it ended; failures too.

use crate::support::program;
use serde_json::Value;
use tempfile::TempDir;

struct Desk {
    folder: TempDir,
    temporary: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap(), temporary: tempfile::tempdir().unwrap() };
        let made = rusqlite::Connection::open(desk.folder.path().join("app.db")).unwrap();
        made.execute_batch("CREATE TABLE notes (text); INSERT INTO notes VALUES ('one'), ('two')").unwrap();
        let recovery = "stacks:\n  shop:\n    folder: .\n    stores:\n      app: { engine: sqlite, path: app.db }\n    \
                        backups: { vault: vault }\n";
        std::fs::write(desk.folder.path().join("recovery.yaml"), recovery).unwrap();
        desk
    }

    #[track_caller]
    fn ends(&self, code: i32, words: &[&str]) -> String {
        let done = program(self.folder.path(), self.temporary.path(), words).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{words:?}: {said}");
        said
    }

    /// Every line as `what set-is-there level ending`, oldest first.
    fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("vault/audit.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn set(&self) -> String {
        let sets = std::fs::read_dir(self.folder.path().join("vault")).unwrap().map(|e| e.unwrap());
        let sets = sets.filter(|e| e.path().is_dir()).map(|e| e.file_name().into_string().unwrap());
        sets.max().unwrap()
    }
}

#[test]
fn every_deed_is_written_down_with_its_set_and_how_it_ended() {
    let desk = Desk::new();
    desk.ends(0, &["backup", "shop"]);
    let id = desk.set();
    desk.ends(0, &["verify", "shop", "--level", "L3"]);
    desk.ends(0, &["prune", "shop", "--hold", &id]);
    desk.ends(0, &["prune", "shop", "--release", &id]);
    desk.ends(0, &["test-recovery", "--set", "latest", "--scenario", "total-loss"]);
    desk.ends(0, &["test-recovery", "--scenario", "total-loss"]);
    let lines = desk.log();
    let word = |line: &Value, key: &str| line[key].as_str().unwrap_or("-").to_owned();
    let told: Vec<String> = lines.iter().map(|l| ["what", "level", "ending"].map(|k| word(l, k)).join(" ")).collect();
    let wanted = ["backup - passed", "verify L3 passed", "hold - passed", "release - passed", "drill L4 passed"]
        .map(str::to_owned);
    assert_eq!(told, wanted, "a rehearsal is no deed of a vault");
    assert!(lines.iter().all(|line| word(line, "set") == id && word(line, "manifest_sha256").len() == 64), "{lines:?}");
    assert!(lines.iter().all(|line| word(line, "who").starts_with("uid ") && word(line, "at").ends_with('Z')));
    assert_eq!(word(&lines[4], "target"), "total-loss (set)");
}

#[test]
fn a_deed_that_failed_is_written_down_with_its_reason() {
    let desk = Desk::new();
    desk.ends(0, &["backup", "shop"]);
    let made = rusqlite::Connection::open(desk.folder.path().join("app.db")).unwrap();
    made.execute_batch("DELETE FROM notes").unwrap();
    desk.ends(23, &["backup", "shop"]);
    let data = desk.folder.path().join("vault").join(desk.set()).join("app.db.zst");
    let mut bytes = std::fs::read(&data).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&data, bytes).unwrap();
    desk.ends(13, &["verify", "shop"]);
    let lines = desk.log();
    let endings: Vec<&Value> = lines.iter().map(|line| &line["ending"]).collect();
    assert_eq!(endings, ["passed", "failed", "failed"], "{lines:?}");
    assert!(lines[1]["why"].as_str().unwrap().contains("no table of app has a row"), "{}", lines[1]);
    assert_eq!(lines[2]["level"], "L0", "the level that it did reach");
}
