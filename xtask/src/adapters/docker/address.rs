//! Which socket the engine is behind. It must not know what is said over it.

use crate::domain::refusal::{Refusal, RefusalKind};
use std::path::PathBuf;

const USUAL: &str = "/var/run/docker.sock";

/// The socket that `DOCKER_HOST` names, or the usual one.
#[expect(clippy::disallowed_methods, reason = "DOCKER_HOST is how every Docker client is told where its engine is")]
pub(super) fn socket() -> Result<PathBuf, Refusal> {
    named_by(std::env::var("DOCKER_HOST").ok().as_deref())
}

/// The address may hold a user and password, so only its scheme is ever shown.
fn named_by(docker_host: Option<&str>) -> Result<PathBuf, Refusal> {
    let Some(host) = docker_host.map(str::trim).filter(|h| !h.is_empty()) else { return Ok(PathBuf::from(USUAL)) };
    match host.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') => Ok(PathBuf::from(path)),
        Some(("unix", _)) => Err(refusal("DOCKER_HOST names a unix:// socket without an absolute path".to_owned())),
        Some((scheme, _)) => {
            Err(refusal(format!("DOCKER_HOST names a {scheme}:// engine; only unix:// sockets are supported")))
        }
        None => {
            Err(refusal("DOCKER_HOST is not an address with a scheme; only unix:// sockets are supported".to_owned()))
        }
    }
}

fn refusal(message: String) -> Refusal {
    Refusal::new(RefusalKind::DockerUnavailable, message, "unset DOCKER_HOST, or set it to unix:///path/to/docker.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_means_the_usual_socket() {
        assert_eq!(named_by(None).unwrap(), PathBuf::from(USUAL));
        assert_eq!(named_by(Some("  ")).unwrap(), PathBuf::from(USUAL));
    }

    #[test]
    fn a_unix_address_is_taken_as_it_is() {
        assert_eq!(named_by(Some("unix:///run/user/7/docker.sock")).unwrap(), PathBuf::from("/run/user/7/docker.sock"));
    }

    #[test]
    fn other_addresses_are_refused_and_their_credentials_not_repeated() {
        for host in ["tcp://root:hunter2@10.0.0.1:2375", "ssh://hunter2@host", "unix://relative", "hunter2"] {
            let refusal = named_by(Some(host)).unwrap_err();
            assert_eq!(refusal.kind, RefusalKind::DockerUnavailable, "{host}");
            assert!(!refusal.message.contains("hunter2"), "{}", refusal.message);
        }
    }
}
