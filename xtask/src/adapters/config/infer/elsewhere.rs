//! Databases that a service uses and that the project does not run: nothing here backs them up, so they are named.

use super::Inferred;
use crate::domain::compose::{ComposeProject, Service};
use crate::domain::coverage::Gap;
use crate::domain::store::{Location, Store};

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

/// Databases of the project's own PostgreSQL services that some service uses and no store covers.
pub(super) fn uncovered(project: &ComposeProject, stores: &[Store]) -> Vec<Gap> {
    let mut gaps: Vec<Gap> = Vec::new();
    for service in project.all() {
        for (name, variable) in &service.environment {
            let value = variable.value.expose();
            let (Some(host), Some(database)) = (host(value), database(value)) else { continue };
            let covered = |s: &&Store| s.service.as_deref() == Some(&host);
            let mut known = stores.iter().filter(covered).filter_map(|s| match &s.location {
                Location::Database { database, .. } => Some(database),
                _ => None,
            });
            // A server without any store is a gap already.
            if known.clone().next().is_none() || known.any(|known| *known == database) {
                continue;
            }
            let what = format!(
                "database {database} of service `{host}`, which `{name}` of service `{}` names, is covered by no store",
                service.name
            );
            if !gaps.iter().any(|gap| gap.names == [database.clone()] && gap.writers == [host.clone()]) {
                gaps.push(Gap { what, at: variable.at.clone(), names: vec![database], writers: vec![host] });
            }
        }
    }
    gaps
}

/// The database of a PostgreSQL address; nothing where the address leaves it to the role.
fn database(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once("://")?;
    let after = rest.rsplit_once('@').map_or(rest, |(_, after)| after);
    let name = after.split_once('/')?.1.split(['?', '#']).next()?;
    let sound = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    (scheme.starts_with("postgres") && !name.is_empty() && sound).then(|| name.to_owned())
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
