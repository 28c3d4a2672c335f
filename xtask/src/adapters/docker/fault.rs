//! What the engine's answers mean to a person: bounds on every call, and refusals for an engine that is not there.
//! It must not know which call it was beyond its name.

use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::Result;
use bollard::errors::Error;
use std::future::Future;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

/// For calls that only look.
pub(super) const LOOK: Duration = Duration::from_secs(30);
/// For calls that make or remove something; a busy disk makes these slow.
pub(super) const CHANGE: Duration = Duration::from_secs(90);

/// One call to the engine, named for the error chain, at most this long.
pub(super) async fn within<T>(limit: Duration, what: &str, call: impl Future<Output = Result<T, Error>>) -> Result<T> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(explained(error).context(what.to_owned())),
        Err(_) => Err(anyhow::Error::new(silent(limit)).context(what.to_owned())),
    }
}

/// The engine answered with this HTTP status.
pub(super) fn status(error: &anyhow::Error) -> Option<u16> {
    match error.downcast_ref::<Error>() {
        Some(Error::DockerResponseServerError { status_code, .. }) => Some(*status_code),
        _ => None,
    }
}

/// What the engine said, without our own words around it.
pub(super) fn message(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Error>() {
        Some(Error::DockerResponseServerError { message, .. }) => message.trim().to_owned(),
        Some(Error::DockerStreamError { error }) => error.trim().to_owned(),
        _ => error.root_cause().to_string(),
    }
}

/// Nothing is there any more; for removals that is success.
pub(super) fn gone(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if status(&error) == Some(404) => Ok(()),
        other => other,
    }
}

fn explained(error: Error) -> anyhow::Error {
    let said = error.to_string();
    match error {
        Error::DockerResponseServerError { .. }
        | Error::DockerStreamError { .. }
        | Error::DockerContainerWaitError { .. } => anyhow::Error::new(error),
        Error::RequestTimeoutError => silent(CHANGE).into(),
        other => {
            anyhow::Error::new(other).context(unavailable(format!("the Docker engine's answer cannot be used: {said}")))
        }
    }
}

/// An engine that cannot be used.
pub(super) fn unavailable(message: impl Into<String>) -> Refusal {
    Refusal::new(
        RefusalKind::DockerUnavailable,
        message,
        "look at `docker version`: is the engine running and answering?",
    )
}

/// An engine that says nothing.
pub(super) fn silent(limit: Duration) -> Refusal {
    unavailable(format!("the Docker engine did not answer within {} s", limit.as_secs()))
}

/// Why a socket cannot be opened.
pub(super) fn no_socket(socket: &Path, error: &std::io::Error) -> Refusal {
    let at = socket.display();
    let (message, hint) = match error.kind() {
        ErrorKind::NotFound => (
            format!("there is no Docker socket at {at}"),
            "start Docker, or set DOCKER_HOST=unix:///path/to/docker.sock",
        ),
        ErrorKind::ConnectionRefused => {
            (format!("nothing listens on the Docker socket {at}"), "start Docker (for example: systemctl start docker)")
        }
        ErrorKind::PermissionDenied => (
            format!("no permission to open the Docker socket {at}"),
            "join the group that owns the socket (usually `docker`), then log in again",
        ),
        ErrorKind::WouldBlock => (
            format!("the Docker socket {at} takes no more connections"),
            "look at `docker version`: is the engine stuck?",
        ),
        _ => (format!("cannot open the Docker socket {at}: {error}"), "look at `docker version`"),
    };
    Refusal::new(RefusalKind::DockerUnavailable, message, hint)
}
