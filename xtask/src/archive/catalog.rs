//! The catalog of a vault: one line a set, in the order in which they were committed, never rewritten. Each line repeats what the
//! manifests say of their order, so that a set that was taken away, or put back, is noticed. It must not know what sets hold.

use super::disk::{self, Disk};
use super::manifest::Public;
use crate::domain::deed::{Deed, Ending, What};
use crate::domain::refusal::Refusal;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

/// Its name in a vault.
pub const NAME: &str = "catalog.jsonl";
/// A longer catalog is not one of ours: a line has some 300 bytes.
const MOST_BYTES: u64 = 256 << 20;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event", deny_unknown_fields)]
pub enum Line {
    /// A set was committed.
    Committed {
        /// Its id.
        id: String,
        /// Its sequence number.
        sequence: u64,
        /// SHA-256 of its manifest's exact bytes.
        manifest_sha256: String,
        /// That of the set before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<String>,
    },
    /// A file with the key of a set was written, for whoever may read it; there may be one line a file.
    Keyed {
        /// The set's id.
        id: String,
        /// The file's name, which holds its SHA-256.
        file: String,
    },
    /// A set is about to be removed on purpose.
    Removed {
        /// Its id.
        id: String,
        /// The run that removes it.
        run: String,
        /// When, RFC 3339 UTC.
        at: String,
    },
}

impl Line {
    /// The line of a set.
    pub(super) fn of(public: &Public) -> Self {
        let outline = &public.outline;
        Self::Committed {
            id: outline.id.clone(),
            sequence: outline.sequence,
            manifest_sha256: public.sha256.clone(),
            previous: outline.previous.clone(),
        }
    }
}

/// Every line; none when there is no catalog yet. A last line that was cut short by a crash was never promised and does not count.
///
/// # Errors
/// `Refusal` of kind `Integrity` for a line that is none, `Storage`.
pub(super) fn read(on: &dyn Disk, vault: &Path) -> Result<Vec<Line>, Refusal> {
    let path = vault.join(NAME);
    if disk::is_missing(on, &path) {
        return Ok(Vec::new());
    }
    let mut text = String::new();
    let file = disk::open(on, &path)?;
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(|e| disk::reading(&e, &path))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let line = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| disk::damaged(&path, &format!("line {}: {e}", number + 1)))
    };
    whole.lines().enumerate().map(line).collect()
}

/// Appends lines, durable on return. A half line that a crash left is ended first, so that it spoils no other.
pub(super) fn append(on: &dyn Disk, vault: &Path, lines: &[Line]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line).context("write the catalog")?;
        text.push(b'\n');
    }
    disk::append(on, vault, NAME, &text, MOST_BYTES)
}

/// The lines that are missing for these sets, oldest first: a run that died between its commit and its line leaves one.
pub(super) fn missing(lines: &[Line], sets: &[Public]) -> Vec<Line> {
    let known: BTreeSet<&str> = lines.iter().filter_map(committed).collect();
    sets.iter().filter(|set| !known.contains(set.outline.id.as_str())).map(Line::of).collect()
}

/// SHA-256 of the manifest with which this set was committed.
pub(super) fn digest_of(lines: &[Line], of: &str) -> Option<String> {
    lines.iter().find_map(|line| match line {
        Line::Committed { id, manifest_sha256, .. } if id == of => Some(manifest_sha256.clone()),
        _ => None,
    })
}

fn committed(line: &Line) -> Option<&str> {
    if let Line::Committed { id, .. } = line { Some(id) } else { None }
}

/// The key files of a set that no line names. A set of which no line names any was made before there were such lines: nobody knows.
pub(super) fn strange_keys(lines: &[Line], set: &str, files: &[String]) -> Vec<String> {
    let keyed = |line: &'_ Line| match line {
        Line::Keyed { id, file } if id == set => Some(file.clone()),
        _ => None,
    };
    let known: BTreeSet<String> = lines.iter().filter_map(keyed).collect();
    let strange = files.iter().filter(|file| !known.is_empty() && !known.contains(*file));
    let told = |file| format!("{file} is not one that this tool wrote for set {set}: nobody may be able to open it");
    strange.map(told).collect()
}

