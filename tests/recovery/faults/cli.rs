//! The same faults as a person meets them: what `xtask` prints and the exit code of the process.

use super::files::database;
use super::rig::{CANARY, holds_only};
use std::path::Path;
use xshell::{Shell, cmd};

/// `xtask` with these words in this folder: exit code, and everything it printed.
pub fn xtask(folder: &Path, words: &[&str]) -> (i32, String) {
    let shell = Shell::new().unwrap();
    shell.change_dir(folder);
    let own = env!("CARGO_BIN_EXE_xtask");
    let done = cmd!(shell, "{own} {words...}").env("SHOP_PASSWORD", CANARY).quiet().ignore_status().output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = format!("{}{}", text(&done.stdout), text(&done.stderr));
    assert!(!said.contains(CANARY), "a secret was told: {said}");
    (done.status.code().unwrap(), said)
}

/// The process ends with this code, says these words, and a `hint:` line with these.
#[track_caller]
pub fn ends(folder: &Path, words: &[&str], code: i32, says: &[&str], hints: &str) {
    let (ended, said) = xtask(folder, words);
    assert_eq!(ended, code, "{said}");
    for word in says {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    let hint = said.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap_or_else(|| panic!("no hint: {said}"));
    assert!(hint.contains(hints), "`{hints}` is not in the hint: {hint}");
}

#[test]
fn a_file_that_is_no_database_ends_the_command_with_its_own_code() {
    let folder = tempfile::tempdir().unwrap();
    let recovery = |file: &str| {
        let text = format!(
            "stacks:\n  shop:\n    folder: .\n    stores:\n      app:\n        engine: sqlite\n        path: {file}\n"
        );
        std::fs::write(folder.path().join("recovery.yaml"), text).unwrap();
    };
    database(&folder.path().join("app.db"), 1);
    std::fs::write(folder.path().join("zero.db"), b"").unwrap();
    let vault = folder.path().join("backups/shop");

    recovery("app.db");
    let (code, said) = xtask(folder.path(), &["backup", "shop"]);
    assert_eq!(code, 0, "{said}");
    holds_only(&vault, 1);

    recovery("zero.db");
    ends(folder.path(), &["backup", "shop"], 28, &["error: back up app", "0 bytes"], "recovery.yaml");
    recovery("gone.db");
    ends(folder.path(), &["backup", "shop"], 22, &["error: back up app", "no database file"], "recovery.yaml");
    ends(folder.path(), &["backup", "shpo"], 2, &["shpo"], "shop");
    holds_only(&vault, 1);
}
