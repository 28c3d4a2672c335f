//! `cargo xtask adopt` as it is typed: SQLite files and folders without any engine, and how each refusal ends the command.

use super::rig::{PASSPHRASE, Rig, bytes, fixture, sqlite, tar};
use crate::support::program;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use xtask::archive::vault::Vault;
use xtask::domain::artifact::Manifest;

const STACK: &str = "stacks:\n  site:\n    folder: .\n    stores:\n      balades: { engine: sqlite, path: app/balades.db }\n      \
                     uploads: { engine: files, path: uploads }\n      db: { engine: postgres, database: shop, user: shop }\n";

/// Exit code, words, environment, and what is said.
type Ending<'a> = (i32, &'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

struct Bench {
    rig: Rig,
    temporary: tempfile::TempDir,
}

impl Bench {
    fn new(test: &str, programs: &[&str]) -> Option<Self> {
        let rig = Rig::new(test, programs)?;
        std::fs::write(rig.path("recovery.yaml"), STACK).unwrap();
        Some(Self { rig, temporary: tempfile::tempdir().unwrap() })
    }

    fn run(&self, words: &[&str], environment: &[(&str, &str)]) -> Output {
        let words = [&["adopt", "site"], words].concat();
        let mut command = program(self.rig.folder.path(), self.temporary.path(), &words);
        command.env_remove("BACKUP_ENCRYPTION_KEY").envs(environment.iter().copied()).output().unwrap()
    }

