//! What `init` writes is read back as the same stacks, holds no secret, and replaces nothing.

use super::*;
use crate::adapters::config::load;
use crate::domain::project::{Project, Source};
use std::fs;
use std::path::Path;

const COMPOSE: &str = "\
name: shop
services:
  db:
    image: postgres:15
    environment:
      POSTGRES_DB: sh$$op
      POSTGRES_USER: '0123'
      POSTGRES_PASSWORD: ${DB_PASSWORD:?}
      PGPORT: '5433'
    volumes: ['data:/var/lib/postgresql/data']
  app:
    image: localhost/app
    environment: {DATABASE_URL: 'file:./state/app.db', CACHE_DB: '/cache/x.sqlite'}
    volumes: ['./state:/app/state', 'media:/app/media', 'cache:/cache', './logs:/logs', './my uploads:/app/uploads']
volumes: {data: , media: {name: shop-media}, cache: {external: true}}
";

fn options(folder: &Path) -> LoadOptions<'static> {
    LoadOptions { config: None, folder: folder.to_owned(), environment: &|_| None }
}

fn shop() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("compose.yaml"), COMPOSE).unwrap();
    fs::write(dir.path().join(".env"), "DB_PASSWORD=hunter2\n").unwrap();
    dir
}

fn inferred(folder: &Path) -> Project {
    infer(&options(folder), &Given::default()).unwrap()
}

#[test]
fn what_is_written_reads_back_as_the_same_stacks() {
    let dir = shop();
    let before = inferred(dir.path());
    assert_eq!(before.stacks[0].stores.len(), 5, "{:?}", before.stacks[0].stores);
    let mut out = Vec::new();
    run(&Args::default(), &options(dir.path()), &mut out).unwrap();
    let after = load(&options(dir.path())).unwrap_or_else(|e| panic!("{e:#}"));
    assert!(matches!(after.source, Source::Recovery(_)));
    assert_eq!(after.stacks, before.stacks);
    assert!(String::from_utf8(out).unwrap().contains("shop/db (postgres)"));
}

#[test]
fn every_example_stack_survives_the_round_trip() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("fixtures/stacks");
    for (folder, compose, env_file) in [
        ("monsite", "docker-compose.yml", None),
        ("recyclic-prod", "docker-compose.prod.yml", Some("env.production.example")),
        ("recyclic-staging", "docker-compose.staging.yml", Some("env.staging.example")),
        ("le-grimoire", "docker-compose.yml", Some("env.example")),
    ] {
        let here = root.join(folder);
        let given = Given {
            compose: vec![here.join(compose)],
            env_file: env_file.map(|f| here.join(f)),
            project: Some(folder.to_owned()),
        };
        let before = infer(&options(&here), &given).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("recovery.yaml"), draft(&before, dir.path())).unwrap();
        let after = load(&options(dir.path())).unwrap_or_else(|e| panic!("{folder}: {e:#}"));
        assert_eq!(after.stacks, before.stacks, "{folder}");
    }
}

#[test]
fn no_secret_is_written_and_every_value_says_where_it_came_from() {
    let dir = shop();
    let text = draft(&inferred(dir.path()), dir.path());
    assert!(!text.contains("hunter2"), "{text}");
    for expected in [
        "database: \"sh$$op\"",
        "# POSTGRES_DB, compose.yaml:6",
        "user: \"0123\"",
        "# password: read from POSTGRES_PASSWORD, compose.yaml:8",
        "path: state/app.db",
        "# - compose.yaml:14:",
        "logs (service `app`, /logs) is covered by no store",
        "simple-loss: { rto: 30m, rpo: 1h }",
    ] {
        assert!(text.contains(expected), "no `{expected}` in\n{text}");
    }
}

#[test]
fn a_file_that_is_there_is_never_replaced() {
    let dir = shop();
    let file = dir.path().join("recovery.yaml");
    fs::write(&file, "mine").unwrap();
    let error = run(&Args::default(), &options(dir.path()), &mut Vec::new()).unwrap_err();
    assert!(format!("{error:#}").contains("is there already"), "{error:#}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn printing_writes_nothing() {
    let dir = shop();
    let mut out = Vec::new();
    run(&Args { print: true, ..Args::default() }, &options(dir.path()), &mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().starts_with("# Written by `cargo xtask init`"));
    assert!(!dir.path().join("recovery.yaml").exists());
}
