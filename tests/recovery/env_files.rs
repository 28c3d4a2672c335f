//! Env files mean here what they mean to Compose: the same values, or both refuse. Asked of the real `docker compose config`.
//! Where the tool is stricter on purpose, the file and the reason stand in `STRICTER`, and the entry must stay true.

#![allow(clippy::expect_used, clippy::panic, reason = "tests: a panic is the red light")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use xtask::adapters::config::compose_version;
use xtask::adapters::environment;

/// Files that Compose accepts and the tool refuses.
const STRICTER: [(&str, &str); 13] = [
    ("unset-reference", "Compose warns and puts in nothing: a password would be cut in silence"),
    ("unset-reference-quoted", "as unset-reference"),
    ("unset-in-default", "as unset-reference"),
    ("not-utf-8", "Compose puts U+FFFD in: the value would be another one"),
    ("not-utf-8-quoted", "as not-utf-8"),
    ("nul-in-value", "no environment can carry a NUL: the container would not start"),
    ("no-name", "Compose sets a variable without a name"),
    ("no-name-colon", "as no-name"),
    ("text-after-quotes", "Compose takes the rest of the line for the name of another variable"),
    ("text-after-quotes-spaced", "as text-after-quotes"),
    ("two-on-a-line", "as text-after-quotes"),
    ("tab-in-name", "Compose takes the tab into the name"),
    ("export-as-name", "as no-name"),
];

/// Files that both accept and read differently, with what the tool reads.
const DIFFERENT: [(&str, Pairs, &str); 2] = [
    (
        "name-alone-at-the-end",
        &[("A", "1")],
        "without a line break at its end Compose reads the last name as a value without a name",
    ),
    (
        "default-required-unused",
        &[("X", "v"), ("A", "v")],
        "Compose refuses for the sake of a default that is not used",
    ),
];

type Pairs = &'static [(&'static str, &'static str)];
type Values = BTreeMap<String, String>;

/// What the process environment holds for both.
fn outside(name: &str) -> Option<String> {
    match name {
        "OUTSIDE" => Some("side".into()),
        "HOME" => Some("/nowhere".into()),
        "PATH" => Some("/usr/bin:/bin".into()),
        _ => None,
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace").to_owned()
}

/// The Compose plugin: given, or fetched into the cache; `None` when there is neither.
pub fn compose() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("XTASK_COMPOSE") {
        return Some(given.into());
    }
    let mut folders = vec![workspace().join(".cache/xtask")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file()
                && entry.file_name() == "docker-compose"
                && entry.metadata().is_ok_and(|m| m.len() > 1 << 20)
            {
                return Some(entry.path());
            }
        }
    }
    None
}

#[expect(clippy::disallowed_methods, reason = "the other reader is a program")]
fn run(program: &Path, folder: &Path, arguments: &[&str]) -> (bool, String, String) {
    let variables = ["OUTSIDE", "HOME", "PATH"].map(|n| (n, outside(n).expect("it is set")));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env_clear().envs(variables).stdin(Stdio::null());
    let out = command.output().unwrap_or_else(|e| panic!("start {}: {e}", program.display()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.success(), text(&out.stdout), text(&out.stderr))
}

/// What Compose reads; `None` when it refuses.
fn theirs(compose: &Path, file: &Path) -> Option<Values> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(file, dir.path().join("a.env")).expect("copy the env file");
    let project = "name: t\nservices:\n  s:\n    image: i\n    env_file: a.env\n";
    std::fs::write(dir.path().join("c.yaml"), project).expect("write the project");
    let (success, out, _) = run(compose, dir.path(), &["-f", "c.yaml", "config", "--format", "json"]);
    if !success {
        return None;
    }
    let model: serde_json::Value = serde_json::from_str(&out).expect("Compose prints JSON");
    let values = model["services"]["s"]["environment"].as_object().cloned().unwrap_or_default();
    // It prints values so that they can be read again: dollar signs are doubled.
    let plain = |value: serde_json::Value| value.as_str().unwrap_or_default().replace("$$", "$");
    Some(values.into_iter().map(|(name, value)| (name, plain(value))).collect())
}

