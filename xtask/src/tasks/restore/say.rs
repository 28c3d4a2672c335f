//! What a finished restore says, in words and as JSON.

use crate::domain::site::Attachment;
use crate::flow::recover::{Done, Order, Restored};
use anyhow::Result;
use std::io::Write;

/// In words; `archive` is what an old archive says of itself.
pub fn tell(order: &Order<'_>, done: &Done, archive: Option<&str>, out: &mut dyn Write) -> Result<()> {
    if let Some(said) = archive {
        write!(out, "{said}")?;
    }
    for store in &done.stores {
        let spans = store.timeline.spans.iter().map(|span| format!("{} {:.2} s", span.phase.name(), span.seconds));
        writeln!(
            out,
            "RESTORED {}  {} rows in {} tables or files, equal to the backup, in {:.2} s ({})",
            store.store,
            store.rows,
            store.contents,
            store.timeline.total_seconds,
            spans.collect::<Vec<_>>().join(", ")
        )?;
        if let Some(previous) = &store.previous {
            writeln!(out, "         what was there before is {previous}; when nobody needs it any more:")?;
            writeln!(out, "         {}", removal(order, store))?;
        }
        store.notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))?;
    }
    done.notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))?;
    if let Some(id) = &done.safety {
        let moment = done.safety_as_of.as_deref().unwrap_or("an unknown moment");
        match order.drop_previous || !order.tables.is_empty() {
            true => writeln!(
                out,
                "what was there as of {moment} is in set {id}; what was committed after that is in no copy:"
            )?,
            false => writeln!(out, "what was there as of {moment} is in set {id}, too:")?,
        }
        writeln!(out, "         {}", way_back(order, id))?;
    }
    writeln!(
        out,
        "{} restored to {} from {} in {:.2} s",
        order.stack.name,
        order.goal.word(),
        order.set.manifest.id,
        done.seconds
    )?;
    Ok(())
}

/// The command line that brings back what was there before, and nothing else.
fn way_back(order: &Order<'_>, id: &str) -> String {
    let stack = &order.stack.name;
    let mut line = format!("cargo xtask restore {stack} {id} --to live --confirm {stack}");
    if !order.tables.is_empty() {
        line.extend(order.aims.iter().map(|aim| format!(" --store {}", aim.store.name)));
        let tables = order.tables.iter().map(|object| object.strip_prefix("table ").unwrap_or(object));
        line.extend(tables.map(|table| format!(" --table {}", crate::domain::exec::quote(table))));
    }
    line
}

/// The command line that removes what was there before, where it has to be typed.
fn removal(order: &Order<'_>, store: &Restored) -> String {
    let to = order.aims.iter().find(|aim| aim.store.name == store.store).map(|aim| &aim.to);
    match to {
        Some(Attachment::Service { project, service }) => {
            format!("docker compose --project-name {project} exec {service} {}", store.removal)
        }
        _ => format!("cd {} && {}", crate::domain::exec::quote(&store.place), store.removal),
    }
}

/// As JSON; `archive` is what an old archive says of itself.
pub fn as_json(order: &Order<'_>, done: &Done, archive: Option<&str>) -> serde_json::Value {
    let store = |store: &Restored| {
        serde_json::json!({
            "name": store.store,
            "rows": store.rows,
            "contents": store.contents,
            "previous": store.previous,
            "removal": store.previous.as_ref().map(|_| removal(order, store)),
            "timeline": store.timeline,
        })
    };
    let notes: Vec<&String> = done.notes.iter().chain(done.stores.iter().flat_map(|s| &s.notes)).collect();
    serde_json::json!({
        "stack": order.stack.name,
        "set": order.set.manifest.id,
        "to": order.goal.word(),
        "safety": done.safety,
        "safety_as_of": done.safety_as_of,
        "seconds": done.seconds,
        "stores": done.stores.iter().map(store).collect::<Vec<_>>(),
        "notes": notes,
        "archive": archive,
    })
}
