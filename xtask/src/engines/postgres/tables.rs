//! Single tables of a running database: their rows replaced by the backup's, or the tables brought back, in one transaction.
//! It must not know why they are wanted.

use super::census::{CONTENTS, FOREIGN_KEYS};
use super::client::{SESSION, literal, psql};
use super::restore::{WRITING, backslash_word, staged, write_file};
use super::selective::{KEYS, listed, rows_of};
use super::toc;
use crate::domain::artifact::Component;
use crate::domain::census::Entry;
use crate::domain::engine::{Act, Feed, Target};
use crate::domain::exec::{Exec, TRANSFER_TIMEOUT};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::timeline::Phase;
use std::collections::BTreeSet;

const BEGIN: &str = include_str!("sql/tables.sql");
const END: &str = include_str!("sql/tables_end.sql");
const SETUP: &str = "CREATE TEMP TABLE chosen (name text, there boolean) ON COMMIT DROP;\n\
     CREATE TEMP TABLE promised (object text, rows text, digest text) ON COMMIT DROP;\n\
     CREATE TEMP TABLE kept (name text, child text, parent text, child_from text, parent_from text, present text, same text, \
     valid boolean, definition text, said text) ON COMMIT DROP;\n";

/// Which of these census objects are there, a line each.
pub fn there(at: &Target, wanted: &[String]) -> Act {
    let names: Vec<String> = wanted.iter().map(|object| literal(name(object))).collect();
    let script = format!(
        "{SESSION}SELECT 'table ' || name FROM unnest(ARRAY[{}]::text[]) AS name WHERE to_regclass(name) IS NOT NULL;\n",
        names.join(", ")
    );
    Act::text(Phase::Detect, "see which of the tables are there", psql(at, "tables"), script)
}

fn name(object: &str) -> &str {
    object.strip_prefix("table ").unwrap_or(object)
}

/// See [`crate::domain::engine::Engine::restore_tables`].
pub fn restore_tables(
    at: &Target,
    from: &Component,
    wanted: &[String],
    (contents, there): (&str, &str),
) -> Result<Vec<Act>, Refusal> {
    let (present, gone): (BTreeSet<String>, BTreeSet<String>) =
        wanted.iter().map(|object| name(object).to_owned()).partition(|n| there.lines().any(|l| name(l) == n));
    // A partitioned table's rows are in its partitions.
    let with_parts = |tables: &BTreeSet<String>| -> BTreeSet<String> {
        let parts = toc::uses(&from.census, tables, &["table"]).into_iter().map(|(_, part)| part);
        tables.iter().cloned().chain(parts).collect()
    };
    let gone = with_parts(&gone);
    let promised = with_parts(&present).union(&gone).cloned().collect::<BTreeSet<_>>();
    if !gone.is_empty() && from.extra(KEYS).is_none() {
        let message = format!("the set does not say which foreign keys {} had", first(&gone));
        let hint = "restore the whole database beside it (--to NAME) and copy from there";
        return Err(Refusal::new(RefusalKind::BadArtifact, message, hint));
    }
    let (mut acts, mut scripts) = (Vec::new(), Vec::new());
    let mut part = |name: &str, list: String, options: &[&str]| {
        let (list_file, script) = (format!("{}/{name}.list", at.scratch), format!("{}/{name}.sql", at.scratch));
        acts.push(Act::text(Phase::Fetch, format!("choose entries: {name}"), write_file(&list_file), list));
        let exec =
            Exec::site("pg_restore").args(["--no-tablespaces", "--no-subscriptions"]).args(options.iter().copied());
        let exec = exec.arg(format!("--use-list={list_file}")).arg(format!("--file={script}")).arg(staged(at));
        acts.push(Act::run(
            Phase::Fetch,
            format!("write them as a script: {name}"),
            exec.env("LC_ALL", "C").timeout(TRANSFER_TIMEOUT),
        ));
        scripts.push(script);
    };
    if !present.is_empty() {
        let rows = listed(contents, &rows_of(from, &present), &present)?;
        part("rows", rows, &["--data-only", "--disable-triggers"]);
    }
    let mut views = false;
    if !gone.is_empty() {
        let entries =
            |tables: &BTreeSet<String>| tables.iter().flat_map(|t| toc::entries(&from.census, t)).collect::<Vec<_>>();
        part("missing", listed(contents, &entries(&gone), &gone)?, &[]);
        let over: BTreeSet<String> =
            toc::uses(&from.census, &gone, &["view", "materialized view"]).into_iter().map(|(_, name)| name).collect();
        if !over.is_empty() {
            views = true;
            part("views", listed(contents, &entries(&over), &over)?, &["--clean", "--if-exists"]);
        }
    }
    let include = |script: &String| format!("\\i {}\n", backslash_word(script));
    let (last, before) = if views {
        scripts.split_last().map_or((None, &scripts[..]), |(l, b)| (Some(l), b))
    } else {
        (None, &scripts[..])
    };
    let mut script =
        format!("{SESSION}SET lock_timeout = '60s';\nBEGIN;\n{SETUP}{}", filled(from, &promised, &present)?);
    if from.extra(KEYS).is_some() {
        let file = format!("{}/{KEYS}.copy", at.scratch);
        acts.push(Act {
            title: "stage the foreign keys".into(),
            phase: Phase::Fetch,
            exec: write_file(&file),
            feed: Feed::Extra(KEYS.into()),
        });
        script.push_str(&format!("\\copy pg_temp.kept from {}\n", backslash_word(&file)));
    }
    script.push_str(&BEGIN.replace("{keys}", FOREIGN_KEYS));
    script.extend(before.iter().map(include));
    // A script of pg_restore sets its own bounds.
    script.push_str("SET lock_timeout = '60s';\n");
    script.extend(last.iter().map(|script| include(script)));
    script.push_str(&END.replace("{contents}", CONTENTS));
    script.push_str("COMMIT;\n");
    let exec = psql(at, "tables").env("PGOPTIONS", WRITING);
    acts.push(Act::text(Phase::Load, "replace the tables, all of them or none", exec, script));
    Ok(acts)
}

fn first(names: &BTreeSet<String>) -> &str {
    names.iter().next().map_or("", String::as_str)
}

/// What is chosen and what the backup promises of it.
fn filled(from: &Component, all: &BTreeSet<String>, present: &BTreeSet<String>) -> Result<String, Refusal> {
    let mut script = String::new();
    for name in all {
        let there =
            present.contains(name) || !toc::uses(&from.census, present, &["table"]).iter().all(|(_, p)| p != name);
        let there = if there { "true" } else { "false" };
        script.push_str(&format!("INSERT INTO pg_temp.chosen VALUES ({}, {there});\n", literal(name)));
        let object = format!("table {name}");
        let Some(Entry::Content { rows, digest }) = from.census.objects.get(&object) else {
            let message = format!("the backup holds no {object}");
            return Err(Refusal::new(RefusalKind::BadArtifact, message, "restore from a set that holds it"));
        };
        script.push_str(&format!(
            "INSERT INTO pg_temp.promised VALUES ({}, '{rows}', {});\n",
            literal(&object),
            literal(digest)
        ));
    }
    Ok(script)
}
