//! Opens what `gpg --symmetric` wrote, by the host's own `gpg` in a private folder. The passphrase goes through its standard input,
//! before the message: never through an argument, the environment or a file. It must not know what the message holds.

use crate::archive::foreign::{OpenPgp, carried};
use crate::domain::exec::{Exec, Exit, TRANSFER_TIMEOUT};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::secret::Secret;
use crate::domain::site::SiteSpec;
use crate::flow::child::unwrap_io;
use crate::flow::world::World;
use crate::ports::{Control, OwnedSite, Running};
use anyhow::{Context, Result, anyhow};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::thread::JoinHandle;

/// The command. It reads the passphrase up to the first line end, then the message; no agent is started, no key ring is used.
pub fn command() -> Exec {
    Exec::site("gpg")
        .args([
            "--homedir",
            ".",
            "--batch",
            "--no-tty",
            "--no-autostart",
            "--no-symkey-cache",
            "--pinentry-mode",
            "loopback",
        ])
        .args(["--passphrase-fd", "0", "--status-fd", "2", "--decrypt"])
        .env("LC_ALL", "C")
        .reads_stdin()
        .timeout(TRANSFER_TIMEOUT)
}

/// How messages are opened in this world. Each time in a private folder of its own, gone when the reader is.
pub fn opener(world: &World) -> OpenPgp {
    let sites = Arc::clone(&world.sites);
    Arc::new(move |message, passphrase| {
        if passphrase.expose().contains('\n') {
            let hint = "gpg takes one line: give the passphrase that the message was made with";
            return Err(Refusal::new(RefusalKind::WrongKey, "the passphrase has several lines", hint).into());
        }
        let site = sites.open(&SiteSpec::Directory, "gpg").context("make a private folder for gpg")?;
        let Running { stdin, stdout, control } = site.start(&command())?;
        let stdin = stdin.ok_or_else(|| anyhow!("gpg takes no input"))?;
        let passphrase = passphrase.clone();
        let feeder = std::thread::spawn(move || feed(&passphrase, message, stdin));
        Ok(Box::new(Opened { stdout: Some(stdout), control, feeder: Some(feeder), ended: None, _site: site }))
    })
}

/// Whoever closes the pipe early says why by its end.
fn feed(passphrase: &Secret, mut message: Box<dyn Read + Send>, mut to: Box<dyn Write + Send>) -> Result<()> {
    let mut line = passphrase.expose().as_bytes().to_vec();
    line.push(b'\n');
    if to.write_all(&line).is_err() {
        return Ok(());
    }
    let mut chunk = vec![0; 128 * 1024];
    loop {
        match message.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                if to.write_all(&chunk[..n]).is_err() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(unwrap_io(error)),
        }
    }
}

/// What comes out; an end only when gpg vouches for it.
struct Opened {
    stdout: Option<Box<dyn Read + Send>>,
    control: Box<dyn Control>,
    feeder: Option<JoinHandle<Result<()>>>,
    /// How it ended, for whoever asks again.
    ended: Option<Option<Refusal>>,
    _site: Box<dyn OwnedSite>,
}

impl Opened {
    fn end(&mut self) -> Result<()> {
        self.stdout = None;
        let fed = self.feeder.take().map_or(Ok(Ok(())), JoinHandle::join);
        let exit = self.control.wait().context("gpg")?;
        fed.map_err(|_| anyhow!("the feeding thread panicked"))??;
        judge(&exit).map_or(Ok(()), |refusal| Err(refusal.into()))
    }
}

impl Read for Opened {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some(stdout) = self.stdout.as_mut().filter(|_| !into.is_empty()) {
            let n = stdout.read(into)?;
            if n > 0 {
                return Ok(n);
            }
            let ended = self.end();
            self.ended = Some(ended.as_ref().err().and_then(|e| Refusal::within(e).cloned()));
            return ended.map(|()| 0).map_err(carried);
        }
        match &self.ended {
            Some(Some(refusal)) => Err(io::Error::other(refusal.clone())),
            _ => Ok(0),
        }
    }
}

/// What is wrong, by gpg's own status lines (`doc/DETAILS` of GnuPG); `None` when the message was whole and unchanged.
fn judge(exit: &Exit) -> Option<Refusal> {
    let status = |word: &str| {
        let of = |line: &str| line.strip_prefix("[GNUPG:] ").is_some_and(|rest| rest.split(' ').any(|w| w == word));
        exit.stderr.lines().any(of)
    };
    if exit.ok() && status("DECRYPTION_OKAY") && status("GOODMDC") {
        return None;
    }
    let said = exit.stderr.lines().rfind(|line| line.starts_with("gpg: ")).unwrap_or("gpg said nothing");
    let unprotected = exit.stderr.contains("not integrity protected");
    let refusal = match (status("BEGIN_DECRYPTION"), status("PLAINTEXT")) {
        (true, _) if unprotected => Refusal::new(
            RefusalKind::BadArtifact,
            "the message is not protected against changes, as old versions of gpg wrote it, and gpg refuses it",
            "open it by hand with `gpg --decrypt --ignore-mdc-error`, look at what comes out, and adopt that file",
        ),
        // Nothing came out: a check of 16 bits, or noise in place of a message.
        (true, false) => Refusal::new(
            RefusalKind::WrongKey,
            "gpg does not open it with this passphrase",
            "try another passphrase: --key-from VARIABLE, or --key-file FILE",
        ),
        _ => Refusal::new(
            RefusalKind::BadArtifact,
            format!("gpg does not vouch for the message (exit {}): {said}", exit.code),
            "it was cut short or changed: copy it again from where it was made, or take another one",
        ),
    };
    Some(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: i32, stderr: &str) -> Option<RefusalKind> {
        judge(&Exit { code, stderr: stderr.to_owned(), declared_bytes: None }).map(|r| r.kind)
    }

    #[test]
    fn only_an_unchanged_message_is_vouched_for() {
        let good = "[GNUPG:] PLAINTEXT 62 0 a\n[GNUPG:] DECRYPTION_OKAY\n[GNUPG:] GOODMDC\n";
        assert_eq!(said(0, good), None);
        assert_eq!(said(2, good), Some(RefusalKind::BadArtifact), "an exit status counts");
        assert_eq!(said(0, "[GNUPG:] PLAINTEXT 62 0 a\n[GNUPG:] DECRYPTION_OKAY\n"), Some(RefusalKind::BadArtifact));
        assert_eq!(said(0, ""), Some(RefusalKind::BadArtifact), "no word is no vouching");
        let tried = "[GNUPG:] BEGIN_DECRYPTION\n";
        assert_eq!(said(2, &format!("{tried}gpg: decryption failed: Bad session key\n")), Some(RefusalKind::WrongKey));
        let plain = "[GNUPG:] PLAINTEXT 62 0 a\n";
        assert_eq!(
            said(2, &format!("{plain}[GNUPG:] BADMDC\ngpg: WARNING: encrypted message has been manipulated!\n")),
            Some(RefusalKind::BadArtifact)
        );
        assert_eq!(
            said(2, &format!("{plain}gpg: WARNING: message was not integrity protected\n")),
            Some(RefusalKind::BadArtifact)
        );
    }

    #[test]
    fn the_passphrase_is_in_no_argument() {
        let line = command().command_line();
        assert!(line.starts_with("LC_ALL=C gpg --homedir . --batch") && line.contains("--passphrase-fd 0"), "{line}");
    }
}
