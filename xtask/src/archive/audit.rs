//! A vault's audit log: one line a deed, appended under a lock of its own and never rewritten. It must not know what a deed means.

use super::disk::{self, Links};
use super::vault::Vault;
use crate::domain::deed::Deed;
use crate::domain::refusal::Refusal;
use anyhow::{Context, Result};
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

/// Its name in a vault.
pub const NAME: &str = "audit.jsonl";
/// A longer log is not one of ours: a line has some 300 bytes.
const MOST_BYTES: u64 = 256 << 20;

/// The user and the host of this process: `uid 1000 at backup-host`.
pub fn who() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("uid {} at {host}", rustix::process::getuid().as_raw())
}

impl Vault {
    /// Appends a deed to the audit log, durable on return. Many runs may do so at once. Of a vault that is not there nothing can be
    /// written down, and nothing was done to it.
    ///
    /// # Errors
    /// `Refusal` of kind `Storage`.
    pub fn record(&self, deed: &Deed) -> Result<()> {
        let on = self.on();
        match on.look(self.folder(), Links::Followed) {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(disk::reading(&e, self.folder()).into()),
        }
        let path = self.audit();
        let mut file = on.extend(&path).map_err(|e| disk::storage(on, &e, "open", &path, None))?;
        // Held for one short write; the kernel drops it when its holder dies.
        file.lock().map_err(|e| disk::storage(on, &e, "lock", &path, None))?;
        let mut text = Vec::new();
        let length = file.look().map_err(|e| disk::reading(&e, &path))?.bytes;
        let mut last = [b'\n'];
        if length > 0 {
            file.read_at(&mut last, length - 1).map_err(|e| disk::reading(&e, &path))?;
        }
        // A line that a crash cut short stays as it is, and spoils no other.
        if last != [b'\n'] {
            text.push(b'\n');
        }
        serde_json::to_writer(&mut text, deed).context("write the audit log")?;
        text.push(b'\n');
        disk::write_at_end(on, file.as_mut(), &path, length, &text)?;
        disk::sync_name(on, self.folder(), &path, length == 0)
    }

    /// Every deed that was written down, oldest first, and how many lines are none (cut short by a crash, or meddled with).
    ///
    /// # Errors
    /// `Refusal` of kind `Integrity` (it is no regular file) or `Storage`.
    pub fn deeds(&self) -> Result<(Vec<Deed>, usize), Refusal> {
        let path = self.audit();
        if disk::is_missing(self.on(), &path) {
            return Ok((Vec::new(), 0));
        }
        let mut text = Vec::new();
        disk::open(self.on(), &path)?.take(MOST_BYTES).read_to_end(&mut text).map_err(|e| disk::reading(&e, &path))?;
        let lines = || text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let deeds: Vec<Deed> = lines().filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let others = lines().count() - deeds.len();
        Ok((deeds, others))
    }

    fn audit(&self) -> PathBuf {
        self.folder().join(NAME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::deed::What;
    use std::os::unix::fs::PermissionsExt;

    fn deed(run: &str) -> Deed {
        Deed { run: run.to_owned(), ..Deed::new(What::Verify, "shop") }
    }

    #[test]
    fn deeds_come_back_in_order_from_a_file_that_nobody_else_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::at(folder.path());
        assert_eq!(vault.deeds().unwrap(), (vec![], 0));
        vault.record(&deed("one")).unwrap();
        vault.record(&Deed { why: Some("a\nline and \u{1b}[31mcolour".to_owned()), ..deed("two") }).unwrap();
        let (deeds, others) = vault.deeds().unwrap();
        assert_eq!((deeds.len(), others, deeds[0].run.as_str()), (2, 0, "one"));
        let path = folder.path().join(NAME);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!((text.lines().count(), text.contains('\u{1b}')), (2, false), "{text}");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_line_that_a_crash_cut_short_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::at(folder.path());
        vault.record(&deed("one")).unwrap();
        let path = folder.path().join(NAME);
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&text[..], &text[..20]].concat()).unwrap();
        vault.record(&deed("two")).unwrap();
        let (deeds, others) = vault.deeds().unwrap();
        assert_eq!((deeds.iter().map(|d| d.run.as_str()).collect::<Vec<_>>(), others), (vec!["one", "two"], 1));
    }

    #[test]
    fn many_runs_write_at_once_and_no_line_is_torn() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::at(folder.path());
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let vault = &vault;
                scope.spawn(move || (0..20).for_each(|n| vault.record(&deed(&format!("{writer}-{n}"))).unwrap()));
            }
        });
        let (deeds, others) = vault.deeds().unwrap();
        assert_eq!((deeds.len(), others), (160, 0));
    }

    #[test]
    fn a_link_is_not_followed_and_a_missing_vault_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, folder.path().join(NAME)).unwrap();
        assert!(Vault::at(folder.path()).record(&deed("one")).is_err() && !elsewhere.exists());
        let none = folder.path().join("none");
        Vault::at(&none).record(&deed("one")).unwrap();
        assert!(!none.exists());
    }
}