    /// Both outputs, after it ended with this code, kept no temporary folder and showed no passphrase.
    fn ends(&self, code: i32, words: &[&str], environment: &[(&str, &str)]) -> String {
        let output = self.run(words, environment);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        assert!(!said.contains(PASSPHRASE) && !said.contains("panicked"), "{words:?}: {said}");
        let left: Vec<_> = std::fs::read_dir(self.temporary.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{words:?} left {left:?}");
        said
    }

    fn sets(&self) -> Vec<Manifest> {
        let vault = Vault::at(&self.rig.path("backups/site"));
        vault.list().unwrap().into_iter().map(|l| l.public.unwrap().whole.unwrap()).collect()
    }
}

#[test]
fn flaws_5_6_and_21_old_files_of_sqlite_and_folders_become_sets_that_hold_the_same() {
    let Some(bench) = Bench::new("old files become sets", &["sqlite3", "gzip", "tar", "gpg", "openssl"]) else {
        return;
    };
    let rig = &bench.rig;
    let database = sqlite(rig);
    rig.file("balades.db.gz", &rig.pipe("gzip", &["-c"], &database));
    let said = bench.ends(0, &["balades.db.gz", "--as-of", "2026-01-27T02:00:00Z"], &[]);
    assert!(said.contains("sqlite-file inside of gzip, whole") && said.contains("300 rows"), "{said}");
    assert!(said.contains("as you say"), "{said}");
    let set = &bench.sets()[0];
    let component = set.component("balades").unwrap();
    assert_eq!(component.consistent_as_of, "2026-01-27T02:00:00Z");
    assert_eq!(component.facts["adopted_as_of"], "declared");
    assert!(!component.facts["adopted_unknown"].contains("moment"), "{:?}", component.facts);
    assert!(!component.facts.contains_key("mode") && !component.facts.contains_key("uid"), "those of the site");
    assert_eq!(component.census.rows(), 300);
    let latest = Vault::at(&rig.path("backups/site")).find("latest").map(|set| set.manifest.id).unwrap_err();
    assert!(latest.to_string().contains("no backup set"), "an adopted set is never the latest: {latest:#}");

    // The folder that an old script packed, under a passphrase that the env of old held.
    let archive = tar(rig);
    rig.file("backup_20251028.tar.gz.gpg", &rig.gpg(&[], &rig.pipe("gzip", &["-c"], &archive)));
    let old_key = [("BACKUP_ENCRYPTION_KEY", PASSPHRASE)];
    let said = bench.ends(0, &["backup_20251028.tar.gz.gpg"], &old_key);
    assert!(said.contains("tar inside of gpg --symmetric, gzip") && said.contains("so no RPO can be proven"), "{said}");
    let component = bench.sets()[1].component("uploads").unwrap().clone();
    let files: Vec<&String> = component.census.objects.keys().filter(|o| o.starts_with("file ")).collect();
    assert_eq!(files, ["file 2026/two.jpg", "file one.jpg"], "the folder of the store itself is not doubled");
    assert_eq!(component.consistent_as_of, "1970-01-01T00:00:00Z");
    assert_eq!(component.facts["adopted_inside"], "uploads");
    let said = bench.ends(0, &["backup_20251028.tar.gz.gpg", "--inside", "."], &old_key);
    assert!(said.contains("rows"), "{said}");
    assert!(bench.sets()[2].component("uploads").unwrap().census.objects.contains_key("file uploads/one.jpg"));

    // As JSON, and with the passphrase in a file.
    rig.file("key", format!("{PASSPHRASE}\n").as_bytes());
    std::fs::set_permissions(rig.path("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    rig.file("b.enc", &rig.openssl(&["-md", "md5"], &database));
    let output = bench.run(&["b.enc", "--key-file", "key", "--inspect", "--json"], &[]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["content"], "sqlite-file");
    assert_eq!(said["layers"][0], "openssl aes-256-cbc (md5)");
    assert_eq!(said["unknown"], serde_json::json!(["author", "bytes", "census", "moment"]));
    assert_eq!((said["id"].is_null(), bench.sets().len()), (true, 3), "--inspect adopts nothing");
}

#[test]
fn every_refusal_ends_the_command_with_its_own_code_and_leaves_no_set() {
    let Some(bench) = Bench::new("every refusal", &["openssl", "sqlite3", "gzip", "tar"]) else { return };
    let rig = &bench.rig;
    rig.file("a.enc", &rig.openssl(&["-pbkdf2"], &sqlite(rig)));
    rig.file("cut.db", &sqlite(rig)[..5000]);
    let mut damaged = sqlite(rig);
    let end = damaged.len();
    damaged[end - 3000..end - 100].fill(0x5a);
    rig.file("damaged.db", &damaged);
    rig.file(
        "hostile.sql",
        b"--\n-- PostgreSQL database dump\n--\n\n\\! touch pwned\n--\n-- PostgreSQL database dump complete\n--\n\n",
    );
    rig.file("key", b"the key");
    rig.pipe("ln", &["-s", "/etc/passwd", "uploads-link"], b"");
    rig.pipe("tar", &["--create", "--file=out.tar", "uploads-link"], b"");
    let dump = fixture("shop-15.dump");
    let ends: [Ending<'_>; 16] = [
        (2, &["a.enc"], &[], "--key-from VARIABLE"),
        (2, &["a.enc", "--key-from", "NOT_SET"], &[], "`NOT_SET` is set nowhere"),
        (2, &["a.enc", "--key-from", "EMPTY"], &[("EMPTY", "")], "`EMPTY` is empty"),
        (12, &["a.enc", "--key-from", "K"], &[("K", "wrong")], "the passphrase is another one"),
        (12, &["a.enc", "--derivation", "md5", "--key-from", "K"], &[("K", PASSPHRASE)], "--derivation"),
        (14, &["a.enc", "--key-file", "key"], &[], "chmod 600"),
        (2, &["a.enc", "--key-file", "gone"], &[], "cannot read gone"),
        (2, &["cut.db", "--derivation", "rot13"], &[], "md5, sha256, pbkdf2"),
        (22, &["gone.sql"], &[], "gone.sql"),
        (28, &["cut.db"], &[], "its header promises"),
        (28, &["damaged.db"], &[], "damaged"),
        (28, &["hostile.sql"], &[], "a command for psql"),
        (28, &["out.tar"], &[], "is a link to an absolute path"),
        (2, &["damaged.db", "--store", "uploads"], &[], "choose one of: balades"),
        (2, &["damaged.db", "--store", "none"], &[], "choose one of: balades, uploads, db"),
        (2, &["damaged.db", "--as-of", "2999-01-01T00:00:00Z"], &[], "still to come"),
    ];
    for (code, words, environment, says) in ends {
        let said = bench.ends(code, words, environment);
        assert!(said.contains(says), "{words:?}: {said}");
        assert!(bench.sets().is_empty(), "{words:?} made a set");
    }
    // Without an engine a dump cannot be brought back anywhere, and what it is can be told all the same.
    bench.ends(30, &[dump.to_str().unwrap()], &[]);
    let said = bench.ends(0, &[dump.to_str().unwrap(), "--inspect"], &[]);
    assert!(said.contains("postgres-custom, whole") && said.contains("it says: server 15.20"), "{said}");
    assert!(!rig.path("pwned").exists());
    assert_eq!(std::fs::read(&dump).unwrap(), bytes("shop-15.dump"));
}

#[test]
fn a_plan_opens_nothing_and_does_nothing() {
    let Some(bench) = Bench::new("a plan", &["openssl", "sqlite3", "gzip"]) else { return };
    let rig = &bench.rig;
    rig.file("a.db.gz", &rig.pipe("gzip", &["-c"], &sqlite(rig)));
    rig.file("a.enc", &rig.openssl(&[], b"whatever"));
    let said = bench.ends(0, &["a.db.gz", "--plan"], &[]);
    for line in
        ["sqlite-file inside of gzip", "xtask __tool sqlite load balades.db < {archive}", "compress | sha256 > {set}"]
    {
        assert!(said.contains(line), "no `{line}` in: {said}");
    }
    let said = bench.ends(0, &["a.enc", "--plan"], &[]);
    assert!(said.contains("encrypted: what is inside shows when it is opened"), "{said}");
    let dump = fixture("shop-17.dump");
    let said = bench.ends(0, &[dump.to_str().unwrap(), "--plan"], &[]);
    for line in [
        "docker run --detach --network {private}",
        "dd 'of={scratch}/data.dump'",
        "pg_restore",
        "--exit-on-error",
        "--username=shop",
    ] {
        assert!(said.contains(line), "no `{line}` in: {said}");
    }
    assert!(!rig.path("backups").exists());
}

#[test]
fn memory_stays_flat_whatever_the_size_of_an_archive_or_of_a_row() {
    let Some(bench) = Bench::new("memory stays flat", &["gzip", "openssl"]) else { return };
    let peak = |rows: usize| {
        let row = format!("1\t{}\n", "a row of some length ".repeat(50)).repeat(rows);
        let one = "x".repeat(rows * 1000);
        let script = format!(
            "--\n-- PostgreSQL database dump\n--\n\nCOPY t (a, b) FROM stdin;\n{row}2\t{one}\n\\.\n\n\
             --\n-- PostgreSQL database dump complete\n--\n\n"
        );
        bench.rig.file(
            "a.enc",
            &bench.rig.openssl(&["-md", "md5"], &bench.rig.pipe("gzip", &["-1", "-c"], script.as_bytes())),
        );
        bench.rig.file("key", PASSPHRASE.as_bytes());
        std::fs::set_permissions(bench.rig.path("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
        let words = ["adopt", "site", "a.enc", "--inspect", "--key-file", "key"];
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_xtask"));
        let (status, peak) = crate::support::peak::watched(program, bench.rig.folder.path(), &words);
        assert!(status.success() && peak.tool > 1 << 20, "{status}: {peak:?}");
        peak.tool
    };
    let (small, large) = (peak(100), peak(20_000));
    assert!(large < small + (8 << 20) && large < 48 << 20, "{small} bytes became {large}");
}

#[test]
fn gpg_that_is_not_there_is_said_by_name() {
    let Some(bench) = Bench::new("gpg that is not there", &["gpg"]) else { return };
    bench.rig.file("a.gpg", &bench.rig.gpg(&[], &bytes("shop-15.dump")));
    let nowhere = bench.rig.path("nowhere");
    std::fs::create_dir(&nowhere).unwrap();
    let environment = [("PATH", nowhere.to_str().unwrap()), ("BACKUP_ENCRYPTION_KEY", PASSPHRASE)];
    let said = bench.ends(25, &["a.gpg", "--inspect"], &environment);
    assert!(said.contains("cannot start gpg") && said.contains("install gpg"), "{said}");
}