/// The sets that the audit log tells of and the catalog does not, unless they are there or were removed on purpose.
pub(super) fn told_of(lines: &[Line], deeds: &[Deed], there: &BTreeSet<&str>) -> Vec<String> {
    let named: BTreeSet<&str> = lines
        .iter()
        .map(|line| match line {
            Line::Committed { id, .. } | Line::Keyed { id, .. } | Line::Removed { id, .. } => id.as_str(),
        })
        .collect();
    let of = |whats: &'static [What]| {
        let done = deeds.iter().filter(|deed| deed.ending == Ending::Passed && whats.contains(&deed.what));
        done.filter_map(|deed| deed.set.as_deref()).collect::<BTreeSet<&str>>()
    };
    let removed = of(&[What::Prune]);
    let gone = of(&[What::Backup, What::Adopt])
        .into_iter()
        .filter(|id| !there.contains(id) && !named.contains(id) && !removed.contains(id));
    gone.map(|id| format!("the audit log tells of set {id}, which is gone, and so is its line in the catalog"))
        .collect()
}

/// What does not fit together: between the manifests, and between them and the catalog. `sets` are sound, oldest first; `damaged`
/// are the ids of those that are there and are not.
pub fn contradictions(lines: &[Line], sets: &[Public], damaged: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let there: BTreeSet<&str> =
        sets.iter().map(|s| s.outline.id.as_str()).chain(damaged.iter().map(String::as_str)).collect();
    let removed: BTreeSet<&str> =
        lines.iter().filter_map(|l| if let Line::Removed { id, .. } = l { Some(id.as_str()) } else { None }).collect();
    for line in lines {
        let Line::Committed { id, manifest_sha256, .. } = line else { continue };
        match sets.iter().find(|s| s.outline.id == *id) {
            Some(set) if set.sha256 != *manifest_sha256 => {
                found.push(format!("set {id} is not the one that was committed: its manifest is another"));
            }
            // Number and set before are in the manifest too: whoever changed them here meant to be believed elsewhere.
            Some(set) if Line::of(set) != *line => {
                found.push(format!("the catalog's line of set {id} is not the one that was written"));
            }
            None if !there.contains(id.as_str()) && !removed.contains(id.as_str()) => {
                found.push(format!("set {id} is gone, and nobody removed it with this tool"));
            }
            _ => {}
        }
    }
    // A crash may cost the newest set its line, and whoever begins the next one writes it first.
    let named: BTreeSet<&str> = lines.iter().filter_map(committed).collect();
    let last = sets.iter().rfind(|s| named.contains(s.outline.id.as_str())).map_or(0, |s| s.outline.sequence);
    for set in sets.iter().filter(|s| s.outline.sequence < last && !named.contains(s.outline.id.as_str())) {
        let id = &set.outline.id;
        found.push(format!("the catalog has no line of set {id}, and later sets have theirs: lines were taken out"));
    }
    let known = |sha256: &str| {
        sets.iter().any(|s| s.sha256 == sha256)
            || lines.iter().any(|l| matches!(l, Line::Committed { manifest_sha256, .. } if manifest_sha256 == sha256))
    };
    for pair in sets.windows(2) {
        let [before, after] = pair else { continue };
        if before.outline.sequence == after.outline.sequence {
            let (one, other) = (&before.outline.id, &after.outline.id);
            found.push(format!("sets {one} and {other} have the same number: one of them is a copy"));
        }
    }
    for set in sets {
        let (id, sequence) = (&set.outline.id, set.outline.sequence);
        let before = sets.iter().find(|s| s.outline.sequence + 1 == sequence);
        match (&set.outline.previous, before) {
            (Some(previous), Some(before)) if before.sha256 != *previous => {
                found.push(format!("set {} is not the one that {id} followed", before.outline.id));
            }
            (Some(previous), None) if !known(previous) => {
                found.push(format!(
                    "the set that {id} followed is known to nobody: sets or the catalog were taken away"
                ));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests;
