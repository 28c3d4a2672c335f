//! A manifest's exact bytes: written in one canonical form, read back strictly. What cannot be understood in full is refused.
//! It must not know where a set lies or how files are opened.

use super::{digest, set_key, signature};
use crate::domain::artifact::{ComponentOutline, FORMAT, Fingerprint, Manifest, Outline, Rest, Role, SCHEMA, Seal};
use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The manifest's file name in a set.
pub const NAME: &str = "manifest.json";
/// The file with the digest of the manifest's exact bytes; `sha256sum -c` reads it.
pub const DIGEST_NAME: &str = "manifest.sha256";
/// A longer manifest is refused: it would not be one of ours.
pub const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// The rest of an encrypted set's manifest.
pub const REST_NAME: &str = "manifest.rest.age";
/// What an encrypted set requires of its reader.
pub const AGE: &str = "age";
/// Features this reader knows; a manifest that requires another is refused.
const KNOWN: [&str; 1] = [AGE];

/// A manifest as far as it can be read without a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Public {
    /// What everybody may know.
    pub outline: Outline,
    /// All of it, when nothing is encrypted.
    pub whole: Option<Manifest>,
    /// SHA-256 of its exact bytes, which the next set's manifest names.
    pub sha256: String,
}

/// The canonical bytes: compact JSON, sorted keys, no line end. Of an encrypted set only the outline, which names its `rest`.
///
/// # Errors
/// When the manifest is not sound: it would be refused by [`read`].
pub fn write(manifest: &Manifest, rest: Option<Fingerprint>) -> Result<Vec<u8>> {
    let outline = manifest.outline(rest);
    let sound = sound(&outline).and_then(|()| sound_contents(manifest));
    sound.map_err(anyhow::Error::msg).context("write the manifest")?;
    if outline.rest.is_some() { canonical(&outline) } else { canonical(manifest) }
}

/// What an encrypted set tells only to those who can read it, in the same form.
///
/// # Errors
/// It would be too long.
pub fn write_rest(manifest: &Manifest) -> Result<Vec<u8>> {
    canonical(&manifest.rest())
}

/// The content of [`DIGEST_NAME`] for these manifest bytes.
pub fn digest_line(manifest: &[u8]) -> String {
    format!("{}  {NAME}\n", digest::of(manifest).sha256)
}

/// Reads a manifest from its exact bytes and its digest file, for the set called `id`.
///
/// # Errors
/// A sentence saying what is wrong; the digest is compared before anything else is looked at.
pub fn read(bytes: &[u8], digest_file: &[u8], id: &str) -> Result<Public, String> {
    if digest_file != digest_line(bytes).as_bytes() {
        return Err(format!("{NAME} is not what {DIGEST_NAME} says: one of the two was changed"));
    }
    let malformed = |e: serde_json::Error| format!("{NAME}: {e}");
    let kind: Kind = serde_json::from_slice(bytes).map_err(malformed)?;
    known(&kind)?;
    let (outline, whole) = if kind.seal.is_null() {
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(malformed)?;
        sound_contents(&manifest)?;
        (manifest.outline(None), Some(manifest))
    } else {
        (serde_json::from_slice::<Outline>(bytes).map_err(malformed)?, None)
    };
    sound(&outline)?;
    if outline.id != id {
        return Err(format!("{NAME} belongs to set {}, not to {id}", outline.id));
    }
    // Catches what JSON readers forgive, such as a key given twice.
    if !whole.as_ref().map_or_else(|| is_canonical(&outline, bytes), |whole| is_canonical(whole, bytes)) {
        return Err(format!("{NAME} is not in canonical form"));
    }
    Ok(Public { outline, whole, sha256: digest::of(bytes).sha256 })
}

/// The whole manifest of an encrypted set, from its outline and the decrypted bytes of the rest.
///
/// # Errors
/// A sentence saying what is wrong.
pub fn read_rest(outline: &Outline, bytes: &[u8]) -> Result<Manifest, String> {
    let rest: BTreeMap<String, Rest> = serde_json::from_slice(bytes).map_err(|e| format!("{REST_NAME}: {e}"))?;
    if !is_canonical(&rest, bytes) {
        return Err(format!("{REST_NAME} is not in canonical form"));
    }
    let manifest = outline.with(rest).map_err(|e| format!("{REST_NAME}: {e}"))?;
    sound_contents(&manifest)?;
    Ok(manifest)
}

/// Why these bytes, which are what was written, may be the manifest of a tool that knows more than this one.
pub(super) fn newer(bytes: &[u8], digest_file: &[u8]) -> Option<String> {
    let kind: Kind = serde_json::from_slice(bytes).ok().filter(|_| digest_file == digest_line(bytes).as_bytes())?;
    let read = || match kind.seal.is_null() {
        true => serde_json::from_slice::<Manifest>(bytes).err(),
        false => serde_json::from_slice::<Outline>(bytes).err(),
    };
    known(&kind).err().or_else(|| read().map(|e| format!("{NAME}: {e}")))
}

