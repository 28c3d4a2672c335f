//! `cargo xtask adopt`: makes a proper backup set of an archive that an old script wrote, after bringing it back in a private place.

use crate::adapters::passphrase;
use crate::archive::access::Access;
use crate::archive::foreign::{Examined, Keys, examine, look};
use crate::archive::vault::Vault;
use crate::domain::deed::{Deed, What};
use crate::domain::engine::Engine;
use crate::domain::event::Event;
use crate::domain::foreign::{AsOf, Content, Derivation, Findings};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::stack::Stack;
use crate::domain::store::{Location, Root, Store};
use crate::engines;
use crate::flow::adopt::{Order, adopt};
use crate::flow::audit;
use crate::flow::backup::Taken;
use crate::flow::world::World;
use crate::flow::{open_pgp, plan};
use anyhow::Result;
use std::io::Write;
use std::path::{Path, PathBuf};

mod set;

pub use set::{Opening, Private, is_archive, private_set};

/// The variable of the old scripts.
const OLD_VARIABLE: &str = "BACKUP_ENCRYPTION_KEY";
/// How often a long read says how far it is, in bytes.
const TELL: u64 = 64 << 20;

/// Which archive, of what.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The stack that the archive is a backup of; `prod` and `staging` name the stack that ends so
    #[arg(value_name = "STACK")]
    pub stack: String,
    /// The archive: a file, or the folder that `pg_dump --format=directory` wrote. It is only read
    #[arg(value_name = "ARCHIVE")]
    pub archive: PathBuf,
    /// The store that it is a backup of; needed when several stores are of its kind
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
    /// The variable that holds the passphrase, in the environment or the stack's env file [default: BACKUP_ENCRYPTION_KEY]
    #[arg(long, value_name = "VARIABLE", conflicts_with = "key_file")]
    pub key_from: Option<String>,
    /// A file whose first line is the passphrase; nobody else may be able to read it
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// How `openssl enc` made a key of it: md5, sha256, pbkdf2 or pbkdf2:ITERATIONS; without it, each of its defaults is tried
    #[arg(long, value_name = "WAY")]
    pub derivation: Option<Derivation>,
    /// The moment that the data is of, when you know it (2026-01-27T02:00:00Z)
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<jiff::Timestamp>,
    /// The folder inside of a tar archive that is the store's; `.` is all of it. Without it, the one folder that has the name of the store's
    #[arg(long, value_name = "FOLDER")]
    pub inside: Option<String>,
    /// Read the archive to its end and say what it is; adopt nothing
    #[arg(long)]
    pub inspect: bool,
}

/// What would be done, as text; an encrypted archive is not opened for it.
///
/// # Errors
/// What is wrong with the command line, or with the archive as far as it can be seen from outside.
pub fn plan(stack: &Stack, args: &Args) -> Result<String> {
    let (layers, content) = look(&args.archive)?;
    let named = content.map_or("what shows when it is opened", Content::name);
    let layers = if layers.is_empty() { String::new() } else { format!(" inside of {layers}") };
    let mut text = format!("read {} to its end: {named}{layers}\n", args.archive.display());
    if args.inspect {
        return Ok(text);
    }
    text.push_str(&format!("make a backup set of it in {}\n", stack.backups.vault.display()));
    let Some(content) = content else { return Ok(text) };
    let (store, engine) = chosen(stack, args, content)?;
    text.push_str(&format!("  {}\n", store.name));
    let stages = plan::stages(stack.backups.compression, &stack.backups.protection.encryption);
    for line in plan::adopt(engine, store, content, &stages)? {
        text.push_str(&format!("    {line}\n"));
    }
    Ok(text)
}

