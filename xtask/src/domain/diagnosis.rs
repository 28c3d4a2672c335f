//! A diagnosis: what is damaged, found by reading everything and comparing with what the backup promises to hold.

use super::census::{Census, Entry};
use serde::{Deserialize, Serialize};

/// One thing that is damaged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "damage", rename_all = "snake_case")]
pub enum Damage {
    /// A table or file of the backup is gone.
    Missing {
        /// The census object (`table public.order_lines`).
        object: String,
    },
    /// It is there and cannot be read.
    Unreadable {
        /// The census object.
        object: String,
        /// What the engine said (`invalid page in block 3 of relation …`).
        error: String,
    },
    /// Rows refer to rows that do not exist.
    Orphans {
        /// The referring table's census object.
        object: String,
        /// The constraint's name.
        constraint: String,
        /// The referred table's census object.
        parent: String,
        /// How many referring rows.
        rows: u64,
    },
}

/// All that is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Diagnosis {
    /// In a stable order.
    pub damages: Vec<Damage>,
}

impl Damage {
    /// The damaged object.
    pub fn object(&self) -> &str {
        match self {
            Self::Missing { object } | Self::Unreadable { object, .. } | Self::Orphans { object, .. } => object,
        }
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing { object } => write!(f, "{object}: missing"),
            Self::Unreadable { object, error } => write!(f, "{object}: unreadable: {error}"),
            Self::Orphans { object, constraint, parent, rows } => {
                write!(f, "{object}: {rows} rows violate {constraint}: their rows in {parent} are gone")
            }
        }
    }
}

impl Diagnosis {
    /// Reads what [`super::engine::Engine::diagnose`] prints: census lines, and lines
    /// `{"object":…,"kind":"orphans","constraint":…,"parent":…,"rows":n}`. Objects with content that the backup holds and
    /// that are not printed are missing. A content digest may end in `@` and a stamp (a file's time of change): the same stamp with
    /// another content is damage, another stamp is a newer version that stays.
    pub fn parse(text: &str, backup: &Census) -> Result<(Self, Census), String> {
        #[derive(Deserialize)]
        struct Orphans {
            object: String,
            constraint: String,
            parent: String,
            rows: u64,
        }
        let (orphans, lines): (Vec<&str>, Vec<&str>) = text
            .lines()
            .filter(|l| !l.trim().is_empty())
            .partition(|l| l.contains(r#""kind":"orphans""#) || l.contains(r#""kind" : "orphans""#));
        let found = Census::parse(&lines.join("\n"))?;
        let mut damages = Vec::new();
        for line in orphans {
            let o: Orphans = serde_json::from_str(line).map_err(|e| format!("diagnosis: {e}: {line}"))?;
            if o.rows > 0 {
                damages.push(Damage::Orphans {
                    object: o.object,
                    constraint: o.constraint,
                    parent: o.parent,
                    rows: o.rows,
                });
            }
        }
        for (object, entry) in &found.objects {
            if let Entry::Unreadable { error } = entry {
                damages.push(Damage::Unreadable { object: object.clone(), error: error.clone() });
            }
        }
        for (object, entry) in &backup.objects {
            if found.objects.get(object).is_some_and(|now| changed_in_silence(entry, now)) {
                let error = "its content changed although its time of change did not".into();
                damages.push(Damage::Unreadable { object: object.clone(), error });
            }
            if matches!(entry, Entry::Content { .. }) && !found.objects.contains_key(object) {
                damages.push(Damage::Missing { object: object.clone() });
            }
        }
        damages.sort();
        damages.dedup();
        Ok((Self { damages }, found))
    }

    /// The objects whose content must come from the backup: missing and unreadable ones.
    pub fn lost(&self) -> impl Iterator<Item = &str> {
        self.damages.iter().filter(|d| !matches!(d, Damage::Orphans { .. })).map(Damage::object)
    }
}

/// Whether both contents bear the same stamp and still differ.
fn changed_in_silence(then: &Entry, now: &Entry) -> bool {
    let (Entry::Content { digest: then, .. }, Entry::Content { digest: now, .. }) = (then, now) else { return false };
    match (then.rsplit_once('@'), now.rsplit_once('@')) {
        (Some((was, stamp)), Some((is, same))) => stamp == same && was != is,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_unreadable_and_orphans_are_told_apart() {
        let backup = Census::parse(
            r#"{"object":"table a","kind":"content","rows":1,"digest":"1"}
               {"object":"table b","kind":"content","rows":1,"digest":"1"}
               {"object":"table c","kind":"content","rows":1,"digest":"1"}"#,
        )
        .unwrap();
        let text = r#"{"object":"table a","kind":"content","rows":1,"digest":"1"}
{"object":"table b","kind":"unreadable","error":"invalid page in block 3"}
{"object":"table a","kind":"orphans","constraint":"a_fk","parent":"table c","rows":4}
{"object":"table a","kind":"orphans","constraint":"a_fk2","parent":"table c","rows":0}"#;
        let (diagnosis, _) = Diagnosis::parse(text, &backup).unwrap();
        let said: Vec<String> = diagnosis.damages.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "table c: missing",
                "table b: unreadable: invalid page in block 3",
                "table a: 4 rows violate a_fk: their rows in table c are gone",
            ]
        );
        assert_eq!(diagnosis.lost().collect::<Vec<_>>(), ["table c", "table b"]);
    }

    #[test]
    fn content_that_changed_without_a_newer_stamp_is_damage() {
        let line = |digest: &str| format!(r#"{{"object":"file a","kind":"content","rows":1,"digest":"{digest}"}}"#);
        let damages = |then: &str, now: &str| {
            let backup = Census::parse(&line(then)).unwrap();
            Diagnosis::parse(&line(now), &backup).unwrap().0.damages.len()
        };
        assert_eq!(damages("aa@7", "bb@7"), 1);
        assert_eq!(damages("aa@7", "aa@7"), 0);
        assert_eq!(damages("aa@7", "bb@8"), 0, "a newer version stays");
        assert_eq!(damages("aa", "bb"), 0, "rows change all the time");
    }
}
