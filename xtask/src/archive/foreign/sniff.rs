//! What a stream is, by its first bytes and never by a name. Whatever is named here is recognised by at least 28 bits, so that the
//! noise of a wrong key is not taken for anything. It must not know what is done with the answer.

use super::tar;

/// How many of the first bytes are looked at: a tar header is the longest.
pub const LOOK: usize = 512;

/// What the first bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// `openssl enc` with a salt.
    OpenSsl,
    /// An OpenPGP message under a passphrase.
    OpenPgp,
    /// `pg_dump --format=custom`.
    Custom,
    /// An SQL script of `pg_dump`.
    Sql,
    /// An SQLite database.
    Sqlite,
    /// A tar archive, of whatever.
    Tar,
    /// No byte at all.
    Nothing,
    /// Known, and not read here: what it is, and what to do about it.
    Other(&'static str, &'static str),
    /// Text of no known kind.
    Text,
    /// Anything else.
    Unknown,
}

/// The first line of a script by `pg_dump`, behind its `--`.
pub const SCRIPT: &[u8] = b"-- PostgreSQL database dump";

/// Kinds that are known and not read: first bytes, what they are, what to do.
const OTHERS: &[(&[u8], &str, &str)] = &[
    (b"age-encryption.org/v1\n", "encrypted with age", "open it first: age --decrypt"),
    (b"-----BEGIN AGE ENCRYPTED FILE-----", "encrypted with age", "open it first: age --decrypt"),
    (b"U2FsdGVkX1", "what `openssl enc -a` wrote, in base64", "undo the base64 first: openssl base64 -d"),
    (b"-----BEGIN PGP PUBLIC KEY", "an OpenPGP public key, and no archive", "name the archive"),
    (b"\xfd7zXZ\0", "compressed with xz", "decompress it first: unxz --keep"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "decompress it first: unlz4"),
    (b"PK\x03\x04", "a zip archive", "unpack it first: unzip"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first: 7z x"),
    (
        b"PRAGMA foreign_keys=OFF;",
        "an SQL script of SQLite",
        "make a database of it first: sqlite3 NEW.db < SCRIPT, then adopt that file",
    ),
    (b"\x37\x7f\x06\x82", "the write-ahead log of an SQLite database, without the database", "name the database file"),
    (b"\x37\x7f\x06\x83", "the write-ahead log of an SQLite database, without the database", "name the database file"),
    (b"-- MySQL dump", "a dump of MySQL", "there is no engine for MySQL"),
    (b"-- MariaDB dump", "a dump of MariaDB", "there is no engine for MariaDB"),
    (b"/*M!999999", "a dump of MariaDB", "there is no engine for MariaDB"),
    (b"\x6d\xe2\x99\x81", "an archive of mongodump", "there is no engine for MongoDB"),
    (b"REDIS0", "a snapshot of Redis", "there is no engine for Redis"),
];

const BZIP2: Seen = Seen::Other("compressed with bzip2", "decompress it first: bunzip2 --keep");
const PUBLIC_KEY: Seen = Seen::Other(
    "encrypted with gpg to somebody's public key, not under a passphrase",
    "open it where the private key is: gpg --decrypt",
);
const CLUSTER: &str = "of pg_dumpall: a whole server with several databases";
const CLUSTER_HINT: &str =
    "replay it into a throw-away server with psql, then dump the one database: pg_dump --format=custom";

/// What begins with these bytes; at most [`LOOK`] of them count, and fewer only when there are no more.
pub fn sniff(head: &[u8]) -> Seen {
    if head.is_empty() {
        return Seen::Nothing;
    }
    if let Some(seen) = wrapped(head) {
        return seen;
    }
    if head.starts_with(b"PGDMP") {
        return Seen::Custom;
    }
    if head.starts_with(b"SQLite format 3\0") {
        return Seen::Sqlite;
    }
    if tar::begins(head) {
        return Seen::Tar;
    }
    if head.starts_with(b"BZh") && head.get(4..10) == Some(b"1AY&SY") {
        return BZIP2;
    }
    if let Some((_, what, hint)) = OTHERS.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return Seen::Other(what, hint);
    }
    text(head)
}

fn wrapped(head: &[u8]) -> Option<Seen> {
    // Magic, method deflate, and none of the flags that no version has.
    if head.starts_with(b"\x1f\x8b\x08") && head.get(3).is_none_or(|flags| flags & 0xe0 == 0) && plausible_gzip(head) {
        return Some(Seen::Gzip);
    }
    if head.starts_with(b"\x28\xb5\x2f\xfd") {
        return Some(Seen::Zstd);
    }
    if head.starts_with(b"Salted__") {
        return Some(Seen::OpenSsl);
    }
    if head.starts_with(b"-----BEGIN PGP MESSAGE-----") {
        return Some(Seen::OpenPgp);
    }
    openpgp(head)
}

/// The extra flags are 0, 2 or 4 and the system one of fourteen, or unknown.
fn plausible_gzip(head: &[u8]) -> bool {
    let extra = head.get(8).is_none_or(|x| matches!(x, 0 | 2 | 4));
    extra && head.get(9).is_none_or(|system| *system <= 13 || *system == 255)
}

