//! `cargo xtask verify`: says how much is known of a stack's backup sets, as a level, never as "ok".

mod told;

use crate::archive::access::Access;
use crate::archive::vault::Vault;
use crate::domain::deed::{Deed, What};
use crate::domain::level::Level;
use crate::domain::report::Report;
use crate::domain::stack::Stack;
use crate::exit_code;
use crate::flow::audit;
use crate::flow::verify::{Verified, remember, verify};
use crate::flow::world::World;
use crate::tasks::adopt::{Opening, is_archive, private_set};
use crate::tasks::verify::told::Told;
use crate::{archive, engines};
use anyhow::Result;
use std::io::Write;

/// Which sets, and how far.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The stack's name; `prod` and `staging` name the stack that ends so
    #[arg(value_name = "STACK")]
    pub stack: String,
    /// The set's id, `latest`, `all`, or an old archive
    #[arg(value_name = "SET", default_value = "latest")]
    pub which: String,
    /// L0 complete, L1 stored bytes, L2 decoded bytes, L3 archives listed, L4 restored and equal
    #[arg(long, value_name = "LEVEL", default_value = "L2")]
    pub level: Level,
    /// Of an archive: the store that it is of
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
    /// What opens an old archive
    #[command(flatten)]
    pub opening: Opening,
}

/// What would be done, as text.
pub fn plan(stack: &Stack, args: &Args) -> String {
    let vault = stack.backups.vault.display();
    let mut text = format!("verify {} of {} in {vault} up to {}\n", args.which, stack.name, args.level);
    for level in Level::ALL.into_iter().filter(|level| *level <= args.level) {
        text.push_str(&format!("  {level}: {}\n", level.about()));
    }
    text
}

/// What was told, and what ended it.
pub struct Done {
    /// For files and CI: a check a set, and one whether sets and catalog agree.
    pub report: Report,
    /// What kept the sets from being looked at; it stands in the report too.
    pub error: Option<anyhow::Error>,
}

/// Verifies and says how far each set came. As JSON: `{"stack", "wanted", "sets": [{"id", "reached", "why", "seconds", "stores", "lacks"}],
/// "contradictions"}`.
pub fn run(
    world: &World,
    stack: &Stack,
    args: &Args,
    environment: &dyn Fn(&str) -> Option<String>,
    json: bool,
    out: &mut dyn Write,
) -> Done {
    let mut told = Told::new(world, stack, args.level);
    let error = asked(world, stack, args, environment, (json, out), &mut told).err();
    if let Some(error) = &error {
        told.nothing(&args.which, error);
    }
    Done { report: told.report(world), error }
}

fn asked(
    world: &World,
    stack: &Stack,
    args: &Args,
    environment: &dyn Fn(&str) -> Option<String>,
    (json, out): (bool, &mut dyn Write),
    told: &mut Told,
) -> Result<()> {
    if is_archive(&args.which) {
        let archive = private_set(world, stack, (&args.which, args.store.as_ref()), &args.opening, environment)?;
        told.note(format!("{} of {} is made of {}", archive.id, archive.store, args.which));
        archive.said.lines().for_each(|line| told.note(line.trim().to_owned()));
        if !json {
            write!(out, "{}", archive.said)?;
        }
        let args = Args { which: archive.id.clone(), ..args.clone() };
        return sets(world, stack, &args, &archive.vault, (json, out), told);
    }
    let vault = Vault::with(&stack.backups.vault, Access::of(&stack.backups.protection)?);
    sets(world, stack, args, &vault, (json, out), told)
}

