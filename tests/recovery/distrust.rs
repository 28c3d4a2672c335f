//! What looked right and was not: sets that nobody here can open, sets of somebody else, damage that was found once, a vault whose
//! records are gone. Each must be told, and none of it may cost a set that is good.

use crate::protected::Desk;
use std::path::{Path, PathBuf};

const FEW: &str = "      retention: { daily: 1, weekly: 1, monthly: 1, floor: 1 }\n";

fn config(desk: &Desk) -> String {
    std::fs::read_to_string(desk.at("recovery.yaml")).unwrap()
}

fn configure(desk: &Desk, text: &str) {
    std::fs::write(desk.at("recovery.yaml"), text).unwrap();
}

/// The configuration with these readers in the place of those that it names.
fn for_reader(text: &str, public: &str) -> String {
    let line = |line: &str| match line.trim_start().starts_with("encryption:") {
        true => format!("      encryption: {{ recipients: [{public}] }}\n"),
        false => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

fn public(said: &str) -> String {
    said.split(|c: char| !c.is_ascii_alphanumeric()).find(|w| w.starts_with("age1")).unwrap().to_owned()
}

fn key_file(set: &Path) -> PathBuf {
    let files = std::fs::read_dir(set).unwrap().map(|e| e.unwrap().path());
    files.into_iter().find(|p| p.file_name().unwrap().to_string_lossy().starts_with("key-")).unwrap()
}

fn spoil(set: &Path) {
    let files = std::fs::read_dir(set).unwrap().map(|e| e.unwrap().path());
    let data = files.into_iter().find(|p| p.to_string_lossy().contains("app.db")).unwrap();
    let mut bytes = std::fs::read(&data).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&data, bytes).unwrap();
}

/// What a check says in the report: its word and everything it found.
fn check(desk: &Desk, id: &str) -> (String, String) {
    let done = desk.run(&["--json", "validate-backup-system", "shop", "--mutants", "0"]);
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let check = report["checks"].as_array().unwrap().iter().find(|c| c["id"] == id).unwrap();
    (check["outcome"]["status"].as_str().unwrap().to_owned(), format!("{check:#}"))
}

#[test]
fn sets_that_the_configured_key_does_not_open_take_no_place_from_those_that_it_opens() {
    let desk = Desk::new("ops.key");
    for _ in 0..2 {
        desk.ends(0, &["backup", "shop"]);
    }
    let opens = desk.set();
    let strange = public(&desk.ends(0, &["keys", "encryption", "strange.key"]));
    configure(&desk, &(for_reader(&config(&desk), &strange) + FEW));
    desk.ends(0, &["backup", "shop"]);
    let closed = desk.set();
    let said = desk.ends(3, &["prune", "shop", "--apply"]);
    assert!(opens.is_dir() && closed.is_dir(), "{said}");
    assert!(said.contains("no key in") && said.contains("opens it"), "{said}");
    let (word, said) = check(&desk, "verified");
    assert!(word == "failed" && said.contains("the configured key does not open"), "{said}");

    // Where no key is configured, stored bytes are all that can be known.
    configure(&desk, &config(&desk).replace("identity_files: [ops.key]", "identity_files: []"));
    desk.ends(0, &["prune", "shop", "--apply"]);
    assert!(!opens.is_dir() && closed.is_dir());
}

#[test]
fn damage_that_verify_found_is_remembered_until_it_is_read_whole() {
    let desk = Desk::new("ops.key");
    for _ in 0..3 {
        desk.ends(0, &["backup", "shop"]);
    }
    let id = desk.set().file_name().unwrap().to_string_lossy().into_owned();
    let whole = desk.at("whole");
    copy(&desk.set(), &whole);
    spoil(&desk.set());
    desk.ends(13, &["verify", "shop", &id]);
    let note = desk.at("vault").join(format!(".damaged-{id}"));
    assert!(std::fs::read_to_string(&note).unwrap().contains("app.db"));
    assert!(check(&desk, "catalog").1.contains("app.db"));
    // A look from outside clears nothing.
    desk.ends(0, &["verify", "shop", &id, "--level", "L0"]);
    assert!(note.exists());
    std::fs::remove_dir_all(desk.set()).unwrap();
    copy(&whole, &desk.at("vault").join(&id));
    desk.ends(0, &["verify", "shop", &id]);
    assert!(!note.exists());
    // Without the note the audit log tells of it.
    spoil(&desk.set());
    desk.ends(13, &["verify", "shop", &id]);
    std::fs::remove_file(&note).unwrap();
    let (word, said) = check(&desk, "catalog");
    assert!(word == "failed" && said.contains("app.db"), "{said}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(|e| e.unwrap().path()) {
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

#[test]
fn sets_of_another_stack_are_neither_verified_nor_drilled_nor_valid_as_those_of_this_one() {
    let desk = Desk::new("ops.key");
    for _ in 0..2 {
        desk.ends(0, &["backup", "shop"]);
    }
    configure(&desk, &config(&desk).replace("  shop:\n", "  store:\n"));
    let said = desk.ends(14, &["verify", "store", "--level", "L4"]);
    assert!(said.contains("of stack shop, not of store") && said.contains("reached not even L0"), "{said}");
    let said = desk.ends(14, &["test-recovery", "--set", "latest", "--scenario", "total-loss"]);
    assert!(said.contains("of stack shop, not of store"), "{said}");
    let done = desk.run(&["--json", "validate-backup-system", "store", "--mutants", "0"]);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(said.contains("of stack shop, not of store"), "{said}");
}

#[test]
fn what_a_set_does_not_hold_is_said_and_its_proof_is_of_what_it_holds() {
    let desk = Desk::new("ops.key");
    std::fs::create_dir(desk.at("uploads")).unwrap();
    std::fs::write(desk.at("uploads/picture"), "a picture").unwrap();
    let both = config(&desk).replace("path: app.db }", "path: app.db }\n      up: { engine: files, path: uploads }");
    configure(&desk, &both);
    desk.ends(0, &["backup", "shop", "--store", "up"]);
    let said = desk.ends(0, &["verify", "shop", "--level", "L4"]);
    assert!(said.contains("holds nothing of app"), "{said}");
    let (word, said) = check(&desk, "verified");
    assert!(word == "failed" && said.contains("app: no set with it was ever restored"), "{said}");
    assert!(!said.contains("up: no set"), "{said}");
    desk.ends(0, &["backup", "shop"]);
    let said = desk.ends(0, &["verify", "shop", "--level", "L4"]);
    assert!(!said.contains("holds nothing of"), "{said}");
    assert_eq!(check(&desk, "verified").0, "passed");
}

#[test]
fn a_vault_whose_records_are_gone_contradicts_itself() {
    let desk = Desk::new("ops.key");
    for _ in 0..3 {
        desk.ends(0, &["backup", "shop"]);
    }
    let catalog = desk.at("vault/catalog.jsonl");
    let lines = std::fs::read_to_string(&catalog).unwrap();
    std::fs::remove_file(&catalog).unwrap();
    assert!(desk.ends(1, &["verify", "shop", "all"]).contains("the catalog is gone"));
    assert!(check(&desk, "catalog").1.contains("the catalog is gone"));

    // The newest set, with every line of the catalog that names it.
    let newest = desk.set();
    let id = newest.file_name().unwrap().to_string_lossy().into_owned();
    let others: String = lines.lines().filter(|line| !line.contains(&id)).map(|line| format!("{line}\n")).collect();
    std::fs::write(&catalog, others).unwrap();
    std::fs::rename(&newest, desk.at("taken")).unwrap();
    let said = desk.ends(1, &["verify", "shop", "all"]);
    assert!(said.contains(&format!("the audit log tells of set {id}")), "{said}");
    assert!(check(&desk, "catalog").1.contains("the audit log tells of set"));
}

#[test]
fn a_key_file_that_no_run_of_this_tool_put_there_is_told_without_any_key() {
    let desk = Desk::new("ops.key");
    for _ in 0..2 {
        desk.ends(0, &["backup", "shop"]);
    }
    desk.ends(0, &["rewrap", "shop"]);
    configure(&desk, &config(&desk).replace("identity_files: [ops.key]", "identity_files: []"));
    desk.ends(0, &["verify", "shop", "all", "--level", "L1"]);
    let newest = desk.set();
    let older = std::fs::read_dir(desk.at("vault")).unwrap().map(|e| e.unwrap().path());
    let older = older.filter(|p| p.is_dir()).min().unwrap();
    let (own, other) = (key_file(&newest), key_file(&older));
    let right = std::fs::read(&own).unwrap();
    std::fs::remove_file(&own).unwrap();
    let put = newest.join(other.file_name().unwrap());
    std::fs::copy(&other, &put).unwrap();
    let said = desk.ends(1, &["verify", "shop", "--level", "L1"]);
    assert!(said.contains("is not one that this tool wrote for set"), "{said}");
    assert_eq!(check(&desk, "catalog").0, "failed");
    std::fs::remove_file(&put).unwrap();
    std::fs::write(&own, right).unwrap();
    desk.ends(0, &["verify", "shop", "all", "--level", "L1"]);
}

#[test]
fn a_vault_that_is_a_link_to_nothing_is_said_to_be_one() {
    let desk = Desk::new("ops.key");
    std::os::unix::fs::symlink(desk.at("not-mounted"), desk.at("vault")).unwrap();
    let said = desk.ends(21, &["backup", "shop"]);
    assert!(said.contains("is a link that leads to nothing") && !said.contains("dmesg"), "{said}");
}
