//! Somebody's PostgreSQL server, labelled as Compose does, the project that describes it, and the program that restores it.

use crate::docker_rig::{docker, random, skip};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const COMPOSE: &str = "\
name: PROJECT
services:
  db:
    image: localhost/xtask-postgres:MAJOR
    environment: { POSTGRES_DB: shop, POSTGRES_USER: shop, POSTGRES_PASSWORD: canary-4711 }
    volumes: ['db:/var/lib/postgresql/data']
volumes: { db: {} }
";
const DATA: &str = "\
CREATE ROLE reader; CREATE SCHEMA sales;
CREATE TABLE sales.customer (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE sales.orders (id bigserial PRIMARY KEY, customer int NOT NULL REFERENCES sales.customer, said text);
CREATE INDEX of_customer ON sales.orders (customer);
CREATE VIEW sales.open AS SELECT customer, count(*) FROM sales.orders GROUP BY customer;
GRANT USAGE ON SCHEMA sales TO reader; GRANT SELECT ON sales.orders TO reader;
INSERT INTO sales.customer SELECT n, 'customer ' || n FROM generate_series(1, 50) AS n;
INSERT INTO sales.orders (customer, said) SELECT 1 + n % 50, repeat(md5(n::text), 8) FROM generate_series(1, 20000) AS n;
";
/// What is compared before and after: order-free, and different for every content.
pub const DIGEST: &str = "SELECT count(*) || ' ' || sum(hashtextextended(o::text, 0)) || ' ' || (SELECT count(*) FROM sales.customer) FROM sales.orders AS o";

/// The server and the project folder; both go on drop.
pub struct Shop {
    pub project: TempDir,
    temporary: TempDir,
    name: String,
    pub container: String,
}

/// How one run of the program ended.
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Shop {
    /// A shop on this major version with data in it; `None` after saying why there is none.
    pub fn open(test: &str, major: u32) -> Option<Self> {
        let shop = Self::empty(test, major)?;
        shop.script(DATA);
        Some(shop)
    }

    /// A shop whose database is empty.
    pub fn empty(test: &str, major: u32) -> Option<Self> {
        let image = format!("localhost/xtask-postgres:{major}");
        if docker(&["image", "inspect", &image]).is_none() {
            return skip(test, &format!("no {image} on an engine; run: cargo xtask images build"));
        }
        let (project, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let name = format!("shop{}", random());
        let shop = Self { container: format!("{name}-db-1"), project, temporary, name };
        shop.start(major);
        Some(shop)
    }

    /// Starts a fresh server of this major version in the place of the one that there may be.
    pub fn start(&self, major: u32) {
        docker(&["rm", "--force", "--volumes", &self.container]);
        let image = format!("localhost/xtask-postgres:{major}");
        let label = format!("com.docker.compose.project={}", self.name);
        let labels =
            ["--label", &label, "--label", "com.docker.compose.service=db", "--label", "io.xtask.test=restore"];
        let settings =
            ["POSTGRES_DB=shop", "POSTGRES_USER=shop", "POSTGRES_PASSWORD=canary-4711"].map(|s| ["--env", s]).concat();
        let run = ["run", "--detach", "--name", &self.container, "--volume", "/var/lib/postgresql/data"];
        docker(&[run.as_slice(), &labels, &settings, &[image.as_str()]].concat()).expect("the server starts");
        poll("the server answers", || self.try_ask("postgres", "SELECT 1", "127.0.0.1").as_deref() == Some("1"));
        let compose = COMPOSE.replace("PROJECT", &self.name).replace("MAJOR", &major.to_string());
        std::fs::write(self.project.path().join("compose.yaml"), compose).unwrap();
        let recovery = format!(
            "stacks:\n  shop:\n    compose: compose.yaml\n    project: {}\n    backups: {{ schedule: every 30m, vault: vault }}\n",
            self.name
        );
        std::fs::write(self.project.path().join("recovery.yaml"), recovery).unwrap();
    }

    fn try_ask(&self, database: &str, question: &str, host: &str) -> Option<String> {
        let password = "PGPASSWORD=canary-4711";
        let words =
            ["exec", "--env", password, &self.container, "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];
        docker(&[words.as_slice(), &["-h", host, "-U", "shop", "-d", database, "-c", question]].concat())
    }

    pub fn ask(&self, database: &str, question: &str) -> String {
        self.try_ask(database, question, "/var/run/postgresql").unwrap_or_else(|| panic!("{question} on {database}"))
    }

    pub fn script(&self, script: &str) {
        self.ask("shop", script);
    }

    pub fn digest(&self) -> String {
        self.ask("shop", DIGEST)
    }

    /// Every database of the server.
    pub fn databases(&self) -> Vec<String> {
        let all = self.ask("postgres", "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1");
        all.lines().map(str::to_owned).collect()
    }

    #[expect(clippy::disallowed_methods, reason = "the real program is what is run, and killed")]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(words).current_dir(self.project.path()).env("TMPDIR", self.temporary.path());
        command.env_remove("GITHUB_ACTIONS").env_remove("GITHUB_STEP_SUMMARY").stdin(Stdio::null());
        command
    }

    pub fn run(&self, words: &[&str]) -> Ended {
        let Output { status, stdout, stderr } = self.command(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let ended = Ended { code: status.code(), out: text(stdout), err: text(stderr) };
        assert!(!format!("{}{}", ended.out, ended.err).contains("canary-4711"), "a secret is shown");
        ended
    }

    pub fn done(&self, words: &[&str]) -> Ended {
        let ended = self.run(words);
        assert_eq!(ended.code, Some(0), "{words:?}: {}{}", ended.out, ended.err);
        ended
    }

    pub fn backup(&self) -> String {
        let said = self.done(&["backup", "shop", "--json"]).out;
        serde_json::from_str::<serde_json::Value>(&said).unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Refused with this code and these words, with the databases and their content as they were.
    pub fn refused(&self, words: &[&str], code: i32, says: &[&str]) {
        let before = (self.digest(), self.databases());
        let ended = self.run(words);
        assert_eq!(ended.code, Some(code), "{words:?}: {}{}", ended.out, ended.err);
        says.iter().for_each(|word| assert!(ended.err.contains(word), "no `{word}` in {}", ended.err));
        assert_eq!((self.digest(), self.databases()), before, "{words:?} touched something");
    }

    /// A client that writes orders one by one and connects again whenever it is thrown out, until it is dropped.
    #[expect(clippy::disallowed_methods, reason = "a client that writes until it is killed")]
    pub fn writer(&self) -> Writer {
        let script = "export PGPASSWORD=canary-4711; while true; do psql -X -q -h 127.0.0.1 -U shop -d shop -v ON_ERROR_STOP=1 -c \
             \"INSERT INTO sales.orders (customer, said) VALUES (1, 'written meanwhile')\" >/dev/null 2>&1 && echo ok; sleep 0.1; done";
        let mut command = Command::new("docker");
        let child =
            command.args(["exec", &self.container, "sh", "-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
        Writer { child: child.stderr(Stdio::null()).spawn().unwrap(), container: self.container.clone() }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.container]);
    }
}

/// See [`Shop::writer`].
pub struct Writer {
    child: std::process::Child,
    container: String,
}

impl Writer {
    /// Ends it; how many of its writes were acknowledged.
    pub fn stop(mut self) -> usize {
        docker(&[
            "exec",
            &self.container,
            "sh",
            "-c",
            "for p in /proc/[0-9]*; do grep -aq 'written meanwhile' $p/cmdline && [ ${p#/proc/} != $$ ] && kill -9 ${p#/proc/}; done; true",
        ]);
        let mut said = String::new();
        std::io::Read::read_to_string(self.child.stdout.as_mut().unwrap(), &mut said).unwrap();
        self.child.wait().unwrap();
        said.lines().count()
    }
}

/// Waits until a condition holds.
#[expect(clippy::disallowed_methods, reason = "a poll with a deadline reads a clock and pauses")]
pub fn poll(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < until, "still not: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
