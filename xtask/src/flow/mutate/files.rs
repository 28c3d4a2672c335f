//! Folders and files of the copies that mutants are made of: listed, made, copied and compared. It must not know what is spoiled.

use anyhow::{Context, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().into_string();
        names.push(name.map_err(|name| anyhow::anyhow!("{} is no name of ours", name.display()))?);
    }
    names.sort_unstable();
    Ok(names)
}

pub(super) fn make_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    Ok(fs::DirBuilder::new().mode(0o700).create(path)?)
}

/// Copies regular files only; where the file system can, blocks are shared and nothing is copied.
pub(super) fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    make_folder(to)?;
    for name in names(from)? {
        if fs::symlink_metadata(from.join(&name))?.is_file() {
            fs::copy(from.join(&name), to.join(&name)).with_context(|| format!("copy {name}; TMPDIR says where to"))?;
        }
    }
    Ok(())
}

pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(file.write_all(bytes)?)
}

/// Whether two folders hold the same: names, kinds and bytes.
pub(super) fn same(one: &Path, other: &Path) -> Result<bool> {
    let (a, b) = (fs::symlink_metadata(one)?, fs::symlink_metadata(other)?);
    if a.file_type() != b.file_type() {
        return Ok(false);
    }
    if a.is_dir() {
        let (ours, theirs) = (names(one)?, names(other)?);
        if ours != theirs {
            return Ok(false);
        }
        for name in ours {
            if !same(&one.join(&name), &other.join(&name))? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    if (a.dev(), a.ino()) == (b.dev(), b.ino()) {
        return Ok(true);
    }
    Ok(a.len() == b.len() && same_bytes(File::open(one)?, File::open(other)?)?)
}

fn same_bytes(mut one: File, mut other: File) -> Result<bool> {
    let (mut a, mut b) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let n = one.read(&mut a)?;
        if n == 0 {
            return Ok(true);
        }
        other.read_exact(&mut b[..n])?;
        if a[..n] != b[..n] {
            return Ok(false);
        }
    }
}
