//! `cargo xtask prune`: shows which backup sets of a stack are kept and why, and with `--apply` removes the others.

mod table;

use crate::archive::access::Access;
use crate::archive::vault::{Left, Vault};
use crate::domain::deed::{Deed, Ending, What};
use crate::domain::outcome::{Outcome, Why, exit_code};
use crate::domain::refusal::RefusalKind;
use crate::domain::retention::Flag;
use crate::domain::stack::Stack;
use crate::flow::audit;
use crate::flow::prune::{Order, Pruned, Row, apply, by_records, look};
use crate::flow::world::World;
use anyhow::Result;
use jiff::Timestamp;
use std::io::Write;

/// Which stack, and whether to remove.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The stack's name; `prod` and `staging` name the stack that ends so
    #[arg(value_name = "STACK")]
    pub stack: String,
    /// Remove what no rule keeps; without it nothing is removed
    #[arg(long)]
    pub apply: bool,
    /// Keep this set whatever the rules say, until --release
    #[arg(long, value_name = "SET", conflicts_with_all = ["apply", "release"])]
    pub hold: Option<String>,
    /// End a hold; the rules decide again
    #[arg(long, value_name = "SET", conflicts_with = "apply")]
    pub release: Option<String>,
}

/// What would be done, as text, with the sets as they are by their records.
///
/// # Errors
/// As [`run`], for a vault that cannot be listed or holds nothing.
pub fn plan(stack: &Stack, args: &Args, now: Timestamp) -> Result<String> {
    let vault = Vault::with(&stack.backups.vault, Access::of(&stack.backups.protection)?);
    let folder = stack.backups.vault.display();
    if let Some(id) = &args.hold {
        return Ok(format!("put {id} in {folder} on hold\n"));
    }
    if let Some(id) = &args.release {
        return Ok(format!("end the hold of {id} in {folder}\n"));
    }
    let order = Order { stack: &stack.name, vault: &vault, policy: stack.backups.retention };
    let pruned = by_records(&order, now)?;
    let last = if args.apply {
        "rename each set to be removed to .trash-…, make that durable, then remove its files"
    } else {
        "remove nothing (that takes --apply)"
    };
    Ok(format!(
        "read the newest sets in {folder} to their last byte, until {} of every store are found good\n{last}\n\n\
         By their records, of which nothing was read yet:\n{}",
        order.policy.floor(),
        table::rows(&pruned)
    ))
}

/// Shows every set, and removes those that no rule keeps when that is asked for. The exit code tells of damaged (13), unreadable (3)
/// and future-dated (1) sets, whatever became of them. As JSON: stack, vault, policy, now, applied, good, and every set.
///
/// # Errors
/// `Refusal` of kind `NoBackup`, `Locked`, `Preflight` or `Storage`; what was done before is told.
pub fn run(world: &World, stack: &Stack, args: &Args, json: bool, out: &mut dyn Write) -> Result<u8> {
    let vault = Vault::with(&stack.backups.vault, Access::of(&stack.backups.protection)?);
    if let Some(id) = args.hold.as_ref().or(args.release.as_ref()) {
        return hold(world, stack, &vault, id, args.hold.is_some(), json, out);
    }
    let order = Order { stack: &stack.name, vault: &vault, policy: stack.backups.retention };
    let pruned = if args.apply { apply(world, &order)? } else { look(world, &order)? };
    deeds(stack, &pruned).into_iter().for_each(|deed| audit::note(world, &vault, deed));
    if json {
        writeln!(out, "{:#}", table::json(stack, &pruned, args.apply))?;
    } else {
        write!(out, "{}", table::rows(&pruned))?;
        writeln!(out, "\n{}", table::rules(stack, &pruned))?;
        writeln!(out, "{}", closing(stack, &pruned, args.apply))?;
    }
    let outcomes: Vec<Outcome> = pruned.rows.iter().map(outcome).collect();
    pruned.failure.map_or_else(|| Ok(exit_code(&outcomes)), Err)
}

/// What was tried to be removed, the oldest first, as it was done.
fn deeds(stack: &Stack, pruned: &Pruned) -> Vec<Deed> {
    let deed = |row: &Row| {
        let deed = Deed::new(What::Prune, &stack.name).of(&row.set.id);
        match row.done.as_ref()? {
            Ok(()) => Some(deed),
            Err(left) => Some(Deed { ending: Ending::Failed, why: Some(table::left_because(left)), ..deed }),
        }
    };
    pruned.rows.iter().rev().filter_map(deed).collect()
}

fn hold(
    world: &World,
    stack: &Stack,
    vault: &Vault,
    id: &str,
    hold: bool,
    json: bool,
    out: &mut dyn Write,
) -> Result<u8> {
    let now = world.clock.wall();
    let was =
        if hold { vault.hold(id, &world.run, now).map(|()| false)? } else { vault.release(id, &world.run, now)? };
    audit::note(world, vault, Deed::new(if hold { What::Hold } else { What::Release }, &stack.name).of(id));
    match (json, hold) {
        (true, _) => writeln!(out, "{:#}", serde_json::json!({ "id": id, "on_hold": hold }))?,
        (false, true) => writeln!(out, "{id} is on hold: nothing removes it until --release")?,
        (false, false) if was => writeln!(out, "{id} is no longer on hold")?,
        (false, false) => writeln!(out, "{id} was not on hold")?,
    }
    Ok(crate::exit_code::PASSED)
}

/// What was or would be removed, and what to type next.
fn closing(stack: &Stack, pruned: &Pruned, applied: bool) -> String {
    let floor = stack.backups.retention.floor();
    let planned: Vec<&Row> = pruned.rows.iter().filter(|row| row.decision.removes()).collect();
    if pruned.good < floor {
        return format!(
            "Nothing is removed: {} good, and the floor is {floor}. Make a backup first: cargo xtask backup {}",
            table::sets(pruned.good),
            stack.name
        );
    }
    if applied {
        let gone: Vec<&Row> = planned.into_iter().filter(|row| row.done == Some(Ok(()))).collect();
        return format!("{} removed, {}", table::sets(gone.len()), table::size(&gone));
    }
    if planned.is_empty() {
        return "Nothing is to be removed.".to_owned();
    }
    format!(
        "Nothing was removed. To remove {}, {}: cargo xtask prune {} --apply",
        table::sets(planned.len()),
        table::size(&planned),
        stack.name
    )
}

fn outcome(row: &Row) -> Outcome {
    let why = || Why::new(row.why.clone().unwrap_or_default());
    if row.decision.flags.contains(&Flag::Damaged) {
        return Outcome::Failed(Why { exit_code: Some(RefusalKind::Integrity.exit_code()), ..why() });
    }
    if row.decision.flags.contains(&Flag::Future) {
        return Outcome::Failed(why());
    }
    let changed = matches!(row.done, Some(Err(Left::Strange(_))));
    if changed || row.decision.flags.contains(&Flag::Unknown) { Outcome::Broken(why()) } else { Outcome::Passed }
}
