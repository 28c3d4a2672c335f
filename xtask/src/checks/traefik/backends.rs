//! Whether each route leads to a service with a server that Traefik does not call down. What UP is worth, requests tell.

use super::up;
use crate::domain::check::{Check, Judged};
use crate::domain::traefik::answers::Service;
use crate::domain::traefik::wanted::{Routed, Router};
use crate::domain::traefik::{TraefikFacts, became, works};

/// Each route's service exists and has at least one server that is up.
pub static CHECK: Check<TraefikFacts> = Check {
    id: "backends",
    title: "each route leads to a server that is up",
    why: "a route without a server answers 503",
    judge,
};

fn judge(facts: &TraefikFacts) -> Judged {
    let mut judged = Judged::default();
    let Some(answers) = facts.answers.or_unknown(&mut judged) else { return judged };
    for (routed, router) in facts.routers() {
        for found in became(answers, router).into_iter().filter(|found| works(&found.status)) {
            match answers.service_of(found) {
                Some(service) => judge_service(facts, routed, router, service, &mut judged),
                None => {
                    let what = format!("service {} of router {} does not exist", found.service, router.name);
                    judged.fail(what, up(facts, &routed.name)).at(&router.at);
                }
            }
        }
    }
    judged
}

fn judge_service(facts: &TraefikFacts, routed: &Routed, router: &Router, service: &Service, judged: &mut Judged) {
    let of = format!("service {} of router {}", service.name, router.name);
    if !works(&service.status) || !service.error.is_empty() {
        let what = format!("{of} is {}: {}", service.status, service.error.join("; "));
        judged.fail(what, "correct its labels").at(&router.at);
        return;
    }
    if service.name.ends_with("@internal") {
        judged.see(format!("{of} is Traefik itself"));
        return;
    }
    if service.load_balancer.is_none() {
        let what = format!("{of} has no servers of its own: where it leads is not looked at");
        judged.warn(what, "look at it in Traefik's dashboard").at(&router.at);
        judged.see(format!("{of} is enabled"));
        return;
    }
    let all = service.servers().len();
    let up_now = service.server_status.values().filter(|state| *state == "UP").count();
    let down: Vec<&str> =
        service.server_status.iter().filter(|(_, state)| *state != "UP").map(|(url, _)| url.as_str()).collect();
    match (all, up_now) {
        (0, _) => {
            judged.fail(format!("{of} has no server"), up(facts, &routed.name)).at(&router.at);
        }
        (_, 0) if down.is_empty() => {
            judged
                .unknown(format!("Traefik does not say whether the servers of {of} are up"), "ask again")
                .at(&router.at);
        }
        (_, 0) => {
            let what = format!("{of} has no server that is up: {} is down", down.join(", "));
            judged.fail(what, format!("docker logs of service {}", routed.name)).at(&router.at);
        }
        (_, n) => judged.see(format!("{of} has {n} of {all} servers up")),
    }
    if up_now > 0 && !down.is_empty() {
        judged.warn(format!("{} of {of} is down", down.join(", ")), up(facts, &routed.name)).at(&router.at);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{answers, asked, captured};
    use super::*;

    #[test]
    fn a_service_with_a_server_that_is_up_passes() {
        let (word, said) = asked(&CHECK, |_| {});
        assert!(word == "passed" && said.contains("has 1 of 1 servers up"), "{said}");
        assert_eq!(captured(&CHECK, &["good"]).0, "passed");
    }

    #[test]
    fn no_service_no_server_or_none_that_is_up_fails() {
        let (word, said) = asked(&CHECK, |facts| answers(facts).services.clear());
        assert!(word == "failed" && said.contains("service api of router api does not exist"), "{said}");
        let (word, said) = asked(&CHECK, |facts| {
            answers(facts).services[0].server_status.values_mut().for_each(|state| *state = "DOWN".into());
        });
        assert!(word == "failed" && said.contains("http://10.0.0.3:8000 is down"), "{said}");
        let (word, _) = asked(&CHECK, |facts| {
            answers(facts).services[0].load_balancer = Some(Default::default());
        });
        assert_eq!(word, "failed");
    }

    #[test]
    fn a_state_that_is_not_told_is_unknown_and_a_route_that_does_not_work_proves_nothing() {
        assert_eq!(asked(&CHECK, |facts| answers(facts).services[0].server_status.clear()).0, "broken");
        assert_eq!(captured(&CHECK, &["noep"]).0, "broken");
    }
}
