//! Whether the network that Traefik and the stack share is there, once, and Traefik is in it. That it is there proves nothing alone.

use super::with_proxy;
use crate::domain::check::{Check, Judged};
use crate::domain::place::Place;
use crate::domain::traefik::proxy::setting;
use crate::domain::traefik::{TraefikFacts, wanted::Routed};
use std::collections::BTreeMap;

/// Each network through which routes lead exists exactly once, and Traefik is attached to it.
pub static CHECK: Check<TraefikFacts> = Check {
    id: "network",
    title: "the network of the routes exists once and Traefik is in it",
    why: "a network of the right name in which Traefik is not carries no request",
    judge,
};

fn judge(facts: &TraefikFacts) -> Judged {
    let mut judged = Judged::default();
    let Some((landscape, proxy)) = with_proxy(facts, &mut judged) else { return judged };
    let usual = setting(proxy, "providers.docker.network");
    let mut names: BTreeMap<String, (Place, bool)> = BTreeMap::new();
    for routed in &facts.wanted {
        for (name, at) in through(routed, usual.as_deref()) {
            let external = routed.networks.get(&name).copied().unwrap_or(true);
            names.entry(name).or_insert((at, external));
        }
    }
    for (name, (at, external)) in names {
        let found: Vec<_> = landscape.networks.iter().filter(|network| network.name == name).collect();
        let network = match found.as_slice() {
            [one] => one,
            [] => {
                let make = format!("docker network create {name}");
                let next = if external { make } else { format!("docker compose -p {} up -d", facts.project) };
                judged.fail(format!("network {name} does not exist"), next).at(&at);
                continue;
            }
            many => {
                let ids: Vec<String> = many.iter().map(|n| n.id.chars().take(12).collect()).collect();
                let next = format!("docker network rm {} (whichever holds no container)", ids.join(" or "));
                judged.fail(format!("{} networks are called {name}: {}", many.len(), ids.join(", ")), next).at(&at);
                continue;
            }
        };
        let attached = proxy.networks.values().any(|place| place.network == network.id);
        if !attached && !proxy.host_network {
            let next =
                format!("docker network connect {name} {}; and name it in Traefik's own Compose file", proxy.name);
            judged.fail(format!("Traefik ({}) is not in network {name}", proxy.name), next).at(&at);
            continue;
        }
        judged.see(format!("{name} ({}) holds {}", network.driver, proxy.name));
        if !matches!(network.driver.as_str(), "bridge" | "overlay") {
            let what = format!("network {name} has the driver {}", network.driver);
            judged.warn(what, "routes are tried with bridge and overlay networks").at(&at);
        }
    }
    judged
}

/// The networks through which a service is reached: the one that its label names, else Traefik's usual one, else its own.
fn through(routed: &Routed, usual: Option<&str>) -> Vec<(String, Place)> {
    if let Some(label) = routed.label("traefik.docker.network") {
        return vec![(label.value.clone(), label.at.clone())];
    }
    if let Some(usual) = usual.filter(|usual| routed.networks.contains_key(*usual)) {
        return vec![(usual.to_owned(), routed.at.clone())];
    }
    let shared: Vec<&String> =
        routed.networks.iter().filter(|(_, external)| **external).map(|(name, _)| name).collect();
    let all = if shared.is_empty() { routed.networks.keys().collect() } else { shared };
    all.into_iter().map(|name| (name.clone(), routed.at.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, landscape};
    use super::*;

    #[test]
    fn a_network_that_holds_traefik_passes() {
        let (word, said) = asked(&CHECK, |_| {});
        assert!(word == "passed" && said.contains("traefik-public (bridge) holds traefik-1"), "{said}");
    }

    #[test]
    fn a_missing_network_two_of_one_name_and_one_without_traefik_fail() {
        let (word, said) = asked(&CHECK, |facts| landscape(facts).networks.clear());
        assert!(word == "failed" && said.contains("compose.yaml:12: network traefik-public does not exist"), "{said}");
        assert!(said.contains("docker network create traefik-public"), "{said}");
        let (word, said) = asked(&CHECK, |facts| {
            let twin = landscape(facts).networks[0].clone();
            landscape(facts).networks.push(crate::domain::landscape::Network { id: "n9".into(), ..twin });
        });
        assert!(word == "failed" && said.contains("2 networks are called traefik-public"), "{said}");
        let (word, said) = asked(&CHECK, |facts| landscape(facts).containers[0].networks.clear());
        assert!(word == "failed" && said.contains("Traefik (traefik-1) is not in network traefik-public"), "{said}");
    }

    #[test]
    fn the_network_of_a_traefik_elsewhere_is_not_seen_and_says_so() {
        assert_eq!(asked(&CHECK, |facts| facts.remote = Some("https://proxy.example:443".into())).0, "skipped");
    }
}
