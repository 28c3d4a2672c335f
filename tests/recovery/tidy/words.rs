//! The tree names no machine it was made on and no host that its packages came from: every machine has its own.

use super::{assert_none, pages};

/// Put together here, so that this file does not name them itself.
const HOSTS: [&str; 12] = [
    concat!("ghcr", ".io"),
    concat!("quay", ".io"),
    concat!("gcr", ".io"),
    concat!("registry-1.", "docker"),
    concat!("hub.", "docker"),
    concat!("index.", "crates"),
    concat!("static.", "crates"),
    concat!("py", "pi.org"),
    concat!("python", "hosted"),
    concat!("deb.", "debian"),
    concat!("archive.", "ubuntu"),
    concat!("mirrors", "."),
];

const MACHINE_PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Written by cargo, which names its registry.
const NOT_OURS: [&str; 1] = ["Cargo.lock"];

fn check(path: &str, text: &str) -> Vec<String> {
    if NOT_OURS.contains(&path) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let host = HOSTS.iter().find(|word| line.contains(*word));
        let machine = MACHINE_PATHS.iter().find(|word| starts_a_path(line, word));
        found.extend(host.into_iter().chain(machine).map(|word| format!("{path}:{}: names {word}", number + 1)));
    }
    found
}

/// Whether an absolute path in this line begins like this; the same letters inside a longer path do not count.
fn starts_a_path(line: &str, path: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || "._-}".contains(c);
    line.match_indices(path).any(|(at, _)| !line[..at].chars().next_back().is_some_and(part))
}

#[test]
fn no_file_names_a_machine_or_a_package_host() {
    assert_none(&pages().iter().flat_map(|p| check(&p.path, &p.text)).collect::<Vec<_>>());
}

#[test]
fn a_planted_name_is_reported() {
    for word in HOSTS.iter().chain(&MACHINE_PATHS) {
        assert_eq!(check("docs/a.md", &format!("one\nsee {word}x\n")), [format!("docs/a.md:2: names {word}")]);
    }
    let inside = format!("cd src{}x", MACHINE_PATHS[0]);
    assert_none(&check("docs/a.md", &inside));
}
