//! Every Rust file is a room one can know: not too long, a header that says its duty, a name that means something, and in
//! the product no shortcut that ends the process, no async runtime outside the Docker adapter.

use super::rust_text::{covers, lines_with, product, test_only};
use super::{assert_none, pages_in};

const LONGEST: usize = 400;

const MEANINGLESS: [&str; 11] =
    ["util", "utils", "helper", "helpers", "common", "manager", "imp", "misc", "mod", "stuff", "shared"];

/// Every way out of a function that skips its caller, and what is never left in.
const SHORTCUTS: [&str; 7] =
    [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "dbg!(", ".unwrap_err()"];

/// Tests that may wait for a while on the thread, each with its reason. Everything else polls with a deadline.
const SLEEPERS: [(&str, &str); 8] = [
    ("tests/recovery/restores/killed.rs", "a restore is killed at a random moment of its time"),
    ("tests/recovery/restores/docker_shop.rs", "the pause between two looks of a poll with a deadline"),
    ("tests/recovery/support/peak.rs", "the pause between two looks at a living process"),
    ("tests/recovery/docker_killed.rs", "a drill is killed some time into a step, or when it has ended by itself"),
    ("tests/recovery/faults/killed.rs", "a backup is killed at a random moment, or when it has ended by itself"),
    ("tests/recovery/docker_live/shop.rs", "the pause between two looks of a poll with a deadline"),
    ("tests/recovery/postgres_engine/rig.rs", "the pause between two looks of a poll with a deadline"),
    ("tests/recovery/command.rs", "the pause between two looks of a poll with a deadline"),
];

fn size_and_name(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > LONGEST {
        found.push(format!("{path}: {lines} lines, more than {LONGEST}"));
    }
    let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    found.extend(
        parts
            .iter()
            .filter(|p| MEANINGLESS.contains(p))
            .map(|part| format!("{path}: `{part}` says nothing of its duty")),
    );
    found
}

fn header(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().take_while(|l| l.starts_with("//!")).count();
    // The library's header is the map of the house.
    let most = if path == "xtask/src/lib.rs" { 20 } else { 4 };
    if lines == 0 || lines > most {
        return vec![format!("{path}: opens with {lines} `//!` lines; say the duty in one to {most}")];
    }
    let said = text.lines().next().unwrap_or_default().trim_start_matches("//!").trim();
    let unfinished = said.to_lowercase().contains("under construction");
    if said.len() < 20 || unfinished {
        vec![format!("{path}: the header does not say its duty: {said}")]
    } else {
        Vec::new()
    }
}

fn shortcuts(path: &str, text: &str) -> Vec<String> {
    let code = product(text);
    let found = SHORTCUTS.iter().flat_map(|word| lines_with(&code, word).into_iter().map(move |line| (line, word)));
    found.map(|(line, word)| format!("{path}:{line}: `{word}` in product code; return the error")).collect()
}

fn runtime(path: &str, text: &str) -> Vec<String> {
    if path == "xtask/src/adapters/docker.rs" || path.starts_with("xtask/src/adapters/docker/") {
        return Vec::new();
    }
    let code = super::rust_text::code(text);
    let found = ["tokio", "bollard", "futures_util"]
        .into_iter()
        .flat_map(|word| lines_with(&code, word).into_iter().map(move |line| (line, word)));
    found.map(|(line, word)| format!("{path}:{line}: {word} outside adapters/docker")).collect()
}

fn hidden_tests(path: &str, text: &str) -> Vec<String> {
    let code = super::rust_text::code(text);
    let ignored = ["#[ignore", ", ignore)"].into_iter().flat_map(|word| lines_with(&code, word));
    ignored
        .map(|line| format!("{path}:{line}: an ignored test looks green; print `SKIPPED <name>: <why>` instead"))
        .collect()
}

fn sleeps(path: &str, text: &str) -> Vec<String> {
    if SLEEPERS.iter().any(|(listed, _)| *listed == path) {
        return Vec::new();
    }
    let (code, product) = (super::rust_text::code(text), product(text));
    let of = |code: &str| ["thread::sleep", "time::sleep"].map(|word| lines_with(code, word)).concat();
    // The product may sleep where an adapter is allowed to; `clippy.toml` sees to that.
    let products = if path.starts_with("tests/") || path.ends_with("/tests.rs") { Vec::new() } else { of(&product) };
    let in_tests = of(&code).into_iter().filter(|line| !products.contains(line));
    in_tests.map(|line| format!("{path}:{line}: a test that waits a fixed time; poll with a deadline")).collect()
}

/// Files that no other file names as a module: they are never compiled, and their tests never run.
fn orphans(pages: &[(&str, &str)]) -> Vec<String> {
    let roots = ["main.rs", "lib.rs", "pipes.rs", "footprint.rs"];
    let named = |path: &str| {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let stem = file.trim_end_matches(".rs");
        let parents = [
            format!("{folder}.rs"),
            format!("{folder}/main.rs"),
            format!("{folder}/lib.rs"),
            format!("{folder}/pipes.rs"),
        ];
        pages.iter().any(|(page, text)| {
            let as_child = parents.iter().any(|p| p == page) && text.contains(&format!("mod {stem};"));
            as_child || text.contains(&format!("/{file}\"]")) || text.contains(&format!("\"{file}\"]"))
        })
    };
    let files = pages.iter().map(|(path, _)| *path);
    let found = files.filter(|path| !roots.iter().any(|r| path.ends_with(&format!("/{r}"))) && !named(path));
    found.map(|path| format!("{path}: no file says `mod`: it is never compiled")).collect()
}

