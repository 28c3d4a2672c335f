//! The partial way back: restores what a diagnosis names and leaves newer rows elsewhere alone.
//! It must not know how the damage was found.

use super::census::FOREIGN_KEYS;
use super::client::{self, SESSION, companion, ident, literal, maintenance, psql, psql_on};
use super::restore::{backslash_word, create_database, pg_restore, staged, write_file};
use super::toc;
use crate::domain::artifact::Component;
use crate::domain::diagnosis::{Damage, Diagnosis};
use crate::domain::engine::{Act, Feed, Target};
use crate::domain::exec::Exec;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::timeline::Phase;
use std::collections::BTreeSet;

/// The extra that holds the backup's foreign keys.
pub const KEYS: &str = "foreign-keys";
const STAGE: &str = "_xtask_stage";
const KEYS_TABLE: &str = "CREATE TABLE IF NOT EXISTS xtask_quarantine.foreign_keys (name text, child text, parent text, child_from text, \
     parent_from text, present text, same text, valid boolean, definition text, said text, PRIMARY KEY (child, name))";

/// What is to be done, sorted by kind of damage. Names are `schema.name` as SQL writes them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// Tables that are gone.
    missing: BTreeSet<String>,
    /// Tables that are there and cannot be read.
    unreadable: BTreeSet<String>,
    /// Tables of which rows are gone that others refer to, and what these rows refer to in turn.
    parents: BTreeSet<String>,
    /// Views that fell with the missing tables.
    views: BTreeSet<String>,
    /// Materialized views that cannot be read: they are made anew.
    stale: BTreeSet<String>,
}

/// Writes the foreign keys for `\copy`.
pub fn keys(at: &Target) -> Exec {
    let copy = format!(
        "COPY (SELECT name, child, parent, child_from, parent_from, present, same, valid, definition, said FROM ({FOREIGN_KEYS}) AS key) TO STDOUT"
    );
    client::psql_commands(at, &at.name, "foreign-keys", &["SET search_path = ''", &copy])
}

/// Stages the archive and prints its table of contents.
pub fn stage(at: &Target) -> Vec<Act> {
    let list = Exec::site("pg_restore").arg("--list").arg(staged(at)).env("LC_ALL", "C");
    vec![
        Act::data(Phase::Fetch, "stage the archive", write_file(&staged(at))),
        Act::run(Phase::Fetch, "list what it holds", list),
    ]
}

/// Restores what the diagnosis names.
pub fn restore_selected(
    at: &Target,
    from: &Component,
    diagnosis: &Diagnosis,
    contents: &str,
) -> Result<Vec<Act>, Refusal> {
    let plan = plan(from, diagnosis)?;
    let stage = companion(&at.name, STAGE);
    let mut acts = prepare(at, from, &plan);
    let table_entries =
        |tables: &BTreeSet<String>| tables.iter().flat_map(|t| toc::entries(&from.census, t)).collect::<Vec<_>>();
    if !plan.missing.is_empty() {
        let list = listed(contents, &table_entries(&plan.missing), &plan.missing)?;
        acts.extend(by_list(at, &at.name, "missing", "bring back missing tables", list, &["--single-transaction"]));
    }
    let rows = ["--single-transaction", "--data-only", "--disable-triggers"];
    if !plan.unreadable.is_empty() {
        let list = listed(contents, &rows_of(from, &plan.unreadable), &plan.unreadable)?;
        acts.extend(by_list(at, &at.name, "unreadable", "load tables that could not be read", list, &rows));
    }
    if !plan.parents.is_empty() {
        let list = listed(contents, &rows_of(from, &plan.parents), &plan.parents)?;
        let make = create_database(&stage, from);
        acts.push(Act::text(
            Phase::Load,
            "create a database for lost parents",
            psql_on(at, maintenance(&at.name), "restore"),
            make,
        ));
        let definitions = pg_restore(at, &stage).arg("--section=pre-data").arg(staged(at));
        acts.push(Act::run(Phase::Load, "restore its definitions", definitions));
        acts.extend(by_list(at, &stage, "parents", "load the parents there", list, &rows));
        acts.push(Act::text(Phase::Load, "copy them out", psql_on(at, &stage, "restore"), copy_out(at, &plan)));
    }
    acts.push(Act::text(Phase::Index, "make every foreign key true again", psql(at, "restore"), mend(at, &plan)));
    if !plan.views.is_empty() {
        let list = listed(contents, &table_entries(&plan.views), &plan.views)?;
        acts.extend(by_list(
            at,
            &at.name,
            "views",
            "bring back views over them",
            list,
            &["--single-transaction", "--clean", "--if-exists"],
        ));
    }
    let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE);\n", ident(&stage));
    acts.push(Act::text(
        Phase::Index,
        "clean up",
        psql_on(at, maintenance(&at.name), "restore"),
        format!("{drop}CHECKPOINT;\n"),
    ));
    Ok(acts)
}

