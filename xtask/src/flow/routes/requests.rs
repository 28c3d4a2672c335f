//! Sends requests through the doors: to each route, to the plain door of encrypted ones, and for the dashboard. Routes that do not work
//! are not asked: why they do not is told elsewhere.

use super::{PATIENCE, TIMES};
use crate::domain::fact::Fact;
use crate::domain::traefik::answers::{Answers, Router};
use crate::domain::traefik::proxy::Door;
use crate::domain::traefik::rule::asked;
use crate::domain::traefik::{Probe, TraefikFacts, became, works};
use crate::domain::web::{Ask, Over, Unanswered};
use crate::ports::Web;

/// Requests under way at one time.
const AT_ONCE: usize = 16;
/// The door at which Traefik itself answers.
const OWN_DOOR: &str = "traefik";
/// Pages by which Traefik is known.
const OWN_PAGES: [&str; 2] = ["/dashboard/", "/api/version"];

/// Fills in what was asked and what came back.
pub(super) fn send(web: &dyn Web, facts: &mut TraefikFacts) {
    let Fact::Known(answers) = &facts.answers else { return };
    let mut asking = Asking::default();
    for (_, router) in facts.routers() {
        for found in became(answers, router).into_iter().filter(|found| works(&found.status)) {
            route(facts, answers, &router.name, found, &mut asking);
        }
    }
    for (name, door) in facts.doors.iter().filter(|(name, door)| *name != OWN_DOOR && door.published) {
        // A host that no stack routes: its own address.
        let host = door.address.rsplit_once(':').map_or("", |(host, _)| host);
        for path in OWN_PAGES {
            asking.intrusions.push(probe("", name, door, false, host, path));
            asking.intrusions.push(probe("", name, door, true, host, path));
        }
    }
    let Asking { mut probes, mut plain, mut intrusions, unasked } = asking;
    let mut all: Vec<(&mut Probe, usize)> = probes.iter_mut().map(|probe| (probe, TIMES)).collect();
    all.extend(plain.iter_mut().chain(&mut intrusions).map(|probe| (probe, 1)));
    while !all.is_empty() {
        let rest = all.split_off(all.len().min(AT_ONCE));
        std::thread::scope(|scope| {
            for (probe, times) in all {
                scope.spawn(move || perform(web, probe, times));
            }
        });
        all = rest;
    }
    // A door speaks one of both; what it does not speak opens nothing.
    (facts.probes, facts.plain, facts.intrusions, facts.unasked) = (probes, plain, intrusions, unasked);
}

#[derive(Default)]
struct Asking {
    probes: Vec<Probe>,
    plain: Vec<Probe>,
    intrusions: Vec<Probe>,
    unasked: Vec<(String, String)>,
}

fn route(facts: &TraefikFacts, answers: &Answers, name: &str, found: &Router, asking: &mut Asking) {
    let request = match asked(&found.rule) {
        Ok(request) => request,
        Err(why) => {
            asking.unasked.push((name.to_owned(), format!("of its rule {}: {why}", found.rule)));
            return;
        }
    };
    let tls = found.tls.is_some();
    for entrypoint in &found.using {
        let Some(door) = facts.doors.get(entrypoint) else {
            asking
                .unasked
                .push((name.to_owned(), format!("where entry point {entrypoint} can be reached is not known")));
            continue;
        };
        let host = request.host.clone().unwrap_or_else(|| "localhost".to_owned());
        asking.probes.push(probe(name, entrypoint, door, tls, &host, &request.path));
    }
    if !tls {
        return;
    }
    for entrypoint in plain_doors(facts, answers, found) {
        if let (Some(door), Some(host)) = (facts.doors.get(entrypoint), &request.host) {
            let asked = probe(name, entrypoint, door, false, host, &request.path);
            if !asking.plain.iter().any(|p| (&p.host, &p.entrypoint) == (&asked.host, &asked.entrypoint)) {
                asking.plain.push(asked);
            }
        }
    }
}

/// The published doors at which a browser knocks without encryption.
fn plain_doors<'a>(facts: &'a TraefikFacts, answers: &'a Answers, found: &Router) -> Vec<&'a String> {
    let of_port_80 = |name: &String| answers.entrypoints.iter().any(|e| e.name == *name && e.port() == Some(80));
    let usual = |name: &String| matches!(name.as_str(), "web" | "http");
    let plain = |name: &&String| !found.using.contains(name) && (of_port_80(name) || usual(name));
    facts.doors.iter().filter(|(_, door)| door.published).map(|(name, _)| name).filter(plain).collect()
}

fn probe(router: &str, entrypoint: &str, door: &Door, tls: bool, host: &str, path: &str) -> Probe {
    Probe {
        router: router.to_owned(),
        entrypoint: entrypoint.to_owned(),
        door: door.clone(),
        tls,
        host: host.to_owned(),
        path: path.to_owned(),
        answers: Vec::new(),
    }
}

fn perform(web: &dyn Web, probe: &mut Probe, times: usize) {
    let asked = Ask {
        address: probe.door.address.clone(),
        host: probe.host.clone(),
        path: probe.path.clone(),
        over: if probe.tls { Over::AnyTls } else { Over::Plain },
        login: None,
    };
    for _ in 0..times {
        let answer = web.ask(&asked, PATIENCE);
        let late = matches!(answer, Err(Unanswered::Late(..)));
        probe.answers.push(answer);
        // Twice as long tells nothing more.
        if late {
            break;
        }
    }
}
