//! `cargo xtask restore`: brings a set back to where the stack runs, or beside it.

use crate::archive::access::Access;
use crate::archive::vault::{BackupSet, Vault};
use crate::domain::artifact::Component;
use crate::domain::census::Entry;
use crate::domain::outcome::Why;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::stack::Stack;
use crate::engines;
use crate::exit_code::PASSED;
use crate::flow::plan;
use crate::flow::recover::{Aim, Goal, Order, chosen, recover, wish};
use crate::flow::world::World;
use crate::tasks::adopt::{Opening, Private, is_archive, private_set};
use crate::tasks::test_recovery::attachment;
use anyhow::Result;
use std::io::Write;

mod say;

/// Which set, and where to.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The stack's name; `prod` and `staging` name the stack that ends so
    #[arg(value_name = "STACK")]
    pub stack: String,
    /// The set's id, `latest`, or an old archive (a file, or the folder of a directory dump)
    #[arg(value_name = "SET")]
    pub which: String,
    /// `live`: the running stores themselves. Any other word: beside them, under this name
    #[arg(long, value_name = "TARGET")]
    pub to: String,
    /// Only this store (repeatable)
    #[arg(long = "store", value_name = "STORE")]
    pub stores: Vec<String>,
    /// Only this table (`schema.name`), in place and in one transaction (repeatable)
    #[arg(long = "table", value_name = "TABLE")]
    pub tables: Vec<String>,
    /// The stack's name once more: what is there now is to be replaced
    #[arg(long, value_name = "STACK")]
    pub confirm: Option<String>,
    /// End the sessions that stand in the way, at the exchange and not before
    #[arg(long)]
    pub disconnect: bool,
    /// Remove what was there before, instead of keeping it under another name
    #[arg(long)]
    pub drop_previous: bool,
    /// Go on although what is there now was not backed up first
    #[arg(long)]
    pub without_safety_backup: bool,
    /// Bring back roles that the server lacks; others stay as they are
    #[arg(long)]
    pub with_roles: bool,
    /// What opens an old archive
    #[command(flatten)]
    pub opening: Opening,
}

/// What would be done, as text. The set's manifest is read where it can be; nothing is asked of the stack.
///
/// # Errors
/// As [`run`], for what is wrong with the command line or the configuration.
pub fn plan(world: &World, stack: &Stack, args: &Args) -> Result<String> {
    sensible(args)?;
    let goal = Goal::of(&args.to);
    let mut text = format!("restore {} from {} to {}\n", stack.name, args.which, args.to);
    if is_archive(&args.which) {
        text.push_str(
            "  read the archive to its end, bring it back in a private place, and make a private set of it\n",
        );
        text.push_str("  then as for any set; `cargo xtask adopt STACK ARCHIVE --plan` shows the first part\n");
        return Ok(text);
    }
    let vault = vault(stack)?;
    let set = chosen(world, &vault, &args.which)?;
    text.push_str(&format!("  {}: (read every stored byte, compare sizes and SHA-256)\n", set.manifest.id));
    let aims = aims(stack, &set, args)?;
    let tables = tables(&set, &aims, args)?;
    for aim in &aims {
        text.push_str(&format!("  {}\n", aim.store.name));
        let component = held(&set, &aim.store.name)?;
        let order = order(stack, (&vault, &set), (aims.clone(), None), tables.clone(), args);
        let planned = plan::Planned { aim, component, goal: &goal, tables: &tables, wish: &wish(&order, "{run}") };
        for line in plan::restore(planned)? {
            text.push_str(&format!("    {line}\n"));
        }
    }
    Ok(text)
}

/// Restores and says what came back, how long each phase took, and where what was there before is. As JSON: `{"stack", "set", "to",
/// "safety", "safety_as_of", "seconds", "stores": [{"name", "rows", "contents", "previous", "removal", "timeline"}], "notes", "archive"}`.
///
/// # Errors
/// As [`recover`]; `Configuration` for what is wrong with the command line.
pub fn run(
    world: &World,
    stack: &Stack,
    args: &Args,
    environment: &dyn Fn(&str) -> Option<String>,
    json: bool,
    out: &mut dyn Write,
) -> Result<u8> {
    sensible(args)?;
    let vault = vault(stack)?;
    let archive = match is_archive(&args.which) {
        true => Some(private_set(world, stack, (&args.which, args.stores.first()), &args.opening, environment)?),
        false => None,
    };
    let set = match &archive {
        Some(Private { vault, id, .. }) => vault.find(id)?,
        None => chosen(world, &vault, &args.which)?,
    };
    let aims = aims(stack, &set, args)?;
    let tables = tables(&set, &aims, args)?;
    let told = archive.as_ref().map(|archive| (args.which.clone(), archive.sha256.clone()));
    let order = order(stack, (&vault, &set), (aims, told), tables, args);
    let done = recover(world, &order)?;
    let said = archive.as_ref().map(|a| a.said.as_str());
    match json {
        true => writeln!(out, "{:#}", say::as_json(&order, &done, said))?,
        false => say::tell(&order, &done, said, out)?,
    }
    Ok(PASSED)
}

fn vault(stack: &Stack) -> Result<Vault> {
    Ok(Vault::with(&stack.backups.vault, Access::of(&stack.backups.protection)?))
}

