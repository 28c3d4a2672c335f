//! A private copy of a set with the set before it, and a vault made of links to that copy in which one thing is spoiled at a time. What
//! is spoiled is always a new file: nothing is ever written through a link.

use super::files::{copy_folder, make_folder, names, same, write_new};
use crate::archive::catalog::{self, Line};
use crate::archive::vault::Vault;
use crate::archive::{manifest, signature};
use crate::domain::artifact::hex;
use crate::domain::mutation::{Change, Field, Other, Part, Replay, Shape, Subject, Tail};
use crate::domain::protection::Protection;
use anyhow::{Context, Result, bail};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// See the file's header.
pub(super) struct Trial {
    base: PathBuf,
    vault: PathBuf,
    /// What is not part of any vault: keys of strangers, what links point at.
    aside: PathBuf,
    id: String,
    before: Option<String>,
}

impl Trial {
    /// Copies the set, and the sound one before it. Sets that are not copied are said to be removed in the copy's catalog.
    pub(super) fn prepare(vault: &Vault, id: &str, under: &Path) -> Result<Self> {
        let (base, stage, aside) = (under.join("base"), under.join("vault"), under.join("aside"));
        for folder in [&base, &aside] {
            fs::create_dir_all(folder)?;
        }
        let sets = vault.list()?;
        let sound = |listed: &&crate::archive::vault::Listed| listed.public.is_ok() && listed.id.as_str() < id;
        let before = sets.iter().rfind(sound).map(|listed| listed.id.clone());
        for set in before.iter().map(String::as_str).chain([id]) {
            copy_folder(&vault.folder().join(set), &base.join(set))?;
        }
        let catalog = vault.folder().join(catalog::NAME);
        if catalog.exists() {
            let text = fs::read_to_string(&catalog).context("read the catalog")?;
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let mut others = Vec::new();
            for line in &lines {
                if let Ok(Line::Committed { id: of, .. }) = serde_json::from_str(line)
                    && of != id
                    && before.as_ref() != Some(&of)
                {
                    others.push(Line::Removed { id: of, run: "mutants".to_owned(), at: String::new() });
                }
            }
            lines.extend(others.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?);
            fs::write(base.join(catalog::NAME), lines.iter().map(|l| format!("{l}\n")).collect::<String>())?;
        }
        Ok(Self { base, vault: stage, aside, id: id.to_owned(), before })
    }

    /// The copy, which nothing spoils.
    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    /// The vault that is spoiled.
    pub(super) fn vault(&self) -> &Path {
        &self.vault
    }

    /// What the plan needs to know; `remade` and `budget` are the caller's to fill in.
    pub(super) fn subject(&self, protection: &Protection, readable: bool) -> Result<Subject> {
        let mut files = Vec::new();
        for name in names(&self.base.join(&self.id))? {
            let part = match name.as_str() {
                signature::NAME => Part::Signature,
                manifest::NAME | manifest::DIGEST_NAME | manifest::REST_NAME => Part::Record,
                name if name.starts_with("key-") => Part::Record,
                _ => Part::Artifact,
            };
            let bytes = fs::metadata(self.base.join(&self.id).join(&name))?.len();
            files.push(Shape { name, bytes, part });
        }
        // The very same bytes in the place of one another are no change.
        let shared = |set: &String| -> Result<Vec<String>> {
            let (theirs, ours) = (self.base.join(set), self.base.join(&self.id));
            let mut shared = Vec::new();
            for file in files.iter().filter(|f| f.part == Part::Artifact && theirs.join(&f.name).exists()) {
                if !same(&theirs.join(&file.name), &ours.join(&file.name))? {
                    shared.push(file.name.clone());
                }
            }
            Ok(shared)
        };
        let before = self.before.as_ref().map(shared).transpose()?;
        let encrypted = files.iter().any(|f| f.name == manifest::REST_NAME);
        Ok(Subject {
            before,
            trusted: !protection.trusted.is_empty(),
            unlocked: encrypted && readable,
            lines: self.lines()?.iter().map(|(_, line)| line.len() as u64).collect(),
            files,
            remade: Err(String::new()),
            budget: 0,
        })
    }

    /// The catalog's lines of the sets that were copied, with their places in the file.
    fn lines(&self) -> Result<Vec<(usize, String)>> {
        let path = self.base.join(catalog::NAME);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(path)?;
        let ours = |line: &str| match serde_json::from_str(line) {
            Ok(Line::Committed { id, .. }) => id == self.id || self.before.as_ref() == Some(&id),
            _ => false,
        };
        Ok(text.lines().enumerate().filter(|(_, l)| ours(l)).map(|(n, l)| (n, l.to_owned())).collect())
    }

