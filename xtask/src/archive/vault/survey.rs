//! What can be seen of a vault from outside, for whoever judges it: who may reach it, how much room there is, what lies about. Nothing
//! is created, locked or removed. It must not know what is right.

use super::{PARTIAL, TRASH, Vault, catalog, disk};
use crate::archive::catalog::Line;
use crate::archive::disk::{Disk, HostDisk, Kind, Links};
use crate::archive::lock;
use crate::archive::manifest::Id;
use crate::domain::fact::{Committed, Right, Room, Thing};
use crate::domain::refusal::Refusal;
use anyhow::Result;
use std::collections::BTreeSet;
use std::path::Path;

impl Vault {
    /// Every set that was ever committed here, oldest first, as the catalog says.
    ///
    /// # Errors
    /// `Refusal` of kind `Integrity` for a catalog that cannot be understood, `Storage`.
    pub fn history(&self) -> Result<Vec<Committed>, Refusal> {
        let lines = catalog::read(self.on(), &self.folder)?;
        let removed: BTreeSet<&str> = lines
            .iter()
            .filter_map(|l| if let Line::Removed { id, .. } = l { Some(id.as_str()) } else { None })
            .collect();
        let committed = lines.iter().filter_map(|line| {
            let Line::Committed { id, .. } = line else { return None };
            Some(Committed { at: Id::parse(id)?.time, id: id.clone(), removed: removed.contains(id.as_str()) })
        });
        Ok(committed.collect())
    }

    /// Who may reach the vault, everything in it, and the folders above it. Nothing when it is not there.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage`.
    pub fn rights(&self) -> Result<Vec<Right>, Refusal> {
        let mut rights = Vec::new();
        if disk::is_missing(self.on(), &self.folder) {
            return Ok(rights);
        }
        rights.push(right(self.on(), &self.folder, Thing::Folder, Links::Followed)?);
        rights.extend(above(self.on(), &self.folder, Thing::Above)?);
        below(self.on(), &self.folder, Links::Followed, &mut rights)?;
        Ok(rights)
    }

    /// Who may reach a file beside the vault, and the folders above it; nothing when it is not there.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage`.
    pub fn rights_of(path: &Path, of: Thing) -> Result<Vec<Right>, Refusal> {
        // A key may be reached through a link; a set never is.
        let Ok(file) = right(&HostDisk, path, of, Links::Followed) else { return Ok(Vec::new()) };
        let folders = if of == Thing::Config { Thing::Config } else { Thing::Above };
        Ok(std::iter::once(file).chain(above(&HostDisk, path, folders)?).collect())
    }

    /// The room on the disk that holds the vault, or will hold it.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage`.
    pub fn room(&self) -> Result<Room, Refusal> {
        let there = self.folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
        let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
        let found = rustix::fs::statvfs(there).map_err(|e| disk::reading(&e.into(), there))?;
        // A file system that makes its inodes as it goes says that it has none at all.
        let files = (found.f_files > 0).then_some(found.f_favail);
        Ok(Room { bytes: found.f_bavail.saturating_mul(found.f_frsize), files })
    }

    /// What is in the making, or on its way out.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage`.
    pub fn leftovers(&self) -> Result<Vec<String>> {
        Ok(self.names()?.into_iter().filter(|n| n.starts_with(PARTIAL) || n.starts_with(TRASH)).collect())
    }

    /// Who holds the vault's lock.
    ///
    /// # Errors
    /// `Refusal` of kind `Integrity` or `Storage`.
    pub fn holder(&self) -> Result<Option<String>, Refusal> {
        lock::holder(self.on(), &self.folder)
    }
}

/// The folders above a path, and above what it is when it or a folder on the way is a link: whoever writes in either chooses what is
/// found there.
fn above(on: &dyn Disk, path: &Path, of: Thing) -> Result<Vec<Right>, Refusal> {
    let reading = |e: &std::io::Error| disk::reading(e, path);
    let (whole, named) =
        (path.canonicalize().map_err(|e| reading(&e))?, std::path::absolute(path).map_err(|e| reading(&e))?);
    let folders: BTreeSet<&Path> = whole.ancestors().skip(1).chain(named.ancestors().skip(1)).collect();
    folders.into_iter().map(|folder| right(on, folder, of, Links::Followed)).collect()
}

fn right(on: &dyn Disk, path: &Path, of: Thing, links: Links) -> Result<Right, Refusal> {
    let found = on.look(path, links).map_err(|e| disk::reading(&e, path))?;
    let me = rustix::process::geteuid().as_raw();
    let ours = found.owner == me || (matches!(of, Thing::Above | Thing::Config) && found.owner == 0);
    Ok(Right { path: path.to_owned(), of, mode: found.mode, ours })
}

fn below(on: &dyn Disk, folder: &Path, links: Links, into: &mut Vec<Right>) -> Result<(), Refusal> {
    let names = on.folder(folder, links).and_then(|opened| opened.names()).map_err(|e| disk::reading(&e, folder))?;
    for path in names.into_iter().map(|name| folder.join(name)) {
        let kind = match on.look(&path, Links::Refused) {
            Ok(found) => found.kind,
            // Removed at this very moment.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(disk::reading(&e, &path)),
        };
        match kind {
            Kind::Folder => {
                into.push(right(on, &path, Thing::Folder, Links::Refused)?);
                below(on, &path, Links::Refused, into)?;
            }
            // The bits of a link say nothing; that a set holds one is seen by whoever reads the set.
            Kind::Link => {}
            Kind::File | Kind::Other => into.push(right(on, &path, Thing::File, Links::Refused)?),
        }
    }
    Ok(())
}
