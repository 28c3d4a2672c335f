//! Whether the containers behind the routes run and are well. Whose a container is its labels say, never its name.

use super::{here, up};
use crate::domain::check::{Check, Judged};
use crate::domain::landscape::{Container, Health};
use crate::domain::traefik::TraefikFacts;

/// Each routed service of this project has a container that runs and is healthy.
pub static CHECK: Check<TraefikFacts> = Check {
    id: "containers",
    title: "each routed service runs and is healthy",
    why: "Traefik leaves out a container that is not healthy, with its route, and says nothing",
    judge,
};

fn judge(facts: &TraefikFacts) -> Judged {
    let mut judged = Judged::default();
    let Some(landscape) = here(facts, &mut judged) else { return judged };
    for routed in &facts.wanted {
        let (service, at) = (&routed.name, &routed.at);
        let all = facts.containers(landscape, service);
        let (running, others): (Vec<&Container>, Vec<&Container>) = all.into_iter().partition(|c| c.runs());
        if running.is_empty() {
            let states: Vec<String> = others.iter().map(|c| format!("{} is {}", c.name, c.state)).collect();
            let of = if states.is_empty() { "it has none".to_owned() } else { states.join(", ") };
            let what = format!("no container of service {service} of project {} runs: {of}", facts.project);
            judged.fail(what, up(facts, service)).at(at);
            continue;
        }
        for other in others {
            let logs = format!("docker logs --tail 50 {}", other.name);
            judged.warn(format!("{} is {}", other.name, other.state), logs).at(at);
        }
        for container in running {
            let name = &container.name;
            let look = format!("docker inspect --format '{{{{json .State.Health}}}}' {name}");
            match container.health {
                Health::Healthy => judged.see(format!("{name} is healthy")),
                Health::Unhealthy => {
                    judged.fail(format!("{name} is unhealthy: Traefik leaves it out"), look).at(at);
                }
                Health::Starting => {
                    judged.unknown(format!("{name} is still starting"), "ask again").at(at);
                }
                Health::Unchecked => {
                    judged.see(format!("{name} runs"));
                    let what = format!("{name} has no health check: Traefik sends it requests before it is ready");
                    judged.warn(what, "write `healthcheck:` for it").at(at);
                }
            }
        }
    }
    // What is wrong must not drown in what is only to be looked at.
    judged.findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    judged
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, landscape, of_service};
    use super::*;

    #[test]
    fn healthy_containers_of_this_project_pass() {
        let (word, said) = asked(&CHECK, |_| {});
        assert!(word == "passed" && said.contains("shop-api-1 is healthy"), "{said}");
    }

    #[test]
    fn one_that_is_stopped_unhealthy_or_starting_does_not() {
        let (word, said) = asked(&CHECK, |facts| of_service(facts, "api").state = "exited".into());
        assert!(
            word == "failed" && said.contains("no container of service api of project shop runs: shop-api-1 is exited"),
            "{said}"
        );
        let (word, said) = asked(&CHECK, |facts| of_service(facts, "api").health = Health::Unhealthy);
        assert!(word == "failed" && said.contains("compose.yaml:10: shop-api-1 is unhealthy"), "{said}");
        assert_eq!(asked(&CHECK, |facts| of_service(facts, "api").health = Health::Starting).0, "broken");
        assert_eq!(asked(&CHECK, |facts| of_service(facts, "api").health = Health::Unchecked).0, "warning");
    }

    #[test]
    fn a_namesake_of_another_project_and_a_single_command_do_not_count() {
        let (word, _) = asked(&CHECK, |facts| {
            let stranger = of_service(facts, "api");
            stranger.labels.insert("com.docker.compose.project".into(), "shop-staging".into());
        });
        assert_eq!(word, "failed", "a container whose name fits and whose project does not");
        let (word, _) = asked(&CHECK, |facts| {
            of_service(facts, "api").labels.insert("com.docker.compose.oneoff".into(), "True".into());
        });
        assert_eq!(word, "failed", "one that was started for a single command");
        assert_eq!(asked(&CHECK, |facts| landscape(facts).containers.truncate(1)).0, "failed");
    }
}
