//! Which Compose is installed: version 2 or later is needed, version 1 reads files by other rules. Pure: it gets the text.

use crate::domain::compose_version::ComposeVersion;
use crate::domain::refusal::{Refusal, RefusalKind};

/// The version that `docker compose version`, `docker-compose version` or either with `--short` prints.
///
/// # Errors
/// `MissingCapability` for Compose 1 and for text that names no version.
pub fn compose_version(text: &str) -> Result<ComposeVersion, Refusal> {
    let hint = "install Compose 2: the package docker-compose-plugin or docker-compose-v2, or docker-compose of Debian 13 and later";
    let refuse = |message: String| Refusal::new(RefusalKind::MissingCapability, message, hint);
    match ComposeVersion::find(text) {
        Some(version) if version.will_do() => Ok(version),
        Some(version) => {
            Err(refuse(format!("Compose {version} is too old: it reads env files and Compose files by other rules")))
        }
        None => Err(refuse("Compose does not say which version it is".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compose_2_will_do_and_compose_1_is_refused_with_what_to_install() {
        assert_eq!(compose_version("Docker Compose version 2.26.1-4").unwrap(), ComposeVersion(2, 26, 1));
        let text = "docker-compose version 1.29.2, build unknown\ndocker-py version: 5.0.3\nCPython version: 3.11.2\n";
        let refusal = compose_version(text).unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::MissingCapability);
        assert!(refusal.message.contains("1.29.2") && refusal.hint.contains("docker-compose-plugin"), "{refusal:?}");
        assert!(compose_version("docker: 'compose' is not a docker command.").is_err());
    }
}
