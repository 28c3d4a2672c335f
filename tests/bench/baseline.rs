//! What people do by hand: `docker exec pg_dump | gzip > file`, `sha256sum`, `openssl enc`, `gunzip < file | docker exec -i psql`,
//! and `pg_dump` alone. Built from the same programs joined by the kernel's own pipes, as a shell would join them.
#![expect(clippy::disallowed_methods, reason = "the programs of the pipes are the thing that is measured against")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The pipes of one database.
pub struct Pipes {
    container: String,
    file: PathBuf,
}

impl Pipes {
    /// For the database `shop` in this container; the dump goes into this folder.
    pub fn new(container: String, folder: &Path) -> Self {
        Self { container, file: folder.join("shop.sql.gz") }
    }

    /// `docker exec … pg_dump | gzip > file`, then `sha256sum file` and `openssl enc -aes-256-cbc`. Returns the bytes of the result.
    pub fn back_up(&self) -> u64 {
        let mut dump = self.docker(&["exec"], &["pg_dump", "--username=xtask_owner", "shop"]);
        let mut dump = dump.stdout(Stdio::piped()).spawn().unwrap();
        let mut gzip = Command::new("gzip");
        gzip.stdin(dump.stdout.take().unwrap()).stdout(File::create(&self.file).unwrap());
        let mut gzip = gzip.spawn().unwrap();
        ended(&mut dump, "pg_dump");
        ended(&mut gzip, "gzip");
        digest(&self.file);
        let sealed = self.file.with_extension("gz.enc");
        let mut openssl = Command::new("openssl");
        openssl.args(["enc", "-aes-256-cbc", "-salt", "-pbkdf2", "-pass", "pass:of-a-benchmark"]);
        let mut openssl = openssl.arg("-in").arg(&self.file).arg("-out").arg(&sealed).spawn().unwrap();
        ended(&mut openssl, "openssl");
        sealed.metadata().unwrap().len()
    }

    /// `pg_dump` inside the container, into nothing: the least that any backup must do. The format is `custom` or `plain`.
    pub fn dump_alone(&self, format: &str) {
        let format = format!("--format={format}");
        let words =
            ["pg_dump", "--username=xtask_owner", &format, "--compress=0", "--no-sync", "--file=/dev/null", "shop"];
        let mut dump = self.docker(&["exec"], &words).spawn().unwrap();
        ended(&mut dump, "pg_dump");
    }

    /// `gunzip < file | docker exec -i … psql` into an empty database.
    pub fn restore(&self, database: &str) {
        let mut gunzip = Command::new("gunzip");
        let mut gunzip = gunzip.stdin(File::open(&self.file).unwrap()).stdout(Stdio::piped()).spawn().unwrap();
        let words = ["psql", "--username=xtask_owner", "-q", "-X", "-v", "ON_ERROR_STOP=1", database];
        let mut psql = self.docker(&["exec", "-i"], &words);
        let mut psql = psql.stdin(gunzip.stdout.take().unwrap()).stdout(Stdio::null()).spawn().unwrap();
        ended(&mut psql, "psql");
        ended(&mut gunzip, "gunzip");
    }

    fn docker(&self, verb: &[&str], words: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(verb).arg(&self.container).args(words);
        command
    }
}

/// `sha256sum file`.
pub fn digest(file: &Path) {
    let mut digest = Command::new("sha256sum").arg(file).stdout(Stdio::null()).spawn().unwrap();
    ended(&mut digest, "sha256sum");
}

fn ended(child: &mut Child, name: &str) {
    let status = child.wait().unwrap();
    assert!(status.success(), "{name}: {status}");
}