    /// Makes the vault anew, of links to the copy.
    pub(super) fn reset(&self) -> Result<()> {
        if self.vault.exists() {
            fs::remove_dir_all(&self.vault).context("clear the last mutant")?;
        }
        make_folder(&self.vault)?;
        for name in names(&self.base)? {
            let (from, to) = (self.base.join(&name), self.vault.join(&name));
            if !from.is_dir() {
                fs::hard_link(&from, &to)?;
                continue;
            }
            make_folder(&to)?;
            for file in names(&from)? {
                fs::hard_link(from.join(&file), to.join(&file))?;
            }
        }
        Ok(())
    }

    /// Whether the copy is still what it was: nothing was written through a link.
    pub(super) fn is_untouched(&self) -> Result<bool> {
        self.reset()?;
        self.is_unchanged()
    }

    /// Whether the vault holds the very same things as the copy.
    pub(super) fn is_unchanged(&self) -> Result<bool> {
        same(&self.base, &self.vault)
    }

    /// Spoils one thing; returns the id of the set to ask about.
    pub(super) fn apply(&self, change: &Change) -> Result<String> {
        let set = self.vault.join(&self.id);
        let before = || self.before.as_deref().context("there is no set before it");
        match change {
            Change::Truncate(file, to) => self.own(&set.join(file))?.set_len(*to)?,
            Change::Flip(file, at, bit) => flip_in(&self.own(&set.join(file))?, *at, *bit)?,
            Change::Append(file, tail) => {
                let mut own = self.own(&set.join(file))?;
                own.seek(SeekFrom::End(0))?;
                own.write_all(&tail_bytes(*tail, file.contains(".gz")))?;
            }
            Change::Remove(file) => fs::remove_file(set.join(file))?,
            Change::Extra(file) => write_new(&set.join(file), b"extra")?,
            Change::Replace(file, other) => self.replace(&set.join(file), *other)?,
            Change::SwapManifest => {
                let from = self.base.join(before()?);
                for name in [manifest::NAME, manifest::DIGEST_NAME, signature::NAME, manifest::REST_NAME] {
                    if from.join(name).exists() && set.join(name).exists() {
                        fs::remove_file(set.join(name))?;
                        fs::hard_link(from.join(name), set.join(name))?;
                    }
                }
            }
            Change::SwapArtifact(file) => {
                fs::remove_file(set.join(file))?;
                fs::hard_link(self.base.join(before()?).join(file), set.join(file))?;
            }
            Change::Replay(Replay::NewName) => {
                let later = later(&self.id).context("the set's name cannot be made later")?;
                fs::rename(&set, self.vault.join(&later))?;
                return Ok(later);
            }
            Change::Replay(Replay::OldContent) => {
                fs::remove_dir_all(&set)?;
                fs::rename(self.vault.join(before()?), &set)?;
            }
            Change::CatalogRemove(line) => self.catalog(*line, |_| None)?,
            Change::CatalogFlip(line, at, bit) => self.catalog(*line, |mut bytes| {
                flip(&mut bytes, *at, *bit);
                Some(bytes)
            })?,
            Change::Redigest(field) => self.redigest(&set, field, None)?,
            Change::Resign(field) => self.redigest(&set, field, Some(&self.aside.join("stranger")))?,
            Change::WrongKey | Change::Remake(..) => bail!("this is done to no file"),
        }
        Ok(self.id.clone())
    }

    /// A file of its own in the place of a link: a copy, whose blocks are shared where the file system can.
    fn own(&self, path: &Path) -> Result<File> {
        let own = self.aside.join("own");
        fs::copy(path, &own)?;
        fs::rename(&own, path)?;
        Ok(OpenOptions::new().read(true).write(true).open(path)?)
    }

    /// Writes a small file anew, changed; the link goes first.
    fn rewrite(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut bytes = fs::read(path)?;
        change(&mut bytes);
        fs::remove_file(path)?;
        write_new(path, &bytes)
    }

    fn replace(&self, path: &Path, other: Other) -> Result<()> {
        let kept = self.aside.join("kept");
        let _ = fs::remove_file(&kept);
        fs::rename(path, &kept)?;
        match other {
            Other::Folder => make_folder(path),
            Other::Link => Ok(std::os::unix::fs::symlink(&kept, path)?),
            Other::Pipe => Ok(mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?),
        }
    }

