//! Whether the labels say what Traefik must know, and whether the running containers carry the same ones as the files. Of labels that
//! may hold a password's hash only the name is told.

use super::up;
use crate::domain::check::{Check, Judged};
use crate::domain::fact::Fact;
use crate::domain::landscape::Container;
use crate::domain::traefik::proxy::setting;
use crate::domain::traefik::{TraefikFacts, wanted::Routed};
use std::collections::BTreeSet;

/// Rule, port and network are told where Traefik would have to guess, and what runs has the labels of the files.
pub static CHECK: Check<TraefikFacts> = Check {
    id: "labels",
    title: "the labels tell rule, port and network, and what runs has them",
    why: "what the labels do not tell Traefik guesses; a changed label does nothing until its container is made anew",
    judge,
};

fn judge(facts: &TraefikFacts) -> Judged {
    let mut judged = Judged::default();
    let landscape = match (&facts.remote, &facts.landscape) {
        (Some(_), _) => None,
        (None, Fact::Known(landscape)) => Some(landscape),
        (None, Fact::Unknown(_)) => facts.landscape.or_unknown(&mut judged),
    };
    let usual = landscape.and_then(|l| facts.proxy(l)).and_then(|proxy| setting(proxy, "providers.docker.network"));
    for routed in &facts.wanted {
        let running = landscape.map(|l| facts.containers(l, &routed.name)).unwrap_or_default();
        let running: Vec<&Container> = running.into_iter().filter(|c| c.runs()).collect();
        rules(routed, &mut judged);
        port(routed, &running, &mut judged);
        network(routed, usual.as_deref(), &mut judged);
        for container in &running {
            stale(facts, routed, container, &mut judged);
        }
        if running.is_empty() {
            let what = format!("no container of service {} is seen whose labels could be compared", routed.name);
            // Of a proxy elsewhere that is all that can be had; here it is a question without an answer.
            let finding = match facts.remote {
                Some(_) => judged.warn(what, "ask on the host on which it runs"),
                None => judged.unknown(what, up(facts, &routed.name)),
            };
            finding.at(&routed.at);
        }
    }
    judged
}

fn rules(routed: &Routed, judged: &mut Judged) {
    for router in &routed.routers {
        match &router.rule {
            Some(rule) => judged.see(format!("router {}: {rule}", router.name)),
            None => {
                let next = format!("write `traefik.http.routers.{}.rule`", router.name);
                judged.warn(format!("router {} has no rule: Traefik makes one up", router.name), next).at(&router.at);
            }
        }
        if router.entrypoints.is_empty() {
            let what = format!("router {} names no entry point: it answers at every one of them", router.name);
            let next = format!("write `traefik.http.routers.{}.entrypoints`", router.name);
            judged.warn(what, next).at(&router.at);
        }
    }
    let other = ["traefik.tcp.routers.", "traefik.udp.routers."];
    let found = routed.labels.iter().find(|(name, _)| other.iter().any(|o| name.to_ascii_lowercase().starts_with(o)));
    if let Some((name, label)) = found {
        judged.warn(format!("{name}: routes other than HTTP are not asked"), "try that route by hand").at(&label.at);
    }
}

fn port(routed: &Routed, running: &[&Container], judged: &mut Judged) {
    if let Some(label) = routed.ports().first() {
        judged.see(format!("service {} is asked at {}", routed.name, label.value));
        return;
    }
    let next = "write `traefik.http.services.NAME.loadbalancer.server.port`";
    let name = &routed.name;
    let Some(container) = running.first() else {
        judged.warn(format!("no label tells the port of service {name}"), next).at(&routed.at);
        return;
    };
    match container.exposed.as_slice() {
        [port] => judged.see(format!("service {name} exposes {port} alone")),
        [] => {
            let what = format!("no label tells the port of service {name}, and its image exposes none");
            judged.fail(what, next).at(&routed.at);
        }
        many => {
            let ports: Vec<String> = many.iter().map(u16::to_string).collect();
            let what = format!("no label tells the port of service {name}, and its image exposes {}", ports.join(", "));
            judged.fail(what, next).at(&routed.at);
        }
    }
}

fn network(routed: &Routed, usual: Option<&str>, judged: &mut Judged) {
    let names: Vec<&str> = routed.networks.keys().map(String::as_str).collect();
    let (name, all) = (&routed.name, names.join(", "));
    if let Some(label) = routed.label("traefik.docker.network") {
        if routed.networks.contains_key(&label.value) {
            judged.see(format!("service {name} is reached through {}", label.value));
        } else {
            let what =
                format!("service {name} is not attached to {}, which its label names; it is in {all}", label.value);
            judged.fail(what, format!("attach it: `networks: [{}]`", label.value)).at(&label.at);
        }
        return;
    }
    match usual {
        Some(usual) if routed.networks.contains_key(usual) => {
            judged.see(format!("service {name} is reached through {usual}, Traefik's usual network"));
        }
        _ if names.len() == 1 => judged.see(format!("service {name} is in {all} alone")),
        _ => {
            let what = format!("service {name} is in {all}, and no label tells through which Traefik reaches it");
            judged.fail(what, "write the label `traefik.docker.network`").at(&routed.at);
        }
    }
}

