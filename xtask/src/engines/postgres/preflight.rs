//! Questions before a dump and before a restore, with the pure judgement of the answers.
//! It must not know who asks.

use super::client::{SESSION, literal, maintenance, psql, psql_on};
use super::restore::{TARGET, variables};
use crate::domain::artifact::Component;
use crate::domain::engine::{Act, Preflight, Target};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::store::{Location, Store};
use crate::domain::timeline::Phase;

/// Questions before a dump, the wider ones first: each makes sense only when those before it were answered well.
pub fn before_dump(at: &Target) -> Vec<Preflight> {
    let ask = |title, judge, script: &str| {
        let act = Act::text(Phase::Prove, title, psql(at, "preflight"), format!("{SESSION}{script}"));
        Preflight { title, act, judge }
    };
    let list = "SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname;\n";
    let list = Act::text(Phase::Prove, "find the database", psql_on(at, "postgres", "preflight"), list);
    vec![
        Preflight { title: "find the database", act: list, judge: database_exists },
        ask(
            "compare the programs' version with the server's",
            client_is_new_enough,
            "\\echo client=:VERSION_NUM\n\\echo server=:SERVER_VERSION_NUM\n",
        ),
        ask("see whether everything may be read", everything_may_be_read, include_str!("sql/readable.sql")),
        ask("see whether there is anything", holds_something, include_str!("sql/filled.sql")),
    ]
}

/// Questions before a restore into this target.
pub fn before_restore(at: &Target, from: &Component) -> Vec<Preflight> {
    let ask = |title, judge, script: String| {
        let act = Act::text(Phase::Provision, title, psql_on(at, maintenance(&at.name), "preflight"), script);
        Preflight { title, act, judge }
    };
    let fact = |key: &str| from.facts.get(key).map_or("", String::as_str);
    let version = format!("\\echo backup={}\n\\echo server=:SERVER_VERSION_NUM\n", number(fact("server_version_num")));
    let wanted: Vec<String> = fact("extensions")
        .split(", ")
        .filter_map(|e| e.split(' ').next())
        .filter(|e| !e.is_empty())
        .map(literal)
        .collect();
    let missing = format!(
        "SELECT name FROM unnest(ARRAY[{}]::text[]) AS name \
         EXCEPT SELECT name FROM pg_available_extensions ORDER BY name;\n",
        wanted.join(", ")
    );
    let target = format!("{}{SESSION}{TARGET}\\echo objects=:objects\n", variables(at));
    vec![
        ask("compare the server's version with the backup's", server_is_new_enough, version),
        ask("see whether the server has the extensions", extensions_are_there, missing),
        ask("see whether the target is free", target_is_free, target),
    ]
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or_default()
}

/// The value of the line `key=value`.
fn value<'a>(answer: &'a str, key: &str) -> &'a str {
    all(answer, key).next().unwrap_or_default()
}

fn all<'a>(answer: &'a str, key: &str) -> impl Iterator<Item = &'a str> {
    answer.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='))
}

fn database(store: &Store) -> &str {
    match &store.location {
        Location::Database { database, .. } => database,
        Location::File { .. } | Location::Folder { .. } => "",
    }
}

/// A version number as people say it: 150020 is 15.20.
fn version(num: u32) -> String {
    format!("{}.{}", num / 10_000, num % 10_000)
}

fn database_exists(answer: &str, store: &Store) -> Result<(), Refusal> {
    let name = database(store);
    if answer.lines().any(|line| line == name) {
        return Ok(());
    }
    let there: Vec<&str> = answer.lines().filter(|line| !line.starts_with("template")).collect();
    let message = format!("database {name:?} does not exist; the server has {}", there.join(", "));
    Err(Refusal::new(
        RefusalKind::MissingStore,
        message,
        format!("correct the database of store {} in recovery.yaml", store.name),
    ))
}

fn client_is_new_enough(answer: &str, _: &Store) -> Result<(), Refusal> {
    let (client, server) = (number(value(answer, "client")), number(value(answer, "server")));
    if client / 10_000 >= server / 10_000 && client > 0 {
        return Ok(());
    }
    let message = format!("pg_dump {} is older than the server, {}", version(client), version(server));
    Err(Refusal::new(RefusalKind::VersionMismatch, message, "dump with the server's own image, or a newer one"))
}

fn everything_may_be_read(answer: &str, _: &Store) -> Result<(), Refusal> {
    let role = value(answer, "role");
    let denied: Vec<&str> = all(answer, "denied").collect();
    let hidden: Vec<&str> = all(answer, "policy").collect();
    let objects = number(value(answer, "objects"));
    let refuse = |message, hint| Err(Refusal::new(RefusalKind::AccessDenied, message, hint));
    if !denied.is_empty() {
        let hint = format!("as a superuser: GRANT pg_read_all_data TO {role};");
        return refuse(format!("role {role} may not read {}", some(&denied)), hint);
    }
    if !hidden.is_empty() {
        let hint = format!("as a superuser: ALTER ROLE {role} BYPASSRLS;");
        return refuse(format!("row-level security hides rows of {} from role {role}", some(&hidden)), hint);
    }
    if objects > 0 {
        let hint = "name their owner or a superuser in recovery.yaml: no grant covers all large objects".to_owned();
        return refuse(format!("role {role} may not read {objects} large objects"), hint);
    }
    Ok(())
}

/// The first few of a list, and how many more there are.
fn some(names: &[&str]) -> String {
    let first = names.iter().take(3).copied().collect::<Vec<_>>().join(", ");
    if names.len() > 3 { format!("{first} and {} more", names.len() - 3) } else { first }
}

