//! A manifest's exact bytes: written in one canonical form, read back strictly. What cannot be understood in full is refused.
//! It must not know where a set lies or how files are opened.

use super::digest;
use crate::domain::artifact::{Component, FORMAT, Fingerprint, Manifest, Role, SCHEMA};
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The manifest's file name in a set.
pub const NAME: &str = "manifest.json";
/// The file with the digest of the manifest's exact bytes; `sha256sum -c` reads it.
pub const DIGEST_NAME: &str = "manifest.sha256";
/// A longer manifest is refused: it would not be one of ours.
pub const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Features this reader knows; a manifest that requires another is refused.
const KNOWN: [&str; 0] = [];

/// The canonical bytes: compact JSON, sorted keys, no line end.
///
/// # Errors
/// When the manifest is not sound: it would be refused by [`read`].
pub fn write(manifest: &Manifest) -> Result<Vec<u8>> {
    sound(manifest).map_err(anyhow::Error::msg).context("write the manifest")?;
    canonical(manifest)
}

/// The content of [`DIGEST_NAME`] for these manifest bytes.
pub fn digest_line(manifest: &[u8]) -> String {
    format!("{}  {NAME}\n", digest::of(manifest).sha256)
}

/// Reads a manifest from its exact bytes and its digest file, for the set called `id`.
///
/// # Errors
/// A sentence saying what is wrong; the digest is compared before anything else is looked at.
pub fn read(bytes: &[u8], digest_file: &[u8], id: &str) -> Result<Manifest, String> {
    if digest_file != digest_line(bytes).as_bytes() {
        return Err(format!("{NAME} is not what {DIGEST_NAME} says: one of the two was changed"));
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|e| format!("{NAME}: {e}"))?;
    known(&value)?;
    let manifest: Manifest = serde_json::from_value(value).map_err(|e| format!("{NAME}: {e}"))?;
    sound(&manifest)?;
    if manifest.id != id {
        return Err(format!("{NAME} belongs to set {}, not to {id}", manifest.id));
    }
    // Catches what JSON readers forgive, such as a key given twice.
    if canonical(&manifest).map_err(|e| format!("{NAME}: {e}"))? != bytes {
        return Err(format!("{NAME} is not in canonical form"));
    }
    Ok(manifest)
}

/// Format, schema and features first: a newer manifest should be called newer, not malformed.
fn known(value: &Value) -> Result<(), String> {
    let text = |key: &str| value.get(key).map_or("nothing".to_owned(), Value::to_string);
    if value.get("format").and_then(Value::as_str) != Some(FORMAT) {
        return Err(format!("{NAME}: format is {}, this tool reads \"{FORMAT}\"", text("format")));
    }
    if value.get("schema").and_then(Value::as_u64) != Some(u64::from(SCHEMA)) {
        return Err(format!("{NAME}: schema is {}, this tool reads {SCHEMA}", text("schema")));
    }
    let features =
        value.get("requires").and_then(Value::as_array).ok_or(format!("{NAME}: `requires` is not a list"))?;
    match features.iter().find(|f| !f.as_str().is_some_and(|f| KNOWN.contains(&f))) {
        Some(feature) => Err(format!("{NAME} requires feature {feature}, which this tool does not know")),
        None => Ok(()),
    }
}

fn canonical(manifest: &Manifest) -> Result<Vec<u8>> {
    let value = serde_json::to_value(manifest).context("write the manifest")?;
    serde_json::to_vec(&sorted(value)).context("write the manifest")
}

/// Sorts keys, whether or not some crate in the build made JSON objects keep their order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<String, Value> = map.into_iter().map(|(k, v)| (k, sorted(v))).collect();
            Value::Object(ordered.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// Everything that must hold in a manifest by itself.
fn sound(manifest: &Manifest) -> Result<(), String> {
    if manifest.format != FORMAT || manifest.schema != SCHEMA || !manifest.requires.is_empty() {
        return Err(format!("{NAME}: format, schema or requirements are not this tool's"));
    }
    let id = Id::parse(&manifest.id).ok_or_else(|| format!("{NAME}: `{}` is not a set's id", manifest.id))?;
    if id.sequence != manifest.sequence {
        return Err(format!("{NAME}: sequence {} is not the one in the id {}", manifest.sequence, manifest.id));
    }
    instant("started_at", &manifest.started_at)?;
    instant("finished_at", &manifest.finished_at)?;
    if manifest.components.is_empty() {
        return Err(format!("{NAME} lists no component: an empty set proves nothing"));
    }
    let mut stores = BTreeSet::new();
    let mut files = BTreeSet::new();
    for component in &manifest.components {
        if !stores.insert(&component.store) {
            return Err(format!("{NAME}: store {} is listed twice", component.store));
        }
        sound_component(component, &mut files).map_err(|e| format!("{NAME}: store {}: {e}", component.store))?;
    }
    Ok(())
}

fn sound_component<'m>(component: &'m Component, files: &mut BTreeSet<&'m str>) -> Result<(), String> {
    instant("consistent_as_of", &component.consistent_as_of)?;
    let data = component.files.iter().filter(|f| f.role == Role::Data).count();
    if data != 1 {
        return Err(format!("{data} data files instead of one"));
    }
    for file in &component.files {
        if !is_file_name(&file.file) {
            return Err(format!("{:?} is not a file name", file.file));
        }
        if !files.insert(&file.file) {
            return Err(format!("file {} is listed twice", file.file));
        }
        for Fingerprint { sha256, .. } in [&file.stored, &file.plain] {
            if sha256.len() != 64 || !sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(format!("file {}: {sha256:?} is not a SHA-256", file.file));
            }
        }
    }
    Ok(())
}

fn instant(what: &str, text: &str) -> Result<(), String> {
    text.parse::<jiff::Timestamp>().map(drop).map_err(|e| format!("{what} {text:?}: {e}"))
}

/// Whether a name can only mean a file in the set's own folder, and none of the set's own records.
pub(super) fn is_file_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=200).contains(&name.len())
        && name.chars().all(plain)
        && !name.starts_with(['.', '-'])
        && ![NAME, DIGEST_NAME].contains(&name)
}

/// A set's id, taken apart: `20261120T010000Z-000123-k7q2`. Ordered by time, then sequence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) time: jiff::Timestamp,
    pub(super) sequence: u64,
    random: String,
}

const TIME: &str = "%Y%m%dT%H%M%SZ";
const BASE32: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";

impl Id {
    /// A new id; the time is cut to whole seconds.
    pub(super) fn new(time: jiff::Timestamp, sequence: u64) -> Self {
        let random = (0..4).map(|_| char::from(BASE32[fastrand::usize(..BASE32.len())])).collect();
        Self { time, sequence, random }
    }

    /// Takes a folder's name apart; `None` when it is not an id.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        let (time, sequence, random) = (parts.next()?, parts.next()?, parts.next()?);
        let civil = jiff::civil::DateTime::strptime(TIME, time).ok()?;
        let id = Self {
            time: civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp(),
            sequence: sequence.parse().ok()?,
            random: random.to_owned(),
        };
        let spelled = random.len() == 4 && random.bytes().all(|b| BASE32.contains(&b));
        (spelled && parts.next().is_none() && id.to_string() == name).then_some(id)
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{:06}-{}", self.time.strftime(TIME), self.sequence, self.random)
    }
}
