//! The canonical form of a manifest and of both its parts.

use super::*;
use crate::domain::artifact::{Component, Consistency, StoredFile};
use crate::domain::binding::Binding;
use crate::domain::census::{Census, Entry};
use crate::domain::stack::Compression;

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<String, Value> = map.into_iter().map(|(k, v)| (k, sorted(v))).collect();
            Value::Object(ordered.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn whole() -> Manifest {
    let print = || Fingerprint { bytes: 7, sha256: "0".repeat(64) };
    let file = |name: &str, role| StoredFile {
        file: name.into(),
        role,
        compression: Compression::Zstd,
        stored: print(),
        plain: print(),
    };
    let objects = BTreeMap::from([
        ("table a".to_owned(), Entry::Content { rows: 3, digest: "d".into() }),
        ("sequence a".to_owned(), Entry::Counter { low: -1, high: 9 }),
        ("index a".to_owned(), Entry::Definition { table: Some("a".into()), digest: "d".into() }),
        ("schema a".to_owned(), Entry::Definition { table: None, digest: "d".into() }),
        ("table \"b\n".to_owned(), Entry::Unreadable { error: "no".into() }),
    ]);
    Manifest {
        format: FORMAT.into(),
        schema: SCHEMA,
        requires: Vec::new(),
        id: "20261120T010000Z-000001-aaaa".into(),
        sequence: 1,
        stack: "shop".into(),
        tool: "xtask 0".into(),
        started_at: "2026-11-20T01:00:00Z".into(),
        finished_at: "2026-11-20T01:00:01Z".into(),
        previous: Some("1".repeat(64)),
        seal: None,
        binding: Some(Binding {
            compose_sha256: Some("3".repeat(64)),
            env_names_sha256: Some("4".repeat(64)),
            project: Some("shop".into()),
            skew_ms: Some(40),
        }),
        rest: None,
        components: vec![Component {
            store: "db".into(),
            engine: "postgres".into(),
            as_of_window_ms: Some(7),
            consistent_as_of: "2026-11-20T01:00:00Z".into(),
            consistency: Consistency::Snapshot,
            facts: BTreeMap::from([("b".into(), "1".into()), ("a".into(), "2".into())]),
            files: vec![file("db.zst", Role::Data), file("db.globals.zst", Role::Extra("globals".into()))],
            census: Census { objects },
        }],
    }
}

#[test]
fn the_canonical_form_has_its_keys_sorted_at_every_depth() {
    let bytes = canonical(&whole()).unwrap();
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), sorted(value).to_string());
    assert_eq!(serde_json::from_slice::<Manifest>(&bytes).unwrap(), whole());
    // The same of both parts of an encrypted one.
    let seal = Some(Seal { scheme: set_key::SCHEME.into(), recipient: "age1x".into() });
    let manifest = Manifest { requires: vec![AGE.into()], seal, ..whole() };
    let outline = manifest.outline(Some(Fingerprint { bytes: 1, sha256: "2".repeat(64) }));
    for bytes in [canonical(&outline).unwrap(), canonical(&manifest.rest()).unwrap()] {
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), sorted(value).to_string());
    }
    assert_eq!(outline.with(manifest.rest()).unwrap(), manifest);
}

#[test]
fn other_bytes_of_the_same_meaning_are_not_canonical() {
    let bytes = canonical(&whole()).unwrap();
    assert!(is_canonical(&whole(), &bytes));
    let text = String::from_utf8(bytes).unwrap();
    for other in [format!("{text} "), text.replacen(':', ": ", 1), text[..text.len() - 1].to_owned()] {
        assert!(!is_canonical(&whole(), other.as_bytes()), "{other}");
    }
}
