//! The dependency policy goes red: a workspace made of every banned crate, and one with a license that is not allowed,
//! are refused by the project's own `deny.toml`. The crates are empty ones of that name, so nothing is fetched.

use super::tools::{find, output, said};
use super::{root, text};
use std::fs::{create_dir_all, write};
use std::path::Path;
use std::process::Output;

/// Name, a version that the policy speaks of, license.
type Planted<'a> = (&'a str, &'a str, &'a str);

/// What the policy must refuse, by name and version.
const BANNED: [Planted; 8] = [
    ("serde_yaml", "0.9.34", "MIT"),
    ("serde_yml", "0.0.12", "MIT"),
    ("junit-report", "0.9.1", "MIT"),
    ("openssl-sys", "0.9.0", "MIT"),
    ("aws-lc-sys", "0.30.0", "MIT"),
    ("tokio-tar", "0.3.1", "MIT"),
    ("async-tar", "0.5.0", "MIT"),
    ("tar", "0.4.44", "MIT"),
];

/// Writes a package that depends on these and judges it by the project's policy.
fn judge(deny: &Path, planted: &[Planted]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut manifest = package("planted", "1.0.0", "MIT") + "[dependencies]\n";
    for (name, version, license) in planted {
        let at = folder.path().join(name);
        create_dir_all(at.join("src")).expect("make a planted crate");
        write(at.join("src/lib.rs"), "").expect("write a planted crate");
        write(at.join("Cargo.toml"), package(name, version, license)).expect("write a planted crate");
        manifest += &format!("{name} = {{ path = \"{name}\", version = \"{version}\" }}\n");
    }
    create_dir_all(folder.path().join("src")).expect("make the planted package");
    write(folder.path().join("src/lib.rs"), "").expect("write the planted package");
    write(folder.path().join("Cargo.toml"), manifest).expect("write the planted package");
    let policy = root().join("deny.toml").display().to_string();
    let checks = ["--offline", "--config", &policy, "check", "bans", "licenses", "sources"];
    output(deny, &checks, folder.path())
}

fn package(name: &str, version: &str, license: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"{version}\"\nedition = \"2021\"\nlicense = \"{license}\"\n")
}

#[test]
fn every_banned_crate_is_refused() {
    let Some(deny) = find("cargo-deny", "tidy::policy::every_banned_crate_is_refused") else { return };
    let output = judge(&deny, &BANNED);
    let said = said(&output);
    assert!(!output.status.success(), "the policy let banned crates pass:\n{said}");
    for (name, version, _) in BANNED {
        assert!(said.contains(&format!("crate '{name} = {version}' is explicitly banned")), "{name} passed:\n{said}");
    }
}

#[test]
fn a_license_that_is_not_allowed_is_refused() {
    let Some(deny) = find("cargo-deny", "tidy::policy::a_license_that_is_not_allowed_is_refused") else { return };
    let output = judge(&deny, &[("copyleft", "1.0.0", "AGPL-3.0-only")]);
    let said = said(&output);
    assert!(!output.status.success() && said.contains("license is not explicitly allowed"), "{said}");
}

#[test]
fn what_is_neither_banned_nor_ill_licensed_passes() {
    let Some(deny) = find("cargo-deny", "tidy::policy::what_is_neither_banned_nor_ill_licensed_passes") else { return };
    let output = judge(&deny, &[("tar", "0.4.46", "MIT OR Apache-2.0"), ("serde-saphyr", "2.0.0", "MIT")]);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn every_ban_of_the_policy_is_tried_here() {
    let bans = text("deny.toml").matches("{ crate = \"").count();
    assert_eq!(bans, BANNED.len(), "deny.toml and this test speak of different crates");
}
