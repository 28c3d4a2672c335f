//! PostgreSQL servers: database, role and password by the variables of the official image, and of Bitnami's.

use super::Inferred;
use crate::domain::compose::{Service, Variable};
use crate::domain::refusal::Refusal;
use crate::domain::store::{Location, Store};

/// Adds the database that the image makes at its first start.
pub(super) fn add(service: &Service, found: &mut Inferred) -> Result<(), Refusal> {
    let Some((image, image_at)) = service.image.clone() else { return Ok(()) };
    let set = |names: &[&'static str]| -> Option<(&'static str, Variable)> {
        names.iter().find_map(|n| service.variable(n).filter(|v| !v.value.expose().is_empty()).map(|v| (*n, v.clone())))
    };
    let mut evidence = vec![
        ("service", format!("image {image}"), Some(service.at.clone())),
        ("image", "image".into(), Some(image_at)),
    ];
    let user = set(&["POSTGRES_USER", "POSTGRESQL_USERNAME"]);
    let database = set(&["POSTGRES_DB", "POSTGRESQL_DATABASE"]);
    let mut say = |key, value: &Option<(&'static str, Variable)>, rule: &str| {
        evidence.push(match value {
            Some((name, variable)) => (key, (*name).to_owned(), Some(variable.at.clone())),
            None => (key, rule.to_owned(), None),
        });
    };
    say("database", &database, "the image's rule: named like the role");
    say("user", &user, "the image's default role");
    let user = user.map_or_else(|| "postgres".to_owned(), |(_, v)| v.value.expose().to_owned());
    let database = database.map_or_else(|| user.clone(), |(_, v)| v.value.expose().to_owned());
    let password = password(service, found)?;
    if let Some((name, variable)) = &password {
        evidence.push(("password", (*name).to_owned(), Some(variable.at.clone())));
    }
    let port = match set(&["PGPORT", "POSTGRESQL_PORT_NUMBER"]) {
        Some((name, variable)) => {
            let port = variable.value.expose().parse::<u16>().ok().filter(|p| *p > 0);
            let port = port.ok_or_else(|| {
                variable.at.refuse(format!("`{name}` is not a port"), "write a number from 1 to 65535")
            })?;
            evidence.push(("port", name.to_owned(), Some(variable.at)));
            port
        }
        None => 5432,
    };
    let location = Location::Database { database, user, password: password.map(|(_, v)| v.value), port };
    let store = Store {
        name: service.name.clone(),
        engine: "postgres".into(),
        service: Some(service.name.clone()),
        image: Some(image),
        location,
        allow_empty: false,
    };
    found.push(store, evidence);
    Ok(())
}

/// The password, or a note why there is none.
fn password(service: &Service, found: &mut Inferred) -> Result<Option<(&'static str, Variable)>, Refusal> {
    let trusts = service.variable("POSTGRES_HOST_AUTH_METHOD").is_some_and(|v| v.value.expose() == "trust")
        || service.variable("ALLOW_EMPTY_PASSWORD").is_some_and(|v| v.value.expose() == "yes");
    for name in ["POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD"] {
        match service.variable(name) {
            Some(v) if v.value.expose().is_empty() && !trusts => {
                return Err(v.at.refuse(
                    format!("`{name}` of service `{}` is empty", service.name),
                    format!("set `{name}` in the env file"),
                ));
            }
            Some(v) if !v.value.expose().is_empty() => return Ok(Some((name, v.clone()))),
            _ => {}
        }
    }
    if trusts {
        return Ok(None);
    }
    let file =
        ["POSTGRES_PASSWORD_FILE", "POSTGRESQL_PASSWORD_FILE"].iter().find_map(|n| service.variable(n).map(|v| (n, v)));
    found.notes.push(match file {
        Some((name, variable)) => format!(
            "{}: `{name}` of service `{}` names a file that cannot be read from here: give the store `password_file` or `password_from`",
            variable.at, service.name
        ),
        None => format!("{}: no password of service `{}` was found: its own local rules decide who may connect", service.at, service.name),
    });
    Ok(None)
}