/// What says which tool can read the rest.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Kind {
    format: Value,
    schema: Value,
    requires: Value,
    seal: Value,
}

/// Format, schema and features first: a newer manifest should be called newer, not malformed.
fn known(kind: &Kind) -> Result<(), String> {
    let text = |value: &Value| if value.is_null() { "nothing".to_owned() } else { value.to_string() };
    if kind.format.as_str() != Some(FORMAT) {
        return Err(format!("{NAME}: format is {}, this tool reads \"{FORMAT}\"", text(&kind.format)));
    }
    if kind.schema.as_u64() != Some(u64::from(SCHEMA)) {
        return Err(format!("{NAME}: schema is {}, this tool reads {SCHEMA}", text(&kind.schema)));
    }
    let features = kind.requires.as_array().ok_or(format!("{NAME}: `requires` is not a list"))?;
    match features.iter().find(|f| !f.as_str().is_some_and(|f| KNOWN.contains(&f))) {
        Some(feature) => Err(format!("{NAME} requires feature {feature}, which this tool does not know")),
        None => Ok(()),
    }
}

/// Keys are sorted because every part declares its fields so: no second copy of the whole is needed to sort them.
fn canonical(part: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = Bounded(Vec::new());
    let written = serde_json::to_writer(&mut bytes, part);
    if bytes.0.len() as u64 >= MAX_BYTES {
        let message = format!("the manifest would be longer than {MAX_BYTES} bytes: the stores hold too many objects");
        let hint = "describe the store as several, each with a part of its folders or tables, in recovery.yaml";
        return Err(Refusal::new(RefusalKind::Preflight, message, hint).into());
    }
    written.context("write the manifest")?;
    Ok(bytes.0)
}

/// As much as a manifest may hold, and no more.
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > MAX_BYTES {
            self.0.resize(usize::try_from(MAX_BYTES).unwrap_or(usize::MAX), 0);
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whether these are a part's canonical bytes, found out without making them.
fn is_canonical(part: &impl Serialize, bytes: &[u8]) -> bool {
    let mut left = Same(bytes);
    serde_json::to_writer(&mut left, part).is_ok() && left.0.is_empty()
}

/// Takes only the bytes that it expects.
struct Same<'a>(&'a [u8]);

impl std::io::Write for Same<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.strip_prefix(bytes).ok_or(std::io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that must hold in an outline by itself.
fn sound(manifest: &Outline) -> Result<(), String> {
    let wanted: &[&str] = if manifest.seal.is_some() { &[AGE] } else { &[] };
    if manifest.format != FORMAT || manifest.schema != SCHEMA || manifest.requires != wanted {
        return Err(format!("{NAME}: format, schema or requirements are not this tool's"));
    }
    match (&manifest.seal, &manifest.rest) {
        (None, None) => {}
        (Some(Seal { scheme, recipient }), Some(rest)) => {
            if scheme != set_key::SCHEME || !recipient.starts_with("age1") {
                return Err(format!("{NAME}: encrypted as {scheme} for {recipient:?}, which this tool cannot read"));
            }
            digest_spelled(REST_NAME, rest)?;
        }
        _ => return Err(format!("{NAME}: an encrypted set has two parts, another one")),
    }
    if let Some(previous) = &manifest.previous {
        spelled("previous", previous)?;
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

fn sound_component<'m>(component: &'m ComponentOutline, files: &mut BTreeSet<&'m str>) -> Result<(), String> {
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
        digest_spelled(&file.file, &file.stored)?;
    }
    Ok(())
}

/// What must hold in the part that an outline leaves out.
fn sound_contents(manifest: &Manifest) -> Result<(), String> {
    let mut files = manifest.components.iter().flat_map(|c| &c.files);
    files.try_for_each(|file| digest_spelled(&file.file, &file.plain))
}

fn digest_spelled(file: &str, digest: &Fingerprint) -> Result<(), String> {
    spelled(&format!("file {file}"), &digest.sha256)
}

fn spelled(what: &str, sha256: &str) -> Result<(), String> {
    let hex = sha256.len() == 64 && sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if hex { Ok(()) } else { Err(format!("{what}: {sha256:?} is not a SHA-256")) }
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
        && ![NAME, DIGEST_NAME, REST_NAME, signature::NAME].contains(&name)
        && wrapped_key(name).is_none()
}

/// The name of a key file with these bytes: it says its own digest, so that a damaged one is known without any key.
pub(super) fn key_name(wrapped: &[u8]) -> String {
    format!("key-{}.age", digest::of(wrapped).sha256)
}

/// The digest in a key file's name; `None` for other files.
pub(super) fn wrapped_key(name: &str) -> Option<&str> {
    name.strip_prefix("key-")?.strip_suffix(".age").filter(|hex| spelled("", hex).is_ok())
}

/// Whether a name is a set's id.
pub fn is_id(name: &str) -> bool {
    Id::parse(name).is_some()
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

#[cfg(test)]
mod tests;
