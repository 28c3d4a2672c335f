//! Which Compose is installed: version 2 or later is needed, version 1 reads files by other rules. Pure: it gets the text.

use crate::domain::refusal::{Refusal, RefusalKind};

/// A version of Compose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The major number.
    pub major: u32,
    /// The minor number.
    pub minor: u32,
    /// The patch number.
    pub patch: u32,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The version that `docker compose version`, `docker-compose version` or either with `--short` prints.
///
/// # Errors
/// `MissingCapability` for Compose 1 and for text that names no version.
pub fn compose_version(text: &str) -> Result<Version, Refusal> {
    let hint = "install Compose 2: the package docker-compose-plugin or docker-compose-v2, or docker-compose of Debian 13 and later";
    let refuse = |message: String| Refusal::new(RefusalKind::MissingCapability, message, hint);
    let first = text.lines().find(|l| !l.trim().is_empty()).unwrap_or("");
    let Some(version) = first.split([' ', ',']).find_map(number) else {
        return Err(refuse("Compose does not say which version it is".into()));
    };
    if version.major < 2 {
        return Err(refuse(format!(
            "Compose {version} is too old: it reads env files and Compose files by other rules"
        )));
    }
    Ok(version)
}

/// `v2.26.1`, `2.26.1-4`, `2.29.7-desktop.1`.
fn number(word: &str) -> Option<Version> {
    let word = word.trim().strip_prefix('v').unwrap_or(word.trim());
    let mut parts = word.splitn(3, '.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    let patch: String = parts.next().unwrap_or("0").chars().take_while(char::is_ascii_digit).collect();
    Some(Version { major, minor, patch: patch.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compose_2_is_recognised_however_it_prints_itself() {
        for text in
            ["Docker Compose version v2.26.1\n", "Docker Compose version 2.26.1-4", "2.26.1", "v2.26.1-desktop.1"]
        {
            assert_eq!(compose_version(text).unwrap(), Version { major: 2, minor: 26, patch: 1 }, "{text}");
        }
        assert_eq!(compose_version("Docker Compose version v5.0.0").unwrap().major, 5);
    }

    #[test]
    fn compose_1_is_refused_with_what_to_install() {
        let text = "docker-compose version 1.29.2, build unknown\ndocker-py version: 5.0.3\nCPython version: 3.11.2\n";
        let refusal = compose_version(text).unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::MissingCapability);
        assert!(refusal.message.contains("1.29.2") && refusal.hint.contains("docker-compose-plugin"), "{refusal:?}");
        assert!(compose_version("").is_err());
        assert!(compose_version("docker: 'compose' is not a docker command.").is_err());
    }
}
