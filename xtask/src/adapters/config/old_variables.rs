//! The variables of earlier days that say where backups go, whether they are compressed and whether they are encrypted. Followed where
//! `recovery.yaml` says nothing; refused where it says something else. It must not know what becomes of an answer.

use super::mounts::tidy;
use crate::adapters::environment::Lookup;
use crate::domain::place::Place;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::secret::Secret;
use crate::domain::stack::Compression;
use std::path::{Path, PathBuf};

/// The folder of all backups of earlier days.
pub(super) const FOLDER: &str = "BACKUP_DIR";
const COMPRESSION: &str = "BACKUP_COMPRESSION";
const ENCRYPTION: &str = "BACKUP_ENCRYPTION";
const KEY: &str = "BACKUP_ENCRYPTION_KEY";

/// What is written in `recovery.yaml`, and where.
pub(super) type Written<T> = Option<(T, Place)>;

/// The vault: as written, else the stack's own folder in `BACKUP_DIR`, which is relative to the Compose project's folder.
pub(super) fn vault(
    written: Written<PathBuf>,
    stack: &str,
    project: &Path,
    lookup: Lookup<'_>,
) -> Result<Option<PathBuf>, Refusal> {
    let said = value(FOLDER, lookup).map(|folder| tidy(&project.join(folder)));
    match (written, said) {
        (None, said) => Ok(said.map(|folder| folder.join(stack))),
        (Some((vault, _)), None) => Ok(Some(vault)),
        (Some((vault, at)), Some(folder)) => {
            if vault == folder || vault == folder.join(stack) {
                return Ok(Some(vault));
            }
            Err(contradiction(&at, "vault", FOLDER))
        }
    }
}

/// How sets are compressed: as written, else as `BACKUP_COMPRESSION` says, where `true` is the default.
pub(super) fn compression(written: Written<Compression>, lookup: Lookup<'_>) -> Result<Compression, Refusal> {
    let said = match value(COMPRESSION, lookup).map(|word| word.to_ascii_lowercase()) {
        None => None,
        Some(word) => Some(match word.as_str() {
            "zstd" => Said::This(Compression::Zstd),
            "gzip" => Said::This(Compression::Gzip),
            "none" => Said::This(Compression::None),
            word => match switch(word) {
                Some(true) => Said::Some,
                Some(false) => Said::This(Compression::None),
                None => return Err(unknown(COMPRESSION, "true, false, zstd, gzip or none")),
            },
        }),
    };
    match (written, said) {
        (None, None | Some(Said::Some)) => Ok(Compression::default()),
        (None, Some(Said::This(kind))) => Ok(kind),
        (Some((kind, _)), None) => Ok(kind),
        (Some((kind, at)), Some(said)) => {
            let agree = match said {
                Said::Some => kind != Compression::None,
                Said::This(other) => kind == other,
            };
            if agree { Ok(kind) } else { Err(contradiction(&at, "compression", COMPRESSION)) }
        }
    }
}

enum Said {
    /// Any compression.
    Some,
    This(Compression),
}

/// What the old variables say of encryption.
pub(super) enum Encrypted {
    /// Nothing.
    Unsaid,
    Off,
    /// With this passphrase, or with none that anybody gave.
    On(Option<Secret>),
}

/// `BACKUP_ENCRYPTION` and `BACKUP_ENCRYPTION_KEY`, as the old scripts read them. A note tells of a key that nobody asked to use.
pub(super) fn encryption(lookup: Lookup<'_>, notes: &mut Vec<String>) -> Result<Encrypted, Refusal> {
    // Not trimmed: what is around a passphrase may belong to it.
    let key = lookup(KEY).filter(|key| !key.is_empty());
    let Some(word) = value(ENCRYPTION, lookup) else {
        if key.is_some() {
            notes.push(format!(
                "{KEY} is set and {ENCRYPTION} is not: the key opens old archives, and encrypts nothing"
            ));
        }
        return Ok(Encrypted::Unsaid);
    };
    match switch(&word.to_ascii_lowercase()) {
        Some(true) => Ok(Encrypted::On(key.map(Secret::new))),
        Some(false) => Ok(Encrypted::Off),
        None => Err(unknown(ENCRYPTION, "true or false")),
    }
}

/// The environment comes before the env file, and an empty word there would switch off what the file switches on, without a word.
pub(super) fn not_blanked(environment: Lookup<'_>, file: Lookup<'_>) -> Result<(), Refusal> {
    for name in [ENCRYPTION, KEY] {
        let blank = environment(name).is_some_and(|value| value.trim().is_empty());
        if blank && value(name, file).is_some() {
            let cause =
                format!("variable `{name}` is set in the env file, and empty in the environment, which comes first");
            let hint =
                format!("unset `{name}` in the environment, or write there what is meant (`false` for no encryption)");
            return Err(Refusal::new(RefusalKind::Configuration, cause, hint));
        }
    }
    Ok(())
}

/// Encryption is wanted, and there is nothing to encrypt with.
pub(super) fn without_key() -> Refusal {
    Refusal::new(
        RefusalKind::Configuration,
        format!("variable `{ENCRYPTION}` is on and `{KEY}` is not set: backups would not be encrypted"),
        format!("set `{KEY}`, or write `encryption: {{ recipients: [age1…] }}` below `backups:` in recovery.yaml"),
    )
}

/// As [`contradiction`], for encryption.
pub(super) fn encryption_contradicted(at: &Place) -> Refusal {
    contradiction(at, "encryption", ENCRYPTION)
}

/// The file says one thing and a variable another. Whoever set either believes in it: neither is silently dropped.
pub(super) fn contradiction(at: &Place, key: &str, variable: &str) -> Refusal {
    let cause = format!("`{key}` says one thing here, and variable `{variable}` says another");
    at.refuse(cause, format!("remove one of the two, or let them agree: `{key}` in recovery.yaml, or `{variable}`"))
}

fn unknown(variable: &str, words: &str) -> Refusal {
    Refusal::new(
        RefusalKind::Configuration,
        format!("variable `{variable}` is none of {words}"),
        format!("correct `{variable}` in the env file or the environment, or remove it"),
    )
}

fn switch(word: &str) -> Option<bool> {
    match word {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// A variable that says something.
fn value(name: &str, lookup: Lookup<'_>) -> Option<String> {
    lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}
