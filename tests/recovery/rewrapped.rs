//! Keys that change, as users change them: new readers in the configuration, `rewrap`, and who can read what afterwards; also when
//! the run is killed in the middle.
#![expect(clippy::disallowed_methods, reason = "these tests start the real program and kill it")]

use crate::protected::Desk;
use crate::support::program;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The public half of a new key in this file.
fn public(desk: &Desk, file: &str) -> String {
    let said = desk.ends(0, &["keys", "encryption", file]);
    said.split(|c: char| !c.is_ascii_alphanumeric()).find(|w| w.starts_with("age1")).unwrap().to_owned()
}

/// The configuration with these readers and this identity.
fn configure(desk: &Desk, readers: &str, identity: &str) {
    let text = std::fs::read_to_string(desk.at("recovery.yaml")).unwrap();
    let line = |line: &str| match line.trim_start() {
        l if l.starts_with("encryption:") => format!("      encryption: {readers}\n"),
        l if l.starts_with("identity_files:") => format!("      identity_files: [{identity}]\n"),
        _ => format!("{line}\n"),
    };
    std::fs::write(desk.at("recovery.yaml"), text.lines().map(line).collect::<String>()).unwrap();
}

/// Every file of every set but key files.
fn data(desk: &Desk) -> BTreeMap<PathBuf, Vec<u8>> {
    let sets = std::fs::read_dir(desk.at("vault")).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir());
    let files = sets.flat_map(|set| std::fs::read_dir(set).unwrap().map(|e| e.unwrap().path()));
    let files = files.filter(|f| !f.file_name().unwrap().to_string_lossy().starts_with("key-"));
    files.map(|file| (file.clone(), std::fs::read(file).unwrap())).collect()
}

#[test]
fn keys_are_rotated_without_touching_the_data_and_the_log_says_so() {
    let desk = Desk::new("ops.key");
    for _ in 0..2 {
        desk.ends(0, &["backup", "shop"]);
    }
    let before = data(&desk);
    let newcomer = public(&desk, "new.key");
    configure(&desk, &format!("{{ recipients: [{newcomer}] }}"), "ops.key");
    let plan = desk.ends(0, &["--plan", "rewrap", "shop"]);
    assert!(plan.contains(&newcomer) && plan.matches("open its key file").count() == 2, "{plan}");
    desk.ends(0, &["verify", "shop", "all"]);
    let said = desk.ends(0, &["rewrap", "shop"]);
    assert!(said.contains("2 sets rewrapped") && said.contains("kept a copy of an old key file"), "{said}");
    assert_eq!(data(&desk), before);
    desk.ends(12, &["verify", "shop", "all"]);
    let refused = desk.ends(12, &["rewrap", "shop", "latest"]);
    assert!(refused.contains("1 of 1 sets were NOT rewrapped"), "{refused}");
    configure(&desk, &format!("{{ recipients: [{newcomer}] }}"), "new.key");
    let said = desk.ends(0, &["verify", "shop", "all", "--level", "L4"]);
    assert!(said.contains("2 of 2 sets reached L4"), "{said}");
    let json = desk.run(&["--json", "rewrap", "shop", "latest"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["sets"].as_array().unwrap().len(), 1);
    assert_eq!(json["sets"][0]["rewrapped"], true, "{json}");
    let log = std::fs::read_to_string(desk.at("vault/audit.jsonl")).unwrap();
    let log: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ended = |word: &str| log.iter().filter(|l| l["what"] == "rewrap" && l["ending"] == word).count();
    assert_eq!((ended("begun"), ended("passed"), ended("failed")), (4, 3, 1), "{log:?}");
}

#[test]
fn the_passphrase_of_the_old_scripts_gives_way_to_recipients() {
    let desk = Desk::new("ops.key");
    let recipients = std::fs::read_to_string(desk.at("recovery.yaml")).unwrap();
    let recipients =
        recipients.lines().find(|l| l.contains("encryption:")).unwrap().split_once("encryption: ").unwrap();
    let recipients = recipients.1.to_owned();
    std::fs::write(desk.at("old.txt"), "of the old scripts\n").unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(desk.at("old.txt"), private).unwrap();
    configure(&desk, "{ passphrase_file: old.txt }", "ops.key");
    desk.ends(0, &["backup", "shop"]);
    configure(&desk, &recipients, "ops.key");
    desk.ends(12, &["rewrap", "shop"]);
    desk.ends(0, &["rewrap", "shop", "--old-passphrase-file", "old.txt"]);
    desk.ends(0, &["verify", "shop", "all"]);
}

/// The names of the key files of all sets.
fn keys(vault: &Path) -> Vec<PathBuf> {
    let sets = std::fs::read_dir(vault).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir());
    let files = sets.flat_map(|set| std::fs::read_dir(set).into_iter().flatten().flatten().map(|e| e.path()));
    let mut keys: Vec<_> = files.filter(|f| f.file_name().unwrap().to_string_lossy().starts_with("key-")).collect();
    keys.sort();
    keys
}

#[test]
fn a_rotation_that_is_killed_at_any_moment_leaves_every_set_whole_and_readable() {
    const SETS: usize = 6;
    const KILLS: usize = 25;
    let desk = Desk::new("ops.key");
    for _ in 0..SETS {
        desk.ends(0, &["backup", "shop"]);
    }
    let before = data(&desk);
    let (one, other) = (public(&desk, "one.key"), public(&desk, "other.key"));
    // Whoever rotates can read what both configurations wrote.
    let both = "ops.key, one.key, other.key";
    let (mut killed, mut half) = (0, 0);
    for round in 0..KILLS {
        let reader = if round % 2 == 0 { &one } else { &other };
        configure(&desk, &format!("{{ recipients: [{reader}] }}"), both);
        let start = keys(&desk.at("vault"));
        let mut child = program(desk.folder.path(), desk.temporary.path(), &["rewrap", "shop"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The kill comes somewhere between the first set's change and the last one's.
        while keys(&desk.at("vault")) == start && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let until = std::time::Instant::now() + std::time::Duration::from_micros(fastrand::u64(0..12_000));
        while std::time::Instant::now() < until {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        killed += usize::from(std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()) == Some(9));
        let left = std::fs::read_dir(desk.at("vault"))
            .unwrap()
            .any(|e| e.unwrap().file_name().to_string_lossy().starts_with(".partial-"));
        half += usize::from(left || keys(&desk.at("vault")).len() != SETS);
        let said = desk.ends(0, &["verify", "shop", "all"]);
        assert!(said.contains(&format!("{SETS} of {SETS} sets reached L2")), "round {round}: {said}");
        assert_eq!(data(&desk), before, "round {round}");
    }
    assert!(killed > KILLS / 2, "only {killed} of {KILLS} were killed in the middle");
    println!("{killed} killed, {half} of them between two files");
    configure(&desk, &format!("{{ recipients: [{one}] }}"), both);
    desk.ends(0, &["rewrap", "shop"]);
    assert_eq!(keys(&desk.at("vault")).len(), SETS, "the next run ends what was begun");
    configure(&desk, &format!("{{ recipients: [{one}] }}"), "other.key, ops.key");
    desk.ends(12, &["verify", "shop", "all"]);
    configure(&desk, &format!("{{ recipients: [{one}] }}"), "one.key");
    desk.ends(0, &["verify", "shop", "all"]);
}
