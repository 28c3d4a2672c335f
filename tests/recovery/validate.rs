//! `validate-backup-system` as users run it: a sound vault scores 100 %, what is wrong is named with its place, and nothing to look at
//! is never green.

#[cfg(feature = "docker")]
mod docker_postgres;

use crate::support::program;
use quick_junit::{NonSuccessKind, Report as Xml, TestCaseStatus};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

/// A folder with an SQLite database and a configuration.
struct Desk {
    folder: TempDir,
    temporary: TempDir,
}

impl Desk {
    /// `backups` stands below `backups:` of stack `shop`.
    fn new(backups: &str) -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap(), temporary: tempfile::tempdir().unwrap() };
        let made = rusqlite::Connection::open(desk.at("app.db")).unwrap();
        let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)";
        let script = format!(
            "CREATE TABLE notes (text); CREATE TABLE tags (name); INSERT INTO tags VALUES ('a'), ('b');
             {rows} INSERT INTO notes SELECT hex(randomblob(40)) FROM n;"
        );
        made.execute_batch(&script).unwrap();
        desk.configure(backups);
        desk
    }

    /// Encrypted for two readers, signed, and demanded to be.
    fn protected() -> Self {
        let desk = Self::new("vault: vault");
        let public = |words: &[&str], prefix: &str| {
            let said = text(&desk.run(words).stdout);
            let is_part = |c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c);
            said.split(is_part).find(|w| w.starts_with(prefix)).unwrap().to_owned()
        };
        let ops = public(&["keys", "encryption", "ops.key"], "age1");
        let escrow = public(&["keys", "encryption", "escrow.key"], "age1");
        let signer = public(&["keys", "signing", "sign.key"], "RW");
        desk.configure(&format!(
            "vault: vault\n      schedule: every 30m\n      encryption: {{ recipients: [{ops}, {escrow}] }}\n      \
             signing_key: sign.key\n      trusted_signers: [{signer}]\n      identity_files: [ops.key]"
        ));
        desk
    }

    fn configure(&self, backups: &str) {
        let recovery = format!(
            "stacks:\n  shop:\n    folder: .\n    stores:\n      app: {{ engine: sqlite, path: app.db }}\n    backups:\n      {backups}\n"
        );
        std::fs::write(self.at("recovery.yaml"), recovery).unwrap();
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, words: &[&str]) -> Output {
        program(self.folder.path(), self.temporary.path(), words).output().unwrap()
    }

    fn backup(&self, times: usize) {
        for _ in 0..times {
            let done = self.run(&["backup", "shop"]);
            assert!(done.status.success(), "{}", text(&done.stderr));
        }
    }

    /// Runs the task; its exit code and its report.
    fn validate(&self, more: &[&str]) -> (i32, Value) {
        let done = self.run(&[&["--json", "validate-backup-system", "shop"], more].concat());
        let report = serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&done.stderr)));
        (done.status.code().unwrap(), report)
    }

    fn sets(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.at("vault")).unwrap().map(|e| e.unwrap().path());
        let mut sets: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
        sets.sort();
        sets
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn check<'a>(report: &'a Value, id: &str) -> &'a Value {
    report["checks"].as_array().unwrap().iter().find(|c| c["id"] == id).unwrap_or_else(|| panic!("no check {id}"))
}

fn status<'a>(report: &'a Value, id: &str) -> &'a str {
    check(report, id)["outcome"]["status"].as_str().unwrap()
}

fn snapshot(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            all.extend(snapshot(&entry))
        } else {
            all.push((entry.clone(), std::fs::read(entry).unwrap()))
        }
    }
    all.sort();
    all
}

#[test]
fn a_proven_vault_is_green_refuses_every_mutant_and_is_only_read() {
    let desk = Desk::protected();
    desk.backup(3);
    assert!(desk.run(&["verify", "shop", "--level", "L4"]).status.success());
    assert!(desk.run(&["test-recovery", "--set", "latest", "--scenario", "total-loss"]).status.success());
    let before = snapshot(&desk.at("vault"));
    let (code, report) = desk.validate(&["--mutants", "60", "--controls", "4", "--seed", "7", "--remade", "5"]);
    let score = &report["mutations"][0];
    assert_eq!((code, &score["outcome"]["status"]), (0, &"passed".into()), "{report:#}");
    let counts = ["mutants", "applied", "killed", "controls", "unchanged"].map(|key| score[key].as_u64().unwrap());
    assert_eq!((counts, score["score"].as_f64()), ([60, 60, 60, 4, 0], Some(1.0)), "{score:#}");
    assert_eq!(score["classes"].as_array().unwrap().len(), 19);
    assert_eq!(snapshot(&desk.at("vault")), before, "the vault is only read");
    let left = std::fs::read_dir(desk.temporary.path()).unwrap().count();
    assert_eq!(left, 0, "nothing is left in the temporary folder");
    // Whatever else is said, the identity that lies here is.
    assert_eq!(check(&report, "keys")["findings"][0]["weight"], "warning", "{report:#}");

    let xml = std::fs::read_to_string(desk.at("target/recovery/junit.xml")).unwrap();
    let xml = Xml::deserialize_from_str(&xml).unwrap();
    let suites: Vec<String> = xml.test_suites.iter().map(|s| s.name.as_str().to_owned()).collect();
    assert_eq!(suites, ["shop checks", "shop mutation score"]);
    let score = xml.test_suites[1].properties.iter().find(|p| p.name.as_str() == "mutation_score").unwrap();
    assert_eq!((score.value.as_str(), xml.failures, xml.errors), ("1.000000", 0, 0));
}