fn stale(facts: &TraefikFacts, routed: &Routed, container: &Container, judged: &mut Judged) {
    let ours = |name: &&String| name.to_ascii_lowercase().starts_with("traefik.");
    let names: BTreeSet<&String> = routed.labels.keys().chain(container.labels.keys().filter(ours)).collect();
    let mut same = 0;
    for name in names {
        let (written, runs) = (routed.labels.get(name), container.labels.get(name));
        let how = match (written, runs) {
            (Some(label), Some(value)) if label.value == *value => {
                same += 1;
                continue;
            }
            (Some(_), Some(_)) => "another value of label",
            (Some(_), None) => "no label",
            (None, _) => "a label that no file has any more,",
        };
        let what = format!("{} has {how} {name}: it is older than the files", container.name);
        judged.fail(what, up(facts, &routed.name)).at(written.map_or(&routed.at, |label| &label.at));
    }
    judged.see(format!("{} has {same} of {} labels as they are written", container.name, routed.labels.len()));
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, of_service, wanted};
    use super::*;

    #[test]
    fn labels_that_tell_everything_and_that_run_pass() {
        let (word, said) = asked(&CHECK, |_| {});
        assert!(word == "passed" && said.contains("shop-api-1 has 5 of 5 labels as they are written"), "{said}");
    }

    #[test]
    fn a_label_that_was_changed_since_the_container_was_made_is_named_without_its_value() {
        let users = "traefik.http.middlewares.auth.basicauth.users";
        let (word, said) = asked(&CHECK, |facts| {
            of_service(facts, "api").labels.insert(users.into(), "ops:canary".into());
            of_service(facts, "api").labels.insert("traefik.enable".into(), "false".into());
            of_service(facts, "api").labels.remove("traefik.docker.network");
        });
        assert_eq!(word, "failed");
        assert!(said.contains(&format!("shop-api-1 has a label that no file has any more, {users}")), "{said}");
        assert!(said.contains("compose.yaml:11: shop-api-1 has another value of label traefik.enable"), "{said}");
        assert!(said.contains("compose.yaml:12: shop-api-1 has no label traefik.docker.network"), "{said}");
        assert!(said.contains("docker compose -p shop up -d api") && !said.contains("canary"), "{said}");
    }

    #[test]
    fn a_port_that_nobody_tells_is_found_only_where_the_image_exposes_one() {
        let without = |exposed: Vec<u16>| {
            asked(&CHECK, |facts| {
                let port = "traefik.http.services.api.loadbalancer.server.port";
                wanted(facts, "api").labels.remove(port);
                of_service(facts, "api").labels.remove(port);
                of_service(facts, "api").exposed = exposed;
            })
        };
        assert_eq!(without(vec![8000]).0, "passed");
        assert_eq!(without(vec![]).0, "failed");
        let (word, said) = without(vec![8000, 9000]);
        assert!(word == "failed" && said.contains("its image exposes 8000, 9000"), "{said}");
    }

    #[test]
    fn several_networks_need_a_label_and_the_label_one_of_them() {
        let (word, said) = asked(&CHECK, |facts| {
            wanted(facts, "api").labels.remove("traefik.docker.network");
            of_service(facts, "api").labels.remove("traefik.docker.network");
        });
        assert!(word == "failed" && said.contains("no label tells through which"), "{said}");
        let (word, said) =
            asked(&CHECK, |facts| wanted(facts, "api").networks.retain(|name, _| name != "traefik-public"));
        assert!(word == "failed" && said.contains("service api is not attached to traefik-public"), "{said}");
    }

    #[test]
    fn without_a_container_to_compare_with_the_labels_are_not_known_to_run() {
        assert_eq!(asked(&CHECK, |facts| of_service(facts, "api").state = "exited".into()).0, "broken");
        assert_eq!(asked(&CHECK, |facts| facts.remote = Some("https://proxy.example:443".into())).0, "warning");
    }

    #[test]
    fn a_router_without_rule_or_entry_point_is_warned_of() {
        let (word, said) = asked(&CHECK, |facts| {
            wanted(facts, "api").routers[0].rule = None;
            wanted(facts, "api").routers[0].entrypoints.clear();
        });
        assert_eq!(word, "warning", "{said}");
    }
}
