//! What `validate-traefik` asks of a stack's routes, in the order in which it is told, and what its checks share.

use crate::domain::check::{Check, Judged};
use crate::domain::landscape::{Container, Landscape};
use crate::domain::outcome::Why;
use crate::domain::traefik::TraefikFacts;

mod attachments;
mod backends;
mod containers;
mod dashboard;
mod endpoints;
mod labels;
mod middlewares;
mod network;
mod proxy;
mod routers;
mod rules;
#[cfg(test)]
mod tests;
mod tls;

/// The checks.
pub static TRAEFIK: &[&Check<TraefikFacts>] = &[
    &proxy::CHECK,
    &network::CHECK,
    &containers::CHECK,
    &attachments::CHECK,
    &labels::CHECK,
    &routers::CHECK,
    &rules::CHECK,
    &middlewares::CHECK,
    &backends::CHECK,
    &endpoints::CHECK,
    &tls::CHECK,
    &dashboard::CHECK,
];

/// What runs on this host; the judgement says why it is not seen.
fn here<'f>(facts: &'f TraefikFacts, judged: &mut Judged) -> Option<&'f Landscape> {
    if let Some(api) = &facts.remote {
        judged.skipped = Some(Why::new(format!("Traefik runs elsewhere ({api}): its container engine is not seen")));
        return None;
    }
    facts.landscape.or_unknown(judged)
}

/// What runs on this host, and Traefik among it.
fn with_proxy<'f>(facts: &'f TraefikFacts, judged: &mut Judged) -> Option<(&'f Landscape, &'f Container)> {
    let landscape = here(facts, judged)?;
    let proxy = facts.proxy(landscape);
    if proxy.is_none() {
        judged.unknown("it is not known which Traefik is meant", "see the check `proxy`");
    }
    proxy.map(|proxy| (landscape, proxy))
}

/// The command that makes the containers of a service what the files say.
fn up(facts: &TraefikFacts, service: &str) -> String {
    format!("docker compose -p {} up -d {service}", facts.project)
}