#[test]
fn the_same_seed_makes_the_same_mutants_and_one_of_them_can_be_made_again() {
    let desk = Desk::protected();
    desk.backup(2);
    let with = |more: &[&str]| {
        let words = [&["--mutants", "30", "--controls", "2", "--seed", "11", "--remade", "0"], more].concat();
        desk.validate(&words).1["mutations"][0].clone()
    };
    let applied = |score: &Value| -> Vec<(String, u64)> {
        let classes = score["classes"].as_array().unwrap().iter();
        classes.map(|c| (c["class"].to_string(), c["applied"].as_u64().unwrap())).collect()
    };
    let (one, again) = (with(&[]), with(&[]));
    assert_eq!((applied(&one), &one["seed"]), (applied(&again), &11.into()));
    let alone = with(&["--mutant", "30"]);
    assert_eq!((alone["applied"].as_u64(), alone["killed"].as_u64()), (Some(1), Some(1)), "{alone:#}");
    assert_eq!(with(&["--mutant", "31"])["outcome"]["status"], "broken");
}

#[test]
fn an_unprotected_vault_says_which_attacks_it_leaves_open() {
    let desk = Desk::new("vault: vault\n      encryption: off");
    desk.backup(2);
    let (_, report) = desk.validate(&["--mutants", "60", "--controls", "2", "--seed", "3", "--remade", "5"]);
    let score = &report["mutations"][0];
    assert_eq!(score["outcome"]["status"], "passed", "{score:#}");
    let left_out = |class: &str| {
        let classes = score["classes"].as_array().unwrap();
        classes.iter().find(|c| c["class"] == class).unwrap()["left_out"].as_str().unwrap_or("").to_owned()
    };
    assert!(left_out("stranger").contains("trusted_signers"), "{score:#}");
    assert!(left_out("wrong-key").contains("not encrypted"), "{score:#}");
    assert_eq!(left_out("flipped"), "");
    assert_eq!(status(&report, "schedule"), "failed", "no schedule is declared");
    assert_eq!(check(&report, "keys")["findings"].as_array().unwrap().len(), 2, "neither encrypted nor signed");
    // The same stack, declared to be production.
    let written = std::fs::read_to_string(desk.at("recovery.yaml")).unwrap();
    std::fs::write(
        desk.at("recovery.yaml"),
        written.replace("    folder: .", "    folder: .\n    environment: production"),
    )
    .unwrap();
    assert_eq!(status(&desk.validate(&["--mutants", "0"]).1, "keys"), "failed");
}

#[test]
fn without_a_key_stored_bytes_are_attacked_and_contents_are_not_claimed() {
    let desk = Desk::protected();
    desk.backup(2);
    let written = std::fs::read_to_string(desk.at("recovery.yaml")).unwrap();
    std::fs::write(desk.at("recovery.yaml"), written.replace("      identity_files: [ops.key]\n", "")).unwrap();
    let (_, report) = desk.validate(&["--mutants", "40", "--controls", "2", "--seed", "5"]);
    let score = &report["mutations"][0];
    assert_eq!((&score["outcome"]["status"], score["applied"].as_u64()), (&"passed".into(), Some(40)), "{score:#}");
    assert!(score["notes"].to_string().contains("contents were not"), "{score:#}");
    assert_eq!((status(&report, "size"), status(&report, "keys")), ("passed", "passed"), "{report:#}");
}

#[test]
fn f58_an_empty_vault_and_a_stack_without_stores_are_never_green() {
    let desk = Desk::new("vault: vault\n      schedule: every 30m");
    let (code, report) = desk.validate(&["--mutants", "10"]);
    assert_ne!(code, 0);
    assert_eq!((status(&report, "age"), status(&report, "dates")), ("failed", "skipped"), "{report:#}");
    assert_eq!(check(&report, "age")["outcome"]["exit_code"], 10);
    assert_eq!(report["mutations"][0]["outcome"]["status"], "failed", "{report:#}");
    let xml =
        Xml::deserialize_from_str(&std::fs::read_to_string(desk.at("target/recovery/junit.xml")).unwrap()).unwrap();
    assert!(xml.failures > 0);

    std::fs::write(desk.at("compose.yaml"), "services:\n  web:\n    image: nginx:1\n").unwrap();
    std::fs::write(desk.at("recovery.yaml"), "stacks:\n  shop:\n    compose: compose.yaml\n").unwrap();
    let (code, report) = desk.validate(&["--mutants", "0"]);
    assert_ne!(code, 0);
    assert_eq!((status(&report, "inventory"), status(&report, "drill")), ("failed", "skipped"), "{report:#}");
}

