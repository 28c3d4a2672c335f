//! Fetches Debian packages and checks every one against the signed lists' SHA-256 itself: apt takes a file that is in its
//! archive folder with the right size for good. It must not know what the packages are for.

use super::apt::{self, AptRoot};
use super::child::Children;
use super::trouble::Purpose;
use crate::adapters::processes::Environment;
use crate::domain::artifact::hex;
use crate::domain::event::Event;
use crate::domain::exec::Exec;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::ports::Events;
use anyhow::{Context, Result, anyhow};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

const RESOLVE: Duration = Duration::from_secs(120);
const DOWNLOAD: Duration = Duration::from_secs(1800);

/// One package file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Deb {
    /// Its name in the archive folder: `name_version_architecture.deb`.
    pub(super) file: String,
    bytes: u64,
    pub(super) sha256: String,
}

impl Deb {
    pub(super) fn package(&self) -> &str {
        self.file.split('_').next().unwrap_or_default()
    }

    /// As in the file's name; an epoch's colon is written `%3a` there.
    pub(super) fn version(&self) -> String {
        self.file.split('_').nth(1).unwrap_or_default().replace("%3a", ":")
    }
}

/// The checked packages of one wish, sorted by file name.
pub(super) struct Packages {
    pub(super) debs: Vec<Deb>,
    pub(super) folder: PathBuf,
}

impl Packages {
    pub(super) fn path(&self, deb: &Deb) -> PathBuf {
        self.folder.join(&deb.file)
    }

    pub(super) fn find(&self, package: &str) -> Result<&Deb> {
        self.debs
            .iter()
            .find(|d| d.package() == package)
            .with_context(|| format!("no package {package} among those fetched"))
    }

    /// In the format of `sha256sum`.
    pub(super) fn sums(&self) -> String {
        self.debs.iter().map(|d| format!("{}  {}\n", d.sha256, d.file)).collect()
    }

    /// SHA-256 of [`Packages::sums`].
    pub(super) fn digest(&self) -> String {
        hex(&Sha256::digest(self.sums()))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.debs.iter().map(|d| d.bytes).sum()
    }
}

/// What is wanted of one release.
pub(super) struct Wish<'a> {
    /// A file-name-safe word for it.
    pub(super) name: &'a str,
    /// What apt is told is installed already.
    pub(super) left_out: &'a [String],
    pub(super) packages: &'a [String],
    pub(super) purpose: Purpose,
}

/// Resolves, downloads and checks. The caller holds the lock on the roots.
///
/// # Errors
/// A refusal by the wish's purpose, `Integrity` when a package stays damaged.
pub(super) fn fetch(root: &AptRoot, wish: &Wish<'_>, children: &Children, events: &dyn Events) -> Result<Packages> {
    let status = format!("status-{}", wish.name);
    apt::write(&root.folder.join(&status), &pretended(wish.left_out, &root.architecture))?;
    let run = |exec: Exec| children.ask(&exec, Environment::Inherited).map_err(|e| wish.purpose.explain(e));
    let archives = format!("Dir::Cache::archives={}/", root.empty.display());
    let resolve =
        root.command(&status).args(["-o", "Acquire::ForceHash=SHA256", "-o", &archives, "install", "--print-uris"]);
    let listed = run(resolve.args(wish.packages).timeout(RESOLVE)).context("resolve the packages")?;
    let packages = Packages { debs: parse_uris(&listed)?, folder: root.folder.join("archives") };
    let missing = packages.debs.iter().filter(|d| !packages.path(d).exists()).map(|d| d.bytes).sum::<u64>();
    if missing > 0 {
        let (n, mb) = (packages.debs.len(), missing as f64 / 1e6);
        events.tell(Event::Note(format!("fetching {mb:.1} MB of Debian packages ({n} in all) for {}", wish.name)));
    }
    let download =
        || run(root.command(&status).args(["install", "--download-only"]).args(wish.packages).timeout(DOWNLOAD));
    download().context("download the packages")?;
    let damaged = discard_damaged(&packages)?;
    if !damaged.is_empty() {
        events.tell(Event::Note(format!(
            "fetching again, for its bytes are not the signed ones: {}",
            damaged.join(", ")
        )));
        download().context("download the damaged packages again")?;
        if let Some(file) = discard_damaged(&packages)?.first() {
            let message = format!("the package {file} does not have the SHA-256 of the signed list");
            let hint =
                "something between this machine and its mirror changes files: fix or bypass it, then run this again";
            return Err(Refusal::new(RefusalKind::Integrity, message, hint).into());
        }
    }
    remove_older(&packages)?;
    Ok(packages)
}

