//! Whether every router that the files declare is there and works. Traefik forgets one that is defined twice or whose containers are not
//! well: it is not shown as wrong, it is not shown at all. So each one that is missing is explained.

use super::up;
use crate::domain::check::{Check, Judged};
use crate::domain::fact::Fact;
use crate::domain::landscape::{Container, Health};
use crate::domain::traefik::proxy::setting;
use crate::domain::traefik::rule::canonical;
use crate::domain::traefik::wanted::{Routed, Router};
use crate::domain::traefik::{TraefikFacts, answers, became};
use std::collections::BTreeMap;

/// Each declared router is in the API, enabled, with its rule.
pub static CHECK: Check<TraefikFacts> = Check {
    id: "routers",
    title: "each router is there and enabled",
    why: "a router that is missing or disabled answers 404, whatever the containers say of themselves",
    judge,
};

fn judge(facts: &TraefikFacts) -> Judged {
    let mut judged = Judged::default();
    let Some(answers) = facts.answers.or_unknown(&mut judged) else { return judged };
    for (routed, router) in facts.routers() {
        let found = became(answers, router);
        if found.is_empty() {
            let (why, next) = missing(facts, routed, router);
            judged.fail(format!("router {} is not in Traefik: {why}", router.name), next).at(&router.at);
        }
        for found in found {
            present(facts, routed, router, found, &mut judged);
        }
    }
    judged
}

fn present(facts: &TraefikFacts, routed: &Routed, router: &Router, found: &answers::Router, judged: &mut Judged) {
    let name = &router.name;
    let mend = format!("correct the label; then {}", up(facts, &routed.name));
    if found.status != "enabled" || !found.error.is_empty() {
        let said = if found.error.is_empty() { "no reason is given".to_owned() } else { found.error.join("; ") };
        judged.fail(format!("router {name} is {}: {said}", found.status), mend).at(&router.at);
        return;
    }
    if let Some(rule) = &router.rule
        && canonical(rule) != canonical(&found.rule)
    {
        let what = format!("router {name} has the rule {}, not the file's {rule}", found.rule);
        judged.fail(what, up(facts, &routed.name)).at(&router.at);
        return;
    }
    judged.see(format!("{} is enabled at {}", found.name, found.using.join(", ")));
}

/// Why a router is not there, and what to do.
fn missing(facts: &TraefikFacts, routed: &Routed, router: &Router) -> (String, String) {
    let Fact::Known(landscape) = &facts.landscape else {
        return ("why is not seen from here".to_owned(), "look at Traefik's log for its name".to_owned());
    };
    let service = &routed.name;
    let all = facts.containers(landscape, service);
    let running: Vec<&Container> = all.into_iter().filter(|c| c.runs()).collect();
    if running.is_empty() {
        return (format!("no container of service {service} runs"), up(facts, service));
    }
    if let Some(sick) = running.iter().find(|_| running.iter().all(|c| !c.serves())) {
        let (name, how) = (&sick.name, if sick.health == Health::Starting { "still starting" } else { "unhealthy" });
        return (
            format!("{name} is {how}, and Traefik leaves out what is not healthy"),
            format!("docker inspect --format '{{{{json .State.Health}}}}' {name}"),
        );
    }
    let mut definitions: BTreeMap<BTreeMap<String, &String>, Vec<&Container>> = BTreeMap::new();
    for container in landscape.containers.iter().filter(|c| c.serves()) {
        let definition = definition(container, &router.name);
        if !definition.is_empty() {
            definitions.entry(definition).or_default().push(container);
        }
    }
    if definitions.len() > 1 {
        let whose = |c: &&Container| match c.project() {
            Some(project) => format!("{} of project {project}", c.name),
            None => c.name.clone(),
        };
        let who: Vec<String> = definitions.values().filter_map(|all| all.first()).map(whose).collect();
        let what =
            format!("it is defined several times, differently: by {}; Traefik drops them all", who.join(" and "));
        return (what, format!("give one of the routers called {} another name", router.name));
    }
    let proxy = facts.proxy(landscape);
    let by_default = proxy.and_then(|proxy| setting(proxy, "providers.docker.exposedbydefault"));
    let enabled = |c: &&Container| c.labels.keys().any(|name| name.eq_ignore_ascii_case("traefik.enable"));
    if by_default.is_some_and(|v| v.eq_ignore_ascii_case("false")) && !running.iter().any(enabled) {
        let what = format!("{} has no label traefik.enable, and this Traefik wants one", running[0].name);
        return (what, format!("write `traefik.enable: \"true\"`; then {}", up(facts, service)));
    }
    if definitions.is_empty() && router.rule.is_some() {
        let what = format!("{} has none of its labels: it is older than the files", running[0].name);
        return (what, up(facts, service));
    }
    let log = proxy.map_or("look at Traefik's log".to_owned(), |proxy| format!("docker logs {}", proxy.name));
    ("its log says why (another Traefik's constraint, or labels that contradict each other)".to_owned(), log)
}

