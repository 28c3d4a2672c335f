//! Old archives made by the programs of old, and how they are read. It must not know what is expected of them.

use crate::support::{directories, run_name, world};
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};
use xtask::archive::foreign::{Examined, Keys, OpenPgp, examine};
use xtask::domain::foreign::{Derivation, Findings};
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::domain::secret::Secret;
use xtask::flow::open_pgp;

pub const PASSPHRASE: &str = "s3cret of old & $odd 'one'";

pub struct Rig {
    pub folder: tempfile::TempDir,
    gpg: OpenPgp,
}

impl Rig {
    /// `None`, said aloud, unless these programs are here.
    pub fn new(test: &str, programs: &[&str]) -> Option<Self> {
        for program in programs {
            if !here(program) {
                println!("SKIPPED {test}: {program} is not here");
                let required = std::env::var_os("XTASK_REQUIRE_TOOLS").is_some_and(|v| v == "1");
                assert!(!required, "XTASK_REQUIRE_TOOLS=1, but {test} cannot run without {program}");
                return None;
            }
        }
        let run = run_name();
        let world = world(&run, directories(&run));
        let gpg = open_pgp::opener(&world);
        Some(Self { folder: tempfile::tempdir().unwrap(), gpg })
    }

    /// A rig that needs no program.
    pub fn plain() -> Self {
        Self::new("no program", &[]).unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub fn examine_with(&self, path: &Path, keys: &Keys) -> anyhow::Result<Examined> {
        examine(path, keys, &self.gpg, &mut |_| {})
    }

    /// Reads with the passphrase, and again, and compares; what was found and the content.
    pub fn read(&self, path: &Path) -> anyhow::Result<(Findings, Vec<u8>)> {
        let examined = self.examine_with(path, &keys(&[PASSPHRASE]))?;
        let mut plain = Vec::new();
        std::io::copy(&mut examined.content()?, &mut plain)?;
        Ok((examined.findings().clone(), plain))
    }

    pub fn refused(&self, path: &Path) -> Refusal {
        refusal(self.read(path).map(|(found, _)| format!("{found:?}")))
    }

    /// What a program prints when it reads this; it must end well.
    pub fn pipe(&self, program: &str, words: &[&str], input: &[u8]) -> Vec<u8> {
        let shell = Shell::new().unwrap();
        shell.change_dir(self.folder.path());
        let output = cmd!(shell, "{program} {words...}")
            .env("OLD_KEY", PASSPHRASE)
            .stdin(input)
            .quiet()
            .ignore_stderr()
            .output();
        output.unwrap_or_else(|e| panic!("{program} {words:?}: {e}")).stdout
    }

    pub fn openssl(&self, how: &[&str], plain: &[u8]) -> Vec<u8> {
        let words = [&["enc", "-aes-256-cbc", "-salt", "-pass", "env:OLD_KEY"], how].concat();
        self.pipe("openssl", &words, plain)
    }

    /// Under the passphrase, by a gpg with a home of its own that starts no agent.
    pub fn gpg(&self, how: &[&str], plain: &[u8]) -> Vec<u8> {
        let home = self.path("gpg-home");
        if !home.exists() {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().mode(0o700).create(&home).unwrap();
        }
        let message = self.file("plain-for-gpg", plain);
        let (out, key) = (self.path("made.gpg"), format!("{PASSPHRASE}\n"));
        let words = [
            "--homedir",
            "gpg-home",
            "--batch",
            "--yes",
            "--no-autostart",
            "--pinentry-mode",
            "loopback",
            "--passphrase-fd",
            "0",
        ];
        let shell = Shell::new().unwrap();
        shell.change_dir(self.folder.path());
        // Its status complains of the agent that it could not ask to forget the passphrase; the file is there all the same.
        let made = cmd!(shell, "gpg {words...} {how...} --symmetric --cipher-algo AES256 --output {out} {message}");
        drop(made.stdin(key).quiet().ignore_stderr().ignore_status().run());
        std::fs::read(out).unwrap()
    }
}

fn here(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

pub fn keys(passphrases: &[&str]) -> Keys {
    Keys { passphrases: passphrases.iter().map(|p| Secret::new(*p)).collect(), derivations: Vec::new() }
}

pub fn derived(passphrase: &str, derivation: Derivation) -> Keys {
    Keys { derivations: vec![derivation], ..keys(&[passphrase]) }
}

/// The refusal that this ended with; an end without a known cause is a failure of the test.
pub fn refusal<T: std::fmt::Debug>(result: anyhow::Result<T>) -> Refusal {
    let error = result.map(|t| panic!("not refused: {t:?}")).unwrap_err();
    Refusal::within(&error).unwrap_or_else(|| panic!("no known cause: {error:?}")).clone()
}

/// Wrong keys are called that, and nothing else is said of the file.
pub fn is_wrong_key(refusal: &Refusal) {
    assert_eq!(refusal.kind, RefusalKind::WrongKey, "{refusal:?}");
    for word in ["corrupt", "damaged"] {
        assert!(!format!("{} {}", refusal.message, refusal.hint).contains(word), "{refusal:?}");
    }
}

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("fixtures/archives").join(name)
}

pub fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

/// A database file as `sqlite3 x.db ".backup …"` makes it.
pub fn sqlite(rig: &Rig) -> Vec<u8> {
    let made = "CREATE TABLE walks (id INTEGER PRIMARY KEY, name TEXT); \
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) \
                INSERT INTO walks SELECT i, 'walk number ' || i FROM n;";
    for path in ["live.db", "copy.db"] {
        let _ = std::fs::remove_file(rig.path(path));
    }
    rig.pipe("sqlite3", &["live.db", made, ".backup copy.db"], b"");
    std::fs::read(rig.path("copy.db")).unwrap()
}

/// A tar archive of a folder with two pictures, as `tar` makes it.
pub fn tar(rig: &Rig) -> Vec<u8> {
    std::fs::create_dir_all(rig.path("uploads/2026")).unwrap();
    rig.file("uploads/one.jpg", &[1; 3000]);
    rig.file("uploads/2026/two.jpg", &[2; 5000]);
    rig.pipe("tar", &["--create", "--file=-", "uploads"], b"")
}

/// The folder of a directory dump as a tar archive.
pub fn tar_of_dump(rig: &Rig) -> Vec<u8> {
    let parent = fixture("");
    rig.pipe("tar", &["--create", "--file=-", "--directory", parent.to_str().unwrap(), "shop-17.folder"], b"")
}
