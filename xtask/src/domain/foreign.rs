//! An archive that this tool did not write: the layers around it, what it holds, what it says of itself, and what nobody can
//! know of it. It must not know how its bytes are read, nor where they are brought back.

use super::artifact::Fingerprint;
use super::refusal::{Refusal, RefusalKind};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// How a passphrase became the key of `openssl enc -aes-256-cbc`. The file does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Derivation {
    /// `EVP_BytesToKey` with MD5: the default before OpenSSL 1.1.
    Md5,
    /// `EVP_BytesToKey` with SHA-256: the default since OpenSSL 1.1.
    Sha256,
    /// `-pbkdf2`: PBKDF2 with HMAC-SHA-256.
    Pbkdf2 {
        /// As in `-iter`; OpenSSL's own number is 10,000.
        iterations: u32,
    },
}

/// The iterations of `openssl enc -pbkdf2` without `-iter`.
pub const ITERATIONS: u32 = 10_000;
/// More iterations than this are refused: a wrong number must not keep a processor busy for hours.
const MOST_ITERATIONS: u32 = 100_000_000;

impl Derivation {
    /// What is tried when nobody says, the newest way first.
    pub const ALL: [Self; 3] = [Self::Pbkdf2 { iterations: ITERATIONS }, Self::Sha256, Self::Md5];
}

impl fmt::Display for Derivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Md5 => f.write_str("md5"),
            Self::Sha256 => f.write_str("sha256"),
            Self::Pbkdf2 { iterations } => write!(f, "pbkdf2:{iterations}"),
        }
    }
}

impl FromStr for Derivation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = text.split_once(':').map_or((text, None), |(name, number)| (name, Some(number)));
        match (name, number) {
            ("md5", None) => Ok(Self::Md5),
            ("sha256", None) => Ok(Self::Sha256),
            ("pbkdf2", None) => Ok(Self::Pbkdf2 { iterations: ITERATIONS }),
            ("pbkdf2", Some(number)) => match number.parse() {
                Ok(iterations @ 1..=MOST_ITERATIONS) => Ok(Self::Pbkdf2 { iterations }),
                _ => Err(format!("`{number}` is not a number of iterations from 1 to {MOST_ITERATIONS}")),
            },
            _ => Err("write md5, sha256, pbkdf2 or pbkdf2:ITERATIONS".to_owned()),
        }
    }
}

/// Something wrapped around the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// gzip, one member or several.
    Gzip,
    /// Zstandard, one frame or several.
    Zstd,
    /// `openssl enc -aes-256-cbc`.
    OpenSsl(Derivation),
    /// `gpg --symmetric`.
    OpenPgp,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gzip => f.write_str("gzip"),
            Self::Zstd => f.write_str("zstd"),
            Self::OpenSsl(derivation) => write!(f, "openssl aes-256-cbc ({derivation})"),
            Self::OpenPgp => f.write_str("gpg --symmetric"),
        }
    }
}

/// What lies inside all layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// `pg_dump --format=custom`.
    PostgresCustom,
    /// `pg_dump --format=directory`: a folder, or a tar archive of it.
    PostgresDirectory,
    /// `pg_dump --format=tar`.
    PostgresTar,
    /// `pg_dump` as an SQL script.
    PostgresSql,
    /// An SQLite database file.
    Sqlite,
    /// A tar archive of a folder.
    Tar,
}

impl Content {
    /// Its name in manifests and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::PostgresCustom => "postgres-custom",
            Self::PostgresDirectory => "postgres-directory",
            Self::PostgresTar => "postgres-tar",
            Self::PostgresSql => "postgres-sql",
            Self::Sqlite => "sqlite-file",
            Self::Tar => "tar",
        }
    }

    /// The engine that a store of this content has.
    pub fn engine(self) -> &'static str {
        match self {
            Self::PostgresCustom | Self::PostgresDirectory | Self::PostgresTar | Self::PostgresSql => "postgres",
            Self::Sqlite => "sqlite",
            Self::Tar => "files",
        }
    }
}

/// Something that cannot be known of an archive, whoever reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unknown {
    /// Nothing shows who made it.
    Author,
    /// Nothing covers its bytes, so a changed one may go unnoticed.
    Bytes,
    /// Nobody counted what the source held.
    Census,
    /// When its data was the source's state.
    Moment,
    /// Which server it is from.
    Server,
    /// The version of that server.
    ServerVersion,
    /// Passwords and rights of the roles.
    Roles,
    /// Transactions that a write-ahead log held.
    Log,
}

