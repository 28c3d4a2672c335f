//! Addressing a store at somebody's running site. It must not know what is done there.

use crate::domain::engine::{Engine, Target};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::site::Attachment;
use crate::domain::store::{Location, Store};
use crate::flow::world::World;
use crate::ports::Site;
use anyhow::{Context, Result};
use std::path::Path;

/// How the store is addressed at this attached site.
pub fn target(engine: &dyn Engine, store: &Store, site: &dyn Site) -> Target {
    let at = Target { scratch: site.scratch(), ..engine.attached_target(store) };
    match site.address() {
        Some(address) => engine.reached_at(at, &address),
        None => at,
    }
}

/// Attaches where the store can be replaced, and says how it is addressed there: a whole folder from the one that it is in, for only
/// from there its name can change.
pub fn replaceable(
    world: &World,
    engine: &dyn Engine,
    store: &Store,
    to: &Attachment,
) -> Result<(Box<dyn Site>, Target)> {
    let attach = |to: &Attachment| world.sites.attach(to).with_context(|| format!("attach to {}", store.name));
    match whole_folder(world, store, to)? {
        None => {
            let site = attach(to)?;
            let target = target(engine, store, site.as_ref());
            Ok((site, target))
        }
        Some((above, name)) => {
            let site = attach(&Attachment::Folder(above))?;
            let target = Target { root: name, ..target(engine, store, site.as_ref()) };
            Ok((site, target))
        }
    }
}

/// The folder above a store that is a whole folder, and the store's name in it.
pub fn whole_folder(world: &World, store: &Store, to: &Attachment) -> Result<Option<(std::path::PathBuf, String)>> {
    let Location::Folder { path, .. } = &store.location else { return Ok(None) };
    if !path.as_os_str().is_empty() && path != Path::new(".") {
        return Ok(None);
    }
    let folder = match to {
        Attachment::Folder(folder) => folder.clone(),
        Attachment::Volume(of) => world.sites.volume(of)?,
        Attachment::Service { .. } => return Ok(None),
    };
    let folder = std::path::absolute(&folder).context("find the working folder")?;
    match (folder.parent(), folder.file_name().and_then(|name| name.to_str())) {
        (Some(above), Some(name)) => Ok(Some((above.to_owned(), name.to_owned()))),
        _ => {
            let message = format!("{} has no name that could change", folder.display());
            Err(Refusal::new(RefusalKind::Preflight, message, "restore beside it: --to NAME").into())
        }
    }
}

/// The same store under another name: a database of the same server, a file or folder beside it.
///
/// # Errors
/// `Refusal` of kind `Configuration`: it is no plain name, or the store's own.
pub fn named(store: &Store, at: &Target, name: &str) -> Result<Target, Refusal> {
    let plain = !name.is_empty()
        && name.len() <= 63
        && !name.starts_with(['-', '.'])
        && !name.contains(|c: char| c.is_control() || c == '/' || c == '\\');
    let refuse = |what: &str| {
        let message = format!("--to `{}` {what}", name.escape_debug());
        Err(Refusal::new(
            RefusalKind::Configuration,
            message,
            "`live`, or a plain name of at most 63 bytes that nobody has",
        ))
    };
    if !plain {
        return refuse("is no plain name");
    }
    if ["_restore_", "_before_"].iter().any(|word| name.contains(word)) {
        return refuse("is like the names that restores give, and sweeps remove");
    }
    let sidecar = |suffix: &&str| name.to_ascii_lowercase().ends_with(*suffix);
    if let Some(suffix) =
        ["-journal", "-wal", "-shm"].iter().find(|s| sidecar(s) && matches!(store.location, Location::File { .. }))
    {
        return refuse(&format!(
            "ends in {suffix}: a database beside it would take the file for its own and replay it"
        ));
    }
    let beside = |path: &str| Path::new(path).with_file_name(name).to_string_lossy().into_owned();
    let named = match store.location {
        Location::Database { .. } => Target { name: name.to_owned(), ..at.clone() },
        Location::File { .. } => Target { name: beside(&at.name), ..at.clone() },
        Location::Folder { .. } => Target { root: beside(&at.root), ..at.clone() },
    };
    if named == *at { refuse("is the store's own name: that is `--to live`") } else { Ok(named) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines;

    fn named_as(engine: &str, name: &str) -> Result<Target, RefusalKind> {
        let engine = engines::find(engine).unwrap();
        let store = engine.rehearsal_store(None);
        let at = Target { name: engine.owned_target(&store).name, ..engine.owned_target(&store) };
        named(&store, &at, name).map_err(|refusal| refusal.kind)
    }

    #[test]
    fn another_name_stands_beside_the_first() {
        assert_eq!(named_as("postgres", "shop_monday").unwrap().name, "shop_monday");
        assert_eq!(named_as("sqlite", "monday.db").unwrap().name, "monday.db");
        assert_eq!(named_as("files", "monday").unwrap().root, "monday");
    }

    #[test]
    fn a_name_that_a_database_or_a_restore_would_take_for_its_own_is_refused() {
        for name in ["app.db-journal", "app.db-wal", "app.db-shm", "other.db-WAL", "app.db_restore_x", "a_before_b"] {
            assert_eq!(named_as("sqlite", name), Err(RefusalKind::Configuration), "{name}");
        }
        assert_eq!(named_as("files", "my-journal").unwrap().root, "my-journal");
        assert_eq!(named_as("postgres", "shop_before_x"), Err(RefusalKind::Configuration));
    }

    #[test]
    fn what_is_no_plain_name_and_the_stores_own_are_refused() {
        for name in ["", "../x", "a/b", "-rf", ".hidden", "a\nb", &"x".repeat(64)] {
            assert_eq!(named_as("sqlite", name), Err(RefusalKind::Configuration), "{name}");
        }
        assert_eq!(named_as("sqlite", "app.db"), Err(RefusalKind::Configuration));
        assert_eq!(named_as("postgres", "shop"), Err(RefusalKind::Configuration));
    }
}
