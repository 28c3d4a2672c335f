//! The full way back: stage the archive, replay roles, load into a database of another name, and give it the real name in
//! the last act. It must not know why the old database is gone.

use super::client::{self, SESSION, companion, ident, literal, maintenance, psql_on};
use crate::domain::artifact::Component;
use crate::domain::engine::{Act, Feed, Target};
use crate::domain::exec::{Bulk, Exec, TRANSFER_TIMEOUT};
use crate::domain::timeline::Phase;

/// Roles and their memberships, as `pg_dumpall` writes them.
pub const GLOBALS: &str = "globals";
/// What belongs to the database itself and to no dump of it.
pub const SETTINGS: &str = "settings";
/// What the database is called while it is filled.
pub const FRESH: &str = "_xtask_new";
/// What an empty one is called that had the name.
pub const OLD: &str = "_xtask_old";

/// How many tables or indexes are worked on at once. A site's number of processors is not known here. Two never lost on
/// two processors; four took longer there (300 MB: 7.6 s against 5.9 s to load), and each more is one more index build's
/// memory. A single large table is loaded by one job whatever this says.
const JOBS: &str = "--jobs=2";

/// What makes loading faster without lying: nothing here survives the session or weakens what the last act makes durable.
const LOADING: &str = "-c synchronous_commit=off -c maintenance_work_mem=192MB -c statement_timeout=0 -c lock_timeout=60s \
     -c default_transaction_read_only=off";

/// For what is not loading: the settings of all roles, which are there before the last act, must not stop it.
pub const WRITING: &str = "-c lock_timeout=60s -c default_transaction_read_only=off";

const SCRIPT: &str = include_str!("sql/script.sql");
const REPLAY: &str = include_str!("sql/replay.sql");
/// Looks at who has the name that is to be restored.
pub const TARGET: &str = include_str!("sql/target.sql");
const SWAP: &str = include_str!("sql/swap.sql");

/// Where the staged archive is.
pub fn staged(at: &Target) -> String {
    format!("{}/data.dump", at.scratch)
}

/// Writes standard input into a file of the scratch folder.
pub fn write_file(path: &str) -> Exec {
    Exec::site("dd")
        .arg(format!("of={path}"))
        .args(["bs=1M", "status=none"])
        .reads_stdin()
        .moves(Bulk::Input)
        .timeout(TRANSFER_TIMEOUT)
}

/// `pg_restore` of the staged archive into a database; the first error ends it. Tablespaces are another machine's
/// folders and subscriptions would call another machine: neither is restored.
pub fn pg_restore(at: &Target, database: &str) -> Exec {
    client::program("pg_restore", at, database, "restore")
        .args(["--exit-on-error", "--no-tablespaces", "--no-subscriptions"])
        .env("PGOPTIONS", LOADING)
}

/// Everything, in order. `roles`: of the stored roles only these, a line each, where the server is not ours alone.
pub fn restore(at: &Target, from: &Component, roles: Option<&str>) -> Vec<Act> {
    let fresh = companion(&at.name, FRESH);
    let section = |section: &str| pg_restore(at, &fresh).arg(format!("--section={section}"));
    let mut acts = vec![Act::data(Phase::Fetch, "stage the archive", write_file(&staged(at)))];
    acts.extend(replay(at, from, GLOBALS, (None, roles)));
    acts.push(Act::text(
        Phase::Load,
        "create a database beside the real one",
        psql_on(at, maintenance(&at.name), "restore").env("PGOPTIONS", WRITING),
        create_database(&fresh, from),
    ));
    if from.facts.get("public_schema").is_some_and(|p| p == "absent") {
        acts.push(Act::text(
            Phase::Load,
            "drop the schema that the source has not",
            psql_on(at, &fresh, "restore").env("PGOPTIONS", WRITING),
            "DROP SCHEMA public;\n",
        ));
    }
    acts.push(Act::run(Phase::Load, "restore the definitions", section("pre-data").arg(staged(at))));
    acts.push(Act::run(Phase::Load, "load the rows", section("data").arg(JOBS).arg(staged(at))));
    acts.push(Act::run(Phase::Index, "build indexes and constraints", section("post-data").arg(JOBS).arg(staged(at))));
    acts.push(Act::run(
        Phase::Index,
        "rebuild statistics",
        client::program("vacuumdb", at, &fresh, "analyze")
            .args(["--analyze-only", "--quiet", JOBS])
            .env("PGOPTIONS", WRITING),
    ));
    acts.extend(replay(at, from, SETTINGS, (Some(&fresh), roles)));
    acts.push(swap(at, &fresh));
    acts
}

