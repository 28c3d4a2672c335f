//! What a backup set is bound to beyond its stores: the configuration that it was made under, and how far its stores are apart.
//! Names and digests only, never a value. It must not know how a digest is made.

use super::mark::Moment;
use serde::{Deserialize, Serialize};

/// A set's binding; every part may be missing. Fields stand in the order of the alphabet, as a manifest's canonical form has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// SHA-256 of the exact bytes of the Compose files, in the order in which they are merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compose_sha256: Option<String>,
    /// SHA-256 of the sorted names of the env file's variables, a line each. Their values are in no digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_names_sha256: Option<String>,
    /// The Compose project's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// How far the moments of the stores may be apart, in milliseconds; missing where there is one store only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew_ms: Option<u64>,
}

/// When the data of one store was taken, on the run's own clock: not before the one, not after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Before the snapshot was asked for, or the first file read.
    pub from: Moment,
    /// When the snapshot was held, or the last file read.
    pub to: Moment,
}

/// How far the moments of several stores may be apart at worst; `None` for one store, which cannot contradict itself.
pub fn skew(spans: &[Span]) -> Option<std::time::Duration> {
    if spans.len() < 2 {
        return None;
    }
    // A store is not compared with itself: that its own window is long says nothing of the others.
    let apart = |(one, a): (usize, &Span)| {
        let others = spans.iter().enumerate().filter(move |(other, _)| *other != one);
        others.map(move |(_, b)| b.to.saturating_sub(a.from)).max()
    };
    spans.iter().enumerate().filter_map(apart).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn span(from: u64, to: u64) -> Span {
        Span { from: Duration::from_secs(from), to: Duration::from_secs(to) }
    }

    #[test]
    fn the_skew_is_between_the_earliest_and_the_latest_moment_of_two_stores() {
        let seconds = |spans: &[Span]| skew(spans).map(|s| s.as_secs());
        assert_eq!(seconds(&[]), None);
        assert_eq!(seconds(&[span(0, 900)]), None, "one store is not apart from anything");
        assert_eq!(seconds(&[span(1, 2), span(2, 3)]), Some(2));
        assert_eq!(seconds(&[span(2, 3), span(1, 2)]), Some(2), "in whatever order");
        assert_eq!(seconds(&[span(0, 1), span(5, 605)]), Some(605), "a folder is read over a window");
        assert_eq!(seconds(&[span(0, 600), span(1, 2)]), Some(599), "the window of the one, seen from the other");
    }
}
