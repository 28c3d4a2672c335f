//! What the loader promises: the example stacks, what wins over what, and errors that point.

mod hostile;
mod inventory;
mod old_variables;
mod refusals;
mod retention;

use super::*;
use crate::domain::stack::Stack;
use crate::domain::store::{Location, Root, Store};
use std::fs;

/// A folder with these files in it.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn load_in(dir: &Path) -> Result<Project> {
    load(&LoadOptions {
        config: None,
        folder: dir.to_owned(),
        environment: &|name| (name == "HOME").then(|| "/nowhere".into()),
    })
}

fn loaded(files: &[(&str, &str)]) -> (tempfile::TempDir, Project) {
    let dir = folder(files);
    let project = load_in(dir.path()).unwrap_or_else(|e| panic!("{e:#}"));
    (dir, project)
}

/// The refusal behind a failed load: its message without the folder, and its hint.
fn refused(files: &[(&str, &str)]) -> (String, String) {
    let dir = folder(files);
    let error = load_in(dir.path()).expect_err("it must be refused");
    let refusal = error.chain().find_map(|e| e.downcast_ref::<Refusal>()).expect("a refusal in the chain");
    let prefix = format!("{}/", dir.path().display());
    (refusal.message.replace(&prefix, ""), refusal.hint.clone())
}

fn store<'s>(stack: &'s Stack, name: &str) -> &'s Store {
    stack.stores.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no store {name}: {:?}", stack.stores))
}

fn example() -> Project {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    load_in(root).unwrap_or_else(|e| panic!("{e:#}"))
}

#[test]
fn the_example_stacks_load_with_all_that_is_inferred() {
    let project = example();
    let names: Vec<&str> = project.stacks.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["monsite", "recyclic-prod", "recyclic-staging", "le-grimoire"]);
    let monsite = project.stack("monsite").unwrap();
    let Location::File { root: Root::Host(root), path } = &store(monsite, "balades").location else { panic!() };
    assert!(root.ends_with("fixtures/stacks/monsite/data") && path == Path::new("balades.db"));
    assert_eq!(store(monsite, "uploads").engine, "files");
    let prod = project.stack("prod").unwrap();
    let postgres = store(prod, "postgres");
    assert_eq!(postgres.image.as_deref(), Some("postgres:15"));
    let Location::Database { database, user, password, port } = &postgres.location else { panic!() };
    assert_eq!((database.as_str(), user.as_str(), *port), ("recyclic", "recyclic", 5432));
    assert_eq!(password.as_ref().unwrap().expose(), "example-prod-password-change-me");
    let compose = project.findings(prod).unwrap().compose.as_ref().unwrap();
    assert_eq!(compose.volumes["prod_postgres_data"].name, "recyclic-prod_prod_postgres_data");
    assert_eq!(compose.services["api"].routers()[0].name, "recyclic-prod-api");
    assert_eq!(compose.services["bot"].image.as_ref().unwrap().0, "localhost/recyclic-bot:latest");
    assert!(compose.services["api"].healthcheck && !compose.services["bot"].healthcheck);
    let grimoire = project.stack("le-grimoire").unwrap();
    let Location::Database { password, .. } = &store(grimoire, "db").location else { panic!() };
    assert_eq!(password.as_ref().unwrap().expose(), "example-pa$word-change-me");
    assert!(grimoire.notes.iter().any(|n| n.contains("MongoDB")), "{:?}", grimoire.notes);
}

#[test]
fn what_no_store_covers_is_named() {
    let project = example();
    let notes = |name: &str| project.stack(name).unwrap().notes.join("\n");
    assert!(
        notes("recyclic-prod")
            .contains("volume recyclic-prod_prod_redis_data (service `redis`, /data) is covered by no store")
    );
    assert!(!notes("recyclic-prod").contains("postgres_data"), "{}", notes("recyclic-prod"));
    assert!(notes("monsite").contains("/logs (service `app`, /app/logs) is covered by no store"));
    assert!(notes("monsite").contains("/data only balades.db is covered"));
    assert!(!notes("monsite").contains("uploads"), "{}", notes("monsite"));
}

/// Whoever writes into a mounted folder may plant links anywhere below it: none of them is to be followed out of it.
#[test]
fn the_root_of_a_database_file_is_the_whole_folder_that_a_container_mounts() {
    let compose =
        "services:\n  app:\n    image: app\n    environment: {DB: /data/deep/a.db}\n    volumes: [./data:/data]\n";
    let at = |(_dir, project): &(tempfile::TempDir, Project)| match &project.stacks[0].stores[0].location {
        Location::File { root: Root::Host(root), path } => (root.file_name().unwrap().to_owned(), path.clone()),
        other => panic!("{other:?}"),
    };
    let wanted = ("data".into(), "deep/a.db".into());
    assert_eq!(at(&loaded(&[("compose.yaml", compose)])), wanted);
    let written = "stacks:\n  x:\n    stores:\n      a: {engine: sqlite, path: data/deep/a.db}\n";
    assert_eq!(at(&loaded(&[("compose.yaml", compose), ("recovery.yaml", written)])), wanted);
}

