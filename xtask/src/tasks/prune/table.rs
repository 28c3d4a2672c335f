//! A prune as people and programs read it: one line a set with what becomes of it and why. It must not decide anything.

use crate::archive::vault::Left;
use crate::domain::display::{bytes, one_line, plural};
use crate::domain::retention::{Policy, Reason, State};
use crate::domain::stack::Stack;
use crate::flow::prune::{Pruned, Row};
use serde_json::{Value, json};

/// One line for every entry of the vault, newest first.
pub fn rows(pruned: &Pruned) -> String {
    let mut lines = vec![line("", "SET", "STORED", "STATE", "WHY")];
    for row in &pruned.rows {
        let size = row.stored_bytes.map_or_else(|| "-".to_owned(), bytes);
        lines.push(line(word(row), &row.set.id, &size, state(row), &why(row)));
    }
    for stranger in &pruned.strangers {
        let why = one_line(&format!("{}; never touched", stranger.why));
        lines.push(line("FLAG", &one_line(&stranger.name), "-", "no set", &why));
    }
    lines.concat()
}

fn line(word: &str, id: &str, size: &str, state: &str, why: &str) -> String {
    format!("{word:<7}  {id:<28}  {size:>8}  {state:<14}  {why}").trim_end().to_owned() + "\n"
}

/// What becomes of a set, in one word.
fn word(row: &Row) -> &'static str {
    match &row.done {
        Some(Ok(())) => "REMOVED",
        Some(Err(_)) => "LEFT",
        None if row.decision.removes() => "REMOVE",
        None if row.decision.flags.is_empty() => "KEEP",
        None => "FLAG",
    }
}

fn state(row: &Row) -> &'static str {
    match (row.set.state, row.read) {
        (State::Good, true) => "good, read",
        (State::Good, false) => "good by record",
        (State::Damaged, _) => "damaged",
        (State::Unknown, _) => "unknown",
    }
}

fn why(row: &Row) -> String {
    let reasons: Vec<&str> = row.decision.keep.iter().map(|reason: &Reason| reason.words()).collect();
    let mut why = match (&row.done, reasons.is_empty()) {
        (Some(Err(left)), _) => left_because(left),
        (_, true) if row.set.state == State::Damaged => "replaced by newer good ones".to_owned(),
        (_, true) => "no rule keeps it".to_owned(),
        (_, false) => reasons.join(", "),
    };
    if let Some(known) = &row.why {
        why = format!("{why}; {}", one_line(known));
    }
    why
}

/// Why a set is still there that should have gone.
pub fn left_because(left: &Left) -> String {
    match left {
        Left::InUse => "it has just begun to be read; the next run removes it".to_owned(),
        Left::OnHold => "it was just put on hold".to_owned(),
        Left::Strange(why) => format!("it changed: {why}"),
    }
}

/// The rules and what they were applied to, in one line.
pub fn rules(stack: &Stack, pruned: &Pruned) -> String {
    let Policy { daily, weekly, monthly, .. } = stack.backups.retention;
    let read = pruned.rows.iter().filter(|row| row.read).count();
    format!(
        "{} in {}, {} good, {read} read to the last byte; kept: {daily} daily, {weekly} weekly, {monthly} monthly, floor {}",
        sets(pruned.rows.len()),
        stack.backups.vault.display(),
        pruned.good,
        stack.backups.retention.floor()
    )
}

/// `1 set`, `2 sets`.
pub fn sets(count: usize) -> String {
    plural(count, "set")
}

/// The bytes that these sets take.
pub fn size(rows: &[&Row]) -> String {
    bytes(rows.iter().filter_map(|row| row.stored_bytes).sum())
}

/// The same for programs.
pub fn json(stack: &Stack, pruned: &Pruned, applied: bool) -> Value {
    let set = |row: &Row| {
        json!({
            "id": row.set.id,
            "begun_at": row.set.at.to_string(),
            "stores": row.set.stores,
            "stored_bytes": row.stored_bytes,
            "state": row.set.state,
            "read": row.read,
            "decision": word(row).to_lowercase(),
            "reasons": row.decision.keep,
            "flags": row.decision.flags,
            "why": row.why,
        })
    };
    json!({
        "stack": stack.name,
        "vault": stack.backups.vault,
        "policy": stack.backups.retention,
        "now": pruned.now.to_string(),
        "applied": applied,
        "good": pruned.good,
        "sets": pruned.rows.iter().map(set).collect::<Vec<_>>(),
        "others": pruned.strangers.iter().map(|s| json!({ "name": s.name, "why": s.why })).collect::<Vec<_>>(),
        "failure": pruned.failure.as_ref().map(|error| format!("{error:#}")),
    })
}
