//! Every content in every wrapping, made by the programs that made them then, is recognised by its bytes and comes out unchanged.

use super::rig::{Rig, bytes, is_wrong_key, keys, refusal, sqlite, tar, tar_of_dump};
use xtask::domain::foreign::{Content, Unknown};
use xtask::domain::refusal::RefusalKind;

const PROGRAMS: [&str; 6] = ["openssl", "gzip", "gpg", "zstd", "sqlite3", "tar"];

fn contents(rig: &Rig) -> Vec<(Content, Vec<u8>)> {
    vec![
        (Content::PostgresSql, bytes("shop-15.sql")),
        (Content::PostgresSql, bytes("shop-17.sql")),
        (Content::PostgresCustom, bytes("shop-15.dump")),
        (Content::PostgresCustom, bytes("shop-17.dump")),
        (Content::PostgresDirectory, tar_of_dump(rig)),
        (Content::PostgresTar, bytes("shop-15.tar")),
        (Content::Sqlite, sqlite(rig)),
        (Content::Tar, tar(rig)),
    ]
}

#[test]
fn every_content_in_every_wrapping_is_recognised_and_comes_out_unchanged() {
    let Some(rig) = Rig::new("every content in every wrapping", &PROGRAMS) else { return };
    type Wrap = fn(&Rig, Vec<u8>) -> Vec<u8>;
    let wrappings: [(&str, Wrap); 11] = [
        ("none", |_, b| b),
        ("gzip", |r, b| r.pipe("gzip", &["-c"], &b)),
        ("zstd", |r, b| r.pipe("zstd", &["-q", "-c"], &b)),
        ("openssl aes-256-cbc (md5)", |r, b| r.openssl(&["-md", "md5"], &b)),
        ("openssl aes-256-cbc (sha256)", |r, b| r.openssl(&[], &b)),
        ("openssl aes-256-cbc (pbkdf2:10000)", |r, b| r.openssl(&["-pbkdf2"], &b)),
        ("gpg --symmetric", |r, b| r.gpg(&[], &b)),
        ("gpg --symmetric", |r, b| r.gpg(&["--armor"], &b)),
        ("gpg --symmetric, gzip", |r, b| r.gpg(&[], &r.pipe("gzip", &["-c"], &b))),
        ("openssl aes-256-cbc (md5), gzip", |r, b| r.openssl(&["-md", "md5"], &r.pipe("gzip", &["-c"], &b))),
        ("gzip, openssl aes-256-cbc (pbkdf2:10000), zstd", |r, b| {
            r.pipe("gzip", &["-c"], &r.openssl(&["-pbkdf2"], &r.pipe("zstd", &["-q", "-c"], &b)))
        }),
    ];
    for (content, plain) in contents(&rig) {
        for (layers, wrap) in &wrappings {
            // A name that says nothing, or rather a lie.
            let path = rig.file("backup.sql", &wrap(&rig, plain.clone()));
            let (found, came) = rig.read(&path).unwrap_or_else(|e| panic!("{content:?} in {layers}: {e:#}"));
            assert_eq!((found.content, found.layers_text().as_str()), (content, *layers));
            assert_eq!(found.plain.bytes, plain.len() as u64, "{content:?} in {layers}");
            assert_eq!(found.file.bytes, std::fs::metadata(&path).unwrap().len());
            match content {
                Content::PostgresDirectory => {}
                Content::PostgresSql => assert_eq!(came.len(), plain.len() - guards(&plain), "{content:?} in {layers}"),
                _ => assert!(came == plain, "{content:?} in {layers}: other bytes came out"),
            }
        }
    }
}

fn guards(script: &[u8]) -> usize {
    let text = String::from_utf8(script.to_vec()).unwrap();
    let guards = text.lines().filter(|l| l.starts_with("\\restrict ") || l.starts_with("\\unrestrict "));
    let bytes = guards.map(|l| l.len() + 1).sum();
    assert!(bytes > 0, "this dump has none");
    bytes
}

#[test]
fn the_digest_of_the_file_is_the_one_that_sha256sum_prints() {
    let Some(rig) = Rig::new("the digest of the file", &["sha256sum", "gzip"]) else { return };
    // Twice the end of the data is passed over: it counts all the same.
    let mut wrapped = rig.pipe("gzip", &["-c"], &bytes("shop-15.dump"));
    wrapped.extend([0; 300_000]);
    let path = rig.file("a.gz", &wrapped);
    let printed = String::from_utf8(rig.pipe("sha256sum", &["a.gz"], b"")).unwrap();
    let (found, _) = rig.read(&path).unwrap();
    assert_eq!(Some(found.file.sha256.as_str()), printed.split(' ').next());
    assert!(found.told[0].contains("300000 zeros follow"), "{:?}", found.told);

    let folder = super::rig::fixture("shop-17.folder");
    let list = rig.pipe("sh", &["-c", &format!("cd '{}' && LC_ALL=C sha256sum * | sha256sum", folder.display())], b"");
    let (found, _) = rig.read(&folder).unwrap();
    assert_eq!(Some(found.file.sha256.as_str()), String::from_utf8(list).unwrap().split(' ').next());
}

