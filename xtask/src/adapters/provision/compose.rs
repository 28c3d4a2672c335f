//! Finds a Docker Compose of version 2 or newer on this host, or takes it out of Debian's package into the cache.
//! It must not know Compose files.

use super::apt;
use super::child::Children;
use super::packages::{self, Packages};
use super::trouble::Purpose;
use crate::adapters::processes::Environment;
use crate::domain::compose_version::ComposeVersion;
use crate::domain::event::Event;
use crate::domain::exec::Exec;
use crate::ports::Events;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The Debian release whose package is taken: the oldest that has version 2.
pub(super) const SUITE: &str = "trixie";
/// The package.
pub(super) const PACKAGE: &str = "docker-compose";
/// A static Go program but for the C library, which every host that it can run on has.
pub(super) const LEFT_OUT: &str = "libc6";
/// The program in the package.
const MEMBER: &str = "usr/libexec/docker/cli-plugins/docker-compose";
const ASK: Duration = Duration::from_secs(30);
const UNPACK: Duration = Duration::from_secs(300);

/// Where the docker program looks for plug-ins when it is not told, most specific first (its `cli-plugins/manager`).
const PLUGIN_FOLDERS: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// Where Compose programs may be on this host, best first.
pub(super) fn candidates() -> Vec<PathBuf> {
    let var = |name: &str| std::env::var_os(name);
    let own = match var("DOCKER_CONFIG") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => var("HOME").map(|home| Path::new(&home).join(".docker")),
    };
    let plugins = own.map(|f| f.join("cli-plugins")).into_iter().chain(PLUGIN_FOLDERS.map(PathBuf::from));
    let path = var("PATH").unwrap_or_default();
    let folders = plugins.chain(std::env::split_paths(&path));
    // `/bin` and `/usr/bin` are often one folder.
    let mut real = BTreeSet::new();
    let programs = folders.map(|folder| folder.join("docker-compose"));
    programs.filter(|p| p.canonicalize().is_ok_and(|at| real.insert(at))).collect()
}

/// What looking through the candidates found.
pub(super) struct Found {
    /// The first that will do.
    pub(super) usable: Option<(PathBuf, ComposeVersion)>,
    /// Those that will not, in words.
    pub(super) unusable: Vec<String>,
}

/// Asks every candidate that is there for its version until one will do.
pub(super) fn look(candidates: &[PathBuf], children: &Children) -> Found {
    let mut unusable = Vec::new();
    for path in candidates.iter().filter(|p| p.is_file()) {
        match version(path, children) {
            Ok(version) if version.will_do() => return Found { usable: Some((path.clone(), version)), unusable },
            Ok(version) => unusable.push(format!("{} is version {version}, which is too old", path.display())),
            Err(error) => unusable.push(format!("{} does not answer: {error:#}", path.display())),
        }
    }
    Found { usable: None, unusable }
}

fn version(program: &Path, children: &Children) -> Result<ComposeVersion> {
    let ask = Exec::site(program.display().to_string()).args(["version", "--short"]).timeout(ASK);
    let said = children.ask(&ask, Environment::Inherited)?;
    ComposeVersion::find(&said).with_context(|| format!("no version in what it says: {}", said.trim()))
}

/// The program in the cache, if it is there and its bytes are those that were put there.
pub(super) fn cached(cache: &Path) -> Option<PathBuf> {
    let (program, sum) = places(cache);
    let noted = fs::read_to_string(sum).ok()?;
    let is = packages::sha256_of(&program).ok()?;
    (noted.split_whitespace().next() == Some(is.as_str())).then_some(program)
}

fn places(cache: &Path) -> (PathBuf, PathBuf) {
    let program = cache.join("bin/docker-compose");
    let sum = cache.join("bin/docker-compose.sha256");
    (program, sum)
}

/// Takes the program out of its checked package into the cache and asks it for its version.
pub(super) fn install(cache: &Path, packages: &Packages, children: &Children, events: &dyn Events) -> Result<PathBuf> {
    let deb = packages.find(PACKAGE)?;
    let (program, sum) = places(cache);
    apt::make(&cache.join("bin"))?;
    let partial = program.with_extension("partial");
    let from = packages.path(deb);
    let unpack = Exec::site("dpkg-deb").args(["--fsys-tarfile".into(), from.to_string_lossy()]).timeout(UNPACK);
    let taken = children.stream(&unpack, Environment::Clean, |mut out| {
        let mut archive = tar::Archive::new(&mut out);
        let mut found = false;
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            if path.strip_prefix("./").unwrap_or(&path) == Path::new(MEMBER) {
                let mut file = File::create(&partial).with_context(|| format!("write {}", partial.display()))?;
                let wanted = entry.size();
                let copied = io::copy(&mut entry, &mut file)?;
                anyhow::ensure!(copied == wanted, "{MEMBER} ends after {copied} of {wanted} bytes");
                file.set_permissions(fs::Permissions::from_mode(0o755))?;
                file.sync_all()?;
                found = true;
            }
        }
        io::copy(&mut out, &mut io::sink())?;
        Ok(found)
    });
    let found = taken.with_context(|| format!("unpack {}", deb.file))?;
    anyhow::ensure!(found, "{} holds no {MEMBER}", deb.file);
    let version = version(&partial, children).map_err(|e| {
        Purpose::Compose.refuse(format!("Debian's package ({}) does not run here: {e:#}", deb.version()), "")
    })?;
    let digest = packages::sha256_of(&partial)?;
    fs::rename(&partial, &program).with_context(|| format!("name {}", program.display()))?;
    apt::write(&sum, &format!("{digest}  docker-compose\n"))?;
    events.tell(Event::Note(format!("Docker Compose {version} is in {}", program.display())));
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::clock::SystemClock;
    use std::sync::Arc;

    fn children() -> Children {
        Children::new(Arc::new(SystemClock::start()))
    }

    fn program(folder: &Path, name: &str, body: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn the_first_program_of_version_two_is_taken_and_others_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent");
        let broken = program(folder.path(), "broken", "echo cannot >&2; exit 1");
        let old = program(folder.path(), "old", "echo 1.29.2");
        let new = program(folder.path(), "new", "[ \"$*\" = 'version --short' ] && echo v2.20.0");
        let found = look(&[absent, broken.clone(), old.clone(), new.clone()], &children());
        assert_eq!(found.usable, Some((new, ComposeVersion(2, 20, 0))));
        let none = look(&[broken, old.clone()], &children());
        assert!(none.usable.is_none());
        assert_eq!(none.unusable.len(), 2);
        assert_eq!(none.unusable[1], format!("{} is version 1.29.2, which is too old", old.display()));
        assert!(none.unusable[0].contains("cannot"), "{:?}", none.unusable);
    }

    #[test]
    fn a_cached_program_counts_only_with_the_bytes_that_were_put_there() {
        let cache = tempfile::tempdir().unwrap();
        fs::create_dir(cache.path().join("bin")).unwrap();
        assert_eq!(cached(cache.path()), None);
        let (path, sum) = places(cache.path());
        fs::write(&path, b"program").unwrap();
        assert_eq!(cached(cache.path()), None, "nothing says that it is whole");
        fs::write(&sum, format!("{}  docker-compose\n", packages::sha256_of(&path).unwrap())).unwrap();
        assert_eq!(cached(cache.path()), Some(path.clone()));
        fs::write(&path, b"progran").unwrap();
        assert_eq!(cached(cache.path()), None);
    }
}
