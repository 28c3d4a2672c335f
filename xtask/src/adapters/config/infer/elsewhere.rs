//! Databases that a service uses and that the project does not run: nothing here backs them up, so they are named.

use super::Inferred;
use crate::domain::compose::{ComposeProject, Service};

const SCHEMES: [&str; 6] = ["postgres", "postgresql", "mysql", "mariadb", "mongodb", "mongodb+srv"];

/// Adds a note for each such database.
pub(super) fn note(service: &Service, project: &ComposeProject, found: &mut Inferred) {
    for (name, variable) in &service.environment {
        let Some(host) = host(variable.value.expose()) else { continue };
        let ours = project.services.contains_key(&host) || project.inactive.contains(&host);
        if !ours && !["localhost", "127.0.0.1", "::1"].contains(&host.as_str()) {
            found.notes.push(format!(
                "{}: `{name}` of service `{}` names a database on {host}, outside of this project: it is covered by no store",
                variable.at, service.name
            ));
        }
    }
}

/// The host of a database address, without role and password.
fn host(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once("://")?;
    let scheme = scheme.split('+').next().unwrap_or(scheme);
    if !SCHEMES.contains(&scheme) {
        return None;
    }
    // A password may hold any of these characters unescaped: what is left of the last `@` is never shown.
    let after = rest.rsplit_once('@').map_or(rest, |(_, after)| after);
    let host = after.split(['/', '?', ',', ':']).next()?;
    let sound = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    sound.then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn the_host_is_found_and_the_password_is_not_shown() {
        for (value, expected) in [
            ("postgresql://u:p@db:5432/x", Some("db")),
            ("postgres://u:p@ss/w@db.example/x", Some("db.example")),
            ("postgresql+asyncpg://u:p@db/x?ssl=1", Some("db")),
            ("mongodb://a:b@h1:1,h2:2/x", Some("h1")),
            ("postgres:///x", None),
            ("https://example/x", None),
            ("secret", None),
        ] {
            assert_eq!(host(value).as_deref(), expected, "{value}");
        }
    }
}
