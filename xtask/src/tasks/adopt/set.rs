//! An old archive where a set is asked for: adopted into a private vault of this run, which is gone when it ends.

use super::{Args, adopted, describe, keys};
use crate::archive::foreign::examine;
use crate::archive::manifest;
use crate::archive::vault::Vault;
use crate::domain::foreign::{AsOf, Derivation};
use crate::domain::site::SiteSpec;
use crate::domain::stack::Stack;
use crate::flow::open_pgp;
use crate::flow::world::World;
use crate::ports::OwnedSite;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// What opens an archive.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Opening {
    /// Of an archive: the variable that holds its passphrase [default: BACKUP_ENCRYPTION_KEY]
    #[arg(long, value_name = "VARIABLE", conflicts_with = "key_file")]
    pub key_from: Option<String>,
    /// Of an archive: a file whose first line is its passphrase
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Of an archive: how `openssl enc` made a key of it
    #[arg(long, value_name = "WAY")]
    pub derivation: Option<Derivation>,
    /// Of a tar archive: the folder inside of it that is the store's
    #[arg(long, value_name = "FOLDER")]
    pub inside: Option<String>,
}

/// A set of an old archive that only this run knows.
pub struct Private {
    /// Holds the vault; removed with this.
    _site: Box<dyn OwnedSite>,
    /// Where the set is.
    pub vault: Vault,
    /// Its id.
    pub id: String,
    /// The archive's own.
    pub sha256: String,
    /// The store that it is of.
    pub store: String,
    /// What the archive is, and what nobody can know of it.
    pub said: String,
}

/// Whether an archive is meant, and not a set's id or a keyword. A file that is called like one is meant with its folder: `./latest`.
pub fn is_archive(which: &str) -> bool {
    !manifest::is_id(which) && !["latest", "all"].contains(&which) && Path::new(which).exists()
}

/// Reads the archive to its end, brings it back in a private place, and makes a set of it in a private vault.
///
/// # Errors
/// As adopting it: an archive that is cut short, or does not restore, becomes no set.
pub fn private_set(
    world: &World,
    stack: &Stack,
    (archive, store): (&str, Option<&String>),
    opening: &Opening,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Private> {
    let args = Args {
        stack: stack.name.clone(),
        archive: PathBuf::from(archive),
        store: store.cloned(),
        key_from: opening.key_from.clone(),
        key_file: opening.key_file.clone(),
        derivation: opening.derivation,
        as_of: None,
        inside: opening.inside.clone(),
        inspect: false,
    };
    let examined = examine(&args.archive, &keys(stack, &args, environment)?, &open_pgp::opener(world), &mut |_| {})?;
    let as_of = AsOf::of(examined.findings(), None, world.clock.wall())?;
    let site = world.sites.open(&SiteSpec::Directory, "vault")?;
    let vault = Vault::at(&PathBuf::from(site.scratch()).join("sets"));
    let (taken, store) = adopted(world, stack, &args, &examined, as_of, &vault)?;
    let mut said = Vec::new();
    describe(examined.findings(), as_of, &mut said)?;
    let said = String::from_utf8_lossy(&said).into_owned();
    Ok(Private {
        _site: site,
        vault,
        id: taken.record.id,
        sha256: examined.findings().file.sha256.clone(),
        store,
        said,
    })
}
