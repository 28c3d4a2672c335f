//! A census: what a store holds, object by object, in a form that two sides can compare.
//! Taken in the same snapshot as the dump; compared again after the restore.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Census {
    /// By object name (`table public.orders`, `sequence public.orders_id_seq`, `index …`, `file a/b.jpg`).
    pub objects: BTreeMap<String, Entry>,
}

/// One object of a census.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// Something with rows (or bytes) whose content must come back exactly.
    Content {
        /// How many rows (1 for a file).
        rows: u64,
        /// An order-independent digest of the content, lower-case hex or decimal.
        digest: String,
    },
    /// A counter that moves outside transactions: the restored value must lie in `low..=high`, its values at the beginning
    /// and at the end of the dump.
    Counter {
        /// The value before the dump.
        low: i64,
        /// The value after the dump.
        high: i64,
    },
    /// A definition (column, constraint, index, function, extension, setting): the text's digest must come back.
    Definition {
        /// The table it belongs to, when it belongs to one (`public.orders`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        table: Option<String>,
        /// SHA-256 or MD5 of the definition, lower-case hex.
        digest: String,
    },
    /// It exists, but could not be read.
    Unreadable {
        /// What the engine said.
        error: String,
    },
}

/// Keys in the order of the alphabet: see [`super::artifact`].
impl Serialize for Entry {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Default, Serialize)]
        struct Flat<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            digest: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            high: Option<i64>,
            kind: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            low: Option<i64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            rows: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            table: Option<&'a str>,
        }
        let flat = match self {
            Self::Content { rows, digest } => {
                Flat { kind: "content", rows: Some(*rows), digest: Some(digest), ..Flat::default() }
            }
            Self::Counter { low, high } => {
                Flat { kind: "counter", low: Some(*low), high: Some(*high), ..Flat::default() }
            }
            Self::Definition { table, digest } => {
                Flat { kind: "definition", table: table.as_deref(), digest: Some(digest), ..Flat::default() }
            }
            Self::Unreadable { error } => Flat { kind: "unreadable", error: Some(error), ..Flat::default() },
        };
        flat.serialize(to)
    }
}

/// How two censuses differ, one sentence an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The object.
    pub object: String,
    /// What differs: `missing`, `rows 10 instead of 12`, `content differs`.
    pub what: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.object, self.what)
    }
}

impl Census {
    /// Reads the line protocol that every engine's census speaks: one JSON object a line, `{"object": "table public.t",
    /// "kind": "content", "rows": 3, "digest": "…"}`. Empty lines are ignored, anything else is an error.
    pub fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Line {
            object: String,
            #[serde(flatten)]
            entry: Entry,
        }
        let mut objects = BTreeMap::new();
        for (n, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let line: Line = serde_json::from_str(line).map_err(|e| format!("census line {}: {e}", n + 1))?;
            if objects.insert(line.object.clone(), line.entry).is_some() {
                return Err(format!("census line {}: {} is listed twice", n + 1, line.object));
            }
        }
        Ok(Self { objects })
    }

    /// Rows in all objects that have content.
    pub fn rows(&self) -> u64 {
        self.objects.values().map(|e| if let Entry::Content { rows, .. } = e { *rows } else { 0 }).sum()
    }

    /// How many objects have content.
    pub fn contents(&self) -> usize {
        self.objects.values().filter(|e| matches!(e, Entry::Content { .. })).count()
    }

    /// One digest over all definitions: the schema's.
    pub fn schema_digest(&self) -> String {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        for (object, entry) in &self.objects {
            if let Entry::Definition { digest, .. } = entry {
                hash.update(format!("{object}\n{digest}\n"));
            }
        }
        super::artifact::hex(&hash.finalize())
    }

    /// Everything in which `found` is not what `self` promised. Empty = equal.
    pub fn differences(&self, found: &Census) -> Vec<Difference> {
        let differ = |object: &String, what: String| Difference { object: object.clone(), what };
        let mut all = Vec::new();
        for (object, promised) in &self.objects {
            match found.objects.get(object) {
                None => all.push(differ(object, "missing".into())),
                Some(got) => all.extend(promised.mismatch(got).map(|what| differ(object, what))),
            }
        }
        for object in found.objects.keys().filter(|o| !self.objects.contains_key(*o)) {
            all.push(differ(object, "not in the backup's census".into()));
        }
        // What was lost reads first, what follows from it after.
        let matters = |d: &Difference| {
            let entry = self.objects.get(&d.object).or_else(|| found.objects.get(&d.object));
            !matches!(entry, Some(Entry::Content { .. } | Entry::Unreadable { .. }))
        };
        all.sort_by_key(matters);
        all
    }
}

impl Entry {
    /// What differs between what was promised and what was found, if anything.
    fn mismatch(&self, found: &Entry) -> Option<String> {
        match (self, found) {
            (Self::Content { rows: a, .. }, Self::Content { rows: b, .. }) if a != b => {
                Some(format!("{b} rows instead of {a}"))
            }
            (Self::Content { rows, digest: a }, Self::Content { digest: b, .. }) if a != b => {
                Some(format!("content differs in {rows} rows"))
            }
            (Self::Counter { low, high }, Self::Counter { low: got, .. })
                if !(low.min(high)..=low.max(high)).contains(&got) =>
            {
                Some(format!("stands at {got}, outside {low}..={high}"))
            }
            (Self::Definition { digest: a, .. }, Self::Definition { digest: b, .. }) if a != b => {
                Some("definition differs".into())
            }
            (_, Self::Unreadable { error }) => Some(format!("unreadable: {error}")),
            (a, b) if std::mem::discriminant(a) != std::mem::discriminant(b) => Some("is of another kind".into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        {"object":"table public.a","kind":"content","rows":2,"digest":"77"}
        {"object":"sequence public.s","kind":"counter","low":5,"high":9}
        {"object":"index public.a_pk","kind":"definition","table":"public.a","digest":"ab"}
    "#;

    #[test]
    fn equal_is_no_difference() {
        let census = Census::parse(TEXT).unwrap();
        assert_eq!((census.rows(), census.contents()), (2, 1));
        assert!(census.differences(&census).is_empty());
    }

    #[test]
    fn each_kind_of_difference_is_said() {
        let census = Census::parse(TEXT).unwrap();
        let found = Census::parse(
            &TEXT.replace("\"rows\":2", "\"rows\":3").replace("\"low\":5", "\"low\":4").replace("\"ab\"", "\"cd\""),
        )
        .unwrap();
        let said: Vec<String> = census.differences(&found).iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "table public.a: 3 rows instead of 2",
                "index public.a_pk: definition differs",
                "sequence public.s: stands at 4, outside 5..=9",
            ]
        );
        assert_eq!(census.differences(&Census::default()).len(), 3);
        assert_eq!(Census::default().differences(&census).len(), 3);
    }

    #[test]
    fn a_changed_row_changes_the_verdict() {
        let census = Census::parse(TEXT).unwrap();
        let found = Census::parse(&TEXT.replace("\"77\"", "\"78\"")).unwrap();
        assert_eq!(census.differences(&found)[0].what, "content differs in 2 rows");
    }

    #[test]
    fn a_line_that_is_no_census_line_is_an_error() {
        assert!(Census::parse("oops").is_err());
        assert!(Census::parse(&format!("{TEXT}{TEXT}")).is_err());
    }
}