/// The first packet of a binary OpenPGP message, and the tag of the one behind it: RFC 9580, sections 4.2, 5.1 and 5.3.
fn openpgp(head: &[u8]) -> Option<Seen> {
    let (tag, body, behind) = packet(head)?;
    // Encrypted data of three ages, or another session key.
    let goes_on = |behind: u8| matches!(behind, 0xd2 | 0xd4 | 0xc9 | 0xa4..=0xa7 | 0xc3 | 0x8c);
    let cipher = |number: u8| matches!(number, 1..=4 | 7..=13);
    match tag {
        3 => {
            let fits = match *body {
                // Version, cipher, how the passphrase is hashed, and with which hash.
                [4, number, way @ (0 | 1 | 3), hash, ..] => {
                    let bare = [4, 12, 0, 13][usize::from(way)];
                    cipher(number)
                        && matches!(hash, 1..=3 | 8..=12 | 14)
                        && (body.len() == bare || body.len() > bare + 16)
                }
                [5, number, 1..=3, ..] => cipher(number) && (40..110).contains(&body.len()),
                [6, count, number, 1..=3, ..] => cipher(number) && usize::from(count) + 2 < body.len(),
                _ => false,
            };
            (fits && behind.is_none_or(goes_on)).then_some(Seen::OpenPgp)
        }
        // Version, eight bytes of a key's number, and a way of encrypting to it.
        1 => matches!(*body, [3, _, _, _, _, _, _, _, _, 1 | 2 | 16 | 18 | 25 | 26, ..]).then_some(PUBLIC_KEY),
        _ => None,
    }
}

/// A packet's tag, its body as far as it is there, and the first byte behind it.
fn packet(head: &[u8]) -> Option<(u8, &[u8], Option<u8>)> {
    let first = *head.first()?;
    // Session keys are short: a length of one octet, or of two.
    let (tag, length, begins) = match (first, *head.get(1)?) {
        (0xc0.., short @ ..192) => (first & 0x3f, usize::from(short), 2),
        (0xc0.., long @ 192..224) => {
            (first & 0x3f, ((usize::from(long) - 192) << 8) + usize::from(*head.get(2)?) + 192, 3)
        }
        (0x80..0xc0, short) if first & 3 == 0 => ((first >> 2) & 0xf, usize::from(short), 2),
        (0x80..0xc0, long) if first & 3 == 1 => {
            ((first >> 2) & 0xf, usize::from(u16::from_be_bytes([long, *head.get(2)?])), 3)
        }
        _ => return None,
    };
    let ends = begins + length;
    let body = head.get(begins..ends.min(head.len())).filter(|_| length < 1200)?;
    Some((tag, body, head.get(ends).copied()))
}

fn text(head: &[u8]) -> Seen {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut lines = head.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = lines.by_ref().find(|line| !line.is_empty() && *line != b"--").unwrap_or_default();
    if first == SCRIPT {
        return Seen::Sql;
    }
    if first == b"-- PostgreSQL database cluster dump" {
        return Seen::Other(CLUSTER, CLUSTER_HINT);
    }
    let readable = head.iter().filter(|b| matches!(b, b'\t' | b'\n' | b'\r' | 32..127)).count();
    // Mostly printable, with room for other alphabets; noise has one printable byte in three.
    if readable * 10 >= head.len() * 9 && head.len() >= 8 { Seen::Text } else { Seen::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_known_by_its_first_bytes() {
        let seen: [(&[u8], Seen); 13] = [
            (b"", Seen::Nothing),
            (b"\x1f\x8b\x08\0\0\0\0\0\0\x03", Seen::Gzip),
            (b"\x28\xb5\x2f\xfd\x04", Seen::Zstd),
            (b"Salted__12345678", Seen::OpenSsl),
            (b"\x8c\x0d\x04\x09\x03\x02saltsaltc\xd2", Seen::OpenPgp),
            (b"\x8c\x04\x04\x09\x00\x02\xd2", Seen::OpenPgp),
            (b"\xc3\x0d\x04\x09\x03\x08saltsaltc\xd2", Seen::OpenPgp),
            (b"-----BEGIN PGP MESSAGE-----\n", Seen::OpenPgp),
            (b"PGDMP\x01\x0e\0", Seen::Custom),
            (b"SQLite format 3\0\x10\0", Seen::Sqlite),
            (b"--\n-- PostgreSQL database dump\n--\n", Seen::Sql),
            (b"\xef\xbb\xbf--\r\n-- PostgreSQL database dump\r\n", Seen::Sql),
            (b"pg_dump: error: connection failed\n", Seen::Text),
        ];
        for (head, wanted) in seen {
            assert_eq!(sniff(head), wanted, "{head:?}");
        }
        assert!(
            matches!(sniff(b"--\n-- PostgreSQL database cluster dump\n--\n"), Seen::Other(what, _) if what == CLUSTER)
        );
        assert_eq!(sniff(b"\x85\x01\x0c\x03abcdefgh\x01\x07"), PUBLIC_KEY);
        assert_eq!(sniff(b"BZh91AY&SY"), BZIP2);
        assert!(matches!(sniff(b"-- MySQL dump 10.13"), Seen::Other(..)));
        assert_eq!(sniff(b"--\n-- PostgreSQL database dump of mine\n"), Seen::Text);
        assert_eq!(sniff(b"--\n-- PostgreSQL database du"), Seen::Text, "a stump is no dump");
    }

    #[test]
    fn noise_is_nothing() {
        let mut dice = fastrand::Rng::with_seed(12);
        for _ in 0..200_000 {
            let mut head = [0; 64];
            dice.fill(&mut head);
            assert!(matches!(sniff(&head), Seen::Unknown | Seen::Other(..)), "{head:?}");
        }
    }
}
