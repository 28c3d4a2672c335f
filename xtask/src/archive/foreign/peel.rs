//! Takes the layers off a stream, one by one, each by its own first bytes, until content is there. It must not know what the content
//! holds.

use super::OpenPgp;
use super::fault::{self, hostile, locked, uncarried};
use super::gzip::{Members, Remarks};
use super::openssl::{self, Decrypted};
use super::sniff::{LOOK, Seen, sniff};
use super::zstd::{self, Frames};
use crate::domain::foreign::{Derivation, Layer};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::secret::Secret;
use anyhow::Result;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// More layers than anybody makes.
const MOST: usize = 5;

/// A stream without its layers.
pub struct Peeled {
    /// What was taken off, outermost first.
    pub layers: Vec<Layer>,
    /// What is there.
    pub seen: Seen,
    /// Whether something covers all its bytes, against accidents at least.
    pub covered: bool,
    /// What the layers remark, complete at their end.
    pub remarks: Remarks,
    /// Its bytes.
    pub plain: Box<dyn Read + Send>,
}

/// What opens encrypted layers.
#[derive(Clone)]
pub struct Key {
    /// The passphrase.
    pub passphrase: Secret,
    /// How it becomes a key.
    pub derivation: Derivation,
    /// Whether it had to become one: there was a layer of openssl.
    pub derived: Arc<AtomicBool>,
}

/// Takes off all layers.
///
/// # Errors
/// `WrongKey` when what comes out of an encrypted layer is nothing known; `Configuration` when there is one and no key;
/// `BadArtifact` for what is no layer and no content that is read here.
pub fn peel(from: Box<dyn Read + Send>, key: Option<&Key>, gpg: &OpenPgp) -> Result<Peeled> {
    let mut peeled = Peeled {
        layers: Vec::new(),
        seen: Seen::Nothing,
        covered: false,
        remarks: Remarks::default(),
        plain: Box::new(io::empty()),
    };
    let mut from = Peeked::new(from)?;
    loop {
        peeled.seen = sniff(&from.head);
        let layer = match peeled.seen {
            Seen::Gzip => Layer::Gzip,
            Seen::Zstd => Layer::Zstd,
            Seen::OpenSsl | Seen::OpenPgp => match (key, &peeled.seen) {
                (None, _) => return Err(keyless(&peeled.seen)),
                (Some(key), Seen::OpenSsl) => Layer::OpenSsl(key.derivation),
                (Some(_), _) => Layer::OpenPgp,
            },
            _ => break,
        };
        if peeled.layers.len() == MOST {
            return Err(hostile(format!("it is wrapped in more than {MOST} layers"), "unwrap some of them by hand"));
        }
        peeled.covered |= match layer {
            Layer::Gzip | Layer::OpenPgp => true,
            Layer::Zstd => zstd::sums(&from.head),
            Layer::OpenSsl(_) => false,
        };
        let inner: Box<dyn Read + Send> = match (layer, key) {
            (Layer::Gzip, _) => Box::new(Members::new(Box::new(from), Arc::clone(&peeled.remarks))),
            (Layer::Zstd, _) => Box::new(Frames::new(Box::new(from))?),
            (Layer::OpenSsl(derivation), Some(key)) => {
                key.derived.store(true, Ordering::Relaxed);
                Box::new(Decrypted::new(Box::new(from), &key.passphrase, derivation)?)
            }
            (Layer::OpenPgp, Some(key)) => gpg(Box::new(from), &key.passphrase)?,
            (_, None) => return Err(keyless(&peeled.seen)),
        };
        peeled.layers.push(layer);
        from = Peeked::new(inner)?;
    }
    judge(&peeled, &mut from)?;
    peeled.plain = Box::new(from);
    Ok(peeled)
}

/// Whether what is there is content; if not, why.
fn judge(peeled: &Peeled, from: &mut Peeked) -> Result<()> {
    let inside = match peeled.layers.as_slice() {
        [] => String::new(),
        layers => format!("inside of {} ", layers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    };
    let known = matches!(peeled.seen, Seen::Custom | Seen::Sql | Seen::Sqlite | Seen::Tar);
    if known {
        return Ok(());
    }
    let failed = from.failed.take();
    match (&peeled.seen, peeled.layers.last(), failed) {
        (Seen::Unknown | Seen::Nothing, Some(Layer::OpenSsl(derivation)), Some(error)) => {
            let error = uncarried(error);
            let certain = Refusal::within(&error).is_none_or(openssl::is_certain);
            Err(if certain { error } else { unrecognised(*derivation) })
        }
        (Seen::Unknown, Some(Layer::OpenSsl(derivation)), None) => Err(unrecognised(*derivation)),
        // What is wrong with the stream says more than the little that came of it.
        (_, _, Some(error)) => Err(uncarried(error)),
        (Seen::Nothing, ..) => Err(hostile(
            format!("{inside}it holds 0 bytes: whatever was to write it failed, or was never asked"),
            "take another one; a dump of a server that does not run looks like this",
        )),
        (Seen::Other(what, hint), ..) => Err(hostile(format!("{inside}it is {what}"), hint)),
        (Seen::Text, ..) => Err(hostile(
            format!("{inside}it is a text, and no script that pg_dump wrote"),
            "look at its first lines: an error message in place of a dump looks like this",
        )),
        _ => Err(hostile(
            format!("{inside}it is of no kind that is known here"),
            "see docs/old-archives.md for what is read",
        )),
    }
}

fn keyless(seen: &Seen) -> anyhow::Error {
    let by = if *seen == Seen::OpenSsl { "openssl enc" } else { "gpg --symmetric" };
    let hint = "give its passphrase: --key-from VARIABLE, or --key-file FILE";
    Refusal::new(RefusalKind::Configuration, format!("it is encrypted by {by}, and there is no passphrase"), hint)
        .into()
}

fn unrecognised(derivation: Derivation) -> anyhow::Error {
    locked(
        format!(
            "nothing known comes out of `openssl enc` under this passphrase ({derivation}): the passphrase is another one, or the \
             key was derived in another way, or it holds something else; the format cannot tell which"
        ),
        "try another passphrase, or --derivation md5, sha256, pbkdf2 or pbkdf2:ITERATIONS",
    )
}

/// A stream whose first bytes were looked at.
pub struct Peeked {
    head: Vec<u8>,
    given: usize,
    /// What the stream failed with behind the head; told when the head was read.
    failed: Option<io::Error>,
    rest: Box<dyn Read + Send>,
}

impl Peeked {
    fn new(mut rest: Box<dyn Read + Send>) -> Result<Self> {
        let mut head = vec![0; LOOK];
        let (mut filled, mut failed) = (0, None);
        while filled < head.len() && failed.is_none() {
            match fault::read(&mut rest, &mut head[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) => failed = Some(fault::carried(error)),
            }
        }
        head.truncate(filled);
        Ok(Self { head, given: 0, failed, rest })
    }
}

impl Read for Peeked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.given < self.head.len() {
            let n = into.len().min(self.head.len() - self.given);
            into[..n].copy_from_slice(&self.head[self.given..self.given + n]);
            self.given += n;
            return Ok(n);
        }
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.rest.read(into),
        }
    }
}