impl Unknown {
    /// One word, for manifests.
    pub fn word(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Bytes => "bytes",
            Self::Census => "census",
            Self::Moment => "moment",
            Self::Server => "server",
            Self::ServerVersion => "server-version",
            Self::Roles => "roles",
            Self::Log => "log",
        }
    }

    /// A sentence, for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Author => "who made it: it is not signed, and whoever has its key could have made it",
            Self::Bytes => "whether its bytes were changed: nothing in it covers all of them",
            Self::Census => "whether it holds all that the source held: nobody counted",
            Self::Moment => "of which moment its data is",
            Self::Server => "which server it is from",
            Self::ServerVersion => "which version that server had",
            Self::Roles => "the roles' passwords and rights: only their names are in it",
            Self::Log => {
                "whether newer transactions were in a write-ahead log: the file was in WAL mode and came without one"
            }
        }
    }
}

/// What an archive says of itself. Nothing of it is proven.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// The server's version as PostgreSQL writes it (`15.20`).
    pub server_version: Option<String>,
    /// The dumping program's version.
    pub dump_version: Option<String>,
    /// The database's name.
    pub database: Option<String>,
    /// When it was begun, by the dumping machine's clock and in its unknown time zone.
    pub begun: Option<jiff::civil::DateTime>,
    /// The roles that it gives things to.
    pub roles: BTreeSet<String>,
    /// The extensions that it needs, each with the schema that it is to be in.
    pub extensions: BTreeMap<String, Option<String>>,
    /// The one folder that everything lies in, of a tar archive.
    pub top: Option<String>,
    /// Lines for psql alone (`\restrict`), as bytes of the plain content: whoever replays the script leaves them out.
    pub guards: Vec<Range<u64>>,
}

impl Said {
    /// The server's version as a number, as the server itself would say it: 15.20 is 150020, 9.6.24 is 90624.
    pub fn server_number(&self) -> Option<u32> {
        let mut parts = self.server_version.as_deref()?.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
        let major = parts.next()?.ok()?;
        let minor = parts.next().and_then(Result::ok).unwrap_or(0);
        let patch = parts.next().and_then(Result::ok).unwrap_or(0);
        let number = if major >= 10 { (major, 0, minor) } else { (major, minor, patch) };
        let tens = number.0.checked_mul(10_000)?.checked_add(number.1.checked_mul(100)?)?;
        tens.checked_add(number.2)
    }
}

/// All that is known of an archive after it was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// The file's or folder's name, without its folders.
    pub name: String,
    /// The layers, outermost first.
    pub layers: Vec<Layer>,
    /// What it holds.
    pub content: Content,
    /// The file as it lies there. Of a folder: the bytes of the dump's files, and the digest of what `sha256sum` prints of them,
    /// sorted by name.
    pub file: Fingerprint,
    /// The content without the layers.
    pub plain: Fingerprint,
    /// What it says of itself.
    pub said: Said,
    /// Peculiarities that somebody should know, a sentence each.
    pub told: Vec<String>,
    /// What cannot be known.
    pub unknown: BTreeSet<Unknown>,
}

impl Findings {
    /// Why it cannot be adopted into a store of another kind.
    pub fn is_not_of(&self, store: &str, engine: &str) -> Refusal {
        let message = format!("{} holds {}, and store {store} is of engine {engine}", self.name, self.content.name());
        let hint = format!("name a store of engine {} with --store", self.content.engine());
        Refusal::new(RefusalKind::Configuration, message, hint)
    }

    /// The layers in words, outermost first; `none` without one.
    pub fn layers_text(&self) -> String {
        match self.layers.as_slice() {
            [] => "none".to_owned(),
            layers => layers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        }
    }
}

/// The moment that an archive's data is taken to be of: never later than the truth, as far as somebody's word goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// Whoever adopts it says so.
    Declared(jiff::Timestamp),
    /// The archive says when it was begun, in an unknown time zone: the earliest moment that can mean.
    Archive(jiff::Timestamp),
    /// Nobody says.
    Unknown,
}

/// Clocks on earth are at most so many hours ahead of UTC, and so many behind.
const AHEAD: i64 = 14;
const BEHIND: i64 = 12;

