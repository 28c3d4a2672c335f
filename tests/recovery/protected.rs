//! Protected sets as users make and read them: keys from a task, encrypted and signed backups, levels of verification, and the way
//! back with public tools alone.

use crate::support::program;
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;
use xshell::{Shell, cmd};

pub(crate) struct Desk {
    pub(crate) folder: TempDir,
    pub(crate) temporary: TempDir,
}

impl Desk {
    /// An SQLite database with three rows, two readers, a signer, and a configuration that names `identity`.
    pub(crate) fn new(identity: &str) -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap(), temporary: tempfile::tempdir().unwrap() };
        let made = rusqlite::Connection::open(desk.at("app.db")).unwrap();
        made.execute_batch("CREATE TABLE notes (text); INSERT INTO notes VALUES ('one'), ('two'), ('three')").unwrap();
        let public = |words: &[&str], prefix: &str| {
            let said = text(&desk.run(words).stdout);
            let word =
                said.split(|c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c)).find(|w| w.starts_with(prefix));
            word.unwrap_or_else(|| panic!("no public key in {said}")).to_owned()
        };
        let operations = public(&["keys", "encryption", "ops.key"], "age1");
        let escrow = public(&["keys", "encryption", "escrow.key"], "age1");
        let signer = public(&["keys", "signing", "sign.key"], "RW");
        std::fs::write(desk.at("signer"), &signer).unwrap();
        let recovery = format!(
            "stacks:\n  shop:\n    folder: .\n    stores:\n      app: {{ engine: sqlite, path: app.db }}\n    backups:\n      \
             vault: vault\n      encryption: {{ recipients: [{operations}, {escrow}] }}\n      signing_key: sign.key\n      \
             trusted_signers: [{signer}]\n      identity_files: [{identity}]\n"
        );
        std::fs::write(desk.at("recovery.yaml"), recovery).unwrap();
        desk
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        program(self.folder.path(), self.temporary.path(), words).output().unwrap()
    }

    /// Runs it, and the exit code must be this; returns what it said.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32, words: &[&str]) -> String {
        let done = self.run(words);
        let said = text(&done.stdout) + &text(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{words:?}: {said}");
        said
    }

    pub(crate) fn set(&self) -> PathBuf {
        let sets = std::fs::read_dir(self.at("vault")).unwrap().map(|e| e.unwrap().path());
        sets.filter(|path| path.is_dir()).max().unwrap()
    }

    fn file(&self, part: &str) -> PathBuf {
        let files = std::fs::read_dir(self.set()).unwrap().map(|e| e.unwrap().path());
        files.into_iter().find(|path| path.to_string_lossy().contains(part)).unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn rows(database: &Path) -> i64 {
    rusqlite::Connection::open(database).unwrap().query_row("SELECT count(*) FROM notes", [], |r| r.get(0)).unwrap()
}

#[test]
fn a_protected_set_is_verified_to_a_level_that_is_said_and_restores() {
    let desk = Desk::new("escrow.key");
    desk.ends(0, &["backup", "shop"]);
    desk.ends(0, &["backup", "shop"]);
    let said = desk.ends(0, &["verify", "shop", "all", "--level", "L4"]);
    assert!(said.contains("2 of 2 sets reached L4: restored into a fresh place and equal"), "{said}");
    assert!(!said.contains("nobody can know who made these sets"), "{said}");
    let json = desk.run(&["--json", "verify", "shop"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&json["sets"][0]["reached"], &json["contradictions"]),
        (&"L2".into(), &serde_json::json!([])),
        "{json}"
    );
    let said = desk.ends(0, &["test-recovery", "--set", "latest", "--scenario", "total-loss"]);
    assert!(said.contains("PASSED"), "{said}");
    // Files of keys and sets are for their owner alone.
    for file in ["ops.key", "sign.key"].map(|name| desk.at(name)).into_iter().chain([desk.set(), desk.file("key-")]) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
        assert_eq!(mode & 0o077, 0, "{}", file.display());
    }
    assert!(desk.ends(2, &["keys", "signing", "sign.key"]).contains("is there already"));
}

#[test]
fn f12_f15_a_wrong_key_a_changed_byte_and_an_unknown_signer_have_codes_of_their_own() {
    let desk = Desk::new("other.key");
    desk.ends(0, &["keys", "encryption", "other.key"]);
    desk.ends(0, &["backup", "shop"]);
    let said = desk.ends(12, &["verify", "shop"]);
    assert!(
        said.starts_with("NOT L2 ") && said.contains("reached L1") && said.contains("1 of 1 sets did NOT reach L2"),
        "{said}"
    );
    assert!(said.contains("no key in") && said.contains("identity_files"), "{said}");
    assert!(!said.contains("damaged") && !said.contains("corrupt"), "{said}");
    desk.ends(0, &["verify", "shop", "--level", "L1"]);

    let data = desk.file("app.db");
    let whole = std::fs::read(&data).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    std::fs::write(&data, flipped).unwrap();
    assert!(desk.ends(13, &["verify", "shop"]).contains("reached L0"), "the digest is wrong, whatever the key");
    std::fs::write(&data, whole).unwrap();

    let config = std::fs::read_to_string(desk.at("recovery.yaml")).unwrap();
    desk.ends(0, &["keys", "signing", "stranger.key"]);
    std::fs::write(desk.at("recovery.yaml"), config.replace("signing_key: sign.key", "signing_key: stranger.key"))
        .unwrap();
    let said = desk.ends(13, &["backup", "shop"]);
    assert!(said.contains("not by a key that this stack trusts"), "a set that nobody trusts is not made: {said}");
}

