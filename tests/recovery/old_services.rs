//! The three services that the old scripts kept, each described by its own Compose file, env file and variables: an SQLite site, a
//! PostgreSQL shop in production and in staging, and one that left its backups where `BACKUP_DIR` says.

use crate::support::program;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use xtask::adapters::config::{LoadOptions, load};
use xtask::domain::project::Project;
use xtask::domain::protection::Encryption;
use xtask::domain::stack::Compression;

/// The repository's own configuration with all that it names, in a folder of its own.
struct Copy {
    folder: TempDir,
    temporary: TempDir,
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl Copy {
    fn new() -> Self {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let made = Self { folder: tempfile::tempdir().unwrap(), temporary: tempfile::tempdir().unwrap() };
        std::fs::copy(repository.join("recovery.yaml"), made.at("recovery.yaml")).unwrap();
        copy(&repository.join("fixtures/stacks"), &made.at("fixtures/stacks"));
        made
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn project(&self) -> Project {
        load(&LoadOptions { config: None, folder: self.folder.path().to_owned(), environment: &|_| None }).unwrap()
    }

    #[track_caller]
    fn ends(&self, code: i32, words: &[&str]) -> String {
        let done = program(self.folder.path(), self.temporary.path(), words).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{words:?}: {said}");
        said
    }
}

/// The one set of a vault.
fn set(vault: &Path) -> PathBuf {
    let sets: Vec<_> = std::fs::read_dir(vault).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    assert_eq!(sets.len(), 1, "{sets:?}");
    sets[0].clone()
}

#[test]
fn what_the_old_variables_said_is_what_each_service_gets() {
    let copy = Copy::new();
    let project = copy.project();
    let backups = |name: &str| project.stack(name).unwrap().backups.clone();
    let prod = backups("prod");
    assert!(
        matches!(&prod.protection.encryption, Encryption::Passphrase(key) if key.expose() == "example-prod-passphrase-change-me")
    );
    assert_eq!((prod.retention.daily, prod.retention.weekly, prod.retention.monthly), (7, 4, 12));
    let staging = backups("staging");
    assert_eq!((staging.protection.encryption, staging.retention.daily), (Encryption::Off, 7));
    assert_eq!((prod.compression, staging.compression), (Compression::Zstd, Compression::Zstd));
    let grimoire = backups("le-grimoire");
    assert_eq!(grimoire.vault, copy.at("target/vault/le-grimoire"));
    assert_eq!((grimoire.compression, grimoire.retention.daily), (Compression::Gzip, 7));
    let vaults: std::collections::BTreeSet<_> = project.stacks.iter().map(|s| &s.backups.vault).collect();
    assert_eq!(vaults.len(), project.stacks.len(), "no two stacks share a vault");
}

#[test]
fn each_service_says_how_it_would_be_backed_up_and_shows_no_secret() {
    let copy = Copy::new();
    for (stack, wanted) in [
        ("monsite", ["balades", "uploads"]),
        ("prod", ["pg_dump", "recyclic"]),
        ("staging", ["pg_dump", "recyclic"]),
        ("le-grimoire", ["pg_dump", "le_grimoire"]),
    ] {
        let plan = copy.ends(0, &["--plan", "backup", stack]);
        assert!(wanted.iter().all(|word| plan.contains(word)), "{stack}: {plan}");
        assert!(!plan.contains("change-me") && plan.contains("target/vault/"), "{stack}: {plan}");
    }
    let plan = copy.ends(0, &["--plan", "backup", "monsite"]);
    assert!(plan.contains("every snapshot is held before anything is read"), "{plan}");
    assert!(!copy.at("target").exists(), "a plan does nothing");
}

#[test]
fn the_sqlite_site_is_backed_up_with_the_rows_of_its_wal_and_restores() {
    let copy = Copy::new();
    let stack = copy.at("fixtures/stacks/monsite");
    for folder in ["data", "uploads"] {
        std::fs::create_dir(stack.join(folder)).unwrap();
    }
    std::fs::write(stack.join("uploads/walk.jpg"), "a picture").unwrap();
    let open = rusqlite::Connection::open(stack.join("data/balades.db")).unwrap();
    let rows = "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE walks (name); \
                INSERT INTO walks VALUES ('one'), ('two'), ('three')";
    open.execute_batch(rows).unwrap();
    // The application goes on: its rows are in the WAL alone, where the old script's copy did not look.
    let json = copy.ends(0, &["--json", "backup", "monsite"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let rows =
        |name: &str| json["stores"].as_array().unwrap().iter().find(|s| s["name"] == name).unwrap()["rows"].clone();
    assert_eq!((rows("balades"), rows("uploads")), (3.into(), 1.into()), "{json}");
    assert!(json["skew_seconds"].as_f64().unwrap() < 900.0, "{json}");
    let said = copy.ends(0, &["verify", "monsite", "--level", "L4"]);
    assert!(said.contains("1 of 1 sets reached L4"), "{said}");
    let manifest = std::fs::read_to_string(set(&copy.at("target/vault/monsite")).join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["binding"]["project"], "monsite");
    drop(open);
}

#[cfg(feature = "docker")]
mod postgres {
    use super::*;
    use crate::docker_rig::{docker, random};
    use crate::support::{everywhere, run_name, world};
    use xtask::archive::access::Access;
    use xtask::archive::vault::Vault;
    use xtask::domain::level::Level;
    use xtask::tasks::{backup, verify};

    /// The production server as its Compose file has it, without the rest of its stack; removed on drop.
    struct Server(String);

    impl Server {
        fn start(project: &str, image: &str) -> Self {
            let name = format!("{project}-postgres");
            let of = format!("com.docker.compose.project={project}");
            let words = [
                ["--name", &name],
                ["--network", "none"],
                ["--label", "io.xtask.test=old-services"],
                ["--label", &of],
                ["--label", "com.docker.compose.service=postgres"],
                ["--label", "com.docker.compose.oneoff=False"],
                ["--env", "POSTGRES_DB=recyclic"],
                ["--env", "POSTGRES_USER=recyclic"],
                ["--env", "POSTGRES_PASSWORD=example-prod-password-change-me"],
            ];
            docker(&[&["run", "--detach"], words.concat().as_slice(), &[image]].concat()).expect("the server starts");
            let server = Self(name);
            let ready = "until pg_isready --quiet --host=127.0.0.1; do sleep 0.2; done";
            docker(&["exec", &server.0, "timeout", "60", "bash", "-c", ready]).expect("the server becomes ready");
            server
        }

        fn run(&self, sql: &str) {
            docker(&["exec", &self.0, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "recyclic", "-c", sql])
                .unwrap_or_else(|| panic!("{sql}"));
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            docker(&["rm", "--force", "--volumes", &self.0]);
        }
    }

    #[test]
    fn docker_the_postgresql_shop_is_backed_up_encrypted_with_its_large_objects_and_reaches_l4() {
        let test = "docker_the_postgresql_shop_is_backed_up_encrypted_with_its_large_objects_and_reaches_l4";
        const IMAGE: &str = "localhost/xtask-postgres:15";
        let run = run_name();
        let Some(sites) = everywhere(test, &run) else { return };
        if docker(&["image", "inspect", IMAGE]).is_none() {
            return crate::docker_rig::skip::<()>(test, &format!("no image {IMAGE}")).unwrap_or_default();
        }
        let copy = Copy::new();
        let project = format!("xtask-old-{}", random());
        let text = std::fs::read_to_string(copy.at("recovery.yaml")).unwrap();
        std::fs::write(
            copy.at("recovery.yaml"),
            text.replace("project: recyclic-prod", &format!("project: {project}")),
        )
        .unwrap();
        let compose = copy.at("fixtures/stacks/recyclic-prod/docker-compose.prod.yml");
        let text = std::fs::read_to_string(&compose).unwrap();
        std::fs::write(&compose, text.replace("image: postgres:15", &format!("image: {IMAGE}"))).unwrap();
        let server = Server::start(&project, IMAGE);
        server.run("CREATE TABLE goods (name text, picture oid)");
        server.run("INSERT INTO goods SELECT 'lamp ' || n, lo_from_bytea(0, repeat('picture ', 5000)::bytea) FROM generate_series(1, 20) AS n");
        let world = world(&run, sites);
        let loaded = copy.project();
        let stack = loaded.stack("prod").unwrap();
        let mut said = Vec::new();
        let args = backup::Args { stack: "prod".into(), stores: Vec::new() };
        assert_eq!(backup::run(&world, stack, &args, false, &mut said).unwrap(), 0);
        let told = String::from_utf8(said).unwrap();
        assert!(!told.contains("change-me"), "{told}");

        // Nothing in the open tells of the content; with the passphrase it says where it comes from.
        let folder = set(&copy.at("target/vault/recyclic-prod"));
        let outline = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
        assert!(
            outline.contains("\"seal\"") && !outline.contains("goods") && !outline.contains("system_identifier"),
            "{outline}"
        );
        let vault = Vault::with(&stack.backups.vault, Access::of(&stack.backups.protection).unwrap());
        let taken = vault.find("latest").unwrap();
        let facts = &taken.manifest.components[0].facts;
        let seen = docker(&["inspect", "-f", "{{.Image}}", &server.0]).unwrap();
        assert_eq!((facts["database"].as_str(), facts["image_digest"].as_str()), ("recyclic", seen.as_str()));
        for key in ["system_identifier", "server_version_num", "client_version", "lsn", "image"] {
            assert!(!facts[key].is_empty(), "{key}: {facts:?}");
        }
        let binding = taken.manifest.binding.as_ref().unwrap();
        assert_eq!((binding.project.as_deref(), binding.skew_ms), (Some(project.as_str()), None));
        drop(taken);

        let mut said = Vec::new();
        let opening = xtask::tasks::adopt::Opening::default();
        let args =
            verify::Args { stack: "prod".into(), which: "latest".into(), level: Level::L4, store: None, opening };
        let code = verify::run(&world, stack, &args, &|_| None, false, &mut said).report.exit_code;
        let told = String::from_utf8(said).unwrap();
        assert!(code == 0 && told.contains("1 of 1 sets reached L4"), "{told}");
    }
}
