//! `cargo xtask rewrap`: changes who can read backup sets that are there, without touching their data. Keys are named by file, never
//! typed. It must not know how a key is stored.

use crate::adapters::passphrase;
use crate::archive::access::Access;
use crate::archive::keys::Keys;
use crate::archive::manifest;
use crate::archive::vault::Vault;
use crate::domain::deed::{Deed, Ending, What};
use crate::domain::protection::Encryption;
use crate::domain::stack::Stack;
use crate::exit_code::{self, PASSED};
use crate::flow::audit;
use crate::flow::world::World;
use anyhow::Result;
use std::io::Write;
use std::path::PathBuf;

/// Which sets.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The stack's name; `prod` and `staging` name the stack that ends so
    #[arg(value_name = "STACK")]
    pub stack: String,
    /// The set's id, `latest`, or `all`
    #[arg(value_name = "SET", default_value = "all")]
    pub which: String,
    /// A file whose first line is the passphrase that the sets were encrypted with until now; nobody else may be able to read it
    #[arg(long, value_name = "FILE")]
    pub old_passphrase_file: Option<PathBuf>,
}

/// What would be done, as text.
///
/// # Errors
/// As [`run`], for a vault that cannot be listed or holds no such set.
pub fn plan(stack: &Stack, args: &Args) -> Result<String> {
    let vault = Vault::with(&stack.backups.vault, Access::of(&stack.backups.protection)?);
    let mut text = format!("in {}, for {}\n", stack.backups.vault.display(), readers(vault.readers()));
    for id in chosen(&vault, &args.which)? {
        text.push_str(&format!(
            "  {id}: open its key file, encrypt the key anew beside it, make that durable, remove the old key file\n"
        ));
    }
    text.push_str("no file of the data, no manifest and no signature is changed\n");
    Ok(text)
}

/// Rewraps the sets one by one; one that cannot be does not keep the others from it. The exit code is that of the first that could
/// not. As JSON: stack, vault, and of each set its id and why it was left.
///
/// # Errors
/// What concerns all of them: the configuration, the vault, its lock, its audit log.
pub fn run(world: &World, stack: &Stack, args: &Args, json: bool, out: &mut dyn Write) -> Result<u8> {
    let vault = Vault::with(&stack.backups.vault, Access::of(&stack.backups.protection)?);
    let old = match &args.old_passphrase_file {
        Some(file) => passphrase::of_file(file)?.into_iter().map(Keys::of_passphrase).collect(),
        None => Vec::new(),
    };
    let rewrapping = vault.rewrapping(&world.run, world.clock.wall())?;
    let mut done: Vec<(String, Result<()>)> = Vec::new();
    for id in chosen(&vault, &args.which)? {
        let deed = Deed::new(What::Rewrap, &stack.name).of(&id);
        // Nobody gets to read a set without a trace.
        audit::record(world, &vault, Deed { ending: Ending::Begun, ..deed.clone() })?;
        let result = rewrapping.rewrap(&id, &old);
        audit::note(world, &vault, result.as_ref().map_or_else(|error| deed.clone().failed(error), |()| deed.clone()));
        done.push((id, result));
    }
    let code = done.iter().find_map(|(_, result)| result.as_ref().err()).map_or(PASSED, exit_code::of);
    if json {
        let set = |(id, result): &(String, Result<()>)| {
            let why = result.as_ref().err().map(|error| format!("{error:#}"));
            serde_json::json!({ "id": id, "rewrapped": result.is_ok(), "why": why })
        };
        let sets: Vec<_> = done.iter().map(set).collect();
        let said = serde_json::json!({ "stack": stack.name, "vault": stack.backups.vault, "sets": sets });
        writeln!(out, "{said:#}")?;
        return Ok(code);
    }
    for (id, result) in &done {
        match result {
            Ok(()) => writeln!(out, "DONE  {id}  opens for {} now", readers(vault.readers()))?,
            Err(error) => {
                writeln!(out, "LEFT  {id}  {error:#}")?;
                if let Some(hint) = exit_code::hint(error) {
                    writeln!(out, "      hint: {hint}")?;
                }
            }
        }
    }
    let left = done.iter().filter(|(_, result)| result.is_err()).count();
    match left {
        0 => writeln!(out, "{} rewrapped", crate::domain::display::plural(done.len(), "set"))?,
        left => writeln!(out, "{left} of {} sets were NOT rewrapped", done.len())?,
    }
    writeln!(
        out,
        "note: whoever kept a copy of an old key file, or has opened a set before, can still read that set; only sets made from now on are \
         closed to them for certain"
    )?;
    Ok(code)
}

/// The ids that are meant, oldest first; never none.
fn chosen(vault: &Vault, which: &str) -> Result<Vec<String>> {
    let mut sets = vault.list()?.into_iter().map(|listed| listed.id).filter(|id| manifest::is_id(id));
    let ids: Vec<String> = match which {
        "all" => sets.collect(),
        "latest" => sets.next_back().into_iter().collect(),
        id => sets.filter(|found| found == id).collect(),
    };
    if ids.is_empty() {
        // The error that names the vault and what there is.
        vault.outline(if which == "all" { "latest" } else { which })?;
        anyhow::bail!("the vault changed while it was looked at");
    }
    Ok(ids)
}

fn readers(encryption: &Encryption) -> String {
    match encryption {
        Encryption::Recipients(names) => names.join(", "),
        Encryption::Passphrase(_) => "whoever knows the passphrase".to_owned(),
        Encryption::Undecided | Encryption::Off => "nobody: the configuration names no reader".to_owned(),
    }
}
