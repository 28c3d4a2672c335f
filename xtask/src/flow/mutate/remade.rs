//! Sets that are made anew of a real one: committed by the code that commits every set, with keys of their own, so that digests, seal
//! and signature are all right, and only what is inside is not. The stack's own signing key is not used.

use crate::archive::access::Access;
use crate::archive::vault::{BackupSet, Vault};
use crate::archive::{keys, pipeline, signature};
use crate::domain::artifact::{Component, Role, StoredFile};
use crate::domain::census::{Census, Entry};
use crate::domain::mutation::Class;
use crate::domain::protection::{Encryption, Protection};
use crate::domain::stack::Stack;
use crate::flow::world::World;
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where they are made.
pub(super) struct Workshop {
    folder: PathBuf,
    protection: Protection,
    set: BackupSet,
}

impl Workshop {
    /// Opens one for this set, with new keys; encrypted where the set is.
    pub(super) fn open(folder: &Path, set: BackupSet) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (identity, signer) = (folder.join("identity"), folder.join("signer"));
        let mut protection = Protection { trusted: vec![signature::make(&signer)?], ..Protection::default() };
        protection.signing_key = Some(signer);
        protection.encryption = match &set.manifest.seal {
            Some(_) => Encryption::Recipients(vec![keys::make(&identity)?]),
            None => Encryption::Off,
        };
        protection.identities = if set.manifest.seal.is_some() { vec![identity] } else { Vec::new() };
        Ok(Self { folder: folder.to_owned(), protection, set })
    }

    /// Makes it anew, with one thing wrong or as it is; the vault holds nothing else.
    pub(super) fn remake(&self, world: &World, stack: &Stack, wrong: Option<(Class, u64)>) -> Result<(Vault, String)> {
        let path = self.folder.join("vault");
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        let vault = Vault::with(&path, Access::of(&self.protection)?);
        let staging = vault.begin(&stack.name, &world.run, world.clock.wall())?;
        let mut manifest = self.set.manifest.clone();
        manifest.id = staging.id().to_owned();
        manifest.sequence = staging.sequence();
        manifest.requires = Vec::new();
        let count = manifest.components.len() as u64;
        for (n, component) in manifest.components.iter_mut().enumerate() {
            let wrong = wrong.filter(|(_, pick)| pick % count == n as u64);
            for file in &mut component.files {
                let cut = match wrong {
                    Some((Class::EmptyDump, _)) if file.role == Role::Data => Some(0),
                    Some((Class::CutDump, pick)) if file.role == Role::Data => Some(cut(file, pick)),
                    _ => None,
                };
                let mut plain = self.set.plain(file)?.take(cut.unwrap_or(u64::MAX));
                let stored = pipeline::store(
                    &mut plain,
                    &staging.path(&file.file),
                    file.compression,
                    staging.key(),
                    &mut |_| {},
                )?;
                (file.plain, file.stored) = (stored.plain, stored.stored);
            }
            if let Some((class, pick)) = wrong {
                miscount(component, class, pick)?;
            }
        }
        let made = staging.commit_whatever_it_holds(manifest)?;
        Ok((vault, made.manifest.id.clone()))
    }
}

/// Somewhere between a tenth and nine tenths of the dump.
fn cut(file: &StoredFile, pick: u64) -> u64 {
    let tenth = file.plain.bytes / 10;
    (tenth + (pick >> 8) % (tenth * 8).max(1)).min(file.plain.bytes.saturating_sub(1))
}

/// Changes what the census says, which is the same as changing what the dump holds: neither is what the other promises.
fn miscount(component: &mut Component, class: Class, pick: u64) -> Result<()> {
    let Census { objects } = &mut component.census;
    let contents: Vec<String> =
        objects.iter().filter(|(_, e)| matches!(e, Entry::Content { .. })).map(|(name, _)| name.clone()).collect();
    let at = usize::try_from((pick >> 8) % (contents.len() as u64).max(1)).unwrap_or(0);
    let name = contents.get(at).with_context(|| format!("{} has no content that was counted", component.store))?;
    match (class, objects.get_mut(name)) {
        (Class::MissingObject, Some(entry)) => {
            let entry = entry.clone();
            objects.insert(format!("{name}_gone"), entry);
        }
        (Class::ChangedRows, Some(Entry::Content { rows, digest })) => match (pick >> 40) % 2 {
            0 => *rows += 1,
            _ => *digest = other(digest),
        },
        (Class::UncountedObject, Some(_)) => drop(objects.remove(name)),
        (Class::EmptyDump | Class::CutDump, _) => {}
        (class, _) => bail!("{class:?} is not made anew"),
    }
    Ok(())
}

/// A digest that is spelled like this one and is another.
fn other(digest: &str) -> String {
    let mut text: Vec<char> = digest.chars().collect();
    if let Some(last) = text.last_mut() {
        *last = if *last == '0' { '1' } else { '0' };
    }
    text.into_iter().collect()
}
