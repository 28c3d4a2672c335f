//! Archives that other tools wrote, as plain streams: what they are by their first bytes, whether they are whole, what they say of
//! themselves and what cannot be known. It must not know where they are brought back, nor run anything.

mod bundle;
mod custom;
mod fault;
mod files;
mod flat;
mod folder;
mod gzip;
mod openssl;
mod peel;
mod same;
mod sniff;
mod sql;
mod sqlite;
mod tar;
mod toc;
mod whole;
mod zstd;

pub use fault::carried;
pub use tar::sum_is_right as tar_sum_is_right;
pub use whole::whole;

use crate::domain::artifact::Fingerprint;
use crate::domain::foreign::{Content, Derivation, Findings, Said, Unknown};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::secret::Secret;
use anyhow::{Context, Result, anyhow};
use bundle::Bundle;
use folder::Folder;
use peel::{Key, Peeled, peel};
use same::{Base, Counted, Same, Without};
use sniff::Seen;
use std::collections::BTreeSet;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// Opens an OpenPGP message under a passphrase. Its reader fails at the end unless the message was whole and unchanged.
pub type OpenPgp = Arc<dyn Fn(Box<dyn Read + Send>, &Secret) -> Result<Box<dyn Read + Send>> + Send + Sync>;

/// What may open an archive's encrypted layers, in the order in which it is tried.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// The passphrases.
    pub passphrases: Vec<Secret>,
    /// How `openssl enc` made a key of one; empty = every way that it had as a default.
    pub derivations: Vec<Derivation>,
}

/// An archive that was read to its end and found whole.
pub struct Examined {
    findings: Findings,
    source: Source,
    key: Option<Key>,
    gpg: OpenPgp,
}

enum Source {
    File(Arc<std::fs::File>),
    Folder(Folder),
}

/// Reads an archive to its end: a file, or the folder of `pg_dump --format=directory`. Memory stays flat for any size.
/// `progress` is told the bytes of content so far.
///
/// # Errors
/// `MissingStore` or `AccessDenied` when it cannot be opened, `WrongKey`, `Configuration` (a passphrase is needed), `BadArtifact`
/// (cut short, changed, or nothing that is read here); each names the file.
pub fn examine(path: &Path, keys: &Keys, gpg: &OpenPgp, progress: &mut dyn FnMut(u64)) -> Result<Examined> {
    let name = path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
    let mut read = || {
        let kind = std::fs::metadata(path).map_err(|e| same::opening(&e, path))?;
        if kind.is_dir() {
            return of_folder(path, &name, gpg);
        }
        of_file(path, &name, keys, gpg, progress)
    };
    read().map_err(|error| named(&name, error))
}

/// What a file or folder looks like from outside, without opening anything that is encrypted: layers and content in words.
///
/// # Errors
/// As [`examine`], as far as it looks.
pub fn look(path: &Path) -> Result<(String, Option<Content>)> {
    let name = path.display().to_string();
    let look = || {
        if std::fs::metadata(path).map_err(|e| same::opening(&e, path))?.is_dir() {
            Folder::open(path, &mut Vec::new())?;
            return Ok(("a folder".to_owned(), Some(Content::PostgresDirectory)));
        }
        let nobody: OpenPgp = Arc::new(|_, _| Err(anyhow!("nothing is opened here")));
        let base = Base::open(path)?;
        match peel(Box::new(base.reader()), None, &nobody) {
            Ok(peeled) => {
                let layers: Vec<String> = peeled.layers.iter().map(ToString::to_string).collect();
                Ok((layers.join(", "), Some(content(&peeled.seen)?)))
            }
            Err(error) if is(&error, RefusalKind::Configuration) => {
                Ok(("encrypted: what is inside shows when it is opened".to_owned(), None))
            }
            Err(error) => Err(error),
        }
    };
    look().map_err(|error| named(&name, error))
}

fn of_folder(path: &Path, name: &str, gpg: &OpenPgp) -> Result<Examined> {
    let mut told = Vec::new();
    let folder = Folder::open(path, &mut told)?;
    let (contents, whole) = folder.examine(&mut told)?;
    let findings = Findings {
        name: name.to_owned(),
        layers: Vec::new(),
        content: Content::PostgresDirectory,
        file: whole.clone(),
        plain: whole,
        unknown: unknown(Content::PostgresDirectory, &contents.said, false, false),
        said: contents.said,
        told,
    };
    Ok(Examined { findings, source: Source::Folder(folder), key: None, gpg: Arc::clone(gpg) })
}

