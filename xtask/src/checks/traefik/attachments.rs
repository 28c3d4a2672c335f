//! Whether Traefik sends requests to the stack's own containers, at addresses that it can reach. Its API says UP for any address.

use super::{up, with_proxy};
use crate::domain::check::{Check, Judged};
use crate::domain::landscape::{Container, Landscape};
use crate::domain::traefik::{TraefikFacts, became, wanted::Routed, works};
use std::net::IpAddr;

/// Every server of a route is a container of its service, on a network that Traefik shares with it.
pub static CHECK: Check<TraefikFacts> = Check {
    id: "attachments",
    title: "each server is the stack's own container, on a network that Traefik shares",
    why: "Traefik calls a server UP without ever having reached it; on another network requests wait until they time out",
    judge,
};

fn judge(facts: &TraefikFacts) -> Judged {
    let mut judged = Judged::default();
    let Some((landscape, proxy)) = with_proxy(facts, &mut judged) else { return judged };
    let Some(answers) = facts.answers.or_unknown(&mut judged) else { return judged };
    for (routed, router) in facts.routers() {
        for found in became(answers, router).into_iter().filter(|found| works(&found.status)) {
            let Some(service) = answers.service_of(found) else { continue };
            for server in service.servers() {
                let address = server.address().and_then(|(host, _)| host.parse::<IpAddr>().ok());
                let of = format!("{} of router {}", server.url, router.name);
                match address {
                    Some(address) => one(facts, landscape, proxy, routed, address, &of, &mut judged),
                    None => {
                        let next = "let Traefik find the container: write `loadbalancer.server.port` instead";
                        judged
                            .warn(format!("{of} is a name: which container it means is not known"), next)
                            .at(&routed.at);
                    }
                }
            }
        }
    }
    judged
}

fn one(
    facts: &TraefikFacts,
    landscape: &Landscape,
    proxy: &Container,
    routed: &Routed,
    address: IpAddr,
    of: &str,
    judged: &mut Judged,
) {
    let at = routed.label("traefik.docker.network").map_or(&routed.at, |label| &label.at);
    let mine = facts.containers(landscape, &routed.name);
    let holds = |container: &&Container| container.addresses().any(|a| a == address);
    let Some(owner) = mine.iter().copied().find(holds) else {
        let other = landscape.containers.iter().find(holds);
        let whose = match other.map(|c| (c, c.project())) {
            Some((c, Some(project))) => format!("is {} of project {project}", c.name),
            Some((c, None)) => format!("is {}", c.name),
            None => "is no container that runs here".to_owned(),
        };
        let next =
            format!("give the Traefik services of each project names of their own; then {}", up(facts, &routed.name));
        judged.fail(format!("{of} {whose}, not of service {} of project {}", routed.name, facts.project), next).at(at);
        return;
    };
    let network = owner.networks.iter().find(|(_, place)| place.addresses.contains(&address));
    let shared = network.is_some_and(|(_, place)| proxy.networks.values().any(|p| p.network == place.network));
    if shared || proxy.host_network {
        judged.see(format!("{of} is {}", owner.name));
        return;
    }
    let name = network.map_or("another network", |(name, _)| name.as_str());
    let what = format!("{of} is in network {name}, in which Traefik ({}) is not: requests time out", proxy.name);
    let both = owner.shares(proxy);
    let next = match both.first() {
        Some(network) => {
            format!("write the label `traefik.docker.network: {network}`; then {}", up(facts, &routed.name))
        }
        None => {
            let names: Vec<&str> = proxy.networks.keys().map(String::as_str).collect();
            format!("attach service {} to {}; then {}", routed.name, names.join(" or "), up(facts, &routed.name))
        }
    };
    judged.fail(what, next).at(at);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, of_service};
    use super::*;
    use crate::domain::landscape::Attached;

    #[test]
    fn servers_that_are_our_containers_on_a_shared_network_pass() {
        let (word, said) = asked(&CHECK, |_| {});
        assert!(word == "passed" && said.contains("http://10.0.0.3:8000 of router api is shop-api-1"), "{said}");
    }

    #[test]
    fn a_container_on_a_network_without_traefik_fails_though_the_api_says_up() {
        let (word, said) = asked(&CHECK, |facts| {
            let api = of_service(facts, "api");
            let elsewhere = Attached { network: "n2".into(), addresses: vec!["10.0.0.3".parse().unwrap()] };
            api.networks = [("elsewhere".to_owned(), elsewhere)].into();
        });
        assert!(
            word == "failed" && said.contains("is in network elsewhere, in which Traefik (traefik-1) is not"),
            "{said}"
        );
        assert!(said.contains("compose.yaml:12") && said.contains("attach service api to traefik-public"), "{said}");
    }

    #[test]
    fn a_server_of_another_project_fails() {
        let (word, said) = asked(&CHECK, |facts| {
            let api = of_service(facts, "api");
            api.labels.insert("com.docker.compose.project".into(), "shop-staging".into());
        });
        assert!(word == "failed" && said.contains("is shop-api-1 of project shop-staging"), "{said}");
        assert_eq!(asked(&CHECK, |facts| of_service(facts, "api").networks.clear()).0, "failed");
    }
}
