//! Gathers what is asked about a stack's routes: looks around, asks Traefik's API, and sends requests through its doors, many at a time and
//! each with a deadline. It must not judge: the checks do.

mod api;
mod requests;

use crate::domain::compose::ComposeProject;
use crate::domain::fact::Fact;
use crate::domain::landscape::{Container, Landscape};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::stack::Stack;
use crate::domain::traefik::answers::Answers;
use crate::domain::traefik::proxy::{Door, api_port, behind, door, proxies};
use crate::domain::traefik::wanted::{Routed, routed};
use crate::domain::traefik::{Api, TraefikFacts};
use crate::ports::{Clock, Surroundings, Web};
use anyhow::Result;
use std::collections::BTreeMap;
use std::time::Duration;

/// For one request. A user has gone by then.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How often each route is asked: one server of two that fails shows, if not every time.
pub const TIMES: usize = 3;

/// What facts are gathered with.
pub struct Eyes<'a> {
    /// The clock.
    pub clock: &'a dyn Clock,
    /// The container engine.
    pub surroundings: &'a dyn Surroundings,
    /// The web.
    pub web: &'a dyn Web,
}

/// The services of a stack that Traefik is meant to route.
///
/// # Errors
/// A configuration refusal when there are none: there would be nothing to ask.
pub fn wanted(stack: &Stack, compose: Option<&ComposeProject>) -> Result<Vec<Routed>> {
    let found = compose.map(routed).unwrap_or_default();
    if found.is_empty() {
        let message = format!("stack {} has no service that Traefik routes", stack.name);
        let hint = "label one with `traefik.enable: \"true\"` and a router, or name another stack";
        return Err(Refusal::new(RefusalKind::Configuration, message, hint).into());
    }
    Ok(found)
}

/// Gathers everything. What cannot be found out is said in the facts.
///
/// # Errors
/// Only when there is nothing to ask.
pub fn gather(eyes: &Eyes<'_>, stack: &Stack, compose: Option<&ComposeProject>) -> Result<TraefikFacts> {
    let wanted = wanted(stack, compose)?;
    let remote = stack.traefik.api.as_ref().filter(|api| !api.local()).map(Api::shown);
    let landscape = match &remote {
        Some(api) => Fact::Unknown(format!("Traefik runs elsewhere ({api})")),
        None => Fact::from(eyes.surroundings.look(&stack.project)),
    };
    let meant = match &landscape {
        Fact::Known(landscape) => meant(stack, landscape),
        Fact::Unknown(_) => None,
    };
    let api = stack.traefik.api.clone().map_or_else(|| inferred(&landscape, meant), Ok);
    let answers = match &api {
        Ok(api) => Fact::from(api::ask(eyes.web, api)),
        Err(why) => Fact::Unknown(why.clone()),
    };
    let doors = match &answers {
        Fact::Known(answers) => doors(stack, answers, meant),
        Fact::Unknown(_) => BTreeMap::new(),
    };
    let mut facts = TraefikFacts {
        stack: stack.name.clone(),
        project: stack.project.clone(),
        now: eyes.clock.wall(),
        wanted,
        remote,
        api: api.ok().map(|api| api.shown()),
        landscape,
        answers,
        doors,
        unasked: Vec::new(),
        probes: Vec::new(),
        plain: Vec::new(),
        intrusions: Vec::new(),
    };
    requests::send(eyes.web, &mut facts);
    Ok(facts)
}

/// The Traefik of this stack: the only one, or the one that the configuration's address belongs to.
fn meant<'l>(stack: &Stack, landscape: &'l Landscape) -> Option<&'l Container> {
    match proxies(landscape).as_slice() {
        [one] => Some(one),
        many => stack.traefik.api.as_ref().and_then(|api| behind(many, api.port)),
    }
}

/// The API of the Traefik that was found.
fn inferred(landscape: &Fact<Landscape>, meant: Option<&Container>) -> Result<Api, String> {
    let Fact::Known(_) = landscape else { return Err("no engine, so no Traefik, could be looked at".to_owned()) };
    let proxy = meant.ok_or("it is not known which Traefik is meant, so its API was not asked")?;
    let found = door(proxy, api_port(proxy)).and_then(|door| {
        let (host, port) = door.address.rsplit_once(':')?;
        Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
    });
    let (host, port) = found.ok_or_else(|| format!("{} has no address at which its API could be asked", proxy.name))?;
    Ok(Api { tls: false, host, port, login_from: None, login: None })
}

/// Where each TCP door is: as configured, else as the container publishes it.
fn doors(stack: &Stack, answers: &Answers, meant: Option<&Container>) -> BTreeMap<String, Door> {
    let mut found = BTreeMap::new();
    for entrypoint in &answers.entrypoints {
        let configured = stack.traefik.entrypoints.get(&entrypoint.name);
        let configured = configured.map(|address| Door { address: address.clone(), published: true });
        let seen = || door(meant?, entrypoint.port()?);
        if let Some(door) = configured.or_else(seen) {
            found.insert(entrypoint.name.clone(), door);
        }
    }
    found
}

#[cfg(test)]
mod tests;