fn ours(file: &Path) -> Result<Values, String> {
    let bytes = std::fs::read(file).expect("read the env file");
    let found = environment::parse(&bytes, file, &outside).map_err(|r| r.message)?;
    Ok(found.into_iter().map(|v| (v.name, v.value)).collect())
}

fn name_of(file: &Path) -> String {
    file.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// The finding about one file, when there is one.
fn compare(file: &Path, theirs: Option<&Values>) -> Option<String> {
    let name = name_of(file);
    let ours = ours(file);
    let stricter = STRICTER.iter().find(|(n, _)| *n == name);
    let different = DIFFERENT.iter().find(|(n, ..)| *n == name);
    match (theirs, &ours) {
        (_, Ok(read)) if different.is_some_and(|(_, values, _)| *read == owned(values) && theirs != Some(read)) => None,
        _ if different.is_some() => {
            Some(format!("{name}: listed as read differently, which is not so (or not so any more): {ours:?}"))
        }
        (Some(_), Err(_)) if stricter.is_some() => None,
        _ if stricter.is_some() => {
            Some(format!("{name}: listed as refused by the tool alone, which is not so (any more)"))
        }
        (Some(theirs), Ok(ours)) if theirs == ours => None,
        (None, Err(_)) => None,
        (Some(theirs), ours) => Some(format!("{name}: Compose reads {theirs:?}, the tool {ours:?}")),
        (None, Ok(ours)) => Some(format!("{name}: Compose refuses, the tool reads {ours:?}")),
    }
}

fn owned(values: &[(&str, &str)]) -> Values {
    values.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

fn fixtures() -> Vec<PathBuf> {
    let folder = workspace().join("fixtures/env");
    let entries = std::fs::read_dir(folder).expect("the env files").flatten().map(|e| e.path());
    let mut files: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "env")).collect();
    files.sort();
    files
}

#[test]
fn env_files_mean_what_they_mean_to_compose() {
    let Some(compose) = compose() else {
        assert!(std::env::var_os("XTASK_REQUIRE_COMPOSE").is_none(), "Compose is required and not here");
        println!("SKIPPED env_files_mean_what_they_mean_to_compose: no Compose 2 in .cache/xtask nor in XTASK_COMPOSE");
        return;
    };
    let (_, said, _) = run(&compose, Path::new("/"), &["version"]);
    let version = compose_version(&said).unwrap_or_else(|r| panic!("{r}"));
    let files = fixtures();
    assert!(files.len() >= 60, "only {} files", files.len());
    let findings: Vec<String> = files.iter().filter_map(|f| compare(f, theirs(&compose, f).as_ref())).collect();
    let read = files.iter().filter(|f| ours(f).is_ok()).count();
    println!("{} files, {read} read and the others refused, as by Compose {version}", files.len());
    assert!(findings.is_empty(), "Compose {version}, {} finding(s):\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn every_listed_difference_has_its_file() {
    let names: Vec<String> = fixtures().iter().map(|f| name_of(f)).collect();
    for name in STRICTER.iter().map(|(n, _)| n).chain(DIFFERENT.iter().map(|(n, ..)| n)) {
        assert!(names.iter().any(|n| n == name), "{name} is listed and has no file");
    }
}

#[test]
fn a_planted_difference_is_found() {
    let file = workspace().join("fixtures/env/plain.env");
    let right = owned(&[("A", "1"), ("B", "two")]);
    assert_eq!(compare(&file, Some(&right)), None);
    assert!(compare(&file, Some(&owned(&[("A", "1")]))).is_some());
    assert!(compare(&file, None).is_some());
    assert!(
        compare(&workspace().join("fixtures/env/unset-reference.env"), None).is_some(),
        "a stale entry is a finding"
    );
}