#[test]
fn the_root_of_a_folder_below_a_mounted_one_is_the_mounted_one() {
    let compose = "services:\n  app:\n    image: app\n    volumes: [./data:/data]\n";
    let written = "stacks:\n  x:\n    stores:\n      a: {engine: files, path: data/uploads}\n";
    let (dir, project) = loaded(&[("compose.yaml", compose), ("recovery.yaml", written)]);
    let wanted = Location::Folder { root: Root::Host(dir.path().join("data")), path: "uploads".into() };
    let store = &project.stacks[0].stores[0];
    assert_eq!(store.location, wanted);
    let at = crate::engines::find("files").unwrap().attached_target(store);
    assert_eq!(at.root, "uploads");
}

#[test]
fn a_database_file_that_is_mounted_alone_is_noted() {
    let compose = |volume: &str| {
        format!("services:\n  app:\n    image: app\n    environment: {{DB: /data/a.db}}\n    volumes: [{volume}]\n")
    };
    let notes = |volume: &str| loaded(&[("compose.yaml", &compose(volume))]).1.stacks[0].notes.join("\n");
    let said = notes("./a.db:/data/a.db");
    assert_eq!(said.matches("mounted alone").count(), 1, "{said}");
    assert!(!notes("./data:/data").contains("mounted alone"));
}

#[test]
fn the_examples_can_meet_their_objectives_and_the_contradiction_cannot() {
    use crate::domain::objective::worst_rpo;
    use crate::scenarios::SCENARIOS;
    use std::time::Duration;
    let meets = |stack: &Stack| {
        let worst = worst_rpo(stack.backups.schedule.as_ref().unwrap(), Duration::from_secs(60));
        SCENARIOS.iter().filter(|s| s.unsupported.is_none()).all(|s| worst <= stack.objectives.of(s).rpo)
    };
    let project = example();
    assert!(project.stacks.iter().all(meets));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let contradiction = load_in(&root.join("fixtures/stacks/contradiction")).unwrap();
    assert!(!meets(&contradiction.stacks[0]));
}

#[test]
fn a_compose_file_alone_is_enough() {
    for name in COMPOSE {
        let text =
            "name: shop\nservices: {db: {image: 'postgis/postgis:16-3.4', environment: [POSTGRES_PASSWORD=x]}}\n";
        let (dir, project) = loaded(&[(name, text)]);
        let stack = project.stack("shop").unwrap();
        let Location::Database { database, user, .. } = &store(stack, "db").location else { panic!() };
        assert_eq!((database.as_str(), user.as_str()), ("postgres", "postgres"));
        assert_eq!(stack.backups.vault, dir.path().join("backups/shop"));
        assert!(matches!(&project.source, Source::Compose(files) if files[0].ends_with(name)));
    }
}

#[test]
fn files_are_merged_as_compose_merges_them() {
    let (_dir, project) = loaded(&[
        (
            "compose.yaml",
            "name: t\nservices:\n  db:\n    image: postgres:15\n    environment: {POSTGRES_DB: a, POSTGRES_PASSWORD: x}\n    volumes: [data:/var/lib/postgresql/data]\n  app: {image: i, volumes: ['./up:/srv/uploads'], env_file: a.env, environment: {B: '2'}}\nvolumes: {data: }\n",
        ),
        (
            "compose.override.yaml",
            "services:\n  db:\n    image: postgres:17\n    environment: [POSTGRES_DB=b]\n  app:\n    environment: !override {A: '1'}\n    volumes: ['./other:/srv/uploads']\n    env_file: !reset null\n",
        ),
    ]);
    let stack = project.stack("t").unwrap();
    assert_eq!(stack.compose_files.len(), 2);
    assert_eq!(store(stack, "db").image.as_deref(), Some("postgres:17"));
    let Location::Database { database, password, .. } = &store(stack, "db").location else { panic!() };
    assert_eq!((database.as_str(), password.as_ref().unwrap().expose()), ("b", "x"));
    let Location::Folder { root: Root::Host(path), .. } = &store(stack, "uploads").location else { panic!() };
    assert!(path.ends_with("other"));
    let app = &project.findings(stack).unwrap().compose.as_ref().unwrap().services["app"];
    assert_eq!(app.environment.keys().collect::<Vec<_>>(), ["A"]);
}

