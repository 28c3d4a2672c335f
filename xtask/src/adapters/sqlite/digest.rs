//! A digest of a table's rows that does not depend on their order and tells every type from every other.

use crate::domain::artifact::hex;
use rusqlite::types::ValueRef;
use sha2::{Digest, Sha256};

/// The sum of the SHA-256 of every row. A sum, not an exclusive or: two equal rows do not cancel each other.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowSum {
    rows: u64,
    lanes: [u64; 4],
}

impl RowSum {
    /// Adds one row, given as its encoded values.
    pub fn add(&mut self, encoded: &[u8]) {
        let digest = Sha256::digest(encoded);
        for (lane, bytes) in self.lanes.iter_mut().zip(digest.chunks_exact(8)) {
            let mut word = [0; 8];
            word.copy_from_slice(bytes);
            *lane = lane.wrapping_add(u64::from_be_bytes(word));
        }
        self.rows += 1;
    }

    /// How many rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The sum in hex.
    pub fn hex(&self) -> String {
        hex(&self.lanes.map(u64::to_be_bytes).concat())
    }
}

/// Appends a value in its canonical form: a letter for the type, a length where it varies, the bytes.
pub fn encode(value: ValueRef<'_>, into: &mut Vec<u8>) {
    let mut sized = |letter: u8, bytes: &[u8]| {
        into.push(letter);
        into.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        into.extend_from_slice(bytes);
    };
    match value {
        ValueRef::Null => into.push(b'n'),
        ValueRef::Integer(i) => sized(b'i', &i.to_be_bytes()),
        ValueRef::Real(r) => sized(b'r', &r.to_bits().to_be_bytes()),
        ValueRef::Text(t) => sized(b't', t),
        ValueRef::Blob(b) => sized(b'b', b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(rows: &[&[ValueRef<'_>]]) -> String {
        let mut sum = RowSum::default();
        for row in rows {
            let mut bytes = Vec::new();
            row.iter().for_each(|v| encode(*v, &mut bytes));
            sum.add(&bytes);
        }
        sum.hex()
    }

    #[test]
    fn types_that_print_alike_are_different() {
        let alike = [
            ValueRef::Null,
            ValueRef::Text(b""),
            ValueRef::Blob(b""),
            ValueRef::Integer(0),
            ValueRef::Real(0.0),
            ValueRef::Text(b"0"),
            ValueRef::Blob(b"0"),
        ];
        let sums: std::collections::BTreeSet<String> = alike.iter().map(|v| sum(&[&[*v]])).collect();
        assert_eq!(sums.len(), alike.len());
    }

    #[test]
    fn the_engine_adds_up_the_sums_of_two_parts() {
        let [a, b, c] = ["a", "b", "c"].map(|word| [ValueRef::Text(word.as_bytes())]);
        let (one, other) = (sum(&[&a, &b]), sum(&[&c, &c]));
        let engine = crate::engines::find("sqlite").unwrap();
        assert_eq!(engine.digest_sum(&one, &other).unwrap(), sum(&[&a, &b, &c, &c]));
        assert_eq!([engine.digest_sum("", &one), engine.digest_sum(&one, &other[1..])], [None, None]);
    }

    #[test]
    fn order_of_rows_does_not_count_but_their_number_and_borders_do() {
        let (a, b) = (ValueRef::Text(b"a"), ValueRef::Text(b"b"));
        assert_eq!(sum(&[&[a], &[b]]), sum(&[&[b], &[a]]));
        assert_ne!(sum(&[&[a], &[a]]), sum(&[]));
        assert_ne!(sum(&[&[a], &[a]]), sum(&[&[b], &[b]]));
        assert_ne!(sum(&[&[ValueRef::Text(b"ab"), ValueRef::Text(b"")]]), sum(&[&[a, b]]));
    }
}