/// A rule over one file's path and text.
type Rule = fn(&str, &str) -> Vec<String>;

fn over(folders: &[&str], rules: &[Rule]) -> Vec<String> {
    let pages: Vec<_> = folders.iter().flat_map(|folder| pages_in(folder, ".rs")).collect();
    pages.iter().flat_map(|page| rules.iter().flat_map(|rule| rule(&page.path, &page.text))).collect()
}

/// Over the product alone, without the files that are compiled for tests only.
fn over_product(rule: Rule) -> Vec<String> {
    let pages = pages_in("xtask/src/", ".rs");
    let tests = test_only(&pages);
    pages.iter().filter(|p| !covers(&tests, &p.path)).flat_map(|p| rule(&p.path, &p.text)).collect()
}

#[test]
fn every_file_is_somebodys_module() {
    let pages: Vec<_> = pages_in("xtask/", ".rs").into_iter().chain(pages_in("tests/", ".rs")).collect();
    let pages: Vec<(&str, &str)> = pages.iter().map(|p| (p.path.as_str(), p.text.as_str())).collect();
    assert_none(&orphans(&pages));
    let planted = [("tests/recovery/main.rs", "mod b;"), ("tests/recovery/a.rs", ""), ("tests/recovery/b.rs", "")];
    assert_eq!(orphans(&planted), ["tests/recovery/a.rs: no file says `mod`: it is never compiled"]);
}

#[test]
fn every_file_is_short_enough_and_named_for_its_duty() {
    assert_none(&over(&["xtask/", "tests/"], &[size_and_name]));
}

#[test]
fn every_file_opens_by_saying_its_duty() {
    assert_none(&over(&["xtask/", "tests/"], &[header]));
}

#[test]
fn product_code_returns_its_errors() {
    assert_none(&over_product(shortcuts));
}

#[test]
fn only_the_docker_adapter_knows_an_async_runtime() {
    assert_none(&over_product(runtime));
}

#[test]
fn no_test_is_hidden_and_none_waits_a_fixed_time() {
    assert_none(&over(&["xtask/", "tests/"], &[hidden_tests, sleeps]));
}

#[test]
fn a_planted_violation_of_every_rule_is_reported() {
    let planted: [(Rule, &str, String); 17] = [
        (size_and_name, "xtask/src/a.rs", "x\n".repeat(LONGEST + 1)),
        (size_and_name, "xtask/src/flow/mod.rs", String::new()),
        (size_and_name, "tests/recovery/common/a.rs", String::new()),
        (header, "xtask/src/a.rs", "use b;\n".to_owned()),
        (header, "xtask/src/a.rs", "//! (room under construction)\n".to_owned()),
        (header, "xtask/src/a.rs", "//! A stub.\n".to_owned()),
        (header, "xtask/src/a.rs", "//! a long enough line of words\n".repeat(5)),
        (shortcuts, "xtask/src/a.rs", "fn a() { b().unwrap(); }".to_owned()),
        (shortcuts, "xtask/src/a.rs", "fn a() { b\n.expect(\"c\"); }".to_owned()),
        (shortcuts, "xtask/src/a.rs", "fn a() { panic!(\"c\") }".to_owned()),
        (shortcuts, "xtask/src/a.rs", "#[cfg(test)]\nmod tests { fn c() {} }\nfn a() { dbg!(1); }".to_owned()),
        (runtime, "xtask/src/flow/a.rs", "use tokio::net;".to_owned()),
        (runtime, "xtask/src/adapters/sites.rs", "fn a() { bollard::connect() }".to_owned()),
        (hidden_tests, "tests/recovery/a.rs", format!("#[test]\n#[{}]\nfn a() {{}}", "ignore")),
        (sleeps, "tests/recovery/a.rs", "fn a() { std::thread::sleep(b) }".to_owned()),
        (sleeps, "xtask/src/a.rs", "#[cfg(test)]\nmod tests { fn a() { std::thread::sleep(b) } }".to_owned()),
        (sleeps, "xtask/src/a/tests.rs", "fn a() { thread::sleep(b) }".to_owned()),
    ];
    for (number, (rule, path, text)) in planted.into_iter().enumerate() {
        assert_eq!(rule(path, &text).len(), 1, "planted violation {number} in {path}");
    }
}

#[test]
fn what_is_allowed_is_not_reported() {
    assert_none(&header(
        "xtask/src/a.rs",
        "//! The duty of this room, in words.\n//! What it must not know.\n\nuse b;\n",
    ));
    assert_none(&shortcuts("xtask/src/a.rs", "// .unwrap()\nfn a() { b().unwrap_or(\".expect(\"); }"));
    assert_none(&shortcuts("xtask/src/a.rs", "#[cfg(test)]\nmod tests { fn a() { b().unwrap() } }"));
    assert_none(&runtime("xtask/src/adapters/docker/exec.rs", "use tokio::net;"));
    assert_none(&sleeps("xtask/src/adapters/clock.rs", "fn a() { std::thread::sleep(b) }"));
    assert_none(&hidden_tests("tests/a.rs", "fn ignore() { ignored(\"#[ignore]\") }"));
}
