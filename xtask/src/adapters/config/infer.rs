//! Concludes from a Compose project which stores a stack has, and says what each conclusion rests on.
//! It must not read anything: all it knows is the project. What it cannot cover it names, so that nothing is silently left out.

mod cover;
mod elsewhere;
mod folders;
mod postgres;
mod sqlite;
#[cfg(test)]
mod tests;

pub(super) use cover::{coverage, uncovered};

use crate::domain::compose::ComposeProject;
use crate::domain::place::Place;
use crate::domain::project::Evidence;
use crate::domain::refusal::Refusal;
use crate::domain::stack::Foreign;
use crate::domain::store::Store;

/// What was concluded.
#[derive(Default)]
pub(super) struct Inferred {
    pub(super) stores: Vec<Store>,
    pub(super) evidence: Vec<Evidence>,
    pub(super) notes: Vec<String>,
    pub(super) without_engine: Vec<Foreign>,
}

/// The stores of a project.
pub(super) fn infer(project: &ComposeProject) -> Result<Inferred, Refusal> {
    let mut found = Inferred::default();
    for service in project.services.values() {
        elsewhere::note(service, project, &mut found);
        match service.image.as_ref().map(|(image, _)| kind_of(image)) {
            Some(Kind::Postgres) => postgres::add(service, &mut found)?,
            Some(Kind::Unsupported(what)) => {
                let note = format!("{}: service `{}` is {what}: no engine backs that up yet", service.at, service.name);
                found.notes.push(note);
                found.without_engine.push(Foreign { service: service.name.clone(), what: what.to_owned() });
            }
            _ => {
                sqlite::add(service, &mut found);
                folders::add(service, &mut found);
            }
        }
    }
    Ok(found)
}

impl Inferred {
    /// Adds a store under a free name, unless one is at the same place already.
    fn push(&mut self, mut store: Store, evidence: Vec<(&'static str, String, Option<Place>)>) {
        if self.stores.iter().any(|s| {
            s.location == store.location && s.service.is_some() && s.engine == store.engine && s.engine != "postgres"
        }) {
            return;
        }
        let base = slug(&store.name);
        let mut free = base.clone();
        let mut n = 1;
        while self.stores.iter().any(|s| s.name == free) {
            n += 1;
            free = format!("{base}-{n}");
        }
        store.name = free;
        let of = |(key, because, at)| Evidence { store: store.name.clone(), key, because, at };
        self.evidence.extend(evidence.into_iter().map(of));
        self.stores.push(store);
    }
}

/// What an image is, by its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Postgres,
    Unsupported(&'static str),
    Other,
}

/// Servers that hold data and have no engine here.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("mongo", "MongoDB"),
    ("mongodb", "MongoDB"),
    ("mongodb-community-server", "MongoDB"),
    ("mysql", "MySQL"),
    ("mariadb", "MariaDB"),
    ("redis", "Redis"),
    ("redis-stack", "Redis"),
    ("redis-stack-server", "Redis"),
    ("valkey", "Valkey"),
    ("elasticsearch", "Elasticsearch"),
    ("minio", "MinIO"),
    ("rabbitmq", "RabbitMQ"),
    ("influxdb", "InfluxDB"),
    ("clickhouse-server", "ClickHouse"),
    ("clickhouse", "ClickHouse"),
    ("percona", "MySQL"),
    ("percona-server", "MySQL"),
    ("percona-xtradb-cluster", "MySQL"),
    ("percona-server-mongodb", "MongoDB"),
    ("mysql-server", "MySQL"),
    ("mariadb-galera", "MariaDB"),
    ("mongodb-sharded", "MongoDB"),
    ("mongodb-enterprise-server", "MongoDB"),
    ("couchdb", "CouchDB"),
    ("couchbase", "Couchbase"),
    ("cassandra", "Cassandra"),
    ("scylla", "ScyllaDB"),
    ("neo4j", "Neo4j"),
    ("opensearch", "OpenSearch"),
    ("keydb", "KeyDB"),
    ("dragonfly", "Dragonfly"),
    ("meilisearch", "Meilisearch"),
    ("qdrant", "Qdrant"),
    ("etcd", "etcd"),
];

pub(super) fn kind_of(image: &str) -> Kind {
    let name = image.split('@').next().unwrap_or(image);
    let last = name.rsplit('/').next().unwrap_or(name);
    let last = last.split(':').next().unwrap_or(last).to_lowercase();
    let postgres = [
        "postgres",
        "postgresql",
        "postgis",
        "timescaledb",
        "timescaledb-ha",
        "timescaledb-postgis",
        "pgvector",
        "postgresql-repmgr",
        "xtask-postgres",
    ];
    if postgres.contains(&last.as_str()) || last == "postgres-pgvector" || last.ends_with("-pgvector") {
        return Kind::Postgres;
    }
    // The one image whose last word says nothing: mcr.microsoft.com/mssql/server.
    if name.split(':').next().is_some_and(|n| n.ends_with("mssql/server")) {
        return Kind::Unsupported("SQL Server");
    }
    let unsupported = UNSUPPORTED.iter().find(|(name, _)| *name == last);
    unsupported.map_or(Kind::Other, |(_, what)| Kind::Unsupported(what))
}

/// A word as store names are made of: `[a-z0-9][a-z0-9-]*`.
pub(super) fn slug(text: &str) -> String {
    let words: String = text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let parts: Vec<&str> = words.split('-').filter(|p| !p.is_empty()).collect();
    if parts.is_empty() { "store".into() } else { parts.join("-") }
}
