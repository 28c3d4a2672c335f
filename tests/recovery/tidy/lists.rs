//! One file, one line: every engine, scenario, reporter and task stands in its static list, and every line has its file.

use super::rust_text::{lines_with, product};
use super::{assert_none, pages, text};

/// A folder and the list that must name each file of it.
struct List {
    folder: &'static str,
    /// The file that declares the modules.
    modules: &'static str,
    /// The file that registers them.
    register: &'static str,
    /// Where in that file the list begins; everything after it counts.
    begins: &'static str,
}

const LISTS: [List; 6] = [
    List { folder: "engines", modules: "engines.rs", register: "engines.rs", begins: "static ENGINES" },
    List { folder: "scenarios", modules: "scenarios.rs", register: "scenarios.rs", begins: "static SCENARIOS" },
    List {
        folder: "checks/traefik",
        modules: "checks/traefik.rs",
        register: "checks/traefik.rs",
        begins: "static TRAEFIK",
    },
    List { folder: "checks", modules: "checks.rs", register: "checks.rs", begins: "static BACKUP_SYSTEM" },
    List { folder: "reporters", modules: "reporters.rs", register: "reporters.rs", begins: "static REPORTERS" },
    List { folder: "tasks", modules: "tasks.rs", register: "cli.rs", begins: "" },
];

/// What is missing: a file without a module or a line, or a module without a file.
fn check(list: &List, files: &[String], modules: &str, register: &str) -> Vec<String> {
    let (folder, modules) = (list.folder, product(modules));
    let register = product(register);
    let Some(start) = register.find(list.begins) else {
        return vec![format!("{}: no `{}`", list.register, list.begins)];
    };
    let mut found = Vec::new();
    for name in files {
        if lines_with(&modules, &format!("mod {name};")).is_empty() {
            found.push(format!("{folder}/{name}.rs: no `mod {name};` in {}", list.modules));
        }
        if lines_with(&register[start..], &format!("{name}::")).is_empty() {
            found.push(format!("{folder}/{name}.rs: not registered in {}", list.register));
        }
    }
    if files.is_empty() {
        found.push(format!("{folder}: nothing to register: is this the repository?"));
    }
    found
}

#[test]
fn every_file_is_registered_in_its_list() {
    let paths: Vec<String> = pages().into_iter().map(|p| p.path).collect();
    let mut findings = Vec::new();
    for list in &LISTS {
        let prefix = format!("xtask/src/{}/", list.folder);
        let names = paths.iter().filter_map(|p| p.strip_prefix(&prefix)?.strip_suffix(".rs"));
        let names: Vec<String> = names.filter(|n| !n.contains('/') && *n != "tests").map(str::to_owned).collect();
        let source = |file: &str| text(&format!("xtask/src/{file}"));
        findings.extend(check(list, &names, &source(list.modules), &source(list.register)));
    }
    assert_none(&findings);
}

#[test]
fn a_file_that_is_not_registered_is_reported() {
    let files = ["redis".to_owned()];
    let whole = "mod redis;\nuse redis::X;\npub static ENGINES: &[&dyn Engine] = &[&redis::REDIS];";
    assert_none(&check(&LISTS[0], &files, whole, whole));
    let unlisted = "mod redis;\nuse redis::X;\npub static ENGINES: &[&dyn Engine] = &[&predis::REDIS];";
    assert_eq!(check(&LISTS[0], &files, unlisted, unlisted).len(), 1);
    let undeclared = "pub static ENGINES: &[&dyn Engine] = &[&redis::REDIS];";
    assert_eq!(check(&LISTS[0], &files, undeclared, undeclared).len(), 1);
    assert_eq!(check(&LISTS[0], &files, "mod redis;", "").len(), 1);
    assert_eq!(check(&LISTS[0], &[], whole, whole).len(), 1);
}