/// What a container's labels say of a router.
fn definition<'c>(container: &'c Container, router: &str) -> BTreeMap<String, &'c String> {
    let prefix = format!("traefik.http.routers.{router}.").to_ascii_lowercase();
    let label = |(name, value): (&String, &'c String)| (name.to_ascii_lowercase(), value);
    container.labels.iter().map(label).filter(|(name, _)| name.starts_with(&prefix)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{answers, asked, captured, landscape, of_service};
    use super::*;

    #[test]
    fn routers_that_are_there_and_enabled_pass() {
        let (word, said) = asked(&CHECK, |_| {});
        assert!(word == "passed" && said.contains("api@docker is enabled at web"), "{said}");
    }

    #[test]
    fn what_a_real_traefik_says_of_broken_routers_is_quoted() {
        for (name, said) in [
            ("badrule", "router badrule is disabled: error while parsing rule Host(good.example: parsing"),
            ("nomw", "router nomw is disabled: middleware \"auth@docker\" does not exist"),
            ("noep", "router noep is disabled: entryPoint \"nosuch\" doesn't exist; no valid entryPoint"),
        ] {
            let (word, all) = captured(&CHECK, &[name]);
            assert!(word == "failed" && all.contains(said), "{name}: {all}");
        }
        assert_eq!(captured(&CHECK, &["good"]).0, "passed");
    }

    #[test]
    fn a_router_that_vanished_is_explained() {
        let gone = |change: fn(&mut TraefikFacts)| {
            asked(&CHECK, |facts| {
                answers(facts).routers.retain(|r| r.name != "api@docker");
                change(facts);
            })
        };
        let (word, said) = gone(|_| {});
        assert!(word == "failed" && said.contains("compose.yaml:13: router api is not in Traefik: its log"), "{said}");
        let said = gone(|facts| of_service(facts, "api").state = "exited".into()).1;
        assert!(said.contains("no container of service api runs"), "{said}");
        let said = gone(|facts| of_service(facts, "api").health = Health::Unhealthy).1;
        assert!(said.contains("shop-api-1 is unhealthy, and Traefik leaves out"), "{said}");
        let said = gone(|facts| {
            let mut other = of_service(facts, "api").clone();
            other.name = "blog-api-1".into();
            other.labels.insert("com.docker.compose.project".into(), "blog".into());
            other.labels.insert("traefik.http.routers.api.rule".into(), "Host(`blog.example`)".into());
            landscape(facts).containers.push(other);
        })
        .1;
        assert!(said.contains("blog-api-1 of project blog") && said.contains("shop-api-1 of project shop"), "{said}");
        let said = gone(|facts| drop(of_service(facts, "api").labels.remove("traefik.enable"))).1;
        assert!(said.contains("has no label traefik.enable, and this Traefik wants one"), "{said}");
    }

    #[test]
    fn a_router_with_another_rule_than_the_files_fails() {
        let (word, said) = asked(&CHECK, |facts| answers(facts).routers[0].rule = "Host(`old.example`)".into());
        assert!(word == "failed" && said.contains("has the rule Host(`old.example`), not the file's"), "{said}");
    }

    #[test]
    fn a_router_of_a_door_with_settings_of_its_own_is_known_by_its_derived_name() {
        let (word, said) = asked(&CHECK, |facts| answers(facts).routers[0].name = "web-api@docker".into());
        assert!(word == "passed" && said.contains("web-api@docker is enabled"), "{said}");
        assert_eq!(asked(&CHECK, |facts| answers(facts).routers[0].name = "xweb-api@docker".into()).0, "failed");
    }
}