/// Reads the archive, says what it is, and unless `--inspect` adopts it. As JSON: the findings, and of an adopted one the set's id.
///
/// # Errors
/// As [`examine`] and [`adopt`].
pub fn run(
    world: &World,
    stack: &Stack,
    args: &Args,
    environment: &dyn Fn(&str) -> Option<String>,
    json: bool,
    out: &mut dyn Write,
) -> Result<u8> {
    let mut told = 0;
    let mut progress = |bytes: u64| {
        if bytes - told >= TELL {
            told = bytes;
            world.events.tell(Event::Progress { bytes, total: None });
        }
    };
    let archive = examine(&args.archive, &keys(stack, args, environment)?, &open_pgp::opener(world), &mut progress)?;
    let found = archive.findings();
    let as_of = AsOf::of(found, args.as_of, world.clock.wall())?;
    let taken = if args.inspect { None } else { Some(adopted(world, stack, args, &archive, as_of, &vault(stack)?)?) };
    if json {
        writeln!(out, "{:#}", as_json(found, as_of, taken.as_ref()))?;
        return Ok(crate::exit_code::PASSED);
    }
    describe(found, as_of, out)?;
    if let Some((taken, store)) = taken {
        let record = &taken.record;
        let rows: u64 = taken.set.manifest.components.iter().map(|c| c.census.rows()).sum();
        writeln!(
            out,
            "{}  {rows} rows, {} bytes stored of {}, in {:.2} s",
            record.id, record.stored_bytes, record.plain_bytes, record.seconds
        )?;
        writeln!(out, "note: it holds {store} alone, and is never the `latest`: name it by its id")?;
        writeln!(
            out,
            "stored and read back; prove that it restores: cargo xtask test-recovery --stack {} --store {store} --set {}",
            stack.name, record.id
        )?;
    }
    Ok(crate::exit_code::PASSED)
}

fn vault(stack: &Stack) -> Result<Vault> {
    Ok(Vault::with(&stack.backups.vault, Access::of(&stack.backups.protection)?))
}

fn adopted(
    world: &World,
    stack: &Stack,
    args: &Args,
    archive: &Examined,
    as_of: AsOf,
    vault: &Vault,
) -> Result<(Taken, String)> {
    let found = archive.findings();
    let (store, engine) = chosen(stack, args, found.content)?;
    let inside = match args.inside.as_deref() {
        Some("." | "") => None,
        Some(folder) => Some(folder),
        None => found.said.top.as_deref().filter(|top| Some(*top) == folder_of(store).as_deref()),
    };
    if inside.is_some() && found.content != Content::Tar {
        return Err(refuse(format!("--inside is for tar archives, and {} is none", found.name), "leave it out"));
    }
    let order = Order {
        stack: &stack.name,
        store,
        engine,
        archive,
        inside,
        as_of,
        vault,
        compression: stack.backups.compression,
    };
    let deed = Deed { store: Some(store.name.clone()), ..Deed::new(What::Adopt, &stack.name) };
    let taken = adopt(world, order).inspect_err(|error| audit::note(world, vault, deed.clone().failed(error)))?;
    audit::note(world, vault, deed.of(&taken.record.id));
    Ok((taken, store.name.clone()))
}

/// The name of the store's own folder, where it has one.
fn folder_of(store: &Store) -> Option<String> {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    match &store.location {
        Location::Folder { root, path } => name(path).or_else(|| match root {
            Root::Host(folder) => name(folder),
            Root::Volume(_) => None,
        }),
        _ => None,
    }
}

fn keys(stack: &Stack, args: &Args, environment: &dyn Fn(&str) -> Option<String>) -> Result<Keys> {
    let env_file = stack.env_file.as_deref();
    let passphrases = match (&args.key_file, &args.key_from) {
        (Some(file), _) => passphrase::of_file(file)?,
        (None, Some(name)) => match passphrase::of_variable(name, env_file, environment)? {
            none if none.is_empty() => {
                return Err(refuse(
                    format!("variable `{name}` is set nowhere"),
                    "set it in the environment or the stack's env file",
                ));
            }
            found => found,
        },
        // Nobody asked for it, so an env file that cannot be read is not in the way.
        (None, None) => passphrase::of_variable(OLD_VARIABLE, env_file, environment).unwrap_or_default(),
    };
    Ok(Keys { passphrases, derivations: args.derivation.into_iter().collect() })
}

