//! What `verify` leaves for CI: a case a set in `junit.xml`, the same in `report.json`, whatever became of the sets.

use crate::protected::Desk;
use quick_junit::{NonSuccessKind, Report as Xml, TestCase, TestCaseStatus};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

fn read(desk: &Desk, file: &str) -> String {
    std::fs::read_to_string(desk.at("target/recovery").join(file)).unwrap()
}

fn junit(desk: &Desk) -> Xml {
    Xml::deserialize_from_str(&read(desk, "junit.xml")).unwrap()
}

fn report(desk: &Desk) -> Value {
    serde_json::from_str(&read(desk, "report.json")).unwrap()
}

fn kind(case: &TestCase) -> &'static str {
    match &case.status {
        TestCaseStatus::Success { .. } => "success",
        TestCaseStatus::Skipped { .. } => "skipped",
        TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, .. } => "failure",
        TestCaseStatus::NonSuccess { kind: NonSuccessKind::Error, .. } => "error",
    }
}

/// Every case as `name: kind`, and no name twice.
#[track_caller]
fn cases(desk: &Desk) -> Vec<String> {
    let xml = junit(desk);
    let all: Vec<&TestCase> = xml.test_suites.iter().flat_map(|suite| &suite.test_cases).collect();
    let names: BTreeSet<&str> = all.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), all.len(), "readers drop a name that comes twice: {names:?}");
    all.iter().map(|case| format!("{}: {}", case.name.as_str(), kind(case))).collect()
}

fn id(set: &Path) -> String {
    set.file_name().unwrap().to_str().unwrap().to_owned()
}

fn spoil(set: &Path) {
    let files = std::fs::read_dir(set).unwrap().map(|e| e.unwrap().path());
    let data = files.into_iter().find(|path| path.to_string_lossy().contains("app.db")).unwrap();
    let mut bytes = std::fs::read(&data).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&data, bytes).unwrap();
}

#[test]
fn a_damaged_set_is_a_failure_of_its_own_case_and_the_others_stay_green() {
    let desk = Desk::new("ops.key");
    desk.ends(0, &["backup", "shop"]);
    let older = id(&desk.set());
    desk.ends(0, &["backup", "shop"]);
    let newest = id(&desk.set());
    let said = desk.ends(0, &["verify", "shop", "all"]);
    assert!(said.contains("2 of 2 sets reached L2") && said.contains("junit.xml"), "{said}");
    let green = |set: &str| format!("shop check verify-l2 of {set}: success");
    assert_eq!(cases(&desk), [green(&older), green(&newest), "shop check catalog: success".to_owned()]);
    assert_eq!(report(&desk)["exit_code"], 0);

    spoil(&desk.set());
    desk.ends(13, &["verify", "shop", "all"]);
    let red = format!("shop check verify-l2 of {newest}: failure");
    assert_eq!(cases(&desk), [green(&older), red, "shop check catalog: success".to_owned()]);
    let (xml, report) = (read(&desk, "junit.xml"), report(&desk));
    assert!(!xml.contains("rto") && !xml.contains("rpo"), "nothing was measured: {xml}");
    assert_eq!((&report["task"], &report["exit_code"]), (&"verify".into(), &13.into()));
    assert_eq!(report["drills"], serde_json::json!([]));
    let check = &report["checks"][1];
    assert_eq!((&check["set"], &check["outcome"]["exit_code"]), (&Value::from(newest), &13.into()), "{check:#}");
    let next = check["findings"][0]["next"].as_str().unwrap();
    assert!(!next.is_empty() && xml.contains("hint: "), "{check:#}");
    assert!(check["seen"][0].as_str().unwrap().starts_with("L0 in "), "how far it came: {check:#}");
    assert!(check["seen"].as_array().unwrap().len() == 1, "L1 was not reached: {check:#}");
}

#[test]
fn what_could_not_be_read_is_an_error_and_no_damage() {
    let desk = Desk::new("other.key");
    desk.ends(0, &["keys", "encryption", "other.key"]);
    desk.ends(0, &["backup", "shop"]);
    desk.ends(12, &["verify", "shop"]);
    let set = id(&desk.set());
    assert_eq!(cases(&desk)[0], format!("shop check verify-l2 of {set}: error"));
    assert_eq!(report(&desk)["checks"][0]["outcome"]["status"], "broken");
    desk.ends(0, &["verify", "shop", "--level", "L1"]);
    assert_eq!(cases(&desk)[0], format!("shop check verify-l1 of {set}: success"));
}

#[test]
fn a_vault_without_a_set_and_a_set_that_vanished_leave_no_green_file() {
    let desk = Desk::new("ops.key");
    let said = desk.ends(10, &["verify", "shop"]);
    assert!(said.contains("error: ") && said.contains("hint: "), "{said}");
    assert_eq!(cases(&desk), ["shop check verify-l2 of latest: failure"]);
    desk.ends(0, &["backup", "shop"]);
    desk.ends(0, &["backup", "shop"]);
    std::fs::rename(desk.set(), desk.at("taken")).unwrap();
    desk.ends(1, &["verify", "shop", "all"]);
    assert_eq!(cases(&desk)[1..], ["shop check catalog: failure"]);
    assert!(report(&desk)["checks"][1]["outcome"]["message"].as_str().unwrap().contains("is gone"));
}

#[test]
fn as_json_standard_output_is_its_own_document_and_the_files_are_written_too() {
    let desk = Desk::new("ops.key");
    desk.ends(0, &["backup", "shop"]);
    let done = desk.run(&["--json", "verify", "shop", "--level", "L0"]);
    let said: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&said["stack"], &said["sets"][0]["reached"]), (&"shop".into(), &"L0".into()), "{said}");
    assert_eq!(cases(&desk).len(), 2);
    desk.ends(0, &["--plan", "verify", "shop"]);
    std::fs::remove_dir_all(desk.at("target")).unwrap();
    desk.ends(0, &["--plan", "verify", "shop"]);
    assert!(!desk.at("target").exists(), "a plan writes nothing");
}