fn sets(
    world: &World,
    stack: &Stack,
    args: &Args,
    vault: &Vault,
    (json, out): (bool, &mut dyn Write),
    told: &mut Told,
) -> Result<()> {
    let ids = match args.which.as_str() {
        "all" => vault.list()?.into_iter().map(|listed| listed.id).collect(),
        // What is not there at all is no set that failed.
        "latest" => vec![newest(vault)?],
        id => vec![id.to_owned()],
    };
    if ids.is_empty() {
        // The error that names the vault and says how to make a set.
        vault.outline("latest")?;
    }
    let sets: Vec<Verified> = ids.iter().map(|id| verify(world, stack, vault, id, args.level, engines::find)).collect();
    for set in &sets {
        audit::note(world, vault, deed(stack, set));
        told.set(set);
        remember(world, vault, set);
    }
    let contradictions = vault.contradictions()?;
    told.contradictions(&contradictions);
    if json {
        writeln!(out, "{:#}", document(stack, args, &sets, &contradictions))?;
        return Ok(());
    }
    for set in &sets {
        tell(set, args.level, out)?;
        for store in &set.lacks {
            writeln!(out, "note: set {} holds nothing of {store}: nothing of it is known by this", set.id)?;
        }
    }
    for what in &contradictions {
        writeln!(out, "VAULT   {what}")?;
    }
    let protection = &stack.backups.protection;
    if protection.trusted.is_empty() {
        let note =
            format!("nobody can know who made these sets: no trusted_signers are named for stack {}", stack.name);
        writeln!(out, "note: {note}")?;
        told.note(note);
    }
    let reached = sets.iter().filter(|set| set.reached == Some(args.level)).count();
    match sets.len() - reached {
        0 => writeln!(out, "{reached} of {reached} sets reached {}: {}", args.level, args.level.about())?,
        short => writeln!(out, "{short} of {} sets did NOT reach {}", sets.len(), args.level)?,
    }
    Ok(())
}

fn deed(stack: &Stack, set: &Verified) -> Deed {
    let deed =
        Deed { level: set.reached, stores: set.stores.clone(), ..Deed::new(What::Verify, &stack.name).of(&set.id) };
    set.stopped_by.as_ref().map_or(deed.clone(), |error| deed.failed(error))
}

fn newest(vault: &Vault) -> Result<String> {
    let all = vault.list()?;
    match all.iter().rev().find(|listed| archive::manifest::is_id(&listed.id)) {
        Some(listed) => Ok(listed.id.clone()),
        None => vault.outline("latest").map(|(_, public)| public.outline.id),
    }
}

fn tell(set: &Verified, wanted: Level, out: &mut dyn Write) -> Result<()> {
    let seconds: f64 = set.took.iter().map(|(_, seconds)| seconds).sum();
    let reached = set.reached.map_or("not even L0".to_owned(), |level| level.to_string());
    match &set.stopped_by {
        None => write!(out, "{reached:<6}  {}  in {seconds:.2} s", set.id)?,
        Some(_) => write!(out, "NOT {wanted}  {}  reached {reached}, in {seconds:.2} s", set.id)?,
    }
    match (&set.stopped_by, set.reached) {
        (None, Some(level)) => writeln!(out, ": {}", level.about())?,
        (None, None) => writeln!(out, ": nothing was asked")?,
        (Some(error), _) => {
            writeln!(out, "\n        {error:#}")?;
            if let Some(hint) = exit_code::hint(error) {
                writeln!(out, "        hint: {hint}")?;
            }
        }
    }
    Ok(())
}

fn document(stack: &Stack, args: &Args, sets: &[Verified], contradictions: &[String]) -> serde_json::Value {
    let set = |set: &Verified| {
        let seconds: serde_json::Map<_, _> = set.took.iter().map(|(l, s)| (l.to_string(), (*s).into())).collect();
        let why = set.stopped_by.as_ref().map(|error| format!("{error:#}"));
        serde_json::json!({ "id": set.id, "reached": set.reached, "why": why, "seconds": seconds, "stores": set.stores, "lacks": set.lacks })
    };
    serde_json::json!({
        "stack": stack.name,
        "wanted": args.level,
        "sets": sets.iter().map(set).collect::<Vec<_>>(),
        "contradictions": contradictions,
    })
}
