//! The runbook for restoring by hand, carried out: its own blocks run, word by word, on sets that the program made, in a folder
//! where this project has nothing. What they bring back is compared with the data itself.
#![expect(clippy::disallowed_methods, reason = "the blocks of the runbook are run by the shell that a person has")]

use crate::faults::desk::{Desk, text};
use std::path::Path;
use std::process::{Command, Stdio};

const RUNBOOK: &str = include_str!("../../docs/runbooks/restore-by-hand.md");

/// The blocks marked with one of these words, in their order.
fn blocks(runbook: &str, marks: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for part in runbook.split("<!-- run: ").skip(1) {
        let (mark, rest) = part.split_once(" -->\n```sh\n").expect("a mark stands right before its block");
        let (block, _) = rest.split_once("```\n").expect("a block has an end");
        if marks.contains(&mark) {
            found.push(block.to_owned());
        }
    }
    found
}

/// Whether these programs are there; said aloud when one is not.
fn have(test: &str, programs: &[&str]) -> bool {
    let missing = |program: &&&str| {
        let found = Command::new("sh").args(["-c", "command -v \"$0\"", program]).stdout(Stdio::null()).status();
        !found.is_ok_and(|status| status.success())
    };
    match programs.iter().find(missing) {
        Some(program) => {
            println!("SKIPPED {test}: {program} is not installed");
            let required = std::env::var("XTASK_REQUIRE_TOOLS").is_ok_and(|v| v == "1");
            assert!(!required, "XTASK_REQUIRE_TOOLS=1, but {program} is not installed");
            false
        }
        None => true,
    }
}