/// Creates the database as the source's was, from the untouched template. What an earlier restore left is dropped: the
/// name is ours.
pub fn create_database(name: &str, from: &Component) -> String {
    let fact = |key: &str| from.facts.get(key).filter(|value| !value.is_empty());
    let mut options = String::from("TEMPLATE template0");
    for (key, word) in [("encoding", "ENCODING"), ("collate", "LC_COLLATE"), ("ctype", "LC_CTYPE")] {
        if let Some(value) = fact(key) {
            options.push_str(&format!(" {word} {}", literal(value)));
        }
    }
    match (fact("locale_provider").map(String::as_str), fact("locale")) {
        (Some("i"), Some(locale)) => {
            options.push_str(&format!(" LOCALE_PROVIDER icu ICU_LOCALE {}", literal(locale)));
            // A JSON string: rules may have lines.
            if let Some(rules) = fact("icu_rules").and_then(|rules| serde_json::from_str::<String>(rules).ok()) {
                options.push_str(&format!(" ICU_RULES {}", literal(&rules)));
            }
        }
        (Some("b"), Some(locale)) => {
            options.push_str(&format!(" LOCALE_PROVIDER builtin BUILTIN_LOCALE {}", literal(locale)));
        }
        // The template's own: the C library's, and older servers know no such word.
        _ => {}
    }
    format!("DROP DATABASE IF EXISTS {name} WITH (FORCE);\nCREATE DATABASE {name} {options};\n", name = ident(name))
}

/// Replays a stored script of roles or settings, when the set holds one. It comes as a file that psql reads byte by byte into
/// a large object: COPY takes no text in which a line ends in another way than the first, and a comment may hold anything.
fn replay(at: &Target, from: &Component, extra: &str, (database, roles): (Option<&str>, Option<&str>)) -> Vec<Act> {
    if from.extra(extra).is_none() {
        return Vec::new();
    }
    let file = format!("{}/{extra}", at.scratch);
    let only = roles.map(|roles| format!("SET xtask.roles = {};\n", literal(roles))).unwrap_or_default();
    let script = format!(
        "SET client_min_messages = error;\n{only}SET xtask.database = {};\n\\set script {}\n{SCRIPT}{REPLAY}",
        literal(&ident(database.unwrap_or(&at.name))),
        backslash_word(&file)
    );
    let exec = psql_on(at, maintenance(&at.name), "restore").args(["-v", "VERBOSITY=terse"]).env("PGOPTIONS", LOADING);
    let (phase, title) = match extra {
        GLOBALS => (Phase::Load, "bring back roles"),
        _ => (Phase::Index, "bring back the database's settings"),
    };
    let write = write_file(&file);
    let stage =
        Act { title: format!("stage the {extra}"), phase: Phase::Fetch, exec: write, feed: Feed::Extra(extra.into()) };
    vec![stage, Act::text(phase, title, exec, script)]
}

/// The last act: the real name changes hands, unless somebody's data has it.
fn swap(at: &Target, fresh: &str) -> Act {
    let fresh = format!("\\set fresh {}\n", backslash_word(fresh));
    let script = format!("{fresh}{}{SESSION}{TARGET}{SWAP}", variables(at));
    let exec = psql_on(at, maintenance(&at.name), "restore").env("PGOPTIONS", WRITING);
    Act::text(Phase::Index, "give it the real name", exec, script)
}

/// The names that the scripts of a restore speak of, as psql variables.
pub fn variables(at: &Target) -> String {
    let (old, target) = (companion(&at.name, OLD), client::connection_string(&at.name));
    let all = [("name", at.name.as_str()), ("target", &target), ("old", &old), ("maintenance", maintenance(&at.name))];
    all.map(|(name, value)| format!("\\set {name} {}\n", backslash_word(value))).concat()
}

/// A word of a psql backslash command.
pub fn backslash_word(word: &str) -> String {
    format!("'{}'", word.replace('\\', r"\\").replace('\'', "''").replace('\n', r"\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_made_as_the_source_was() {
        let mut from = component();
        assert!(create_database("a\"b", &from).starts_with("DROP DATABASE IF EXISTS \"a\"\"b\" WITH (FORCE);\n"));
        let facts = [
            ("encoding", "UTF8"),
            ("collate", "de_DE.utf8"),
            ("ctype", "C"),
            ("locale_provider", "i"),
            ("locale", "de"),
        ];
        from.facts = facts.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert!(create_database("a", &from).ends_with(
            "TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'de_DE.utf8' LC_CTYPE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'de';\n"
        ));
    }

    fn component() -> Component {
        Component {
            store: "db".into(),
            engine: "postgres".into(),
            as_of_window_ms: None,
            consistent_as_of: String::new(),
            consistency: crate::domain::artifact::Consistency::Snapshot,
            facts: Default::default(),
            files: Vec::new(),
            census: Default::default(),
        }
    }
}
