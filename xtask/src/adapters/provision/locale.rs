//! Compiles the image's locale with the release's own `localedef`, run through its own loader: no chroot, no root.
//! It must not know what an image is.

use super::apt;
use super::child::Children;
use super::packages::Packages;
use super::recipe::Locale;
use crate::adapters::processes::Environment;
use crate::domain::exec::Exec;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(120);
/// What holds the compiler, its libraries and the locales' sources.
const NEEDED: [&str; 3] = ["libc6", "libc-bin", "locales"];
/// Where the libraries are: below these in a folder named after the machine (`x86_64-linux-gnu`).
const LIBRARIES: [&str; 2] = ["lib", "usr/lib"];

/// A compiled file: its path in the image and its bytes.
pub(super) type Compiled = Vec<(String, Vec<u8>)>;

/// Compiles into `scratch`, which is emptied first and removed afterwards. Sorted by path.
pub(super) fn compile(locale: &Locale, packages: &Packages, scratch: &Path, children: &Children) -> Result<Compiled> {
    let _clean = Scratch::empty(scratch)?;
    for package in NEEDED {
        let deb = packages.path(packages.find(package)?);
        let unpack = Exec::site("dpkg-deb")
            .args(["-x".into(), deb.to_string_lossy(), scratch.to_string_lossy()])
            .timeout(TIMEOUT);
        children.ask(&unpack, Environment::Clean).with_context(|| format!("unpack {package}"))?;
    }
    let folder = format!("usr/lib/locale/{}", locale.name);
    apt::make(&scratch.join("usr/lib/locale"))?;
    let libraries = machine_folders(scratch)?;
    let loader = loader(&libraries).context("no loader (ld-linux-*.so.*) among the libraries of libc6")?;
    let search: Vec<String> = libraries.iter().map(|l| l.display().to_string()).collect();
    let compile = Exec::site(loader.display().to_string())
        .args(["--library-path".to_owned(), search.join(":"), scratch.join("usr/bin/localedef").display().to_string()])
        .args(["--no-archive".to_owned(), "--prefix".to_owned(), scratch.display().to_string()])
        .args(["-i", &locale.source, "-f", &locale.charmap, &locale.name])
        .env("I18NPATH", scratch.join("usr/share/i18n").display().to_string())
        .timeout(TIMEOUT);
    children.ask(&compile, Environment::Clean).with_context(|| format!("compile the locale {}", locale.name))?;
    let mut files = Vec::new();
    collect(&scratch.join(&folder), &folder, &mut files).context("read the compiled locale")?;
    files.sort();
    ensure!(!files.is_empty(), "compiling the locale {} left no files", locale.name);
    Ok(files)
}

fn machine_folders(scratch: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in LIBRARIES.map(|l| scratch.join(l)).iter().filter(|f| f.is_dir()) {
        for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().contains("-linux-") && entry.file_type()?.is_dir() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The file itself, not the link to it elsewhere: that one may be absolute and would lead to this host's own loader.
fn loader(libraries: &[PathBuf]) -> Option<PathBuf> {
    let entries = libraries.iter().filter_map(|l| fs::read_dir(l).ok()).flatten().filter_map(Result::ok);
    let mut found: Vec<PathBuf> = entries
        .filter(|e| e.file_type().is_ok_and(|t| t.is_file()))
        .filter(|e| {
            e.file_name().to_string_lossy().starts_with("ld-linux")
                || e.file_name().to_string_lossy().starts_with("ld64.")
        })
        .map(|e| e.path())
        .collect();
    found.sort();
    found.into_iter().next()
}

fn collect(folder: &Path, name: &str, into: &mut Compiled) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &name, into)?;
        } else {
            into.push((name, fs::read(entry.path())?));
        }
    }
    Ok(())
}

/// A folder that is empty now and gone afterwards.
struct Scratch<'a>(&'a Path);

impl<'a> Scratch<'a> {
    fn empty(path: &'a Path) -> Result<Self> {
        if path.exists() {
            fs::remove_dir_all(path).with_context(|| format!("empty {}", path.display()))?;
        }
        apt::make(path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // What is left behind is emptied by the next build.
        let _ = fs::remove_dir_all(self.0);
    }
}
