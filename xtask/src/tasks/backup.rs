//! `cargo xtask backup`: backs up a stack's stores where they run, into its vault, as one set.

use crate::adapters::beneath;
use crate::archive::access::Access;
use crate::archive::vault::Vault;
use crate::domain::artifact::Component;
use crate::domain::deed::{Deed, What};
use crate::domain::display::plural;
use crate::domain::engine::{Engine, Target};
use crate::domain::outcome::{Outcome, Why};
use crate::domain::protection::Encryption;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::site::Attachment;
use crate::domain::stack::Stack;
use crate::domain::store::{Location, Store};
use crate::engines;
use crate::flow::audit;
use crate::flow::backup::{Source, Taken, Terms, backup_of};
use crate::flow::plan;
use crate::flow::visit;
use crate::flow::world::World;
use crate::ports::Site;
use crate::tasks::test_recovery::attachment;
use anyhow::Result;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Which stack.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The stack's name; `prod` and `staging` name the stack that ends so
    #[arg(value_name = "STACK")]
    pub stack: String,
    /// Only this store (repeatable)
    #[arg(long = "store", value_name = "STORE")]
    pub stores: Vec<String>,
}

/// What would be done, as text.
///
/// # Errors
/// As [`run`], for what is wrong with the configuration.
pub fn plan(stack: &Stack, args: &Args) -> Result<String> {
    let mut text = format!("back up {} into {}\n", stack.name, stack.backups.vault.display());
    let protection = &stack.backups.protection;
    let stages = plan::stages(stack.backups.compression, &protection.encryption);
    text.push_str(&format!("  {}\n", readers(&protection.encryption)));
    text.push_str(match &protection.signing_key {
        Some(_) => "  its manifest is signed\n",
        None => "  its manifest is not signed: no signing_key is named\n",
    });
    let chosen = chosen(stack, args)?;
    if chosen.len() > 1 {
        text.push_str("  every snapshot is held before anything is read; databases are read first, folders last\n");
    }
    for (store, engine) in chosen {
        let to = attached(stack, store)?;
        text.push_str(&format!("  {}\n", store.name));
        for line in plan::backup(engine, &engine.attached_target(store), Some(&to), &stages) {
            text.push_str(&format!("    {line}\n"));
        }
    }
    Ok(text)
}

/// Who will be able to read a set.
fn readers(encryption: &Encryption) -> String {
    match encryption {
        Encryption::Recipients(all) => format!("encrypted (age) for {}", plural(all.len(), "recipient")),
        Encryption::Passphrase(_) => "encrypted (age) with a passphrase".to_owned(),
        Encryption::Off => "not encrypted: encryption is off".to_owned(),
        Encryption::Undecided => "not encrypted: nobody said whether it should be".to_owned(),
    }
}

/// A store and the place where it was visited.
struct Visit<'a> {
    store: &'a Store,
    engine: &'static dyn Engine,
    site: Box<dyn Site>,
    target: Target,
}

impl Visit<'_> {
    fn source(&self) -> Source<'_> {
        Source { store: self.store, engine: self.engine, site: self.site.as_ref(), target: &self.target }
    }
}

/// Backs up and says what was stored. A store that has no engine is an error: a set that leaves a store out would lie.
/// Stores that are too far apart are a failed check of a set that is kept. As JSON: id, stack, vault, seconds, bytes before and after
/// compression, what it lacks, how far its stores are apart,
/// and of each store its name, engine and rows.
pub fn run(world: &World, stack: &Stack, args: &Args, json: bool, out: &mut dyn Write) -> Result<u8> {
    let vault = Vault::with(&stack.backups.vault, Access::of(&stack.backups.protection)?);
    let deed = Deed::new(What::Backup, &stack.name);
    let taken = take(world, stack, args, &vault).inspect_err(|error| {
        // What is wrong with the configuration was found before anything was done, perhaps that this is no place for a vault.
        if Refusal::within(error).is_none_or(|refusal| refusal.kind != RefusalKind::Configuration) {
            audit::note(world, &vault, deed.clone().failed(error));
        }
    })?;
    let Taken { set, record, skew, .. } = taken;
    let outcome = together(skew, stack.backups.max_skew);
    if let Some(deed) = deed.of(&record.id).came_to(&outcome) {
        audit::note(world, &vault, deed);
    }
    if json {
        let store = |c: &Component| serde_json::json!({ "name": c.store, "engine": c.engine, "rows": c.census.rows() });
        let said = serde_json::json!({
            "id": record.id,
            "stack": stack.name,
            "vault": stack.backups.vault,
            "seconds": record.seconds,
            "plain_bytes": record.plain_bytes,
            "stored_bytes": record.stored_bytes,
            "lacks": record.lacks,
            "skew_seconds": skew.map(|skew| skew.as_secs_f64()),
            "max_skew_seconds": stack.backups.max_skew.as_secs_f64(),
            "stores": set.manifest.components.iter().map(store).collect::<Vec<_>>(),
        });
        writeln!(out, "{said:#}")?;
        return Ok(code(&outcome));
    }
    let rows: u64 = set.manifest.components.iter().map(|c| c.census.rows()).sum();
    writeln!(
        out,
        "{}  {}, {}, {} bytes stored of {}, in {:.2} s",
        record.id,
        plural(set.manifest.components.len(), "store"),
        plural(usize::try_from(rows)?, "row"),
        record.stored_bytes,
        record.plain_bytes,
        record.seconds
    )?;
    if let Some(skew) = skew {
        writeln!(out, "its stores are at most {:.2} s apart", skew.as_secs_f64())?;
    }
    for what in &record.lacks {
        writeln!(out, "note: {what}")?;
    }
    if let Some(why) = outcome.why() {
        writeln!(out, "FAILED  {why}")?;
        why.hint.iter().try_for_each(|hint| writeln!(out, "        hint: {hint}"))?;
    }
    writeln!(
        out,
        "stored and read back; prove that it restores: cargo xtask test-recovery --stack {} --set {}",
        stack.name, record.id
    )?;
    Ok(code(&outcome))
}

