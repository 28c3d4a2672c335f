//! Asks Traefik's API. A login is sent over an encrypted connection that an authority vouches for, or to this host itself.

use super::PATIENCE;
use crate::domain::traefik::Api;
use crate::domain::traefik::answers::{Answers, Version};
use crate::domain::web::{Ask, Over};
use crate::ports::Web;
use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;

/// Entries of one answer; the API cuts at 100 unless it is asked for more.
const ENTRIES: usize = 10_000;

/// Asks for everything at once.
pub(super) fn ask(web: &dyn Web, api: &Api) -> Result<Answers> {
    if let (Some(name), None) = (&api.login_from, &api.login) {
        bail!("variable `{name}`, which `login_from` names, is set nowhere: Traefik's API was not asked");
    }
    let list = |path: &'static str| format!("{path}?per_page={ENTRIES}");
    std::thread::scope(|scope| {
        let version = scope.spawn(|| one::<Version>(web, api, "/api/version".to_owned()));
        let entrypoints = scope.spawn(|| one(web, api, list("/api/entrypoints")));
        let routers = scope.spawn(|| one(web, api, list("/api/http/routers")));
        let services = scope.spawn(|| one(web, api, list("/api/http/services")));
        let middlewares = scope.spawn(|| one(web, api, list("/api/http/middlewares")));
        Ok(Answers {
            version: joined(version)?.version,
            entrypoints: joined(entrypoints)?,
            routers: joined(routers)?,
            services: joined(services)?,
            middlewares: joined(middlewares)?,
        })
    })
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn one<T: DeserializeOwned>(web: &dyn Web, api: &Api, path: String) -> Result<T> {
    let shown = format!("{}{}", api.shown(), path.split('?').next().unwrap_or_default());
    let host = if api.host.contains(':') { format!("[{}]", api.host) } else { api.host.clone() };
    let asked = Ask {
        address: format!("{host}:{}", api.port),
        host,
        path,
        over: if api.tls { Over::TrustedTls } else { Over::Plain },
        login: api.login.clone(),
    };
    let answer = web.ask(&asked, PATIENCE).with_context(|| format!("ask Traefik's API: {shown}"))?;
    match answer.status {
        200 => {}
        401 | 403 => bail!("{shown} wants a login ({}): name the variable that holds it: `login_from`", answer.status),
        404 => bail!("{shown} answers 404: is this Traefik's API (`--api.insecure=true`, or a route to api@internal)?"),
        status => bail!("{shown} answers {status}"),
    }
    ensure!(!answer.cut, "{shown} answers more than can be read");
    // The number of the next page; after the last one it is 1.
    let next = answer.header("x-next-page").unwrap_or("1");
    ensure!(next == "1", "{shown} has more than {ENTRIES} entries");
    serde_json::from_slice(&answer.body).with_context(|| format!("{shown} does not answer as Traefik's API does"))
}