/// A dpkg status file in which these packages are installed, so that they and what only they need stay away.
fn pretended(left_out: &[String], architecture: &str) -> String {
    let entry = |name: &String| {
        format!(
            "Package: {name}\nStatus: install ok installed\nVersion: 999:0\nArchitecture: {architecture}\nMulti-Arch: foreign\n\
             Maintainer: none\nDescription: left out on purpose\n\n"
        )
    };
    left_out.iter().map(entry).collect()
}

/// Lines `'<uri>' <file> <size> SHA256:<hex>`; anything else that looks like one is refused, for an unchecked package is no package.
fn parse_uris(text: &str) -> Result<Vec<Deb>> {
    let parse = |line: &str| {
        let mut words = line.rsplit(' ');
        let sha256 = words.next()?.strip_prefix("SHA256:")?.to_owned();
        let bytes = words.next()?.parse().ok()?;
        let file = words.next()?.to_owned();
        let sound = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
        let named = file.ends_with(".deb") && !file.contains('/') && file.split('_').count() == 3;
        (sound && named).then_some(Deb { file, bytes, sha256 })
    };
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with('\''));
    let mut debs = lines
        .map(|l| parse(l).ok_or_else(|| anyhow!("apt named a package without a SHA-256: {l}")))
        .collect::<Result<Vec<_>>>()?;
    debs.sort();
    if debs.is_empty() {
        return Err(anyhow!("apt resolved the packages to none"));
    }
    Ok(debs)
}

/// Deletes every file whose bytes are not the listed ones; returns the names of those and of missing ones.
fn discard_damaged(packages: &Packages) -> Result<Vec<String>> {
    let mut bad = Vec::new();
    for deb in &packages.debs {
        let path = packages.path(deb);
        let is = if path.is_file() { Some(sha256_of(&path)?) } else { None };
        if is.as_deref() != Some(deb.sha256.as_str()) {
            if is.is_some() {
                fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
            }
            bad.push(deb.file.clone());
        }
    }
    Ok(bad)
}

/// Other versions of what was fetched now are of no use to anybody.
fn remove_older(packages: &Packages) -> Result<()> {
    let names: BTreeSet<&str> = packages.debs.iter().map(Deb::package).collect();
    let files: BTreeSet<&str> = packages.debs.iter().map(|d| d.file.as_str()).collect();
    for entry in fs::read_dir(&packages.folder).context("read the archive folder")? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let other = name.ends_with(".deb") && !files.contains(name.as_str());
        if other && name.split('_').next().is_some_and(|p| names.contains(p)) {
            fs::remove_file(entry.path()).with_context(|| format!("remove {name}"))?;
        }
    }
    Ok(())
}

/// SHA-256 of a file, lower-case hex.
pub(super) fn sha256_of(path: &Path) -> Result<String> {
    let mut file = fs::File::open(path).with_context(|| format!("open {}", path.display()))?;
    let (mut sum, mut chunk) = (Sha256::new(), vec![0; 256 << 10]);
    loop {
        match file.read(&mut chunk).with_context(|| format!("read {}", path.display()))? {
            0 => return Ok(hex(&sum.finalize())),
            n => sum.update(&chunk[..n]),
        }
    }
}

#[cfg(test)]
mod tests;
