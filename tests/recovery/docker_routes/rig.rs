//! One Traefik with a network of its own, the stacks behind it, and the program that is asked about them. Everything goes on drop.

use super::images;
use crate::docker_rig::{self, docker, random, skip};
use crate::env_files::compose;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;
use tempfile::TempDir;

pub struct Rig {
    name: String,
    compose: PathBuf,
    folder: TempDir,
    image: String,
}

/// What the program said.
pub struct Said {
    pub text: String,
    json: serde_json::Value,
}

impl Said {
    /// Each check and its word, in order.
    pub fn checks(&self) -> impl Iterator<Item = (&str, &str)> {
        self.json["checks"].as_array().into_iter().flatten().map(|check| {
            let word = check["outcome"]["status"].as_str().unwrap_or_default();
            (check["id"].as_str().unwrap_or_default(), word)
        })
    }

    /// Whether a check found this.
    pub fn says(&self, id: &str, what: &str) -> bool {
        let checks = self.json["checks"].as_array().into_iter().flatten();
        let findings = checks.filter(|check| check["id"] == id).flat_map(|check| check["findings"].as_array());
        findings.flatten().any(|found| {
            let at = match (found["file"].as_str(), found["line"].as_u64()) {
                (Some(file), Some(line)) => format!("{file}:{line}: "),
                _ => String::new(),
            };
            format!("{at}{}", found["what"].as_str().unwrap_or_default()).contains(what)
        })
    }
}

impl Rig {
    /// `None` after saying why there is none.
    pub fn open(test: &str) -> Option<Self> {
        drop(docker_rig::Rig::new(test)?);
        if !cfg!(target_arch = "x86_64") {
            return skip(test, "the Traefik that is known here is for x86_64");
        }
        let Some(compose) = compose() else {
            return skip(test, "no Compose 2 in .cache/xtask nor in XTASK_COMPOSE");
        };
        let name = random();
        let image = format!("localhost/xtask-test-routes:{name}");
        if let Err(why) = images::traefik().and_then(|()| images::application(&image)) {
            return skip(test, &why);
        }
        let rig = Self { name, compose, folder: tempfile::tempdir().unwrap(), image };
        for file in ["traefik.yaml", "good.yaml", "bad.yaml", "rival.yaml"] {
            let from = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/stacks/routes").join(file);
            std::fs::copy(from, rig.file(file)).unwrap();
        }
        std::fs::write(rig.folder.path().join("rig.env"), rig.variables()).unwrap();
        let network = format!("xtask-routes-{}", rig.name);
        docker(&["network", "create", "--label", "io.xtask.test=routes", &network]).expect("a network");
        rig.up("traefik", &["--wait"]);
        std::fs::write(rig.folder.path().join("recovery.yaml"), rig.recovery()).unwrap();
        Some(rig)
    }

    fn variables(&self) -> String {
        format!("RIG={}\nTRAEFIK_IMAGE={}\nAPP_IMAGE={}\n", self.name, images::TRAEFIK, self.image)
    }

    /// Names the API, because other Traefiks may run on the engine; the doors are found at the container.
    fn recovery(&self) -> String {
        let container = format!("{}-traefik-1", self.project("traefik"));
        let port = docker(&["port", &container, "8080/tcp"]).expect("the API's port is published");
        let stack = |name: &str| {
            format!(
                "  {name}:\n    compose: {name}.yaml\n    env_file: rig.env\n    project: {}\n    traefik: {{ api: http://{port} }}\n",
                self.project(name)
            )
        };
        format!("stacks:\n{}{}", stack("good"), stack("bad"))
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn project(&self, stack: &str) -> String {
        format!("xtask-routes-{}-{stack}", self.name)
    }

    pub fn up(&self, stack: &str, words: &[&str]) {
        let all = [["up", "--detach"].as_slice(), words].concat();
        let (ok, said) = self.compose(stack, &all);
        assert!(ok, "{stack}: {said}");
    }

    #[expect(clippy::disallowed_methods, reason = "Compose is what starts a stack")]
    fn compose(&self, stack: &str, words: &[&str]) -> (bool, String) {
        let mut command = Command::new(&self.compose);
        command.args(["--project-name", &self.project(stack), "--env-file", "rig.env", "--file"]);
        command.arg(format!("{stack}.yaml")).args(words).current_dir(self.folder.path()).stdin(Stdio::null());
        let done = command.output().unwrap();
        (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
    }

    /// Asks once.
    #[expect(clippy::disallowed_methods, reason = "the real program is what is asked")]
    pub fn validate(&self, stack: &str) -> (i32, Said) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["--json", "validate-traefik", stack]).current_dir(self.folder.path()).stdin(Stdio::null());
        let done = command.env_remove("GITHUB_ACTIONS").output().unwrap();
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        let json = serde_json::from_str(&text);
        let json = json.unwrap_or_else(|e| panic!("{e}: {text}{}", String::from_utf8_lossy(&done.stderr)));
        (done.status.code().unwrap_or(-1), Said { text, json })
    }

    /// Asks until it is so, or until the deadline; each time takes as long as the requests do.
    #[expect(clippy::disallowed_methods, reason = "a poll with a deadline reads a clock")]
    pub fn until(&self, deadline: Instant, stack: &str, holds: impl Fn(i32, &Said) -> bool) -> (i32, Said) {
        loop {
            let (code, said) = self.validate(stack);
            if holds(code, &said) || Instant::now() > deadline {
                return (code, said);
            }
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for stack in ["bad", "rival", "good", "traefik"] {
            self.compose(stack, &["down", "--volumes", "--timeout", "0"]);
        }
        docker(&["network", "rm", &format!("xtask-routes-{}", self.name)]);
        docker(&["image", "rm", &self.image]);
    }
}
