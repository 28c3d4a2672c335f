//! What archives say of themselves, and that none of them is taken for whole when it is cut, grown or mixed up.

use super::rig::{Rig, bytes, fixture, refusal, sqlite, tar_of_dump};
use sha2::{Digest, Sha256};
use std::path::Path;
use xtask::domain::artifact::{Fingerprint, hex};
use xtask::domain::foreign::Content;
use xtask::domain::refusal::RefusalKind;

pub fn fingerprint(bytes: &[u8]) -> Fingerprint {
    Fingerprint { bytes: bytes.len() as u64, sha256: hex(&Sha256::digest(bytes)) }
}

fn copy(rig: &Rig, name: &str) -> std::path::PathBuf {
    let to = rig.path(name);
    let _ = std::fs::remove_dir_all(&to);
    std::fs::create_dir(&to).unwrap();
    for entry in std::fs::read_dir(fixture(name)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    to
}

#[test]
fn dumps_say_where_they_are_from_and_what_they_need() {
    let rig = Rig::plain();
    for (name, version) in [
        ("shop-15.sql", 150_020),
        ("shop-15.dump", 150_020),
        ("shop-15.tar", 150_020),
        ("shop-17.sql", 170_012),
        ("shop-17.dump", 170_012),
        ("shop-17.folder", 170_012),
        ("shop-17.plain-folder", 170_012),
    ] {
        let (found, _) = rig.read(&fixture(name)).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        assert_eq!(found.said.server_number(), Some(version), "{name}");
        assert_eq!(found.said.roles.iter().collect::<Vec<_>>(), ["reader", "recyclic"], "{name}");
        assert_eq!(found.said.extensions.get("pgcrypto"), Some(&Some("public".to_owned())), "{name}");
        if found.content != Content::PostgresSql {
            assert_eq!(found.said.database.as_deref(), Some("shop"), "{name}");
            assert!(found.said.begun.is_some_and(|at| at.year() == 2026), "{name}: {:?}", found.said.begun);
        }
    }
}

#[test]
fn f11_a_custom_archive_is_refused_at_every_length_but_its_own() {
    let rig = Rig::plain();
    for name in ["shop-15.dump", "shop-17.dump"] {
        let whole = bytes(name);
        for length in 0..whole.len() {
            let refused = rig.refused(&rig.file("cut.dump", &whole[..length]));
            assert_eq!(refused.kind, RefusalKind::BadArtifact, "{name} at {length}: {refused:?}");
        }
        for more in [&b"\0"[..], b"\x01", b"\x01\0\0\0\0\0", &whole] {
            let refused = rig.refused(&rig.file("grown.dump", &[&whole, more].concat()));
            assert_eq!(refused.kind, RefusalKind::BadArtifact, "{name} with {} more: {refused:?}", more.len());
        }
    }
}

#[test]
fn f28_a_custom_archive_with_any_bit_turned_never_ends_in_a_crash_or_in_much_memory() {
    let rig = Rig::plain();
    let whole = bytes("shop-15.dump");
    let mut unnoticed = 0;
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        match rig.examine_with(&rig.file("flip.dump", &changed), &super::rig::keys(&[])) {
            Ok(found) => {
                unnoticed += 1;
                assert!(found.findings().unknown.contains(&xtask::domain::foreign::Unknown::Bytes), "byte {at}");
            }
            Err(error) => assert!(xtask::domain::refusal::Refusal::within(&error).is_some(), "byte {at}: {error:?}"),
        }
    }
    println!("{unnoticed} of {} flips go unnoticed: the format has no checksum, which is told", whole.len());
}

#[test]
fn flaw_26_scripts_cut_at_every_length_are_refused_by_name() {
    let rig = Rig::plain();
    for name in ["shop-15.sql", "shop-17.sql"] {
        let whole = bytes(name);
        // The last byte is an empty line's.
        for length in (0..whole.len() - 1).step_by(3).chain(whole.len() - 120..whole.len() - 1) {
            let refused = rig.refused(&rig.file("cut.sql", &whole[..length]));
            assert_eq!(refused.kind, RefusalKind::BadArtifact, "{name} at {length}: {refused:?}");
            assert!(refused.message.starts_with("cut.sql: "), "{refused:?}");
        }
        let refused = rig.refused(&rig.file("cut.sql", &whole[..whole.len() / 2]));
        assert!(refused.message.contains("closing line `-- PostgreSQL database dump complete`"), "{refused:?}");
        let rows = whole.windows(10).position(|w| w == b"FROM stdin").unwrap() + 400;
        assert!(rig.refused(&rig.file("cut.sql", &whole[..rows])).message.contains("in the rows of a table"));
    }
}

#[test]
fn flaw_26_a_truncated_gzip_of_a_script_is_refused_although_psql_would_be_content() {
    let Some(rig) = Rig::new("a truncated gzip", &["gzip"]) else { return };
    let whole = rig.pipe("gzip", &["-c"], &bytes("shop-15.sql"));
    for length in (20..whole.len()).step_by(11) {
        let refused = rig.refused(&rig.file("cut.sql.gz", &whole[..length]));
        assert_eq!(refused.kind, RefusalKind::BadArtifact, "{length}: {refused:?}");
    }
}

#[test]
fn flaw_22_and_23_the_empty_dump_of_a_container_without_a_server_is_refused_by_name() {
    let Some(rig) = Rig::new("the empty dump", &["gzip"]) else { return };
    for (name, bytes) in [("backup_ancien_stack.sql", Vec::new()), ("x.sql.gz", rig.pipe("gzip", &["-c"], b""))] {
        let refused = rig.refused(&rig.file(name, &bytes));
        assert_eq!(refused.kind, RefusalKind::BadArtifact);
        assert!(refused.message.starts_with(name) && refused.message.contains("0 bytes"), "{refused:?}");
    }
}