/// Sorts the damage and adds what hangs on it.
fn plan(from: &Component, diagnosis: &Diagnosis) -> Result<Plan, Refusal> {
    let mut plan = Plan::default();
    for damage in &diagnosis.damages {
        let refuse = || {
            let message = format!("{damage}: this cannot be restored by itself");
            Refusal::new(RefusalKind::Preflight, message, "restore everything into a fresh place")
        };
        let table = |object: &str| object.strip_prefix("table ").map(str::to_owned).ok_or_else(refuse);
        match damage {
            Damage::Missing { object } => plan.missing.insert(table(object)?),
            Damage::Unreadable { object, .. } => match object.strip_prefix("materialized view ") {
                Some(view) => plan.stale.insert(view.to_owned()),
                None => plan.unreadable.insert(table(object)?),
            },
            Damage::Orphans { parent, .. } => plan.parents.insert(table(parent)?),
        };
    }
    let views = toc::uses(&from.census, &plan.missing, &["view", "materialized view"]);
    plan.views = views.into_iter().map(|(_, name)| name).collect();
    plan.parents = with_ancestors(from, plan.parents);
    // Their rows come back as a whole.
    plan.parents.retain(|parent| !plan.missing.contains(parent) && !plan.unreadable.contains(parent));
    Ok(plan)
}

/// A row that comes back may refer to a row that is gone too.
fn with_ancestors(from: &Component, mut parents: BTreeSet<String>) -> BTreeSet<String> {
    loop {
        let refers =
            |object: &&String| parents.iter().any(|child| object.contains(&format!(" by foreign key {child}.")));
        let used = from.census.objects.keys().filter(refers).filter_map(|o| {
            o.strip_prefix("use of ")
                .and_then(|o| o.split_once(" by foreign key "))
                .map(|(parent, _)| parent.to_owned())
        });
        let more: BTreeSet<String> = used.filter(|parent| !parents.contains(parent)).collect();
        if more.is_empty() {
            return parents;
        }
        parents.extend(more);
    }
}

/// The entries that hold the rows of these tables; a partitioned table's are in its partitions.
pub fn rows_of(from: &Component, tables: &BTreeSet<String>) -> Vec<String> {
    let partitions = toc::uses(&from.census, tables, &["table"]).into_iter().map(|(_, name)| name);
    let all: BTreeSet<String> = tables.iter().cloned().chain(partitions).collect();
    all.iter()
        .filter_map(|table| match toc::words(table).as_slice() {
            [schema, table] => Some(format!("TABLE DATA {schema} {table}")),
            _ => None,
        })
        .collect()
}

/// The lines of the table of contents; none at all would restore everything.
///
/// # Errors
/// The archive lists nothing of these tables.
pub fn listed(contents: &str, wanted: &[String], tables: &BTreeSet<String>) -> Result<String, Refusal> {
    let list = toc::select(contents, wanted);
    if list.is_empty() {
        let names: Vec<&str> = tables.iter().map(String::as_str).collect();
        let message = format!("the archive lists nothing of {}", names.join(", "));
        return Err(Refusal::new(RefusalKind::BadArtifact, message, "verify the backup set, or choose another"));
    }
    Ok(list)
}

fn by_list(at: &Target, database: &str, name: &str, title: &str, list: String, options: &[&str]) -> [Act; 2] {
    let file = format!("{}/{name}.list", at.scratch);
    let restore =
        pg_restore(at, database).args(options.iter().copied()).arg(format!("--use-list={file}")).arg(staged(at));
    [
        Act::text(Phase::Fetch, format!("choose entries: {name}"), write_file(&file), list),
        Act::run(Phase::Load, title, restore),
    ]
}

/// Keeps the foreign keys, then makes room.
fn prepare(at: &Target, from: &Component, plan: &Plan) -> Vec<Act> {
    let schema = "CREATE SCHEMA IF NOT EXISTS xtask_quarantine";
    let commands = ["SET client_min_messages = error", schema, KEYS_TABLE, "TRUNCATE xtask_quarantine.foreign_keys"];
    let mut exec = client::psql_commands(at, &at.name, "restore", &commands);
    let mut feed = Feed::Nothing;
    if from.extra(KEYS).is_some() {
        exec = exec.arg(r"--command=\copy xtask_quarantine.foreign_keys from pstdin").reads_stdin();
        feed = Feed::Extra(KEYS.into());
    }
    let keep = include_str!("sql/keep_keys.sql").replace(":keys", FOREIGN_KEYS);
    let script = format!("{SESSION}{}{keep}{}", names("unreadable", &plan.unreadable), include_str!("sql/prepare.sql"));
    vec![
        Act { title: "keep the foreign keys of the backup".into(), phase: Phase::Load, exec, feed },
        Act::text(Phase::Load, "empty what cannot be read", psql(at, "restore"), script),
    ]
}

/// A table of this session that holds these names.
fn names(table: &str, names: &BTreeSet<String>) -> String {
    let insert = |name: &String| format!("INSERT INTO pg_temp.{table} VALUES ({});\n", literal(name));
    format!("CREATE TEMP TABLE {table} (name text);\n{}", names.iter().map(insert).collect::<String>())
}