/// Runs the blocks with these variables in this folder, as one script; `Err` is what was said.
fn carry_out(blocks: &[String], folder: &Path, variables: &[(&str, &str)]) -> Result<String, String> {
    let script = format!("set -eu\numask 077\n{}", blocks.join("\n"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(folder).envs(variables.iter().copied()).stdin(Stdio::null());
    let done = shell.output().unwrap();
    let said = text(&done.stdout) + &text(&done.stderr);
    if done.status.success() { Ok(said) } else { Err(said) }
}

/// A set of this desk, its readers and its signer, and an empty folder; then the blocks.
struct Bench {
    set: String,
    signer: String,
    key: String,
    folder: tempfile::TempDir,
}

impl Bench {
    fn of(desk: &Desk) -> Self {
        desk.ends(0, &["backup", "shop"]);
        let set = desk.vault().join(desk.sets().pop().unwrap()).display().to_string();
        let signer = std::fs::read_to_string(desk.at("publics")).unwrap().lines().nth(1).unwrap().to_owned();
        let key = desk.at("escrow.key").display().to_string();
        Self { set, signer, key, folder: tempfile::tempdir().unwrap() }
    }

    fn carry_out(&self, marks: &[&str], store: &str, more: &[(&str, &str)]) -> Result<String, String> {
        let known = [("SET", self.set.as_str()), ("SIGNER", &self.signer), ("KEY", &self.key), ("STORE", store)];
        carry_out(&blocks(RUNBOOK, marks), self.folder.path(), &[&known, more].concat())
    }
}

const USUAL: [&str; 5] = ["age", "minisign", "zstd", "sqlite3", "tar"];

fn digest(database: &Path) -> (i64, String) {
    let open = rusqlite::Connection::open(database).unwrap();
    open.query_row("SELECT count(*), group_concat(hex(text)) FROM notes", [], |r| Ok((r.get(0)?, r.get(1)?))).unwrap()
}

#[test]
fn every_block_of_the_runbook_is_run_by_a_test() {
    let all = ["signed", "every", "encrypted", "plain", "sqlite", "files", "postgres"];
    let fences = RUNBOOK.matches("\n```sh\n").count();
    assert_eq!(blocks(RUNBOOK, &all).len(), fences, "a block without a mark that a test knows");
    assert!(all.iter().all(|mark| !blocks(RUNBOOK, &[mark]).is_empty()), "a mark without a block");
    assert_eq!(RUNBOOK.matches("```").count(), fences * 2, "a block that is no `sh`");
}

#[test]
fn the_runbook_brings_back_a_protected_sqlite_database() {
    if !have("the_runbook_brings_back_a_protected_sqlite_database", &USUAL) {
        return;
    }
    let desk = Desk::sqlite(40);
    let bench = Bench::of(&desk);
    let said = bench.carry_out(&["signed", "every", "encrypted", "sqlite"], "app", &[]).unwrap();
    assert!(said.contains("manifest.json: OK") && said.contains("app.db.zst.age: OK"), "{said}");
    let restored = bench.folder.path().join("app.db");
    assert_eq!(digest(&restored), digest(&desk.at("app.db")));
    assert_eq!(digest(&restored).0, 40);
}

#[test]
fn the_runbook_notices_a_changed_byte_another_signer_and_a_wrong_key() {
    if !have("the_runbook_notices_a_changed_byte_another_signer_and_a_wrong_key", &USUAL) {
        return;
    }
    let desk = Desk::sqlite(40);
    let mut bench = Bench::of(&desk);
    let right = std::mem::replace(&mut bench.signer, Bench::of(&Desk::sqlite(1)).signer);
    bench.carry_out(&["signed"], "app", &[]).unwrap_err();
    bench.signer = right;
    bench.carry_out(&["signed", "every"], "app", &[]).unwrap_err();
    let data = Path::new(&bench.set).join("app.db.zst.age");
    let whole = std::fs::read(&data).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    std::fs::write(&data, flipped).unwrap();
    let first = &blocks(RUNBOOK, &["every"])[..1];
    let known = [("SET", bench.set.as_str())];
    let said = carry_out(first, bench.folder.path(), &known).unwrap_err();
    assert!(said.contains("app.db.zst.age: FAILED"), "{said}");
    bench.carry_out(&["encrypted"], "app", &[]).unwrap_err();
    std::fs::write(&data, whole).unwrap();
    carry_out(first, bench.folder.path(), &known).unwrap();
    let stranger = Desk::sqlite(1);
    let other = stranger.at("escrow.key").display().to_string();
    bench.key = other;
    let _ = std::fs::remove_file(bench.folder.path().join("set.key"));
    bench.carry_out(&["encrypted"], "app", &[]).unwrap_err();
}

#[test]
fn the_runbook_brings_back_plain_sets_of_a_database_and_of_a_folder() {
    if !have("the_runbook_brings_back_plain_sets_of_a_database_and_of_a_folder", &USUAL) {
        return;
    }
    let desk = Desk::sqlite(40);
    let pictures = desk.at("pictures");
    std::fs::create_dir_all(pictures.join("2026/ä b")).unwrap();
    std::fs::write(pictures.join("2026/ä b/one.jpg"), vec![7; 100_000]).unwrap();
    std::os::unix::fs::symlink("2026", pictures.join("latest")).unwrap();
    let recovery = "stacks:\n  shop:\n    folder: .\n    stores:\n      app: { engine: sqlite, path: app.db }\n      \
                    pictures: { engine: files, path: pictures }\n    backups:\n      vault: vault\n      encryption: off\n      \
                    compression: gzip\n";
    std::fs::write(desk.at("recovery.yaml"), recovery).unwrap();
    let bench = Bench::of(&desk);
    bench.carry_out(&["every", "plain", "sqlite"], "app", &[]).unwrap();
    assert_eq!(digest(&bench.folder.path().join("app.db")), digest(&desk.at("app.db")));
    bench.carry_out(&["every", "plain", "files"], "pictures", &[]).unwrap();
    let back = bench.folder.path().join("restored");
    assert_eq!(std::fs::read(back.join("2026/ä b/one.jpg")).unwrap(), vec![7; 100_000]);
    assert_eq!(std::fs::read_link(back.join("latest")).unwrap(), Path::new("2026"));
}

/// A container by name, gone at the end.
#[cfg(feature = "docker")]
struct Fresh(String);

#[cfg(feature = "docker")]
impl Drop for Fresh {
    fn drop(&mut self) {
        crate::docker_rig::docker(&["rm", "--force", "--volumes", &self.0]);
    }
}

#[cfg(feature = "docker")]
#[test]
fn docker_the_runbook_brings_back_a_protected_postgres_database_with_its_roles() {
    use crate::docker_rig::docker;
    use crate::faults::docker_cli::{RIGHT, Service};
    use crate::faults::docker_server::{IMAGE, rig};
    const TEST: &str = "docker_the_runbook_brings_back_a_protected_postgres_database_with_its_roles";
    if !have(TEST, &USUAL) {
        return;
    }
    let Some(rig) = rig(TEST, &[IMAGE]) else { return };
    let service = Service::ready(&rig);
    service
        .sql(
            "CREATE ROLE clerk LOGIN PASSWORD 'not-a-real-one'; CREATE TABLE orders (id int PRIMARY KEY, said text); \
             ALTER TABLE orders OWNER TO clerk; INSERT INTO orders SELECT i, md5(i::text) FROM generate_series(1, 5000) AS i; \
             ALTER DATABASE shop SET statement_timeout TO '77s'",
        )
        .unwrap();
    let desk = Desk::postgres(&service.project, &service.name, IMAGE, RIGHT);
    let bench = Bench::of(&desk);
    let fresh = Fresh(format!("{}-fresh", service.project));
    let more = [("CONTAINER", fresh.0.as_str()), ("IMAGE", IMAGE), ("DATABASE", "shop again")];
    let said = bench.carry_out(&["signed", "every", "encrypted", "postgres"], "app", &more).unwrap();
    let ask = "SELECT count(*), sum(hashtext(said)), (SELECT tableowner FROM pg_tables WHERE tablename = 'orders'), \
               current_setting('statement_timeout') FROM orders";
    let back = docker(&["exec", &fresh.0, "psql", "-XAtq", "-U", "postgres", "-d", "shop again", "-c", ask]);
    assert_eq!(back, service.sql(ask), "{said}");
    assert!(back.is_some_and(|row| row.starts_with("5000|") && row.ends_with("|clerk|77s")), "{said}");
}
