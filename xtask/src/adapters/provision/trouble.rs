//! What it means when apt cannot do it, in a user's words, with the next command to type. Pure.
//! It must not know what was being fetched for beyond its [`Purpose`].

use super::child::ChildFailed;
use crate::domain::refusal::{Refusal, RefusalKind};

/// What packages are fetched for: decides the refusal's kind and what else the user can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A stand-in image.
    Image,
    /// The Compose program.
    Compose,
}

impl Purpose {
    /// It cannot be had: why, and what may change that.
    pub(super) fn refuse(self, reason: impl std::fmt::Display, remedy: &str) -> anyhow::Error {
        let (kind, otherwise) = match self {
            Self::Image => (
                RefusalKind::ImageUnavailable,
                "pull the public image, or load one from a file: docker load -i image.tar",
            ),
            Self::Compose => {
                (RefusalKind::Preflight, "install Docker Compose v2 (`docker compose version` must answer 2 or newer)")
            }
        };
        let hint = if remedy.is_empty() { otherwise.to_owned() } else { format!("{remedy}; or {otherwise}") };
        Refusal::new(kind, reason.to_string(), hint).into()
    }

    /// The same for a child's failure; other errors (refusals among them) stay as they are.
    pub(super) fn explain(self, error: anyhow::Error) -> anyhow::Error {
        if let Some(missing) = error.downcast_ref::<Refusal>().filter(|r| r.kind == RefusalKind::MissingCapability) {
            return self.refuse(missing, "");
        }
        let Some(failed) = error.downcast_ref::<ChildFailed>() else { return error };
        let line = telling_line(&failed.said);
        if failed.said.contains("No space left on device") {
            let message = format!("no space left for packages: {line}");
            return Refusal::new(RefusalKind::Storage, message, "free some space where the cache folder is").into();
        }
        let (reason, remedy) = classify(&failed.said);
        match reason {
            "" => self.refuse(format!("{failed:#}"), remedy),
            _ => self.refuse(format!("{reason} ({line})"), remedy),
        }
    }
}

/// The reason and remedy for what apt said (C locale), first match wins: a bad signature also fails a download.
fn classify(said: &str) -> (&'static str, &'static str) {
    const KNOWN: [(&[&str], &str, &str); 7] = [
        (
            &[
                "NO_PUBKEY",
                "BADSIG",
                "EXPKEYSIG",
                "REVKEYSIG",
                "is not signed",
                "invalid signature",
                "couldn't be verified",
            ],
            "the package lists' signature does not hold",
            "update the package debian-archive-keyring, and look at what stands between this machine and its mirror",
        ),
        (&["Could not get lock"], "another apt-get works in the cache folder", "wait for it to end and run this again"),
        (
            &["is expired", "is not valid yet"],
            "the package lists are not valid at this machine's time",
            "check the clock: date -u",
        ),
        (
            &["Hash Sum mismatch", "File has unexpected size"],
            "the mirror delivered other bytes than its signed lists promise",
            "run this again in a few minutes: the mirror may be in the middle of an update",
        ),
        (
            &[
                "Unable to locate package",
                "has no installation candidate",
                "unmet dependencies",
                "Couldn't find any package",
            ],
            "the mirror does not offer the packages",
            "see whether /etc/apt names a full Debian mirror",
        ),
        (
            &["does not have a Release file", "404  Not Found", "no longer has a Release file"],
            "the mirror does not carry this Debian release",
            "see whether /etc/apt names a full Debian mirror",
        ),
        (
            &[
                "Could not connect",
                "Unable to connect",
                "Could not resolve",
                "Connection failed",
                "Connection timed out",
                "Temporary failure resolving",
                "Failed to fetch",
                "Some index files failed",
            ],
            "the Debian mirror cannot be reached",
            "check the network and the proxy that apt is to use (`apt-get update` must work)",
        ),
    ];
    let hit = KNOWN.iter().find(|(words, ..)| words.iter().any(|w| said.contains(w)));
    hit.map_or(("", ""), |(_, reason, remedy)| (*reason, *remedy))
}

/// The line that says most: the first `E:`, else the first `W:`, else the last; and how many more complaints there are.
fn telling_line(said: &str) -> String {
    let with = |mark: &'static str| said.lines().filter_map(move |l| l.strip_prefix(mark));
    let all: Vec<&str> = with("E: ").chain(with("W: ")).map(str::trim).collect();
    match all.as_slice() {
        [] => said.lines().last().unwrap_or("it said nothing").trim().to_owned(),
        [one] => (*one).to_owned(),
        [first, rest @ ..] => format!("{first}; and {} more", rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(purpose: Purpose, said: &str) -> Refusal {
        let failed = ChildFailed { program: "apt-get".into(), code: 100, said: said.into() };
        let error = purpose.explain(failed.into());
        error.downcast_ref::<Refusal>().expect("a refusal").clone()
    }

    #[test]
    fn what_apt_says_becomes_a_reason_with_a_next_step() {
        for (said, reason) in [
            (
                "W: GPG error: http://m/debian trixie InRelease: ... NO_PUBKEY 6ED0\nE: The repository 'x' is not signed.",
                "signature",
            ),
            (
                "E: Failed to fetch http://m/InRelease  Could not connect to m:80 (10.0.0.1). - connect (111: Connection refused)",
                "cannot be reached",
            ),
            ("E: The repository 'http://m/debian trixie Release' does not have a Release file.", "does not carry"),
            ("E: Unable to locate package postgresql-15", "does not offer"),
            ("E: Failed to fetch http://m/x.deb  Hash Sum mismatch", "other bytes"),
            ("E: Release file for http://m/InRelease is not valid yet (invalid for another 9h)", "machine's time"),
            ("E: Could not get lock /c/apt/trixie/archives/lock", "another apt-get"),
        ] {
            let refusal = explained(Purpose::Image, said);
            assert_eq!(refusal.kind, RefusalKind::ImageUnavailable, "{said}");
            assert!(refusal.message.contains(reason), "{said} -> {}", refusal.message);
            assert!(refusal.hint.contains("docker load -i"), "{}", refusal.hint);
        }
    }

    #[test]
    fn compose_that_cannot_be_fetched_is_a_preflight_failure_and_a_full_disk_a_storage_one() {
        let refusal = explained(Purpose::Compose, "E: Unable to connect to m:80");
        assert_eq!(refusal.kind, RefusalKind::Preflight);
        assert!(refusal.hint.contains("docker compose version"), "{}", refusal.hint);
        let refusal = explained(Purpose::Compose, "E: Write error - write (28: No space left on device)");
        assert_eq!(refusal.kind, RefusalKind::Storage);
    }

    #[test]
    fn a_system_without_apt_is_told_what_else_to_do() {
        let missing =
            Refusal::new(RefusalKind::MissingCapability, "cannot start apt-get: not found", "install apt-get");
        let error = Purpose::Image.explain(missing.into());
        let refusal = error.downcast_ref::<Refusal>().unwrap();
        assert_eq!(refusal.kind, RefusalKind::ImageUnavailable);
        assert!(
            refusal.message.contains("cannot start apt-get") && refusal.hint.contains("docker load -i"),
            "{refusal:?}"
        );
    }

    #[test]
    fn an_unknown_complaint_is_kept_in_its_own_words() {
        let refusal = explained(Purpose::Image, "E: Something new");
        assert!(refusal.message.contains("apt-get: exit 100: E: Something new"), "{}", refusal.message);
    }
}
