//! Keeps a path below its folder although whoever writes into that folder may plant links there: a container must not choose which
//! of the host's files are read for it. It must not know what is kept in the folder.

use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::{Context, Result, bail};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// The real place of `path`, which is relative to `folder`: links that stay below the folder are followed once, and what stands
/// beside the file is then looked for beside the file. A path without links comes back as it is; of one that does not exist,
/// the part that does is looked at.
///
/// # Errors
/// `Refusal` of kind `Preflight` when a link leads out of the folder.
pub fn resolve(folder: &Path, path: &Path) -> Result<PathBuf> {
    let root = folder.canonicalize().with_context(|| format!("find the folder {}", folder.display()))?;
    let plain = root.join(path.components().filter(|c| *c != Component::CurDir).collect::<PathBuf>());
    let real = real(&plain)?;
    if real == plain {
        return Ok(path.to_owned());
    }
    if real.starts_with(&root) { Ok(real) } else { Err(leads_out(path, &root)) }
}

/// An absolute path with every link in it followed, also that of a last name that leads to nothing.
pub fn real(path: &Path) -> Result<PathBuf> {
    match path.canonicalize() {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
        found => return found.with_context(|| format!("look at {}", path.display())),
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { bail!("there is no {}", path.display()) };
    let here = real(parent)?;
    match std::fs::read_link(here.join(name)) {
        // Where it would lead if something were there: nothing may be made there either.
        Ok(target) => Ok(lexical(&here.join(target))),
        Err(_) => Ok(here.join(name)),
    }
}

/// The same path with each `..` taken back; what comes before it holds no link that could mean another parent, or nothing at all.
fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(out.pop()),
            Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}

fn leads_out(path: &Path, root: &Path) -> anyhow::Error {
    let message = format!("{} is, or goes through, a link that leads out of {}", path.display(), root.display());
    let hint = "put the data itself there, or name its real place in recovery.yaml";
    Refusal::new(RefusalKind::Preflight, message, hint).into()
}

/// Fails unless this process has the file of exactly this path open now: a folder on the way may have become a link after the path was
/// resolved. The path is below the working folder, or was resolved.
///
/// # Errors
/// `Refusal` of kind `Preflight` when something else was opened.
#[cfg(target_os = "linux")]
pub fn opened(path: &Path) -> Result<()> {
    let wanted = std::path::absolute(path).context("find the working folder")?;
    for entry in std::fs::read_dir("/proc/self/fd").context("list the open files")? {
        let entry = entry.context("list the open files")?;
        // The descriptor of this very list is gone by the time it is asked for.
        if std::fs::read_link(entry.path()).is_ok_and(|open| open == wanted) {
            return Ok(());
        }
    }
    let message = format!("{} was replaced while it was opened", path.display());
    Err(Refusal::new(RefusalKind::Preflight, message, "see what renames files or folders there, then run it again")
        .into())
}

/// Elsewhere nobody says which files are open; the path was resolved a moment ago.
#[cfg(not(target_os = "linux"))]
pub fn opened(_path: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_inside_the_folder_and_refused_where_they_leave_it() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/file"), "x").unwrap();
        symlink("a/b", root.join("in")).unwrap();
        symlink("../../outside", root.join("a/out")).unwrap();
        symlink("/", root.join("top")).unwrap();
        symlink("a/missing", root.join("waiting")).unwrap();
        let at = |path: &str| resolve(&root, Path::new(path)).map_err(|e| Refusal::within(&e).unwrap().kind);
        for (path, found) in [("./a/b/file", "./a/b/file"), ("a/new/file", "a/new/file"), (".", ".")] {
            assert_eq!(at(path), Ok(PathBuf::from(found)));
        }
        assert_eq!(at("in/file"), Ok(root.join("a/b/file")));
        assert_eq!(at("in/new"), Ok(root.join("a/b/new")));
        assert_eq!(at("waiting"), Ok(root.join("a/missing")));
        for path in ["a/out", "a/out/x", "top", "top/etc/passwd", "in/../../../x"] {
            assert_eq!(at(path), Err(RefusalKind::Preflight), "{path}");
        }
    }

    #[test]
    fn a_file_that_is_not_the_one_that_was_opened_is_noticed() {
        let place = tempfile::tempdir().unwrap();
        let (one, other) = (place.path().canonicalize().unwrap().join("one"), place.path().join("other"));
        std::fs::write(&one, "1").unwrap();
        std::fs::write(&other, "2").unwrap();
        let held = std::fs::File::open(&one).unwrap();
        opened(&one).unwrap();
        std::fs::rename(&other, &one).unwrap();
        assert!(opened(&one).is_err(), "another file has the name now");
        drop(held);
    }
}