#[test]
fn f14_a_set_that_was_taken_away_is_missed_and_one_that_was_pruned_is_not() {
    let desk = Desk::new("ops.key");
    for _ in 0..3 {
        desk.ends(0, &["backup", "shop"]);
    }
    let newest = desk.set();
    std::fs::rename(&newest, desk.at("taken")).unwrap();
    let said = desk.ends(1, &["verify", "shop", "all"]);
    assert!(said.contains("is gone, and nobody removed it with this tool"), "{said}");
    std::fs::rename(desk.at("taken"), &newest).unwrap();
    desk.ends(0, &["verify", "shop", "all"]);
    let config = std::fs::read_to_string(desk.at("recovery.yaml")).unwrap();
    let few = "      retention: { daily: 1, weekly: 1, monthly: 1, floor: 1 }\n";
    std::fs::write(desk.at("recovery.yaml"), config + few).unwrap();
    desk.ends(0, &["prune", "shop", "--apply"]);
    let said = desk.ends(0, &["verify", "shop", "all"]);
    assert!(said.contains("1 of 1 sets reached L2"), "{said}");
}

#[test]
fn sets_from_before_anybody_signed_are_told_and_never_pruned() {
    let desk = Desk::new("ops.key");
    let signed = std::fs::read_to_string(desk.at("recovery.yaml")).unwrap();
    let keyless = |line: &&str| !line.contains("signing_key") && !line.contains("trusted_signers");
    let unsigned: String = signed.lines().filter(keyless).map(|line| format!("{line}\n")).collect();
    std::fs::write(desk.at("recovery.yaml"), unsigned).unwrap();
    desk.ends(0, &["backup", "shop"]);
    let old = desk.set();
    let few = "      retention: { daily: 1, weekly: 1, monthly: 1, floor: 1 }\n";
    std::fs::write(desk.at("recovery.yaml"), signed + few).unwrap();
    for _ in 0..2 {
        desk.ends(0, &["backup", "shop"]);
    }
    let said = desk.ends(3, &["prune", "shop", "--apply"]);
    assert!(old.is_dir() && said.contains("is not signed"), "{said}");
}

#[test]
fn a_damaged_catalog_costs_no_backup_and_no_verification_and_is_told() {
    let desk = Desk::new("ops.key");
    desk.ends(0, &["backup", "shop"]);
    std::fs::write(desk.at("vault/catalog.jsonl"), "{ rubbish\n").unwrap();
    desk.ends(0, &["backup", "shop"]);
    let said = desk.ends(1, &["verify", "shop", "all"]);
    assert!(said.contains("2 of 2 sets reached L2") && said.contains("the catalog cannot be read"), "{said}");
}

#[test]
fn a_drill_of_a_set_tells_what_the_set_does_not_hold() {
    let desk = Desk::new("ops.key");
    std::fs::create_dir(desk.at("uploads")).unwrap();
    std::fs::write(desk.at("uploads/picture"), "a picture").unwrap();
    let pipe = desk.at("uploads/a-pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    let config = std::fs::read_to_string(desk.at("recovery.yaml")).unwrap();
    let both = config.replace("path: app.db }", "path: app.db }\n      up: { engine: files, path: uploads }");
    std::fs::write(desk.at("recovery.yaml"), both).unwrap();
    assert!(desk.ends(0, &["backup", "shop"]).contains("a-pipe"));
    let said = desk.ends(0, &["test-recovery", "--set", "latest", "--store", "up", "--scenario", "total-loss"]);
    assert!(said.contains("a-pipe"), "{said}");
}

/// What a person does who has the folder, a key and public tools, and not this one.
#[test]
fn a_protected_set_opens_with_age_and_minisign_and_zstd_alone() {
    const TEST: &str = "a_protected_set_opens_with_age_and_minisign_and_zstd_alone";
    let shell = Shell::new().unwrap();
    for tool in ["age", "minisign", "zstd"] {
        if cmd!(shell, "{tool} --version").quiet().ignore_stdout().ignore_stderr().ignore_status().run().is_err() {
            println!("SKIPPED {TEST}: {tool} is not installed");
            return;
        }
    }
    let desk = Desk::new("ops.key");
    desk.ends(0, &["backup", "shop"]);
    shell.change_dir(desk.set());
    let signer = std::fs::read_to_string(desk.at("signer")).unwrap();
    let checked = cmd!(shell, "minisign -Vm manifest.json -x manifest.sig -P {signer}").quiet().read().unwrap();
    assert!(checked.contains("Signature and comment signature verified"), "{checked}");
    cmd!(shell, "sha256sum --check manifest.sha256").quiet().ignore_stdout().run().unwrap();
    let (escrow, wrapped, key) = (desk.at("escrow.key"), desk.file("key-"), desk.at("set.key"));
    cmd!(shell, "age --decrypt -i {escrow} -o {key} {wrapped}").quiet().run().unwrap();
    let (data, packed, database) = (desk.file("app.db"), desk.at("app.db.zst"), desk.at("restored.db"));
    cmd!(shell, "age --decrypt -i {key} -o {packed} {data}").quiet().run().unwrap();
    cmd!(shell, "zstd --quiet --decompress {packed} -o {database}").quiet().run().unwrap();
    assert_eq!(rows(&database), 3);
}
