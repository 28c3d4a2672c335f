//! Whether two routes want the same requests. Traefik calls both enabled and lets one of them have everything.

use crate::domain::check::{Check, Judged};
use crate::domain::fact::Fact;
use crate::domain::traefik::answers::Router;
use crate::domain::traefik::rule::{canonical, hosts};
use crate::domain::traefik::{TraefikFacts, became, works};

/// No other route has the rule of one of ours, nor stands before it on the same host.
pub static CHECK: Check<TraefikFacts> = Check {
    id: "rules",
    title: "no other route takes the requests of these",
    why: "of two routes with one rule, one gets everything and the other nothing, and both look healthy",
    judge,
};

fn judge(facts: &TraefikFacts) -> Judged {
    let mut judged = Judged::default();
    let Some(answers) = facts.answers.or_unknown(&mut judged) else { return judged };
    let others = |mine: &Router| {
        let name = mine.name.clone();
        let all = answers.routers.iter().filter(|r| works(&r.status) && !r.name.ends_with("@internal"));
        all.filter(move |r| r.name != name).collect::<Vec<_>>()
    };
    for (routed, router) in facts.routers() {
        for mine in became(answers, router).into_iter().filter(|found| works(&found.status)) {
            judged.see(format!("{}: {}", mine.name, mine.rule));
            // Encrypted and plain requests at one door are told apart before any rule is.
            let meets = |other: &&&Router| {
                other.using.iter().any(|door| mine.using.contains(door)) && other.tls.is_some() == mine.tls.is_some()
            };
            for other in others(mine).iter().filter(meets) {
                let owner = owner(facts, other);
                let whose = match owner.as_deref() {
                    Some(project) => format!("router {} of project {project}", plain(other)),
                    None => format!("router {}", plain(other)),
                };
                let foreign = owner.as_deref() != Some(&facts.project);
                if canonical(&other.rule) == canonical(&mine.rule) {
                    let who = match other.priority.cmp(&mine.priority) {
                        std::cmp::Ordering::Equal => "which of them answers is left to chance",
                        std::cmp::Ordering::Greater => "that one gets every request",
                        std::cmp::Ordering::Less => "this one gets every request, that one none",
                    };
                    let what = format!("router {} and {whose} have one rule, {}: {who}", router.name, mine.rule);
                    judged
                        .fail(what, format!("change the rule of one of them; it is declared for {}", routed.name))
                        .at(&router.at);
                } else if foreign && other.priority >= mine.priority && share_host(mine, other) {
                    let what = format!(
                        "{whose} has the rule {} on the same host and is asked before router {}",
                        other.rule, router.name
                    );
                    judged.warn(what, "see that this is meant").at(&router.at);
                }
            }
        }
    }
    judged
}

fn share_host(a: &Router, b: &Router) -> bool {
    let (a, b) = (hosts(&a.rule), hosts(&b.rule));
    a.iter().any(|host| b.contains(host))
}

fn plain(router: &Router) -> &str {
    router.name.strip_suffix("@docker").unwrap_or(&router.name)
}

/// The project whose containers declare a router, as far as they are seen.
fn owner(facts: &TraefikFacts, router: &Router) -> Option<String> {
    let name = plain(router);
    if facts.routers().any(|(_, mine)| mine.name == name) {
        return Some(facts.project.clone());
    }
    let Fact::Known(landscape) = &facts.landscape else { return None };
    let prefix = format!("traefik.http.routers.{name}.").to_ascii_lowercase();
    let declares = |label: &String| label.to_ascii_lowercase().starts_with(&prefix);
    let container = landscape.containers.iter().find(|c| c.labels.keys().any(declares));
    container.and_then(|c| c.project()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{answers, asked, captured, landscape};
    use super::*;
    use crate::domain::landscape::Container;

    fn with(rule: &'static str, priority: i64, door: &'static str) -> (String, String) {
        asked(&CHECK, |facts| {
            let other = Router {
                name: "blog@docker".into(),
                rule: rule.into(),
                priority,
                using: vec![door.into()],
                ..answers(facts).routers[0].clone()
            };
            answers(facts).routers.push(other);
            let labels = [("com.docker.compose.project", "blog"), ("traefik.http.routers.blog.rule", rule)];
            let labels = labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
            landscape(facts).containers.push(Container { labels, ..Container::default() });
        })
    }

    #[test]
    fn routes_of_their_own_pass() {
        assert_eq!(asked(&CHECK, |_| {}).0, "passed");
        assert_eq!(with("Host(`blog.example`)", 99, "web").0, "passed");
        assert_eq!(with("Host(`shop.example`) && PathPrefix(`/api`)", 99, "websecure").0, "passed", "another door");
        assert_eq!(with("Host(`shop.example`)", 1, "web").0, "passed", "asked after ours");
    }

    #[test]
    fn the_same_rule_of_another_project_fails_however_it_is_written() {
        let (word, said) = with("PathPrefix(\"/api\")&&Host(`Shop.example`)", 99, "web");
        assert!(
            word == "failed" && said.contains("router api and router blog of project blog have one rule"),
            "{said}"
        );
        assert!(said.contains("compose.yaml:13") && said.contains("that one gets every request"), "{said}");
        let (_, said) = with("Host(`shop.example`) && PathPrefix(`/api`)", 42, "web");
        assert!(said.contains("left to chance"), "{said}");
    }

    #[test]
    fn a_real_traefik_calls_both_enabled() {
        let (word, said) = captured(&CHECK, &["good"]);
        assert!(word == "failed" && said.contains("router good and router clash have one rule"), "{said}");
        assert_eq!(captured(&CHECK, &["badport"]).0, "passed");
    }

    #[test]
    fn another_projects_route_that_stands_before_ours_on_one_host_is_warned_of() {
        let (word, said) = with("Host(`shop.example`) && PathPrefix(`/api/v2/everything`)", 99, "web");
        assert!(word == "warning" && said.contains("is asked before router api"), "{said}");
    }
}
