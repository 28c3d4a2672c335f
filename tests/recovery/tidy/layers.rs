//! Dependencies point one way. The table says which layer may name which; a path in code decides, however it is written.

use super::rust_text::{covers, product, test_only};
use super::{assert_none, pages_in};

/// Each layer (a file or folder in `xtask/src`) and what it may name through `crate::`. Test code may name anything.
const LAYERS: [(&str, &[&str]); 13] = [
    ("domain", &[]),
    ("ports", &["domain"]),
    ("engines", &["domain"]),
    ("scenarios", &["domain"]),
    ("checks", &["domain"]),
    ("reporters", &["domain"]),
    ("exit_code", &["domain"]),
    ("archive", &["domain"]),
    // The pure lists too: configuration is judged against the names of engines and scenarios.
    ("adapters", &["domain", "ports", "archive", "engines", "scenarios", "exit_code"]),
    ("flow", &["domain", "ports", "archive", "engines", "scenarios", "reporters"]),
    (
        "tasks",
        &["domain", "ports", "archive", "engines", "scenarios", "checks", "reporters", "flow", "adapters", "exit_code"],
    ),
    ("cli", &["domain", "ports", "engines", "scenarios", "reporters", "tasks", "adapters", "exit_code"]),
    ("lib", &[]),
];

/// What the code of one file names that its layer may not.
fn check(path: &str, text: &str) -> Vec<String> {
    let Some(inside) = path.strip_prefix("xtask/src/").and_then(|p| p.strip_suffix(".rs")) else { return Vec::new() };
    let parts: Vec<&str> = inside.split('/').collect();
    if parts == ["main"] {
        return Vec::new();
    }
    let Some((layer, may)) = LAYERS.iter().find(|(layer, _)| *layer == parts[0]) else {
        return vec![format!("{path}: no layer of this name; give it a line in the table of this test")];
    };
    let named = named(&product(text), parts.len());
    let wrong = named.into_iter().filter(|(_, name)| name != layer && !may.contains(&name.as_str()));
    wrong.map(|(line, name)| format!("{path}:{line}: {layer} may not name {name}")).collect()
}

/// The top-level modules that code names, with their lines. A file `depth` modules deep reaches the root by as many `super::`.
fn named(code: &str, depth: usize) -> Vec<(usize, String)> {
    let up = "super::".repeat(depth);
    let mut found = Vec::new();
    for root in ["crate::", up.as_str()] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || "_:$".contains(c)) {
                continue; // part of a longer path or word
            }
            let line = code[..at].matches('\n').count() + 1;
            found.extend(heads(&code[at + root.len()..]).into_iter().map(|head| (line, head)));
        }
    }
    found
}

/// The first words of a path, or of every branch when the path is a group in braces.
fn heads(rest: &str) -> Vec<String> {
    let word =
        |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = rest.strip_prefix('{') else { return vec![word(rest)] };
    let mut heads = vec![word(group)];
    let mut depth = 1;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(word(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads.retain(|h| !h.is_empty());
    heads
}

#[test]
fn no_layer_names_one_above_it() {
    let pages = pages_in("xtask/src/", ".rs");
    let tests = test_only(&pages);
    let product = pages.iter().filter(|p| !covers(&tests, &p.path));
    assert_none(&product.flat_map(|p| check(&p.path, &p.text)).collect::<Vec<_>>());
}

#[test]
fn the_layers_are_those_that_the_library_lists() {
    let library = super::text("xtask/src/lib.rs");
    let listed: Vec<&str> = library.lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    for module in &listed {
        assert!(LAYERS.iter().any(|(layer, _)| layer == module), "{module} has no line in the table");
    }
    for (layer, _) in LAYERS.iter().filter(|(layer, _)| *layer != "lib") {
        assert!(listed.contains(layer), "{layer} is in the table and not in the library");
    }
}

#[test]
fn a_planted_violation_is_reported_however_it_is_written() {
    for text in [
        "use crate::flow::drill;",
        "fn a() { crate::adapters::clock::x() }",
        "use crate::{domain::exec::Exec, ports::Clock};",
        "use crate::{\n    domain::{a, b},\n    tasks,\n};",
        "use super::super::adapters::docker;",
    ] {
        assert_eq!(check("xtask/src/engines/planted.rs", text).len(), 1, "{text}");
    }
    assert_eq!(check("xtask/src/domain.rs", "use super::ports::Site;").len(), 1);
    assert_eq!(check("xtask/src/nowhere.rs", "").len(), 1);
}

#[test]
fn what_the_table_allows_is_not_reported() {
    for text in [
        "use crate::domain::exec::Exec; use super::sql; use super::super::domain::mark;",
        "// use crate::flow::x\nconst A: &str = \"crate::flow\";",
        "#[cfg(test)]\nmod tests { use crate::adapters::fake::Fake; }",
    ] {
        assert_none(&check("xtask/src/engines/planted.rs", text));
    }
}