fn of_file(path: &Path, name: &str, keys: &Keys, gpg: &OpenPgp, progress: &mut dyn FnMut(u64)) -> Result<Examined> {
    let base = Base::open(path)?;
    let (peeled, key, raw) = unlock(&base, keys, gpg)?;
    let Peeled { layers, seen, covered, remarks, plain } = peeled;
    let mut counted = Counted::new(plain, progress);
    let mut told = Vec::new();
    let mut wal = false;
    let (content, said) = {
        let mut from = BufReader::with_capacity(128 * 1024, &mut counted);
        match content(&seen)? {
            Content::PostgresCustom => (Content::PostgresCustom, custom::examine(&mut from)?),
            Content::PostgresSql => (Content::PostgresSql, sql::examine(&mut from, &mut told)?),
            Content::Sqlite => {
                wal = sqlite::examine(&mut from, &mut told)?.wal;
                (Content::Sqlite, Said::default())
            }
            Content::Tar | Content::PostgresTar | Content::PostgresDirectory => {
                match bundle::examine(&mut from, &mut told)? {
                    Bundle::Dump(contents, true) => (Content::PostgresTar, contents.said),
                    Bundle::Dump(contents, false) => (Content::PostgresDirectory, contents.said),
                    Bundle::Folder(top) => (Content::Tar, Said { top, ..Said::default() }),
                }
            }
        }
    };
    fault::drain(&mut counted)?;
    let plain = counted.finish();
    let file = raw.finish()?;
    told.extend(remarks.lock().unwrap_or_else(PoisonError::into_inner).drain(..));
    let unknown = unknown(content, &said, covered, wal);
    let findings = Findings { name: name.to_owned(), layers, content, file, plain, said, told, unknown };
    Ok(Examined { findings, source: Source::File(base.file()), key, gpg: Arc::clone(gpg) })
}

/// Opens the layers under the first key that fits; the raw file's count comes along.
fn unlock(base: &Base, keys: &Keys, gpg: &OpenPgp) -> Result<(Peeled, Option<Key>, same::Raw)> {
    let reader = base.reader();
    let raw = reader.raw();
    let mut last = match peel(Box::new(reader), None, gpg) {
        Ok(peeled) => return Ok((peeled, None, raw)),
        Err(error) if is(&error, RefusalKind::Configuration) => error,
        Err(error) => return Err(error),
    };
    let ways = if keys.derivations.is_empty() { &Derivation::ALL[..] } else { &keys.derivations };
    for passphrase in &keys.passphrases {
        for derivation in ways {
            let key = Key { passphrase: passphrase.clone(), derivation: *derivation, derived: Arc::default() };
            let reader = base.reader();
            let raw = reader.raw();
            match peel(Box::new(reader), Some(&key), gpg) {
                Ok(peeled) => return Ok((peeled, Some(key), raw)),
                Err(error) if is(&error, RefusalKind::WrongKey) => last = error,
                Err(error) => return Err(error),
            }
            // How a key is derived is a matter of openssl alone.
            if !key.derived.load(Ordering::Relaxed) {
                break;
            }
        }
    }
    Err(last)
}

fn is(error: &anyhow::Error, kind: RefusalKind) -> bool {
    Refusal::within(error).is_some_and(|refusal| refusal.kind == kind)
}

fn content(seen: &Seen) -> Result<Content> {
    match seen {
        Seen::Custom => Ok(Content::PostgresCustom),
        Seen::Sql => Ok(Content::PostgresSql),
        Seen::Sqlite => Ok(Content::Sqlite),
        Seen::Tar => Ok(Content::Tar),
        other => Err(anyhow!("{other:?} is no content")),
    }
}

fn unknown(content: Content, said: &Said, covered: bool, wal: bool) -> BTreeSet<Unknown> {
    let postgres = content.engine() == "postgres";
    let all = [
        (Unknown::Author, true),
        (Unknown::Bytes, !covered),
        (Unknown::Census, true),
        (Unknown::Moment, true),
        (Unknown::Server, postgres),
        (Unknown::ServerVersion, postgres && said.server_number().is_none()),
        (Unknown::Roles, postgres),
        (Unknown::Log, wal),
    ];
    all.into_iter().filter(|(_, holds)| *holds).map(|(what, _)| what).collect()
}

/// Puts the file's name before what is wrong with it.
fn named(name: &str, error: anyhow::Error) -> anyhow::Error {
    match Refusal::within(&error) {
        Some(refusal) => {
            let inner = format!("{error:#}");
            // A name inside of the archive that stands before the cause is kept.
            let message = if inner.contains(&refusal.message) { inner } else { refusal.message.clone() };
            Refusal::new(refusal.kind, format!("{name}: {message}"), refusal.hint.clone()).into()
        }
        None => error.context(format!("read {name}")),
    }
}

impl Examined {
    /// What was found.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// The content again, as whoever brings it back reads it: a script without its lines for psql, a dump of several files as a tar
    /// archive of just these. The reader fails at its end unless the same bytes came as when it was examined.
    ///
    /// # Errors
    /// When it cannot be opened again.
    pub fn content(&self) -> Result<Box<dyn Read + Send>> {
        let plain: Fingerprint = self.findings.plain.clone();
        let name = self.findings.name.clone();
        let file = match &self.source {
            Source::Folder(folder) => return Ok(Box::new(flat::Flat::new(Box::new(folder.tar(plain))))),
            Source::File(file) => file,
        };
        let again = peel(Box::new(Base::of(Arc::clone(file)).reader()), self.key.as_ref(), &self.gpg);
        let again = again.with_context(|| format!("read {name} again"))?;
        let same = Same::new(again.plain, plain);
        Ok(match self.findings.content {
            Content::PostgresSql => Box::new(Without::new(same, self.findings.said.guards.clone())),
            Content::PostgresDirectory => Box::new(flat::Flat::new(Box::new(flat::Inner(tar::Walk::new(same))))),
            _ => Box::new(same),
        })
    }
}
