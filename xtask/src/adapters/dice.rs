//! Invented data for rehearsals: the same numbers, bytes and words on every machine and for ever. No clock, no foreign generator.

/// SplitMix64 (Steele, Lea, Flood 2014): tiny, and the same for ever.
pub struct Dice(u64);

impl Dice {
    /// Begins at a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: i64) -> i64 {
        (self.roll() >> 1) as i64 % bound.max(1)
    }

    /// Fills `into` with random bytes.
    pub fn bytes(&mut self, into: &mut [u8]) {
        for chunk in into.chunks_mut(8) {
            chunk.copy_from_slice(&self.roll().to_le_bytes()[..chunk.len()]);
        }
    }

    /// Writes text of at least `length` bytes that compresses about as well as a log does.
    pub fn prose(&mut self, length: usize, into: &mut String) {
        const WORDS: [&str; 16] = [
            "order ", "paid ", "shipped ", "café ", "returned ", "200 ", "GET /cart ", "refund ", "user=", "ip=10.0.", "stock ", "late ",
            "Zürich ", "retry ", "ok\n", "price=",
        ];
        into.clear();
        while into.len() < length {
            let bits = self.roll();
            for shift in [0, 4, 8, 12] {
                into.push_str(WORDS[usize::from((bits >> shift) as u8 & 15)]);
            }
            // Half of each stretch does not repeat.
            for shift in [16u32, 24, 32, 40, 48, 56] {
                for nibble in [(bits >> shift) & 15, (bits >> (shift + 4)) & 15] {
                    into.push(char::from(b"0123456789abcdef"[nibble as usize]));
                }
            }
            into.push(' ');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_never_change() {
        let mut dice = Dice::new(0);
        assert_eq!(dice.roll(), 0xe220_a839_7b1d_cdaf, "the first number of the published reference");
        let mut text = String::new();
        dice.prose(100, &mut text);
        assert!(text.len() >= 100);
        let mut bytes = [0; 11];
        dice.bytes(&mut bytes);
        assert_ne!(bytes, [0; 11]);
    }
}