/// Whether the stores are of one moment, as far as the stack asks for that. A set whose stores are further apart is kept: each of
/// them is whole, and no set at all would be worse; but it is not what was asked for.
fn together(skew: Option<Duration>, most: Duration) -> Outcome {
    match skew {
        Some(skew) if skew > most => {
            let (skew, most) = (skew.as_secs_f64(), most.as_secs_f64());
            let message = format!(
                "the stores of this set may be {skew:.1} s apart, and `backups.max_skew` is {most:.0} s; the set was kept"
            );
            let hint =
                "restore its stores together with care; give a large folder a stack of its own, or raise `max_skew`";
            Outcome::Failed(Why::new(message).hint(hint))
        }
        _ => Outcome::Passed,
    }
}

fn code(outcome: &Outcome) -> u8 {
    crate::domain::outcome::exit_code(std::slice::from_ref(outcome))
}

/// Visits every store and backs all of them up into one set.
fn take(world: &World, stack: &Stack, args: &Args, vault: &Vault) -> Result<Taken> {
    let mut visits = Vec::new();
    for (store, engine) in chosen(stack, args)? {
        let to = attached(stack, store)?;
        let site = world.sites.attach(&to).map_err(|e| e.context(format!("attach to {}", store.name)))?;
        outside(&stack.backups.vault, store, site.as_ref())?;
        let target = visit::target(engine, store, site.as_ref());
        visits.push(Visit { store, engine, site, target });
    }
    let sources: Vec<Source<'_>> = visits.iter().map(Visit::source).collect();
    let terms = Terms { binding: &stack.binding, compression: Some(stack.backups.compression), provenance: None };
    backup_of(world, &stack.name, &sources, vault, terms)
}

/// The stores to back up, with their engines; never none.
fn chosen<'a>(stack: &'a Stack, args: &Args) -> Result<Vec<(&'a Store, &'static dyn Engine)>> {
    if let Some(name) = args.stores.iter().find(|name| !stack.stores.iter().any(|s| s.name == **name)) {
        let all: Vec<&str> = stack.stores.iter().map(|s| s.name.as_str()).collect();
        let message = format!("stack {} has no store `{name}`", stack.name);
        return Err(refuse(message, format!("choose one of: {}", all.join(", "))));
    }
    if stack.stores.is_empty() {
        let hint = "describe its stores in recovery.yaml (`cargo xtask init` writes a draft)";
        return Err(refuse(format!("stack {} has no store: there is nothing to back up", stack.name), hint.to_owned()));
    }
    let wanted = stack.stores.iter().filter(|s| args.stores.is_empty() || args.stores.contains(&s.name));
    wanted
        .map(|store| {
            let engine = engines::find(&store.engine).ok_or_else(|| {
                let hint = "back the other stores up by naming them with --store, and this one by other means";
                refuse(format!("{}: no engine for {} yet", store.name, store.engine), hint.to_owned())
            })?;
            Ok((store, engine))
        })
        .collect()
}

/// Refuses a vault that really, whatever links lead to it, lies inside the folder that is to be backed up.
fn outside(vault: &Path, store: &Store, site: &dyn Site) -> Result<()> {
    let Location::Folder { path, .. } = &store.location else { return Ok(()) };
    let folder = Path::new(&site.identity().name).join(path);
    if beneath::real(&std::path::absolute(vault)?)?.starts_with(&folder) {
        let message =
            format!("the vault {} lies inside {}, the folder of {}", vault.display(), folder.display(), store.name);
        let hint =
            "set `backups.vault` in recovery.yaml to a folder outside of it: each set would hold all sets before it";
        return Err(refuse(message, hint.to_owned()));
    }
    Ok(())
}

fn attached(stack: &Stack, store: &Store) -> Result<Attachment> {
    attachment(stack, store).map_err(|Why { message, hint, .. }| refuse(message, hint.unwrap_or_default()))
}

fn refuse(message: String, hint: String) -> anyhow::Error {
    Refusal::new(RefusalKind::Configuration, message, hint).into()
}