#[test]
fn a_second_gzip_member_is_told_and_read() {
    let Some(rig) = Rig::new("a second gzip member", &["gzip"]) else { return };
    let script = bytes("shop-15.sql");
    let (one, two) = script.split_at(4000);
    let joined = [rig.pipe("gzip", &["-c"], one), rig.pipe("gzip", &["-c"], two)].concat();
    let (found, _) = rig.read(&rig.file("a.gz", &joined)).unwrap();
    assert_eq!(found.told, ["it is 2 gzip files one behind the other"]);
    // What follows a whole script is refused, in whichever member it comes.
    let more = [rig.pipe("gzip", &["-c"], &script), rig.pipe("gzip", &["-c"], b"DROP TABLE orders;\n")].concat();
    assert!(rig.refused(&rig.file("b.gz", &more)).message.contains("something follows the end of the dump"));
}

#[test]
fn what_cannot_be_known_is_said() {
    let Some(rig) = Rig::new("what cannot be known", &PROGRAMS) else { return };
    let unknown = |bytes: Vec<u8>| rig.read(&rig.file("a", &bytes)).unwrap().0.unknown;
    let always = [Unknown::Author, Unknown::Census, Unknown::Moment];
    let raw = unknown(rig.openssl(&["-pbkdf2"], &bytes("shop-15.dump")));
    assert!(always.iter().all(|u| raw.contains(u)) && raw.contains(&Unknown::Bytes), "no authentication: {raw:?}");
    assert!(raw.contains(&Unknown::Roles) && raw.contains(&Unknown::Server), "{raw:?}");
    assert!(!raw.contains(&Unknown::ServerVersion), "{raw:?}");
    let zipped = unknown(rig.pipe("gzip", &["-c"], &bytes("shop-15.dump")));
    assert!(!zipped.contains(&Unknown::Bytes) && zipped.contains(&Unknown::Author), "{zipped:?}");
    let guarded = unknown(rig.gpg(&[], &sqlite(&rig)));
    assert_eq!(guarded.iter().copied().collect::<Vec<_>>(), always);
    rig.pipe("sqlite3", &["live.db", "PRAGMA journal_mode = WAL; INSERT INTO walks (name) VALUES ('new');"], b"");
    assert!(unknown(std::fs::read(rig.path("live.db")).unwrap()).contains(&Unknown::Log));
}

#[test]
fn what_is_known_and_not_read_here_is_named_with_what_to_do() {
    let Some(rig) = Rig::new("what is known and not read", &["openssl", "sqlite3", "gzip"]) else { return };
    sqlite(&rig);
    let script = rig.pipe("sqlite3", &["live.db", ".dump"], b"");
    let cases: [(&str, Vec<u8>, &str, &str); 6] = [
        ("base64", rig.openssl(&["-a"], b"x"), "base64", "openssl base64 -d"),
        ("dump of SQLite", script, "SQL script of SQLite", "sqlite3 NEW.db"),
        ("cluster", b"--\n-- PostgreSQL database cluster dump\n--\n".to_vec(), "pg_dumpall", "pg_dump --format=custom"),
        ("nothing", Vec::new(), "0 bytes", "a server that does not run"),
        (
            "nothing, zipped",
            rig.pipe("gzip", &["-c"], b""),
            "inside of gzip it holds 0 bytes",
            "a server that does not run",
        ),
        ("an error", b"pg_dump: error: connection to server failed\n".to_vec(), "it is a text", "first lines"),
    ];
    for (name, bytes, what, hint) in cases {
        let refusal = rig.refused(&rig.file("a.dump", &bytes));
        assert_eq!(refusal.kind, RefusalKind::BadArtifact, "{name}: {refusal:?}");
        assert!(refusal.message.starts_with("a.dump: ") && refusal.message.contains(what), "{name}: {refusal:?}");
        assert!(refusal.hint.contains(hint), "{name}: {refusal:?}");
    }
    let without = refusal(rig.examine_with(&rig.file("a", &rig.openssl(&[], b"x")), &keys(&[])).map(|_| ()));
    assert_eq!(without.kind, RefusalKind::Configuration);
    assert!(without.message.contains("openssl enc") && without.hint.contains("--key-from"), "{without:?}");
    assert_eq!(rig.refused(&rig.path("gone")).kind, RefusalKind::MissingStore);
    assert_eq!(rig.refused(rig.folder.path()).kind, RefusalKind::BadArtifact);
    let pipe = rig.path("pipe");
    rig.pipe("mkfifo", &["pipe"], b"");
    assert_eq!(rig.refused(&pipe).kind, RefusalKind::BadArtifact, "a pipe is refused, not waited for");
}

#[test]
fn gpg_notices_changed_bytes_and_another_passphrase() {
    let Some(rig) = Rig::new("gpg notices", &["gpg"]) else { return };
    let sealed = rig.gpg(&["--compress-algo", "none"], &tar(&rig));
    let mut changed = sealed.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    let refused = rig.refused(&rig.file("changed.gpg", &changed));
    assert_eq!(refused.kind, RefusalKind::BadArtifact, "{refused:?}");
    for length in [8, 20, 60, sealed.len() / 2, sealed.len() - 1] {
        let refused = rig.refused(&rig.file("cut.gpg", &sealed[..length]));
        assert_eq!(refused.kind, RefusalKind::BadArtifact, "{length}: {refused:?}");
    }
    let path = rig.file("whole.gpg", &sealed);
    is_wrong_key(&refusal(rig.examine_with(&path, &keys(&["another"])).map(|_| ())));
    is_wrong_key(&refusal(rig.examine_with(&path, &keys(&["two\nlines"])).map(|_| ())));
    rig.examine_with(&path, &keys(&["another", super::rig::PASSPHRASE])).unwrap();
}