impl AsOf {
    /// What is known, at this moment.
    ///
    /// # Errors
    /// `Configuration`: the declared moment is to come, or later than the archive says that it was begun.
    pub fn of(archive: &Findings, declared: Option<jiff::Timestamp>, now: jiff::Timestamp) -> Result<Self, Refusal> {
        let begun = archive.said.begun.and_then(|at| at.to_zoned(jiff::tz::TimeZone::UTC).ok()).map(|z| z.timestamp());
        let hours = |at: jiff::Timestamp, hours: i64| at.checked_add(jiff::SignedDuration::from_hours(hours)).ok();
        let refuse = |message: String| {
            Err(Refusal::new(
                RefusalKind::Configuration,
                message,
                "give the moment that the dump was begun, or leave --as-of out",
            ))
        };
        match (declared, begun) {
            (Some(at), _) if at > now => refuse(format!("--as-of {at} is still to come")),
            // One hour more, for a dump that had to wait for its snapshot.
            (Some(at), Some(begun)) if hours(begun, BEHIND + 1).is_some_and(|last| at > last) => refuse(format!(
                "--as-of {at} is later than the archive was begun: {}, by its own clock",
                archive.said.begun.unwrap_or_default()
            )),
            (Some(at), _) => Ok(Self::Declared(at)),
            (None, Some(begun)) => {
                Ok(hours(begun, -AHEAD).filter(|at| *at <= now).map_or(Self::Unknown, Self::Archive))
            }
            (None, None) => Ok(Self::Unknown),
        }
    }

    /// The moment; of nobody's word, the oldest that there is.
    pub fn moment(self) -> jiff::Timestamp {
        match self {
            Self::Declared(at) | Self::Archive(at) => at,
            Self::Unknown => jiff::Timestamp::UNIX_EPOCH,
        }
    }

    /// Whose word it is, for manifests: `declared`, `archive` or `unknown`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Declared(_) => "declared",
            Self::Archive(_) => "archive",
            Self::Unknown => UNKNOWN,
        }
    }
}

/// The fact that names the file that a component was adopted from.
pub const ADOPTED_FROM: &str = "adopted_from";
/// The fact that says whose word the moment is: see [`AsOf::word`].
pub const ADOPTED_AS_OF: &str = "adopted_as_of";
/// Its value when nobody says.
pub const UNKNOWN: &str = "unknown";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivations_are_read_as_they_are_written() {
        for text in ["md5", "sha256", "pbkdf2:10000", "pbkdf2:1"] {
            assert_eq!(text.parse::<Derivation>().unwrap().to_string(), text);
        }
        assert_eq!("pbkdf2".parse(), Ok(Derivation::Pbkdf2 { iterations: 10_000 }));
        for bad in ["", "sha1", "md5:3", "pbkdf2:0", "pbkdf2:x", "pbkdf2:-1", "pbkdf2:4294967295"] {
            assert!(bad.parse::<Derivation>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_server_s_version_becomes_the_number_that_it_says_itself() {
        let number = |text: &str| Said { server_version: Some(text.to_owned()), ..Said::default() }.server_number();
        assert_eq!(number("15.20 (Debian 15.20-0+deb12u1)"), Some(150_020));
        assert_eq!(number("9.6.24"), Some(90_624));
        assert_eq!(number("18beta1"), Some(180_000));
        assert_eq!(number("none"), None);
        assert_eq!(number("99999999999"), None);
        assert_eq!(number("4294967295.1"), None);
        assert_eq!(Said::default().server_number(), None);
    }

    #[test]
    fn a_moment_is_never_taken_to_be_later_than_somebody_s_word() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
        let now = at("2026-11-20T10:00:00Z");
        let archive = |begun: Option<&str>| Findings {
            name: "a".into(),
            layers: Vec::new(),
            content: Content::PostgresCustom,
            file: Fingerprint { bytes: 0, sha256: String::new() },
            plain: Fingerprint { bytes: 0, sha256: String::new() },
            said: Said { begun: begun.map(|b| b.parse().unwrap()), ..Said::default() },
            told: Vec::new(),
            unknown: BTreeSet::new(),
        };
        let of = |begun, declared: Option<&str>| AsOf::of(&archive(begun), declared.map(at), now).map_err(|r| r.kind);
        let (begun, wrong) = (Some("2026-01-27T02:00:00"), Err(RefusalKind::Configuration));
        assert_eq!(of(begun, None), Ok(AsOf::Archive(at("2026-01-26T12:00:00Z"))));
        assert_eq!(of(None, None), Ok(AsOf::Unknown));
        assert_eq!(of(Some("2027-01-01T00:00:00"), None), Ok(AsOf::Unknown), "a clock that lies is no word");
        assert_eq!(of(begun, Some("2026-01-27T01:00:00Z")), Ok(AsOf::Declared(at("2026-01-27T01:00:00Z"))));
        assert_eq!(of(begun, Some("2026-01-28T01:00:00Z")), wrong);
        assert_eq!(of(None, Some("2026-11-20T10:00:01Z")), wrong);
        assert_eq!(AsOf::Unknown.moment(), at("1970-01-01T00:00:00Z"));
    }
}