    fn catalog(&self, which: usize, change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) -> Result<()> {
        let (number, _) = self.lines()?.into_iter().nth(which).context("the catalog has no such line")?;
        let path = self.vault.join(catalog::NAME);
        let bytes = fs::read(&path)?;
        let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        let mut line = lines.remove(number);
        line.pop();
        if let Some(mut changed) = change(line) {
            changed.push(b'\n');
            lines.insert(number, changed);
        }
        fs::remove_file(&path)?;
        write_new(&path, &lines.concat())
    }

    /// Changes the manifest, and with it whatever somebody can who holds no trusted key: the digest and, where only signatures tell,
    /// the catalog. With a `key`, the manifest is signed with one that nobody trusts.
    fn redigest(&self, set: &Path, field: &Field, key: Option<&Path>) -> Result<()> {
        let path = set.join(manifest::NAME);
        let mut value: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
        match field {
            Field::Tool => value["tool"] = "xtask 0.1.0-patched".into(),
            Field::AsOf => {
                let later = value["finished_at"].clone();
                let components = value["components"].as_array_mut().context("the manifest has no components")?;
                components.iter_mut().for_each(|c| c["consistent_as_of"] = later.clone());
            }
            Field::Artifact(file, at) => {
                let own = self.own(&set.join(file))?;
                flip_in(&own, *at, 0)?;
                let sha256 = digest(&own)?;
                let components = value["components"].as_array_mut().context("the manifest has no components")?;
                let files = components.iter_mut().filter_map(|c| c["files"].as_array_mut()).flatten();
                files
                    .filter(|f| f["file"] == file.as_str())
                    .for_each(|f| f["stored"]["sha256"] = sha256.clone().into());
            }
        }
        let bytes = serde_json::to_vec(&value)?;
        let digest = manifest::digest_line(&bytes);
        self.rewrite(&path, |old| old.clone_from(&bytes))?;
        self.rewrite(&set.join(manifest::DIGEST_NAME), |old| *old = digest.into_bytes())?;
        let signed = set.join(signature::NAME);
        if signed.exists() {
            self.recatalog(&sha256(&bytes))?;
        }
        if let Some(key) = key {
            if !key.exists() {
                signature::make(key)?;
            }
            let by = Protection { signing_key: Some(key.to_owned()), ..Protection::default() };
            let signer = signature::Signer::of(&by)?.context("there is no signing key")?;
            let text = signer.sign(&bytes, &self.id)?;
            self.rewrite(&signed, |old| *old = text.into_bytes())?;
        }
        Ok(())
    }

    fn recatalog(&self, sha256: &str) -> Result<()> {
        let of_set = |line: &str| matches!(serde_json::from_str(line), Ok(Line::Committed { id, .. }) if id == self.id);
        let Some(which) = self.lines()?.iter().position(|(_, line)| of_set(line)) else { return Ok(()) };
        self.catalog(which, |line| {
            let mut value: serde_json::Value = serde_json::from_slice(&line).ok()?;
            value["manifest_sha256"] = sha256.into();
            serde_json::to_vec(&value).ok()
        })
    }
}

fn sha256(bytes: &[u8]) -> String {
    manifest::digest_line(bytes).split_whitespace().next().unwrap_or_default().to_owned()
}

/// The SHA-256 of a whole file.
fn digest(mut file: &File) -> Result<String> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 18]);
    file.seek(SeekFrom::Start(0))?;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

fn flip_in(file: &File, at: u64, bit: u8) -> Result<()> {
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    flip(&mut byte, 0, bit);
    Ok(file.write_all_at(&byte, at)?)
}

fn flip(bytes: &mut [u8], at: u64, bit: u8) {
    if let Some(byte) = usize::try_from(at).ok().and_then(|at| bytes.get_mut(at)) {
        *byte ^= 1 << bit;
    }
}

fn tail_bytes(tail: Tail, gzip: bool) -> Vec<u8> {
    match tail {
        Tail::Byte(byte) => vec![byte],
        Tail::Nuls(count) => vec![0; usize::try_from(count).unwrap_or(1)],
        // RFC 1952 and RFC 8878: a whole member, and a whole frame, that hold nothing.
        Tail::Member if gzip => vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        Tail::Member => vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0],
    }
}

/// The same id, a minute later and one number higher.
fn later(id: &str) -> Option<String> {
    let mut parts = id.split('-');
    let (time, number, random) = (parts.next()?, parts.next()?.parse::<u64>().ok()?, parts.next()?);
    let at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok()?;
    let at = at.checked_add(jiff::Span::new().minutes(1)).ok()?;
    Some(format!("{}-{:06}-{random}", at.strftime("%Y%m%dT%H%M%SZ"), number + 1))
}
