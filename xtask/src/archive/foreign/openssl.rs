//! `openssl enc -aes-256-cbc`: the key from a passphrase by three old ways, and the plain bytes. There is nothing in this format
//! that tells a right key from a wrong one, or changed bytes from others: whoever reads must recognise what comes out.

use super::fault::{carried, cut, fill};
use crate::domain::foreign::Derivation;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::secret::Secret;
use aes::Aes256;
use anyhow::Result;
use cbc::cipher::{Array, BlockModeDecrypt, KeyIvInit};
use md5::Md5;
use sha2::{Digest, Sha256};
use std::io::{self, Read};

const BLOCK: usize = 16;
/// What is wrong with an end that has no valid padding.
const PADDING: &str = "does not end as openssl ends it: it was cut short at a block, or changed";
const CHUNK: usize = 4096 * BLOCK;

/// Key and first vector.
type Keys = ([u8; 32], [u8; 16]);

/// The plain bytes under one passphrase and derivation.
pub struct Decrypted {
    from: Box<dyn Read + Send>,
    cipher: cbc::Decryptor<Aes256>,
    /// Plain bytes; those from `given` to `free` may be given out.
    buffer: Vec<u8>,
    given: usize,
    free: usize,
    over: bool,
    /// What is wrong with the end, told when everything before it was given out: only what came before shows whether the
    /// passphrase is right.
    wrong: Option<Refusal>,
}

impl Decrypted {
    /// Reads the salt and derives the key.
    ///
    /// # Errors
    /// `BadArtifact` when there is no salt; whatever the stream fails with.
    pub fn new(mut from: Box<dyn Read + Send>, passphrase: &Secret, derivation: Derivation) -> Result<Self> {
        let mut head = [0; 16];
        if fill(&mut from, &mut head)? < head.len() {
            return Err(cut("the encrypted file ends within its first 16 bytes"));
        }
        let (key, vector) = derive(passphrase.expose().as_bytes(), &head[8..], derivation);
        let cipher = cbc::Decryptor::<Aes256>::new(&Array(key), &Array(vector));
        Ok(Self { from, cipher, buffer: Vec::new(), given: 0, free: 0, over: false, wrong: None })
    }

    /// Decrypts some more, keeping back what may be the last block: its end is padding.
    fn advance(&mut self) -> Result<()> {
        self.buffer.drain(..self.given);
        self.given = 0;
        let kept = self.buffer.len();
        self.buffer.resize(kept + CHUNK, 0);
        let n = fill(&mut self.from, &mut self.buffer[kept..])?;
        let over = n % BLOCK;
        self.buffer.truncate(kept + n - over);
        for block in self.buffer[kept..].chunks_exact_mut(BLOCK) {
            if let Ok(block) = <&mut Array<u8, _>>::try_from(block) {
                self.cipher.decrypt_block(block);
            }
        }
        self.over = n < CHUNK;
        self.free = self.buffer.len().saturating_sub(BLOCK);
        if over > 0 {
            self.wrong = Some(ends(&format!("ends {over} bytes into a block of {BLOCK}: it was cut short")));
        } else if self.over {
            match padding(&self.buffer) {
                Some(count) => self.free = self.buffer.len() - count,
                None => {
                    self.wrong = Some(ends(PADDING));
                }
            }
        }
        Ok(())
    }
}

/// How many of the last bytes are padding; `None` when they are none that openssl makes.
fn padding(plain: &[u8]) -> Option<usize> {
    let count = usize::from(*plain.last()?);
    let tail = plain.get(plain.len().checked_sub(count)?..)?;
    ((1..=BLOCK).contains(&count) && tail.iter().all(|b| usize::from(*b) == count)).then_some(count)
}

/// Whether an end like this one is wrong under any passphrase.
pub fn is_certain(refusal: &Refusal) -> bool {
    !refusal.message.ends_with(PADDING)
}

fn ends(how: &str) -> Refusal {
    let hint = "copy it again from where it was made, or take another one";
    Refusal::new(RefusalKind::BadArtifact, format!("the encrypted data {how}"), hint)
}

impl Read for Decrypted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.free && !self.over {
            self.advance().map_err(carried)?;
        }
        if let Some(wrong) = self.wrong.as_ref().filter(|_| self.given == self.free && !into.is_empty()) {
            return Err(io::Error::other(wrong.clone()));
        }
        let n = into.len().min(self.free - self.given);
        into[..n].copy_from_slice(&self.buffer[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

fn derive(passphrase: &[u8], salt: &[u8], derivation: Derivation) -> Keys {
    match derivation {
        Derivation::Md5 => bytes_to_key::<Md5>(passphrase, salt),
        Derivation::Sha256 => bytes_to_key::<Sha256>(passphrase, salt),
        Derivation::Pbkdf2 { iterations } => {
            let mut all = [0; 48];
            pbkdf2::pbkdf2_hmac::<Sha256>(passphrase, salt, iterations, &mut all);
            split(&all)
        }
    }
}

/// OpenSSL's `EVP_BytesToKey` with one round.
fn bytes_to_key<D: Digest>(passphrase: &[u8], salt: &[u8]) -> Keys {
    let (mut all, mut last) = (Vec::with_capacity(64), Vec::new());
    while all.len() < 48 {
        let mut hash = D::new();
        hash.update(&last);
        hash.update(passphrase);
        hash.update(salt);
        last = hash.finalize().to_vec();
        all.extend_from_slice(&last);
    }
    split(&all)
}

fn split(all: &[u8]) -> Keys {
    let (mut key, mut vector) = ([0; 32], [0; 16]);
    key.copy_from_slice(&all[..32]);
    vector.copy_from_slice(&all[32..48]);
    (key, vector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::artifact::hex;

    /// From `openssl enc -aes-256-cbc -S 0102030405060708 -k "pass word" -P`, OpenSSL 3.0.
    #[test]
    fn keys_are_those_that_openssl_prints() {
        let salt = [1, 2, 3, 4, 5, 6, 7, 8];
        let print = |derivation| {
            let (key, vector) = derive(b"pass word", &salt, derivation);
            (hex(&key), hex(&vector))
        };
        let wanted = |(key, vector): (&str, &str)| (key.to_owned(), vector.to_owned());
        assert_eq!(print(Derivation::Md5), wanted(MD5));
        assert_eq!(print(Derivation::Sha256), wanted(SHA256));
        assert_eq!(print(Derivation::Pbkdf2 { iterations: 10_000 }), wanted(PBKDF2));
    }

    const MD5: (&str, &str) =
        ("dff5b14126eaf44440890add8b64202ef3101f0eee5f9dc7046723b162c83947", "ffbddd93f727de01bd23df42feff33b0");
    const SHA256: (&str, &str) =
        ("807da3248c06942665867a74999d2004c6be8d54b31f0e2b1e462db1b6cff454", "abccd36d3b2527bb1e09c1088943dfd1");
    const PBKDF2: (&str, &str) =
        ("da8139eb8a70da6c8f4e88e345699dcd18085578a23ed1972e5a5a6f7f5472ee", "a718178bca875eda4dac80e01eca345a");
}