/// The store that the archive is of: the one that is named, or the only one of its kind.
fn chosen<'a>(stack: &'a Stack, args: &Args, content: Content) -> Result<(&'a Store, &'static dyn Engine)> {
    let all: Vec<&Store> = stack.stores.iter().filter(|s| s.engine == content.engine()).collect();
    let names = || all.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
    let store = match (&args.store, all.as_slice()) {
        (Some(name), _) => stack.stores.iter().find(|s| s.name == *name).ok_or_else(|| {
            let all: Vec<&str> = stack.stores.iter().map(|s| s.name.as_str()).collect();
            refuse(format!("stack {} has no store `{name}`", stack.name), &format!("choose one of: {}", all.join(", ")))
        })?,
        (None, [store]) => *store,
        (None, []) => {
            let message = format!(
                "stack {} has no store of engine {}, which {} is for",
                stack.name,
                content.engine(),
                content.name()
            );
            return Err(refuse(message, "name another stack, or describe the store in recovery.yaml"));
        }
        (None, _) => {
            let message = format!("stack {} has several stores that it may be of", stack.name);
            return Err(refuse(message, &format!("name one with --store: {}", names())));
        }
    };
    if store.engine != content.engine() {
        let message =
            format!("the archive holds {}, and store {} is of engine {}", content.name(), store.name, store.engine);
        let hint = if all.is_empty() { "name another stack".to_owned() } else { format!("choose one of: {}", names()) };
        return Err(refuse(message, &hint));
    }
    let engine = engines::find(&store.engine).ok_or_else(|| {
        refuse(format!("{}: no engine for {} yet", store.name, store.engine), "adopt it by other means")
    })?;
    Ok((store, engine))
}

fn describe(found: &Findings, as_of: AsOf, out: &mut dyn Write) -> Result<()> {
    let inside = if found.layers.is_empty() { String::new() } else { format!(" inside of {}", found.layers_text()) };
    writeln!(out, "{}: {}{inside}, whole", found.name, found.content.name())?;
    writeln!(out, "  {} bytes, SHA-256 {}", found.file.bytes, found.file.sha256)?;
    let said = [
        ("server", found.said.server_version.clone()),
        ("dumped by", found.said.dump_version.clone()),
        ("database", found.said.database.clone()),
        ("begun", found.said.begun.map(|at| format!("{at}, in the time zone of the machine that made it"))),
        ("folder", found.said.top.clone()),
    ];
    for (what, value) in said.into_iter().filter_map(|(what, value)| Some((what, value?))) {
        writeln!(out, "  it says: {what} {value}")?;
    }
    for what in &found.told {
        writeln!(out, "  note: {what}")?;
    }
    for what in &found.unknown {
        writeln!(out, "  cannot be known: {}", what.sentence())?;
    }
    match as_of {
        AsOf::Declared(at) => writeln!(out, "  its data counts as of {at}, as you say")?,
        AsOf::Archive(at) => writeln!(
            out,
            "  its data counts as of {at}, the earliest that its own word can mean; --as-of says it better"
        )?,
        AsOf::Unknown => {
            writeln!(out, "  its data counts as of no moment, so no RPO can be proven with it; --as-of says one")?
        }
    }
    Ok(())
}

fn as_json(found: &Findings, as_of: AsOf, taken: Option<&(Taken, String)>) -> serde_json::Value {
    serde_json::json!({
        "archive": found.name,
        "layers": found.layers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "content": found.content.name(),
        "bytes": found.file.bytes,
        "sha256": found.file.sha256,
        "plain_bytes": found.plain.bytes,
        "notes": found.told,
        "unknown": found.unknown.iter().map(|u| u.word()).collect::<Vec<_>>(),
        "as_of": as_of.word(),
        "consistent_as_of": as_of.moment().to_string(),
        "id": taken.map(|(taken, _)| taken.record.id.clone()),
        "store": taken.map(|(_, store)| store.clone()),
    })
}

fn refuse(message: String, hint: &str) -> anyhow::Error {
    Refusal::new(RefusalKind::Configuration, message, hint).into()
}