/// Refuses what cannot be meant.
fn sensible(args: &Args) -> Result<()> {
    let live = Goal::of(&args.to) == Goal::Live;
    let wrong = |message: &str, hint: &str| Err(refuse(message, hint));
    match () {
        () if !args.tables.is_empty() && !live => {
            wrong("--table restores into the running database", "--to live, or leave --table out")
        }
        () if !live && (args.drop_previous || args.disconnect) => {
            wrong("beside the running stores nothing is replaced", "leave --drop-previous and --disconnect out")
        }
        () if !args.tables.is_empty() && args.drop_previous => {
            wrong("--table leaves nothing behind that could be dropped", "leave --drop-previous out")
        }
        () => Ok(()),
    }
}

fn order<'a>(
    stack: &'a Stack,
    (vault, set): (&'a Vault, &'a BackupSet),
    (aims, archive): (Vec<Aim<'a>>, Option<(String, String)>),
    tables: Vec<String>,
    args: &Args,
) -> Order<'a> {
    Order {
        stack,
        vault,
        set,
        archive,
        aims,
        goal: Goal::of(&args.to),
        tables,
        confirm: args.confirm.clone(),
        disconnect: args.disconnect,
        drop_previous: args.drop_previous,
        without_safety_backup: args.without_safety_backup,
        with_roles: args.with_roles,
    }
}

/// Every store that can be reached at all; the others have nothing that could have been begun.
pub fn everything(stack: &Stack) -> Vec<Aim<'_>> {
    let aim = |store| Some(Aim { store, engine: engines::find(&store.engine)?, to: attachment(stack, store).ok()? });
    stack.stores.iter().filter_map(aim).collect()
}

/// The stores that are to be restored: those that are named, or all that the set holds.
fn aims<'a>(stack: &'a Stack, set: &BackupSet, args: &Args) -> Result<Vec<Aim<'a>>> {
    let known = || stack.stores.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
    let names: Vec<&String> = match args.stores.as_slice() {
        [] => set.manifest.components.iter().map(|c| &c.store).collect(),
        names => names.iter().collect(),
    };
    if let Some(twice) = names.iter().enumerate().find(|(n, name)| names[..*n].contains(name)) {
        return Err(refuse(&format!("--store names `{}` twice", twice.1), "name each store once"));
    }
    let aim = |name: &&String| -> Result<Aim<'a>> {
        let store = stack.stores.iter().find(|s| s.name == **name).ok_or_else(|| {
            refuse(&format!("stack {} has no store `{name}`", stack.name), &format!("choose one of: {}", known()))
        })?;
        let engine = engines::find(&store.engine).ok_or_else(|| {
            refuse(&format!("{name}: no engine for {} yet", store.engine), "restore it by other means")
        })?;
        let to = attachment(stack, store)
            .map_err(|Why { message, hint, .. }| refuse(&message, &hint.unwrap_or_default()))?;
        Ok(Aim { store, engine, to })
    };
    names.iter().map(aim).collect()
}

fn held<'s>(set: &'s BackupSet, store: &str) -> Result<&'s Component> {
    set.manifest.component(store).ok_or_else(|| {
        let message = format!("set {} holds nothing of {store}", set.manifest.id);
        let hint = "name with --store what the set holds, or choose another set";
        Refusal::new(RefusalKind::NoBackup, message, hint).into()
    })
}

/// The tables that are wanted, as objects of the census.
fn tables(set: &BackupSet, aims: &[Aim<'_>], args: &Args) -> Result<Vec<String>> {
    if args.tables.is_empty() {
        return Ok(Vec::new());
    }
    let [aim] = aims else {
        return Err(refuse("--table is for one store", "name it with --store"));
    };
    let component = held(set, &aim.store.name)?;
    let objects = component.census.objects.iter().filter(|(_, entry)| matches!(entry, Entry::Content { .. }));
    let names: Vec<&str> = objects.filter_map(|(object, _)| object.strip_prefix("table ")).collect();
    args.tables.iter().map(|word| one_table(&names, word)).collect()
}

/// The one table that a word names, with or without its schema.
fn one_table(names: &[&str], word: &str) -> Result<String> {
    let ending = format!(".{word}");
    let exact = names.iter().filter(|name| **name == word).collect::<Vec<_>>();
    let fitting = if exact.is_empty() { names.iter().filter(|name| name.ends_with(&ending)).collect() } else { exact };
    match fitting.as_slice() {
        [name] => Ok(format!("table {name}")),
        [] => {
            let some = names.iter().take(8).copied().collect::<Vec<_>>().join(", ");
            Err(refuse(&format!("the set holds no table `{}`", word.escape_debug()), &format!("it holds: {some}")))
        }
        many => {
            let many = many.iter().map(|name| **name).collect::<Vec<_>>().join(", ");
            Err(refuse(&format!("`{}` may mean any of {many}", word.escape_debug()), "write it with its schema"))
        }
    }
}

fn refuse(message: &str, hint: &str) -> anyhow::Error {
    Refusal::new(RefusalKind::Configuration, message, hint).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_with_and_without_its_schema_and_never_guessed() {
        let names = ["sales.orders", "old.orders", "sales.lines"];
        assert_eq!(one_table(&names, "lines").unwrap(), "table sales.lines");
        assert_eq!(one_table(&names, "old.orders").unwrap(), "table old.orders");
        assert!(one_table(&names, "orders").unwrap_err().to_string().contains("may mean any of"));
        assert!(one_table(&names, "rders").is_err());
    }
}
