//! Whether there is exactly one Traefik, well, and speaking.

use super::here;
use crate::domain::check::{Check, Judged};
use crate::domain::landscape::Health;
use crate::domain::traefik::TraefikFacts;
use crate::domain::traefik::proxy::{is_traefik, proxies};

/// Exactly one Traefik answers, and its health check agrees.
pub static CHECK: Check<TraefikFacts> = Check {
    id: "proxy",
    title: "exactly one Traefik runs and its API answers",
    why: "without it nothing reaches the stack; with two of them nobody knows which one answers",
    judge,
};

fn judge(facts: &TraefikFacts) -> Judged {
    let mut judged = Judged::default();
    if facts.remote.is_none() {
        container(facts, &mut judged);
    }
    if let Some(answers) = facts.answers.or_unknown(&mut judged) {
        let at = facts.api.as_deref().unwrap_or_default();
        judged.see(format!("Traefik {} answers at {at}", answers.version));
        if !answers.version.starts_with("3.") {
            let what = format!("this is Traefik {}; these checks were tried with version 3", answers.version);
            judged.warn(what, "move to Traefik 3");
        }
    }
    judged
}

fn container(facts: &TraefikFacts, judged: &mut Judged) {
    let Some(landscape) = here(facts, judged) else { return };
    let all = proxies(landscape);
    let names = || all.iter().map(|c| c.name.clone()).collect::<Vec<_>>().join(", ");
    let name_one =
        "stop all but one, or say which is meant: `traefik: { api: http://127.0.0.1:PORT }` in recovery.yaml";
    let Some(proxy) = facts.proxy(landscape) else {
        if all.is_empty() {
            let stopped = landscape.containers.iter().filter(|c| is_traefik(c));
            let stopped: Vec<String> = stopped.map(|c| format!("{} is {}", c.name, c.state)).collect();
            let of = if stopped.is_empty() { String::new() } else { format!(": {}", stopped.join(", ")) };
            let next = "start it, or name another host's API: `traefik: { api: https://… }` in recovery.yaml";
            judged.fail(format!("no Traefik runs on this engine{of}"), next);
        } else {
            judged.fail(format!("{} Traefik containers run: {}", all.len(), names()), name_one);
        }
        return;
    };
    if all.len() > 1 {
        judged.warn(format!("{} Traefik containers run: {}; {} is meant", all.len(), names(), proxy.name), name_one);
    }
    let look = format!("docker logs --tail 50 {}", proxy.name);
    match proxy.health {
        Health::Healthy => judged.see(format!("{} is healthy", proxy.name)),
        Health::Unhealthy => {
            judged.fail(format!("{} is unhealthy", proxy.name), look);
        }
        Health::Starting => {
            judged.unknown(format!("{} is still starting", proxy.name), "ask again");
        }
        Health::Unchecked => {
            let next = "give it one: `--ping=true` and `traefik healthcheck --ping`";
            judged.warn(format!("{} has no health check", proxy.name), next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, landscape};
    use super::*;
    use crate::domain::fact::Fact;

    #[test]
    fn one_healthy_traefik_passes() {
        assert_eq!(asked(&CHECK, |_| {}).0, "passed");
        let (word, _) = asked(&CHECK, |facts| landscape(facts).containers[0].health = Health::Unchecked);
        assert_eq!(word, "warning");
    }

    #[test]
    fn none_two_an_unhealthy_and_a_silent_one_do_not() {
        let (word, said) = asked(&CHECK, |facts| landscape(facts).containers[0].state = "exited".into());
        assert!(word == "failed" && said.contains("no Traefik runs on this engine: traefik-1 is exited"), "{said}");
        let (word, said) = asked(&CHECK, |facts| {
            let other =
                crate::domain::landscape::Container { name: "other".into(), ..landscape(facts).containers[0].clone() };
            landscape(facts).containers.push(other);
            facts.api = None;
        });
        assert!(word == "failed" && said.contains("2 Traefik containers run: traefik-1, other"), "{said}");
        assert_eq!(asked(&CHECK, |facts| landscape(facts).containers[0].health = Health::Unhealthy).0, "failed");
        assert_eq!(asked(&CHECK, |facts| landscape(facts).containers[0].health = Health::Starting).0, "broken");
        let (word, said) = asked(&CHECK, |facts| facts.answers = Fact::Unknown("no answer".into()));
        assert!(word == "broken" && said.contains("no answer"), "{said}");
    }
}
