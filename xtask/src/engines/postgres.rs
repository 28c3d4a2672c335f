//! PostgreSQL: dumps by the server's own `pg_dump` in an exported snapshot, restores into a database beside the real one.
//! It performs nothing and must not know at which site its commands run.

mod adopt;
mod census;
mod client;
mod drill;
mod exchange;
mod explain;
mod lacks;
mod preflight;
mod restore;
mod selective;
mod tables;
mod toc;

use crate::domain::artifact::{Component, Consistency};
use crate::domain::diagnosis::Diagnosis;
use crate::domain::engine::{
    Act, Adopted, Adoption, AskRoles, Blow, Engine, MarkSession, MarkTable, Preflight, Snapshot, Target,
};
use crate::domain::exchange::{Exchange, Wish};
use crate::domain::exec::{Bulk, Exec, Exit, TRANSFER_TIMEOUT};
use crate::domain::refusal::Refusal;
use crate::domain::scenario::Strike;
use crate::domain::secret::Secret;
use crate::domain::site::{ContainerSpec, Reach, SiteSpec};
use crate::domain::store::{Location, Store};
use crate::domain::timeline::Phase;
use client::{SESSION, by_tcp, program, psql, psql_commands};

/// PostgreSQL, any supported major version.
pub static ENGINE: Postgres = Postgres;

/// See [`ENGINE`].
pub struct Postgres;

/// The image when a stack names none.
const IMAGE: &str = "postgres:17";
/// Where the official image expects its volume.
const DATA: &str = "/var/lib/postgresql/data";
/// The cluster itself: a folder of its own, because a volume's top folder may hold `lost+found`.
const CLUSTER: &str = "/var/lib/postgresql/data/cluster";
const SCRATCH: &str = "/xtask";
/// The superuser of owned sites. A name of its own, so that no role of the source is ever the one that cannot be demoted.
const SUPERUSER: &str = "xtask_owner";
/// The socket folder of the official image.
const SOCKET: &str = "/var/run/postgresql";
/// An owned site's server is reached by nobody else and lives for one run; its socket asks for no password.
const DRILL_PASSWORD: &str = "only-for-this-private-network";