#[test]
fn the_environment_wins_over_the_env_file_as_in_compose() {
    let dir = folder(&[
        (
            "compose.yaml",
            "services: {db: {image: postgres, environment: {POSTGRES_PASSWORD: '${P}', POSTGRES_DB: '${D:-d}'}}}",
        ),
        (".env", "P=file\nCOMPOSE_PROJECT_NAME=named\n"),
    ]);
    let environment = |name: &str| (name == "P").then(|| "outside".to_owned());
    let project = load(&LoadOptions { config: None, folder: dir.path().into(), environment: &environment }).unwrap();
    let stack = project.stack("named").unwrap();
    let Location::Database { database, password, .. } = &stack.stores[0].location else { panic!() };
    assert_eq!((database.as_str(), password.as_ref().unwrap().expose()), ("d", "outside"));
    assert_eq!(stack.env_file.as_deref(), Some(&*dir.path().join(".env")));
}

#[test]
fn what_is_written_wins_over_what_is_inferred_and_the_rest_is_completed() {
    let (dir, project) = loaded(&[
        (
            "deploy/compose.yaml",
            "services:\n  db: {image: postgres:15, environment: {POSTGRES_USER: u, POSTGRES_PASSWORD: p}, volumes: ['d:/var/lib/postgresql/data']}\nvolumes: {d: {name: real}}\n",
        ),
        (
            "recovery.yaml",
            "stacks:\n  a:\n    compose: deploy/compose.yaml\n    stores:\n      db: {}\n      second: {service: db, database: other, user: u2, password_file: secret}\n      pictures: {engine: files, path: pics}\n      kept: {engine: files, volume: d}\n",
        ),
        ("secret", "s3\n"),
    ]);
    let stack = project.stack("a").unwrap();
    assert_eq!((stack.project.as_str(), &stack.folder), ("deploy", &dir.path().join("deploy")));
    let Location::Database { database, user, password, .. } = &store(stack, "second").location else { panic!() };
    assert_eq!((database.as_str(), user.as_str(), password.as_ref().unwrap().expose()), ("other", "u2", "s3"));
    assert_eq!(store(stack, "second").image.as_deref(), Some("postgres:15"));
    assert_eq!(
        store(stack, "pictures").location,
        Location::Folder { root: Root::Host(dir.path().join("pics")), path: "".into() }
    );
    assert_eq!(store(stack, "kept").location, Location::Folder { root: Root::Volume("real".into()), path: "".into() });
}

#[test]
fn a_role_that_is_written_does_not_inherit_the_password_of_another() {
    let (_dir, project) = loaded(&[
        ("compose.yaml", "services: {db: {image: postgres, environment: {POSTGRES_USER: a, POSTGRES_PASSWORD: x}}}"),
        ("recovery.yaml", "stacks: {s: {stores: {db: {user: b}, same: {service: db, user: a}}}}"),
    ]);
    let password = |name: &str| match &store(&project.stacks[0], name).location {
        Location::Database { password, .. } => password.as_ref().map(|p| p.expose().to_owned()),
        _ => None,
    };
    assert_eq!((password("db"), password("same").as_deref()), (None, Some("x")));
}

#[test]
fn a_plain_folder_is_a_stack_too() {
    let (dir, project) = loaded(&[(
        "recovery.yaml",
        "stacks:\n  notes:\n    folder: data\n    stores:\n      main: {engine: sqlite, path: data/main.db, allow_empty: true}\n    backups: {schedule: hourly, compression: none}\n",
    )]);
    let stack = project.stack("notes").unwrap();
    assert!(stack.compose_files.is_empty() && stack.stores[0].allow_empty);
    assert_eq!(
        stack.stores[0].location,
        Location::File { root: Root::Host(dir.path().join("data")), path: "main.db".into() }
    );
    assert_eq!(stack.backups.schedule.as_ref().unwrap().to_string(), "hourly");
}

#[test]
fn a_password_in_a_secret_file_is_found() {
    let (_dir, project) = loaded(&[
        (
            "compose.yaml",
            "services:\n  db:\n    image: postgres:15\n    environment: {POSTGRES_PASSWORD_FILE: /run/secrets/pw}\n    secrets: [pw]\nsecrets: {pw: {file: ./pw.txt}}\n",
        ),
        ("pw.txt", "from-file\n"),
    ]);
    let Location::Database { password, .. } = &project.stacks[0].stores[0].location else { panic!() };
    assert_eq!(password.as_ref().unwrap().expose(), "from-file");
}

#[test]
fn services_of_a_profile_that_is_not_active_are_left_out_and_named() {
    let compose = "services:\n  db: {image: postgres, profiles: [prod], environment: {POSTGRES_PASSWORD: x}}\n";
    let (_dir, without) = loaded(&[("compose.yaml", compose)]);
    assert!(without.stacks[0].stores.is_empty() && without.stacks[0].notes.iter().any(|n| n.contains("profile prod")));
    let (_dir, with) =
        loaded(&[("compose.yaml", compose), ("recovery.yaml", "stacks: {a: {compose: compose.yaml, profiles: prod}}")]);
    assert_eq!(with.stacks[0].stores.len(), 1);
}
