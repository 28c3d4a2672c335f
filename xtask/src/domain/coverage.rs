//! What of a Compose project no store covers, and what its owner says of it. It must not know how a store is recognised.

use super::compose::{ComposeProject, Mount, Service};
use super::place::Place;
use super::store::Root;
use std::path::Path;

/// A place where data is kept and that no store covers, or covers in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// What it is and that it is not covered: `volume x (service api, /data) is covered by no store`.
    pub what: String,
    /// Where it is written.
    pub at: Place,
    /// The names by which a waiver may mean it: the service, the volume's key and its real name, the folder's path.
    pub names: Vec<String>,
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

/// Somebody's word that something needs no backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// A service, a volume, or a folder as the Compose file writes it.
    pub name: String,
    /// Why it needs none; never empty.
    pub because: String,
    /// Where it is written.
    pub at: Place,
}

/// What was looked at of a stack, and what of it is not covered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Volumes, folders and database services that were looked at, each named once.
    pub places: Vec<String>,
    /// Those that no store covers.
    pub gaps: Vec<Gap>,
    /// What its owner says of them.
    pub waivers: Vec<Waiver>,
}

/// The names by which a waiver may mean a mount of a service.
pub fn names(project: &ComposeProject, service: &Service, mount: Option<&Mount>) -> Vec<String> {
    let mut names = vec![service.name.clone()];
    match mount.and_then(|m| m.root.as_ref()) {
        Some(Root::Volume(name)) => {
            names.push(name.clone());
            names.extend(project.volumes.iter().filter(|(_, v)| v.name == *name).map(|(key, _)| key.clone()));
        }
        Some(Root::Host(path)) => names.extend(spellings(path, &project.folder)),
        None => {}
    }
    names
}

/// A folder's path as people may write it.
fn spellings(path: &Path, folder: &Path) -> Vec<String> {
    let below = path.strip_prefix(folder).ok().map(|below| below.display().to_string());
    let below = below.into_iter().flat_map(|text| [format!("./{text}"), text]);
    std::iter::once(path.display().to_string()).chain(below).collect()
}

impl Coverage {
    /// The waiver that means this gap.
    pub fn waiver(&self, gap: &Gap) -> Option<&Waiver> {
        let tidy = |text: &str| text.trim_end_matches('/').to_owned();
        self.waivers.iter().find(|waiver| gap.names.iter().any(|name| tidy(name) == tidy(&waiver.name)))
    }

    /// Waivers that mean nothing that is there.
    pub fn idle(&self) -> impl Iterator<Item = &Waiver> {
        self.waivers.iter().filter(|waiver| {
            !self.gaps.iter().any(|gap| self.waiver(gap).is_some_and(|meant| meant.name == waiver.name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage(names: &[&str], waived: &str) -> Coverage {
        let at = Place::new("compose.yaml", 3, 1);
        let names = names.iter().map(|n| (*n).to_owned()).collect();
        Coverage {
            places: vec!["folder ./logs".into()],
            gaps: vec![Gap { what: "folder ./logs is covered by no store".into(), at: at.clone(), names }],
            waivers: vec![Waiver { name: waived.into(), because: "rotated".into(), at }],
        }
    }

    #[test]
    fn a_waiver_means_a_service_a_volume_or_a_folder_however_it_is_written() {
        for waived in ["./logs", "logs/", "api"] {
            let all = coverage(&["api", "/srv/shop/logs", "./logs", "logs"], waived);
            assert!(all.waiver(&all.gaps[0]).is_some(), "{waived}");
            assert_eq!(all.idle().count(), 0);
        }
        let all = coverage(&["api", "./logs"], "lags");
        assert_eq!((all.waiver(&all.gaps[0]), all.idle().count()), (None, 1));
    }

    #[test]
    fn spellings_of_a_folder() {
        let all = spellings(Path::new("/srv/shop/logs"), Path::new("/srv/shop"));
        assert_eq!(all, ["/srv/shop/logs", "./logs", "logs"]);
    }
}