impl Engine for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn about(&self) -> &'static str {
        "a PostgreSQL database, dumped by its server's own pg_dump"
    }

    fn extension(&self) -> &'static str {
        "dump"
    }

    fn consistency(&self) -> Consistency {
        Consistency::Snapshot
    }

    fn rehearsal_store(&self, image: Option<&str>) -> Store {
        let location =
            Location::Database { database: "shop".into(), user: SUPERUSER.into(), password: None, port: 5432 };
        Store {
            name: "postgres".into(),
            engine: self.name().into(),
            service: None,
            image: Some(image.unwrap_or(IMAGE).into()),
            location,
            allow_empty: false,
        }
    }

    fn site(&self, store: &Store) -> SiteSpec {
        SiteSpec::Container(ContainerSpec {
            image: store.image.clone().unwrap_or_else(|| IMAGE.into()),
            engine: self.name().into(),
            env: [
                ("POSTGRES_DB", database(store).0),
                ("POSTGRES_USER", SUPERUSER),
                ("POSTGRES_INITDB_ARGS", "--data-checksums"),
                ("PGDATA", CLUSTER),
            ]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
            secret_env: vec![("POSTGRES_PASSWORD".into(), Secret::new(DRILL_PASSWORD))],
            // Every image of a server has this user or runs as one of its own: the server refuses to be root.
            user: Some("postgres".into()),
            reach: Reach::Nothing,
            command: Vec::new(),
            data: DATA.into(),
            scratch: SCRATCH.into(),
        })
    }

    fn owned_target(&self, store: &Store) -> Target {
        Target {
            root: CLUSTER.into(),
            scratch: SCRATCH.into(),
            name: database(store).0.into(),
            user: SUPERUSER.into(),
            password: None,
            port: 5432,
            host: SOCKET.into(),
        }
    }

    fn attached_target(&self, store: &Store) -> Target {
        let (name, user, password, port) = database(store);
        Target {
            root: DATA.into(),
            scratch: SCRATCH.into(),
            name: name.into(),
            user: user.into(),
            password: password.cloned(),
            port,
            host: "127.0.0.1".into(),
        }
    }

    fn reached_at(&self, at: Target, address: &str) -> Target {
        // The second is for servers that listen inside only. A refused password is final: no other address is tried then.
        let host = if at.password.is_some() { format!("{address},{}", at.host) } else { at.host.clone() };
        Target { host, ..at }
    }

    fn ready(&self, at: &Target) -> Exec {
        let exec = Exec::site("pg_isready").arg("--quiet").arg("--timeout=3").arg("--host=127.0.0.1");
        exec.arg(format!("--port={}", at.port)).arg(format!("--username={}", at.user)).arg("--dbname=postgres")
    }

    fn probe(&self, at: &Target, store: &Store) -> Exec {
        let answer = "SELECT format('%s tables of %s answer', current_setting('xtask.tables'), current_database())";
        let ask = include_str!("postgres/sql/probe.sql");
        let may = format!("SET xtask.may_be_empty = '{}'", store.allow_empty);
        psql_commands(&by_tcp(at), &at.name, "probe", &[&may, ask, answer])
            .timeout(crate::domain::exec::DEFAULT_TIMEOUT)
    }

    fn before_dump(&self, at: &Target) -> Vec<Preflight> {
        preflight::before_dump(at)
    }

    fn facts(&self, at: &Target) -> Act {
        let (facts, unkept) = (include_str!("postgres/sql/facts.sql"), include_str!("postgres/sql/unkept.sql"));
        let script = format!("{SESSION}{facts}{unkept}");
        Act::text(Phase::Prove, "ask what the source is", psql(at, "facts"), script)
    }

    fn snapshot(&self, at: &Target) -> Snapshot {
        census::snapshot(at)
    }

    fn dump(&self, at: &Target) -> Exec {
        // Uncompressed: the archive's pipeline compresses better, on another processor.
        program("pg_dump", at, &at.name, "dump")
            .args(["--format=custom", "--compress=0", "--snapshot={snapshot}", "--lock-wait-timeout=60s"])
            .moves(Bulk::Output)
            .timeout(TRANSFER_TIMEOUT)
    }

    fn extras(&self, at: &Target) -> Vec<(&'static str, Exec)> {
        // Without passwords it needs no superuser; they follow in the settings where they may be read.
        let globals = program("pg_dumpall", at, &at.name, "globals").args([
            "--globals-only",
            "--no-tablespaces",
            "--no-role-passwords",
        ]);
        let (passwords, settings) =
            (include_str!("postgres/sql/passwords.sql"), include_str!("postgres/sql/settings.sql"));
        vec![
            (restore::GLOBALS, globals),
            (restore::SETTINGS, psql_commands(at, &at.name, "settings", &[passwords, settings])),
            (selective::KEYS, selective::keys(at)),
        ]
    }

    fn lacks(&self, taken: &Component) -> Vec<String> {
        lacks::lacks(taken)
    }

    fn before_restore(&self, at: &Target, from: &Component) -> Vec<Preflight> {
        preflight::before_restore(at, from)
    }

    fn restore(&self, at: &Target, from: &Component) -> Vec<Act> {
        restore::restore(at, from, None)
    }

    fn roles(&self, _at: &Target) -> Option<(&'static str, AskRoles)> {
        Some(exchange::roles())
    }

    fn restore_shared(&self, at: &Target, from: &Component, roles: &str) -> Vec<Act> {
        restore::restore(at, from, Some(roles))
    }

    fn is_shared(&self, object: &str) -> bool {
        object.starts_with("role ") || object.starts_with("setting ") && object.ends_with(" of all roles")
    }

    fn exchange(&self, at: &Target, from: &Component, wish: &Wish) -> Exchange {
        exchange::exchange(at, from, wish)
    }

    fn clear(&self, at: &Target, tag: &str) -> Vec<Act> {
        exchange::clear(at, tag)
    }

    fn tables(&self, at: &Target, wanted: &[String]) -> Option<Act> {
        Some(tables::there(at, wanted))
    }

    fn restore_tables(
        &self,
        at: &Target,
        from: &Component,
        wanted: &[String],
        answers: (&str, &str),
    ) -> Result<Vec<Act>, Refusal> {
        tables::restore_tables(at, from, wanted, answers)
    }

    fn adopt_asks(&self, at: &Target) -> Option<Act> {
        Some(adopt::asks(at))
    }

    fn adopt(&self, at: &Target, what: Adopted<'_>, answer: &str) -> Result<Adoption, Refusal> {
        adopt::adopt(at, what, answer)
    }

    fn census(&self, at: &Target) -> Act {
        census::census(at)
    }

    fn diagnose(&self, at: &Target) -> Act {
        census::diagnose(at)
    }

    fn stage(&self, at: &Target) -> Vec<Act> {
        selective::stage(at)
    }

    fn restore_selected(
        &self,
        at: &Target,
        from: &Component,
        diagnosis: &Diagnosis,
        contents: &str,
    ) -> Result<Vec<Act>, Refusal> {
        selective::restore_selected(at, from, diagnosis, contents)
    }

    fn seed(&self, at: &Target, bytes: u64) -> Vec<Act> {
        drill::seed(at, bytes)
    }

    fn churn(&self, at: &Target) -> Vec<Act> {
        drill::churn(at)
    }

    fn mark_session(&self, at: &Target) -> MarkSession {
        drill::mark_session(at)
    }

    fn marks(&self, at: &Target, of: MarkTable) -> Act {
        drill::marks(at, of)
    }

    fn digest_sum(&self, one: &str, other: &str) -> Option<String> {
        let (one, other) = (one.parse::<i128>().ok()?, other.parse::<i128>().ok()?);
        one.checked_add(other).map(|sum| sum.to_string())
    }

    fn strike(&self, at: &Target, strike: Strike) -> Option<Vec<Blow>> {
        Some(drill::strike(at, strike))
    }

    fn explain(&self, exec: &Exec, exit: &Exit) -> Option<Refusal> {
        explain::explain(exec, exit)
    }

    fn is_mark(&self, object: &str) -> bool {
        drill::is_mark(object)
    }

    fn expected_damage(&self, strike: Strike) -> Vec<&'static str> {
        match strike {
            Strike::Corrupt => drill::CORRUPTED.to_vec(),
            Strike::DeleteData | Strike::DestroySite => Vec::new(),
        }
    }
}

/// A store's database, role, password and port. A store of another kind has none of these; the configuration never makes one.
fn database(store: &Store) -> (&str, &str, Option<&Secret>, u16) {
    match &store.location {
        Location::Database { database, user, password, port } => (database, user, password.as_ref(), *port),
        Location::File { .. } | Location::Folder { .. } => ("postgres", SUPERUSER, None, 5432),
    }
}
