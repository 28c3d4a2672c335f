//! Which images, values and mounts say what.

use super::*;

#[test]
fn postgres_images_are_known_by_name_and_their_neighbours_are_not() {
    for image in [
        "postgres",
        "postgres:15-alpine",
        "docker.io/library/postgres:17@sha256:00",
        "postgis/postgis:16-3.4",
        "timescale/timescaledb-ha:pg16",
        "pgvector/pgvector:pg17",
        "ankane/pgvector",
        "bitnami/postgresql:16",
        "registry.example:5000/team/postgres:15",
    ] {
        assert_eq!(kind_of(image), Kind::Postgres, "{image}");
    }
    for image in [
        "prometheuscommunity/postgres-exporter",
        "postgrest/postgrest",
        "dpage/pgadmin4",
        "my/postgres-backup:1",
        "nginx",
        "pgbouncer",
    ] {
        assert_eq!(kind_of(image), Kind::Other, "{image}");
    }
    assert_eq!(kind_of("mongo:7"), Kind::Unsupported("MongoDB"));
    for (image, what) in [
        ("percona:8", "MySQL"),
        ("mcr.microsoft.com/mssql/server:2022-latest", "SQL Server"),
        ("couchdb:3", "CouchDB"),
        ("container-registry.example/mysql/mysql-server:8.0", "MySQL"),
        ("bitnami/mongodb-sharded:7", "MongoDB"),
    ] {
        assert_eq!(kind_of(image), Kind::Unsupported(what), "{image}");
    }
    assert_eq!(kind_of("jupyter/server"), Kind::Other);
    assert_eq!(kind_of("redis:7-alpine"), Kind::Unsupported("Redis"));
}

#[test]
fn store_names_are_made_of_plain_characters() {
    assert_eq!(slug("My_DB.v2"), "my-db-v2");
    assert_eq!(slug("é"), "store");
}