#[test]
fn f31_flaws_5_6_16_and_17_the_bytes_decide_and_never_the_name() {
    let Some(rig) = Rig::new("the bytes decide", &["gzip", "sqlite3"]) else { return };
    let database = sqlite(&rig);
    for name in ["balades_20260127.db.gz", "postgres_backup_20260127.dump.gz", "recyclic_prod_20260127.sql.gz"] {
        let zipped = rig.pipe("gzip", &["-c"], &database);
        assert_eq!(rig.read(&rig.file(name, &zipped)).unwrap().0.content, Content::Sqlite, "{name}");
        let zipped = rig.pipe("gzip", &["-c"], &bytes("shop-15.dump"));
        assert_eq!(rig.read(&rig.file(name, &zipped)).unwrap().0.content, Content::PostgresCustom, "{name}");
        assert_eq!(rig.read(&rig.file(name, &bytes("shop-15.sql"))).unwrap().0.content, Content::PostgresSql, "{name}");
    }
}

#[test]
fn a_dump_in_a_folder_lacks_nothing_that_its_table_promises() {
    for name in ["shop-17.folder", "shop-17.plain-folder"] {
        let rig = Rig::plain();
        let files: Vec<String> =
            std::fs::read_dir(fixture(name)).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        rig.read(&copy(&rig, name)).unwrap();
        for file in &files {
            let folder = copy(&rig, name);
            std::fs::remove_file(folder.join(file)).unwrap();
            let refused = rig.refused(&folder);
            assert_eq!(refused.kind, RefusalKind::BadArtifact, "{name} without {file}: {refused:?}");
        }
        for file in files.iter().filter(|f| !f.starts_with("blob_") || f.ends_with(".gz")) {
            let folder = copy(&rig, name);
            let whole = std::fs::read(folder.join(file)).unwrap();
            for length in [0, 1, whole.len() / 2, whole.len() - 1] {
                std::fs::write(folder.join(file), &whole[..length]).unwrap();
                let refused = rig.refused(&folder);
                assert_eq!(refused.kind, RefusalKind::BadArtifact, "{name}: {file} cut to {length}: {refused:?}");
            }
        }
        let folder = copy(&rig, name);
        std::fs::remove_file(folder.join("toc.dat")).unwrap();
        std::os::unix::fs::symlink(fixture(name).join("toc.dat"), folder.join("toc.dat")).unwrap();
        assert_eq!(rig.refused(&folder).kind, RefusalKind::BadArtifact, "a link is not followed");
        let folder = copy(&rig, name);
        std::fs::write(folder.join("notes.txt"), b"mine").unwrap();
        assert!(rig.read(&folder).unwrap().0.told[0].contains("1 more files or folders"), "told");
    }
}

#[test]
fn a_dump_in_a_tar_archive_comes_out_flat_and_whole() {
    let Some(rig) = Rig::new("a dump in a tar archive", &["tar"]) else { return };
    let whole = tar_of_dump(&rig);
    let (found, flat) = rig.read(&rig.file("a.tar", &whole)).unwrap();
    assert_eq!(found.content, Content::PostgresDirectory);
    let listed = String::from_utf8(rig.pipe("tar", &["--list", "--file=-"], &flat)).unwrap();
    let mut names: Vec<&str> = listed.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["3476.dat.gz", "3477.dat.gz", "blob_16453.dat.gz", "blobs_3479.toc", "toc.dat"]);
    let (_, of_folder) = rig.read(&fixture("shop-17.folder")).unwrap();
    std::fs::create_dir(rig.path("out")).unwrap();
    rig.pipe("tar", &["--extract", "--file=-", "--directory=out"], &of_folder);
    for name in names {
        assert!(
            std::fs::read(rig.path("out").join(name)).unwrap()
                == std::fs::read(fixture("shop-17.folder").join(name)).unwrap(),
            "{name}"
        );
    }
    // Behind its end it is filled up with zeros, and those may go.
    let end = whole.iter().rposition(|b| *b != 0).unwrap().next_multiple_of(512) + 1024;
    for length in (0..end).step_by(97).chain([end - 1]) {
        let refused = rig.refused(&rig.file("cut.tar", &whole[..length]));
        assert_eq!(refused.kind, RefusalKind::BadArtifact, "{length}: {refused:?}");
    }
}

#[test]
fn what_changes_while_it_is_read_twice_is_noticed() {
    let rig = Rig::plain();
    let path = rig.file("a.dump", &bytes("shop-15.dump"));
    let examined = rig.examine_with(&path, &super::rig::keys(&[])).unwrap();
    let mut changed = bytes("shop-15.dump");
    let last = changed.len() - 3;
    changed[last] ^= 1;
    std::fs::write(&path, &changed).unwrap();
    let again = std::io::copy(&mut examined.content().unwrap(), &mut std::io::sink()).map_err(anyhow::Error::from);
    assert_eq!(refusal(again).kind, RefusalKind::Integrity);

    let folder = copy(&rig, "shop-17.plain-folder");
    let examined = rig.examine_with(&folder, &super::rig::keys(&[])).unwrap();
    touch(&folder.join("3477.dat"));
    let again = std::io::copy(&mut examined.content().unwrap(), &mut std::io::sink()).map_err(anyhow::Error::from);
    assert_eq!(refusal(again).kind, RefusalKind::Integrity);
}

fn touch(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[0] ^= 1;
    std::fs::write(path, bytes).unwrap();
}
