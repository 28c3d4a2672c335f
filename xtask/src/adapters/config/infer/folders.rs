//! Upload folders: writable mounts whose name says that users put files there.

use super::Inferred;
use crate::domain::compose::Service;
use crate::domain::store::{Location, Root, Store};
use std::path::{Path, PathBuf};

/// Words that say so.
const WORDS: [&str; 8] = ["upload", "uploads", "uploaded", "media", "files", "attachments", "documents", "avatars"];

/// Adds the service's upload folders.
pub(super) fn add(service: &Service, found: &mut Inferred) {
    for mount in service.mounts.iter().filter(|m| m.writable) {
        let Some(root) = &mount.root else { continue };
        let source = match root {
            Root::Host(path) => last(path),
            Root::Volume(name) => name.clone(),
        };
        let target = last(Path::new(&mount.target));
        let Some(word) = [&target, &source].into_iter().find_map(|name| says(name)) else { continue };
        let name = if says(&target).is_some() { target } else { word.to_owned() };
        let store = Store {
            name,
            engine: "files".into(),
            service: Some(service.name.clone()),
            image: None,
            location: Location::Folder { root: root.clone(), path: PathBuf::new() },
            allow_empty: false,
        };
        found.push(store, vec![("path", format!("its name says `{word}`"), Some(mount.at.clone()))]);
    }
}

fn last(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The telling word in a name, as a word of its own (`profiles` does not say `files`).
fn says(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    WORDS.into_iter().find(|w| words.contains(w))
}