fn parent_file(at: &Target, n: usize, ending: &str) -> String {
    backslash_word(&format!("{}/parent_{n}.{ending}", at.scratch))
}

/// Writes each parent's rows, and the words that make a table for them, into files of the site.
fn copy_out(at: &Target, plan: &Plan) -> String {
    let one = |(n, parent): (usize, &String)| {
        let columns = format!(
            "SELECT format('CREATE TEMP TABLE xtask_parent_{n} (%s);', string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)) \
             FROM pg_attribute WHERE attrelid = {}::regclass AND attnum > 0 AND NOT attisdropped",
            literal(parent)
        );
        let (sql, copy) = (parent_file(at, n, "sql"), parent_file(at, n, "copy"));
        format!("{columns} \\g {sql}\nCOPY (SELECT * FROM {parent}) TO STDOUT \\g {copy}\n")
    };
    format!("{SESSION}{}", plan.parents.iter().enumerate().map(one).collect::<String>())
}

/// Everything that must happen together, in one transaction.
fn mend(at: &Target, plan: &Plan) -> String {
    let load = |(n, parent): (usize, &String)| {
        let (sql, copy) = (parent_file(at, n, "sql"), parent_file(at, n, "copy"));
        format!(
            "\\i {sql}\n\\copy pg_temp.xtask_parent_{n} from {copy}\nINSERT INTO pg_temp.staged VALUES ({}, 'pg_temp.xtask_parent_{n}');\n",
            literal(parent)
        )
    };
    let touched = names("touched", &plan.missing.union(&plan.unreadable).cloned().collect());
    let stale: String = plan.stale.iter().map(|view| format!("REFRESH MATERIALIZED VIEW {view};\n")).collect();
    let staged = "CREATE TEMP TABLE staged (parent text, rows regclass);\n";
    let parents: String = plan.parents.iter().enumerate().map(load).collect();
    let mend = include_str!("sql/mend.sql");
    format!("{SESSION}SET lock_timeout = '60s';\nBEGIN;\n{touched}{staged}{parents}{mend}{stale}COMMIT;\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::artifact::Consistency;
    use crate::domain::census::Census;

    fn component() -> Component {
        let uses = [
            "shop.customers by foreign key shop.orders.o",
            "shop.countries by foreign key shop.customers.c",
            "shop.orders by view shop.open",
        ];
        let line = |used: &&str| format!(r#"{{"object":"use of {used}","kind":"definition","digest":""}}"#);
        let census = Census::parse(&uses.iter().map(line).collect::<Vec<_>>().join("\n")).unwrap();
        let (store, engine) = ("db".to_owned(), "postgres".to_owned());
        let (facts, files) = (Default::default(), Vec::new());
        Component {
            store,
            engine,
            as_of_window_ms: None,
            consistent_as_of: String::new(),
            consistency: Consistency::Snapshot,
            facts,
            files,
            census,
        }
    }

    fn orphans(child: &str, parent: &str) -> Damage {
        Damage::Orphans { object: child.into(), constraint: "o".into(), parent: parent.into(), rows: 1 }
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn lost_parents_come_with_their_own_and_a_missing_table_with_its_views() {
        let damages = vec![orphans("table shop.orders", "table shop.customers")];
        let parents = plan(&component(), &Diagnosis { damages }).unwrap().parents;
        assert_eq!(parents, set(&["shop.countries", "shop.customers"]));
        let damages = vec![Damage::Missing { object: "table shop.orders".into() }];
        let plan = plan(&component(), &Diagnosis { damages }).unwrap();
        assert_eq!((plan.missing, plan.views), (set(&["shop.orders"]), set(&["shop.open"])));
    }

    #[test]
    fn a_parent_that_comes_back_whole_is_not_brought_back_row_by_row() {
        let unreadable = Damage::Unreadable { object: "table shop.customers".into(), error: String::new() };
        let damages = vec![orphans("table shop.orders", "table shop.customers"), unreadable];
        let plan = plan(&component(), &Diagnosis { damages }).unwrap();
        assert_eq!((plan.unreadable, plan.parents), (set(&["shop.customers"]), set(&["shop.countries"])));
    }

    #[test]
    fn what_cannot_be_restored_by_itself_is_refused() {
        let damages = vec![Damage::Unreadable { object: "largeobjects".into(), error: "gone".into() }];
        let refusal = plan(&component(), &Diagnosis { damages }).unwrap_err();
        assert!(refusal.message.starts_with("largeobjects: unreadable: gone"), "{refusal}");
    }

    #[test]
    fn an_archive_that_lists_nothing_of_a_table_is_refused_rather_than_restored_whole() {
        let at = Target {
            root: "/d".into(),
            scratch: "/s".into(),
            name: "shop".into(),
            user: "u".into(),
            password: None,
            port: 5432,
            host: "h".into(),
        };
        let damages = vec![Damage::Missing { object: "table shop.orders".into() }];
        let refusal = restore_selected(&at, &component(), &Diagnosis { damages }, "; empty\n").unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::BadArtifact);
    }
}