#[test]
fn f40_flaw_46_a_damaged_newest_set_is_red_and_a_fresh_file_date_helps_nobody() {
    let desk = Desk::protected();
    desk.backup(2);
    let newest = desk.sets().pop().unwrap();
    let data = std::fs::read_dir(&newest).unwrap().map(|e| e.unwrap().path());
    let data = data.into_iter().find(|p| p.to_string_lossy().contains("app.db")).unwrap();
    std::fs::write(&data, b"").unwrap();
    let (code, report) = desk.validate(&["--mutants", "10"]);
    assert_ne!(code, 0);
    assert_eq!((status(&report, "age"), status(&report, "catalog")), ("failed", "failed"), "{report:#}");
    assert_eq!(report["mutations"][0]["outcome"]["exit_code"], 13, "a set that is damaged already is not attacked");
}

#[test]
fn flaw_44_what_no_store_covers_is_named_with_file_and_line_until_it_is_waived() {
    let desk = Desk::new("vault: vault");
    let compose = "services:\n  web:\n    image: shop:1\n    volumes:\n      - ./data:/data\n      - uploads:/uploads\n  cache:\n    image: redis:8\nvolumes:\n  uploads: {}\n  backups: {}\n";
    std::fs::write(desk.at("compose.yaml"), compose).unwrap();
    let recovery = |waivers: &str| {
        let store = "    stores:\n      app: { engine: files, path: ./data }\n";
        std::fs::write(
            desk.at("recovery.yaml"),
            format!("stacks:\n  shop:\n    compose: compose.yaml\n{store}{waivers}"),
        )
        .unwrap();
        desk.validate(&["--mutants", "0"]).1
    };
    let report = recovery("");
    let findings = check(&report, "inventory")["findings"].as_array().unwrap().clone();
    let said: Vec<String> = findings.iter().map(|f| format!("{}:{}", f["line"], f["what"].as_str().unwrap())).collect();
    assert_eq!(status(&report, "inventory"), "failed");
    assert_eq!(said.len(), 3, "{said:#?}");
    assert!(said.iter().any(|s| s.starts_with("6:") && s.contains("uploads (service `web`, /uploads)")), "{said:#?}");
    assert!(said.iter().any(|s| s.starts_with("7:") && s.contains("service `cache` is Redis")), "{said:#?}");
    assert!(
        said.iter().any(|s| s.starts_with("11:") && s.contains("`backups` is declared and no service")),
        "{said:#?}"
    );
    assert!(findings[0]["file"].as_str().unwrap().ends_with("compose.yaml"));
    let all = "    waivers:\n      uploads: made anew\n      cache: a cache\n      backups: of earlier days\n";
    assert_eq!(status(&recovery(all), "inventory"), "passed");
    assert_eq!(desk.run(&["validate-backup-system", "shop"]).status.code(), Some(1), "no set yet");
    recovery_refuses(&desk, "    waivers:\n      uploads: \"\"\n", "waived without a reason");
    recovery_refuses(&desk, "    environment: prodution\n", "did you mean `production`");
}

#[track_caller]
fn recovery_refuses(desk: &Desk, more: &str, said: &str) {
    std::fs::write(desk.at("recovery.yaml"), format!("stacks:\n  shop:\n    compose: compose.yaml\n{more}")).unwrap();
    let done = desk.run(&["validate-backup-system", "shop"]);
    assert!(done.status.code() == Some(2) && text(&done.stderr).contains(said), "{}", text(&done.stderr));
}

#[test]
fn a_plan_does_nothing_and_an_unread_secret_is_printed_nowhere() {
    let desk = Desk::new("vault: vault\n      encryption: { passphrase_file: pass }");
    let pass = desk.at("pass");
    std::fs::write(&pass, "canary-7f3a\n").unwrap();
    std::os::unix::fs::PermissionsExt::set_mode(&mut std::fs::metadata(&pass).unwrap().permissions(), 0o600);
    let plan = desk.run(&["--plan", "validate-backup-system", "shop"]);
    assert!(plan.status.success() && text(&plan.stdout).contains("check inventory"), "{}", text(&plan.stderr));
    assert!(!desk.at("vault").exists() && !desk.at("target").exists());
    desk.backup(1);
    let done = desk.run(&["validate-backup-system", "shop", "--mutants", "12", "--controls", "2", "--remade", "0"]);
    let xml =
        Xml::deserialize_from_str(&std::fs::read_to_string(desk.at("target/recovery/junit.xml")).unwrap()).unwrap();
    let red = |case: &quick_junit::TestCase| {
        matches!(case.status, TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, .. })
    };
    assert!(xml.test_suites[0].test_cases.iter().any(red));
    let written = std::fs::read_to_string(desk.at("target/recovery/report.json")).unwrap();
    assert!(!(text(&done.stdout) + &text(&done.stderr) + &written).contains("canary"));
}
