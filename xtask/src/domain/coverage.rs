//! What of a Compose project no store covers, and what its owner says of it. It must not know how a store is recognised.

use super::compose::{ComposeProject, Mount};
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
    /// The names by which a waiver may mean it: the volume's key and its real name, the folder's path.
    pub names: Vec<String>,
    /// Every service that writes there: a service's waiver means it only when each of them is waived.
    pub writers: Vec<String>,
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
    /// What belongs to the stack and could not be looked at.
    pub unseen: Vec<String>,
    /// Services that mount nothing and whose image is none that is known to keep nothing.
    pub bare: Vec<String>,
}

/// The names by which a waiver may mean a mount.
pub fn names(project: &ComposeProject, mount: &Mount) -> Vec<String> {
    match &mount.root {
        Some(Root::Volume(name)) => {
            let keys = project.volumes.iter().filter(|(_, v)| v.name == *name).map(|(key, _)| key.clone());
            std::iter::once(name.clone()).chain(keys).collect()
        }
        Some(Root::Host(path)) => spellings(path, &project.folder),
        None => Vec::new(),
    }
}

/// A folder's path as people may write it.
fn spellings(path: &Path, folder: &Path) -> Vec<String> {
    // A project in the folder that somebody is in has paths without that folder's name.
    let here = path.is_relative() && (folder == Path::new(".") || folder.as_os_str().is_empty());
    let below = path.strip_prefix(folder).ok().or_else(|| here.then_some(path));
    let below = below.map(|below| below.display().to_string());
    let below = below.into_iter().flat_map(|text| [format!("./{text}"), text]);
    std::iter::once(path.display().to_string()).chain(below).collect()
}

impl Coverage {
    /// The waiver that means this gap: by its own name, or one for each service that writes there.
    pub fn waiver(&self, gap: &Gap) -> Option<&Waiver> {
        let of = |name: &String| self.waivers.iter().find(|waiver| tidy(name) == tidy(&waiver.name));
        let each: Option<Vec<&Waiver>> = gap.writers.iter().map(of).collect();
        gap.names.iter().find_map(of).or_else(|| each?.first().copied())
    }

    /// Services that mount nothing, and that nobody waived.
    pub fn bare(&self) -> impl Iterator<Item = &String> {
        self.bare.iter().filter(|name| !self.waivers.iter().any(|waiver| waiver.name == **name))
    }

    /// Waivers that mean nothing that is there.
    pub fn idle(&self) -> impl Iterator<Item = &Waiver> {
        let named = |waiver: &Waiver| {
            let gaps = self.gaps.iter().flat_map(|gap| gap.names.iter().chain(&gap.writers));
            gaps.chain(&self.bare).any(|name| tidy(name) == tidy(&waiver.name))
        };
        self.waivers.iter().filter(move |waiver| !named(waiver))
    }
}

fn tidy(name: &str) -> &str {
    name.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage(names: &[&str], waived: &str) -> Coverage {
        let at = Place::new("compose.yaml", 3, 1);
        let names = names.iter().map(|n| (*n).to_owned()).collect();
        Coverage {
            places: vec!["folder ./logs".into()],
            gaps: vec![Gap {
                what: "folder ./logs is covered by no store".into(),
                at: at.clone(),
                names,
                writers: vec!["api".into()],
            }],
            waivers: vec![Waiver { name: waived.into(), because: "rotated".into(), at }],
            ..Coverage::default()
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
    fn a_service_s_waiver_means_what_it_shares_only_when_all_who_write_there_are_waived() {
        let mut all = coverage(&["logs"], "api");
        all.gaps[0].writers.push("worker".into());
        assert_eq!((all.waiver(&all.gaps[0]), all.idle().count()), (None, 0));
        all.waivers.push(Waiver { name: "worker".into(), ..all.waivers[0].clone() });
        assert!(all.waiver(&all.gaps[0]).is_some());
    }

    #[test]
    fn a_folder_of_a_project_in_the_folder_somebody_is_in_has_the_same_names() {
        assert_eq!(spellings(Path::new("logs"), Path::new(".")), ["logs", "./logs", "logs"]);
        assert_eq!(spellings(Path::new("/var/logs"), Path::new(".")), ["/var/logs"]);
    }

    #[test]
    fn spellings_of_a_folder() {
        let all = spellings(Path::new("/srv/shop/logs"), Path::new("/srv/shop"));
        assert_eq!(all, ["/srv/shop/logs", "./logs", "logs"]);
    }
}