fn holds_something(answer: &str, store: &Store) -> Result<(), Refusal> {
    if store.allow_empty || value(answer, "filled") == "true" {
        return Ok(());
    }
    let message = match value(answer, "tables") {
        "0" => format!("database {:?} has no table", database(store)),
        tables => format!("database {:?} has {tables} tables and not one row", database(store)),
    };
    let hint = format!("correct the database of store {}, or allow it to be empty, in recovery.yaml", store.name);
    Err(Refusal::new(RefusalKind::EmptyStore, message, hint))
}

fn server_is_new_enough(answer: &str, _: &Store) -> Result<(), Refusal> {
    let (backup, server) = (number(value(answer, "backup")), number(value(answer, "server")));
    if server / 10_000 >= backup / 10_000 && server > 0 {
        return Ok(());
    }
    let message = format!("the backup is from PostgreSQL {}, the server is {}", version(backup), version(server));
    let hint = format!("restore with an image of PostgreSQL {} or newer", backup / 10_000);
    Err(Refusal::new(RefusalKind::VersionMismatch, message, hint))
}

fn extensions_are_there(answer: &str, _: &Store) -> Result<(), Refusal> {
    let missing: Vec<&str> = answer.lines().filter(|line| !line.is_empty()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("the server lacks what the backup needs: extension {}", missing.join(", "));
    Err(Refusal::new(RefusalKind::MissingCapability, message, "restore with an image that brings them"))
}

fn target_is_free(answer: &str, store: &Store) -> Result<(), Refusal> {
    match value(answer, "objects") {
        "0" => Ok(()),
        objects => {
            let message = format!("database {:?} holds {objects} tables or other objects", database(store));
            let hint = "restore into a fresh place, or drop that database first if nobody needs it";
            Err(Refusal::new(RefusalKind::TargetNotEmpty, message, hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::engine::Engine;

    fn store() -> Store {
        crate::engines::postgres::ENGINE.rehearsal_store(None)
    }

    fn refused(judge: fn(&str, &Store) -> Result<(), Refusal>, answer: &str) -> (RefusalKind, String) {
        let refusal = judge(answer, &store()).unwrap_err();
        (refusal.kind, refusal.message)
    }

    #[test]
    fn a_database_that_is_not_there_is_refused_with_those_that_are() {
        assert_eq!(database_exists("postgres\nshop\n", &store()), Ok(()));
        let said = "database \"shop\" does not exist; the server has postgres, shopping".to_owned();
        assert_eq!(refused(database_exists, "postgres\nshopping\ntemplate1\n"), (RefusalKind::MissingStore, said));
    }

    #[test]
    fn an_older_program_and_an_older_server_are_refused_with_both_versions() {
        assert_eq!(client_is_new_enough("client=170002\nserver=150020\n", &store()), Ok(()));
        let (kind, said) = refused(client_is_new_enough, "client=150020\nserver=170002\n");
        assert_eq!(
            (kind, said.as_str()),
            (RefusalKind::VersionMismatch, "pg_dump 15.20 is older than the server, 17.2")
        );
        assert_eq!(refused(client_is_new_enough, "").0, RefusalKind::VersionMismatch);
        assert_eq!(server_is_new_enough("backup=150020\nserver=150001\n", &store()), Ok(()));
        let (kind, said) = refused(server_is_new_enough, "backup=170002\nserver=150020\n");
        assert_eq!(
            (kind, said.as_str()),
            (RefusalKind::VersionMismatch, "the backup is from PostgreSQL 17.2, the server is 15.20")
        );
    }

    #[test]
    fn an_empty_database_is_refused_unless_that_is_allowed() {
        assert_eq!(holds_something("tables=3\nfilled=true\n", &store()), Ok(()));
        assert_eq!(refused(holds_something, "tables=0\nfilled=false\n").1, "database \"shop\" has no table");
        assert_eq!(
            refused(holds_something, "tables=2\nfilled=false\n").1,
            "database \"shop\" has 2 tables and not one row"
        );
        assert_eq!(holds_something("tables=0\nfilled=false\n", &Store { allow_empty: true, ..store() }), Ok(()));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_the_grant() {
        assert_eq!(everything_may_be_read("role=app\nobjects=0\n", &store()), Ok(()));
        let answer = "role=app\ndenied=table s.a\ndenied=table s.b\ndenied=table s.c\ndenied=sequence s.d\nobjects=0\n";
        let refusal = everything_may_be_read(answer, &store()).unwrap_err();
        assert_eq!(refusal.message, "role app may not read table s.a, table s.b, table s.c and 1 more");
        assert_eq!(refusal.hint, "as a superuser: GRANT pg_read_all_data TO app;");
        let hidden = everything_may_be_read("role=app\npolicy=table s.a\nobjects=0\n", &store()).unwrap_err();
        assert_eq!(hidden.hint, "as a superuser: ALTER ROLE app BYPASSRLS;");
        assert!(everything_may_be_read("role=app\nobjects=3\n", &store()).is_err());
    }

    #[test]
    fn missing_extensions_and_a_filled_target_are_refused() {
        assert_eq!(extensions_are_there("", &store()), Ok(()));
        assert_eq!(
            refused(extensions_are_there, "postgis\nvector\n").1,
            "the server lacks what the backup needs: extension postgis, vector"
        );
        assert_eq!(target_is_free("objects=0\n", &store()), Ok(()));
        assert_eq!(
            refused(target_is_free, "objects=7\n"),
            (RefusalKind::TargetNotEmpty, "database \"shop\" holds 7 tables or other objects".into())
        );
    }
}
