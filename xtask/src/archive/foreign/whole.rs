//! Whether an artifact is all of what its form says it is. It must not know which set it is of, nor believe anything but its bytes.

use super::fault::{self, broken, cut};
use super::{custom, sqlite, tar};
use crate::domain::form::Form;
use crate::domain::refusal::Refusal;
use anyhow::Result;
use std::io::{BufReader, Read};

/// What every SQLite database begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// What `pg_dumpall` writes first, and last.
const HEADING: &[u8] = b"--\n-- PostgreSQL database cluster dump\n--\n";
const ENDING: &[u8] = b"--\n-- PostgreSQL database cluster dump complete\n--\n\n";

/// Follows an artifact to the end that its form has. Memory stays flat for any size.
///
/// # Errors
/// `BadArtifact` when it is cut short or something else; what the reader fails with.
pub fn whole(form: Form, from: &mut dyn Read) -> Result<()> {
    let mut from = BufReader::with_capacity(128 * 1024, from);
    match form {
        Form::PostgresCustom => custom::examine(&mut from).map(drop),
        Form::PostgresRoles => roles(&mut from),
        Form::Sqlite => database(&mut from),
        Form::Tar => {
            let mut walk = tar::Walk::new(from);
            while walk.next()?.is_some() {}
            Ok(())
        }
    }
    .map_err(known)
}

/// A cause that is known, or the archive's own fault: numbers in it that make no sense.
fn known(error: anyhow::Error) -> anyhow::Error {
    let read = error.chain().any(|cause| cause.is::<std::io::Error>());
    if read || Refusal::within(&error).is_some() { error } else { broken(format!("the archive is broken: {error:#}")) }
}

fn database(from: &mut dyn Read) -> Result<()> {
    let mut magic = [0; MAGIC.len()];
    let begun = fault::fill(from, &mut magic)?;
    if magic[..begun] != MAGIC[..begun] {
        return Err(broken("it is no SQLite database"));
    }
    if begun < magic.len() {
        return Err(cut(format!("the SQLite file ends after {begun} bytes, within its header")));
    }
    let mut told = Vec::new();
    sqlite::examine(&mut magic.chain(from), &mut told)?;
    // Whatever SQLite wrote in one transaction, as a snapshot is, says how many pages there are.
    match told.pop() {
        None => Ok(()),
        Some(doubt) => Err(broken(doubt)),
    }
}

/// Statements of our own have no end that could be looked for; what `pg_dumpall` wrote has.
fn roles(from: &mut dyn Read) -> Result<()> {
    let mut head = [0; HEADING.len()];
    let begun = fault::fill(from, &mut head)?;
    if begun == 0 {
        return Err(cut("the list of roles is empty, and every server has a role"));
    }
    if head[0] != HEADING[0] {
        return fault::drain(from).map(drop);
    }
    if head[..begun] != HEADING[..begun] {
        return Err(broken("the list of roles begins like one of `pg_dumpall` and is none"));
    }
    let mut last = head[..begun].to_vec();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let n = fault::read(from, &mut buffer)?;
        if n == 0 {
            break;
        }
        last.extend_from_slice(&buffer[..n]);
        last.drain(..last.len().saturating_sub(ENDING.len()));
    }
    if last.ends_with(ENDING) { Ok(()) } else { Err(cut("the list of roles lacks the last line of `pg_dumpall`")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::refusal::RefusalKind;
    use std::path::Path;

    /// Every form with a small artifact of it.
    fn samples() -> Vec<(Form, Vec<u8>)> {
        let archives = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/archives");
        let dump = |name: &str| std::fs::read(archives.join(name)).unwrap();
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.db");
        let made = rusqlite::Connection::open(&path).unwrap();
        made.execute_batch("PRAGMA page_size=512; CREATE TABLE t(a); INSERT INTO t VALUES (randomblob(3000))").unwrap();
        made.close().unwrap();
        let mut tar = tar::header("a", 700).to_vec();
        tar.extend([[7; 512], [0; 512], [0; 512], [0; 512]].concat());
        let roles = [HEADING, b"\nCREATE ROLE app;\n\n", ENDING].concat();
        vec![
            (Form::PostgresCustom, dump("shop-15.dump")),
            (Form::PostgresCustom, dump("shop-17.dump")),
            (Form::PostgresRoles, roles),
            (Form::Sqlite, std::fs::read(&path).unwrap()),
            (Form::Tar, tar),
        ]
    }

    fn kind(form: Form, bytes: &[u8]) -> Option<RefusalKind> {
        whole(form, &mut &*bytes).err().map(|error| Refusal::within(&error).expect("a known cause").kind)
    }

    #[test]
    fn f02_every_truncation_of_every_form_is_refused_and_so_is_anything_else() {
        let samples = samples();
        for (form, bytes) in &samples {
            assert_eq!(kind(*form, bytes), None, "{form:?} as it is");
            for length in 0..bytes.len() {
                assert_eq!(kind(*form, &bytes[..length]), Some(RefusalKind::BadArtifact), "{form:?} cut at {length}");
            }
            for (_, other) in samples.iter().filter(|(other, _)| other != form) {
                // A list of roles that no program of PostgreSQL wrote has no form of its own.
                let accepted = *form == Form::PostgresRoles && other[0] != b'-';
                assert_eq!(kind(*form, other).is_none(), accepted, "{form:?}");
            }
        }
    }

    #[test]
    fn what_follows_the_end_is_refused() {
        for (form, bytes) in samples() {
            assert_eq!(kind(form, &[&bytes[..], b"x"].concat()), Some(RefusalKind::BadArtifact), "{form:?}");
        }
    }

    #[test]
    fn a_database_whose_header_does_not_count_its_pages_is_no_snapshot() {
        let (form, mut bytes) = samples().swap_remove(3);
        bytes[92] ^= 1;
        assert_eq!(kind(form, &bytes), Some(RefusalKind::BadArtifact));
    }

    #[test]
    fn a_reader_that_fails_is_not_taken_for_an_archive_that_ends() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::from_raw_os_error(5))
            }
        }
        for (form, bytes) in samples() {
            let error = whole(form, &mut bytes[..bytes.len() / 2].chain(Broken)).unwrap_err();
            assert!(Refusal::within(&error).is_none() && format!("{error:#}").contains("os error 5"), "{error:#}");
        }
    }
}
