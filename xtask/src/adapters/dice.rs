//! Invented data for rehearsals: the same numbers, bytes and words on every machine and for ever. No clock, no foreign generator.

/// SplitMix64 (Steele, Lea, Flood 2014): tiny, and the same for ever.
pub struct Dice {
    state: u64,
    pieces: String,
}

impl Dice {
    /// Begins at a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed, pieces: String::new() }
    }

    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
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
            " order ",
            " paid ",
            " shipped ",
            " café ",
            " returned ",
            " 200 ",
            " GET /cart ",
            " refund ",
            " user=",
            " ip=10.0.",
            " stock ",
            " late ",
            " Zürich ",
            " retry ",
            " ok\n",
            " price=",
        ];
        into.clear();
        while into.len() < length {
            let bits = self.roll();
            into.push_str(WORDS[usize::from(bits as u8 & 15)]);
            for shift in [4, 16, 28, 40] {
                into.push_str(self.piece((bits >> shift) as usize & 0xfff));
            }
        }
    }

    /// One of 4096 pieces of eight hexadecimal digits, made once: far quicker than digit by digit.
    fn piece(&mut self, number: usize) -> &str {
        if self.pieces.is_empty() {
            let mut own = Self::new(0x9e0b);
            self.pieces = (0..4096).map(|_| format!("{:08x}", own.roll() as u32)).collect();
        }
        &self.pieces[number * 8..number * 8 + 8]
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
