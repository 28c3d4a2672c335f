//! A running Compose project whose description is wrong: the database's name, the password, a database without a row, a server
//! that stands still.

use super::cli::{ends, xtask};
use super::docker_server::{IMAGE, rig};
use super::rig::{CANARY, Rig, holds_only, random};
use crate::docker_rig::docker;
use std::path::Path;

/// The right password; it must not be printed either.
pub const RIGHT: &str = "right-canary-91c2-must-not-be-printed";

/// A container that says of itself what Compose says of a service's. Removed on drop.
pub struct Service {
    pub project: String,
    pub name: String,
}

impl Service {
    pub fn start() -> Self {
        let project = random();
        let service = Self { name: format!("{project}-db-1"), project };
        let labels = ["project", "service"].map(|key| {
            let value = if key == "project" { &service.project } else { "db" };
            format!("com.docker.compose.{key}={value}")
        });
        let password = format!("POSTGRES_PASSWORD={RIGHT}");
        let test = format!("io.xtask.test={}", service.project);
        let mut words = vec!["run", "--detach", "--name", &service.name, "--label", &test];
        words.extend(labels.iter().flat_map(|label| ["--label", label.as_str()]));
        words.extend(["--env", "POSTGRES_DB=shop", "--env", "POSTGRES_USER=keeper", "--env", &password, IMAGE]);
        docker(&words).expect("the service starts");
        service
    }

    /// One that answers already.
    pub fn ready(rig: &Rig) -> Self {
        let service = Self::start();
        let deadline = rig.world.clock.now() + std::time::Duration::from_secs(60);
        while service.sql("SELECT 1").is_none() {
            assert!(rig.world.clock.now() < deadline, "the service never answered");
            rig.world.clock.sleep(std::time::Duration::from_millis(100));
        }
        service
    }

    pub fn sql(&self, script: &str) -> Option<String> {
        docker(&["exec", &self.name, "psql", "-h", "127.0.0.1", "-XAtqU", "keeper", "-d", "shop", "-c", script])
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.name]).expect("the service is removed");
    }
}

fn describe(folder: &Path, database: &str, password: &str) {
    let text = format!(
        "stacks:\n  shop:\n    compose: [compose.yaml]\n    stores:\n      db:\n        engine: postgres\n        service: db\n        \
         database: {database}\n        user: keeper\n        password_file: password\n"
    );
    std::fs::write(folder.join("recovery.yaml"), text).unwrap();
    std::fs::write(folder.join("password"), password).unwrap();
}

#[test]
fn a_wrongly_described_stack_ends_the_command_with_a_code_of_its_own_for_each_fault() {
    let Some(rig) = rig("faults of a described stack", &[IMAGE]) else { return };
    let service = Service::ready(&rig);
    service.sql("CREATE TABLE orders AS SELECT 1 AS id").unwrap();
    service.sql("CREATE DATABASE hollow").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (at, project) = (folder.path(), service.project.as_str());
    let vault = at.join("backups/shop");
    let compose = format!("name: {project}\nservices:\n  db:\n    image: {IMAGE}\n");
    std::fs::write(at.join("compose.yaml"), compose).unwrap();

    let backup = ["backup", "shop"];
    describe(at, "shop", RIGHT);
    let (code, said) = xtask(at, &backup);
    assert_eq!(code, 0, "{said}");
    holds_only(&vault, 1);

    describe(at, "shpo", RIGHT);
    ends(at, &backup, 22, &["error: back up db", "\"shpo\" does not exist", "shop"], "store db");
    describe(at, "hollow", RIGHT);
    ends(at, &backup, 23, &["error: back up db", "\"hollow\" has no table"], "store db");
    describe(at, "shop", CANARY);
    ends(at, &backup, 24, &["error: back up db", "password authentication failed", "keeper"], "password");
    holds_only(&vault, 1);

    docker(&["pause", &service.name]).unwrap();
    describe(at, "shop", RIGHT);
    let unpause = format!("docker compose -p {project} unpause db");
    ends(at, &backup, 22, &["attach to db", "Paused"], &unpause);
    docker(&["unpause", &service.name]).unwrap();
    docker(&["kill", &service.name]).unwrap();
    ends(at, &backup, 22, &["attach to db", "Exited"], &format!("docker compose -p {project} up -d db"));
    holds_only(&vault, 1);

    let left = docker(&["ps", "-aq", "--filter", &format!("name={project}")]).unwrap();
    assert_eq!(left.lines().count(), 1, "only the service itself is there");
    let (_, said) = xtask(at, &backup);
    assert!(!said.contains(RIGHT), "a secret was told: {said}");
}
