//! Whether strangers can look into Traefik: its dashboard and API tell every host, service and address, and its socket is the host.

use crate::domain::check::{Check, Judged};
use crate::domain::fact::Fact;
use crate::domain::landscape::Container;
use crate::domain::traefik::answers::{Answers, qualified};
use crate::domain::traefik::proxy::{api_port, setting};
use crate::domain::traefik::{TraefikFacts, became, works};
use crate::domain::web::{Answer, Unanswered};

/// Dashboard and API are reachable from this host only, or behind a login.
pub static CHECK: Check<TraefikFacts> = Check {
    id: "dashboard",
    title: "dashboard and API are not open to the world",
    why: "they tell every route and address of every stack; and whoever takes Traefik has the host through its socket",
    judge,
};

/// Middlewares that keep strangers out.
const GUARDS: [&str; 5] = ["basicauth", "digestauth", "forwardauth", "ipallowlist", "ipwhitelist"];

fn judge(facts: &TraefikFacts) -> Judged {
    let mut judged = Judged::default();
    for probe in &facts.intrusions {
        let answer = probe.answers.first();
        let next = "take the route away, or put a login before it (`basicauth`); publish the API on 127.0.0.1 only";
        match answer {
            Some(Ok(answer)) if opens(answer) => {
                judged.fail(format!("{} opens Traefik", probe.shown()), next);
            }
            Some(Ok(answer)) => {
                judged.see(format!("{} answers {} and nothing of Traefik's", probe.shown(), answer.status))
            }
            Some(Err(why @ Unanswered::Late(..))) => {
                judged.unknown(format!("{}: {why}", probe.shown()), "ask again");
            }
            // A door that does not speak so lets nobody in.
            Some(Err(why)) => judged.see(format!("{}: {why}", probe.shown())),
            None => {
                judged.unknown(format!("{} was not asked", probe.shown()), "ask again");
            }
        }
    }
    if let Some(answers) = facts.answers.or_unknown(&mut judged) {
        routes(facts, answers, &mut judged);
    }
    if facts.remote.is_none()
        && let Some(landscape) = facts.landscape.or_unknown(&mut judged)
        && let Some(proxy) = facts.proxy(landscape)
    {
        published(facts, proxy, &mut judged);
        socket(proxy, &mut judged);
    }
    judged
}

/// Whether this is a page of Traefik's own.
fn opens(answer: &Answer) -> bool {
    let text = String::from_utf8_lossy(&answer.body);
    let version = text.contains("\"Version\"") && text.contains("\"Codename\"");
    answer.status == 200 && (version || text.contains("<title>Traefik"))
}

/// Routes that somebody made to the dashboard.
fn routes(facts: &TraefikFacts, answers: &Answers, judged: &mut Judged) {
    let inner = ["api@internal", "dashboard@internal"];
    let led = answers.routers.iter().filter(|r| inner.contains(&r.service.as_str()) && works(&r.status));
    for router in led.filter(|router| !router.name.ends_with("@internal")) {
        let doors: Vec<&String> =
            router.using.iter().filter(|d| facts.doors.get(*d).is_some_and(|d| d.published)).collect();
        let guarded = router.middlewares.iter().any(|name| {
            let full = qualified(name, &router.name);
            answers.middlewares.iter().any(|m| m.name == full && GUARDS.contains(&m.kind.as_str()))
        });
        let what = format!("router {} ({}) leads to the dashboard", router.name, router.rule);
        match (doors.first(), guarded) {
            (None, _) => judged.see(format!("{what}, at no door that is published")),
            (Some(_), true) => judged.see(format!("{what}, behind a login or an allow list")),
            (Some(door), false) => {
                let next = "put a login before it: a middleware `basicauth` on that router";
                let finding = judged.fail(format!("{what} through {door}, without a login"), next);
                let ours =
                    facts.routers().find(|(_, ours)| became(answers, ours).iter().any(|r| r.name == router.name));
                if let Some((_, ours)) = ours {
                    finding.at(&ours.at);
                }
            }
        }
    }
}

/// The API's own door.
fn published(facts: &TraefikFacts, proxy: &Container, judged: &mut Judged) {
    let inside = api_port(proxy);
    let said = setting(proxy, "api.insecure").map(|value| value.eq_ignore_ascii_case("true"));
    // A setting in a file is not seen, but an API that answered without a login is.
    let answered =
        matches!(facts.answers, Fact::Known(_)) && facts.api.as_ref().is_some_and(|api| api.starts_with("http://"));
    if said == Some(false) || (said.is_none() && !answered) {
        judged.see(format!("{} does not serve its API without a login", proxy.name));
        return;
    }
    let next = format!("publish it as \"127.0.0.1:{inside}:{inside}\" in Traefik's own Compose file");
    let open = proxy.published.iter().filter(|p| p.inside == inside && !p.address.is_loopback());
    let open: Vec<String> = open.map(|p| format!("{}:{}", p.address, p.port)).collect();
    if proxy.host_network {
        let address = setting(proxy, "entrypoints.traefik.address").unwrap_or_default();
        if !address.starts_with("127.") && !address.starts_with("localhost:") {
            let next = format!("write --entrypoints.traefik.address=127.0.0.1:{inside}");
            judged.fail(format!("{} serves its API on every address of the host, port {inside}", proxy.name), next);
        }
    } else if open.is_empty() {
        judged.see(format!("the API of {} is published on loopback addresses only, or nowhere", proxy.name));
    } else {
        let what =
            format!("the API and dashboard of {} are published without a login on {}", proxy.name, open.join(", "));
        judged.fail(what, next);
    }
}

fn socket(proxy: &Container, judged: &mut Judged) {
    for bind in proxy.binds.iter().filter(|bind| bind.target.ends_with("docker.sock")) {
        if bind.writable {
            let what = format!("{} has the Docker socket mounted for writing", proxy.name);
            judged.warn(
                what,
                "mount it with :ro, or better put a proxy before it that lets only reading requests through",
            );
        } else {
            judged.see(format!("{} has the Docker socket mounted read-only", proxy.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{answers, asked, landscape};
    use super::*;
    use crate::domain::traefik::answers::{Middleware, Router};

    #[test]
    fn a_dashboard_on_loopback_and_pages_of_the_stacks_own_pass() {
        let (word, said) = asked(&CHECK, |_| {});
        assert!(word == "passed" && said.contains("published on loopback addresses only"), "{said}");
        let (word, said) = asked(&CHECK, |facts| {
            facts.intrusions[0].answers =
                vec![Ok(Answer { status: 200, body: b"our own dashboard".to_vec(), ..Answer::default() })];
        });
        assert_eq!(word, "passed", "{said}");
    }

    #[test]
    fn one_that_opens_through_a_public_door_fails() {
        for body in ["{\"Version\":\"3.7.15\",\"Codename\":\"langres\"}", "<html><head><title>Traefik Proxy</title>"] {
            let (word, said) = asked(&CHECK, |facts| {
                facts.intrusions[0].answers = vec![Ok(Answer { status: 200, body: body.into(), ..Answer::default() })];
            });
            assert!(word == "failed" && said.contains("opens Traefik"), "{said}");
        }
    }

    #[test]
    fn an_api_published_to_the_world_fails() {
        let open = |facts: &mut TraefikFacts| {
            let port = landscape(facts).containers[0].published.iter_mut().find(|p| p.inside == 8080).unwrap();
            port.address = "0.0.0.0".parse().unwrap();
        };
        let (word, said) = asked(&CHECK, open);
        assert!(word == "failed" && said.contains("published without a login on 0.0.0.0:8080"), "{said}");
        let (word, _) = asked(&CHECK, |facts| {
            open(facts);
            landscape(facts).containers[0].command.retain(|word| !word.contains("insecure"));
        });
        assert_eq!(word, "failed", "it answered without a login, whatever its arguments say");
        let (word, _) = asked(&CHECK, |facts| {
            open(facts);
            landscape(facts).containers[0].command.push("--api.insecure=false".into());
            landscape(facts).containers[0].command.retain(|word| word != "--api.insecure=true");
        });
        assert_eq!(word, "passed");
        assert_eq!(asked(&CHECK, |facts| landscape(facts).containers[0].host_network = true).0, "failed");
    }

    #[test]
    fn a_route_to_the_dashboard_needs_a_login() {
        let with = |guard: &'static str| {
            asked(&CHECK, |facts| {
                let all = answers(facts);
                let middlewares = vec!["guard".to_owned()];
                all.middlewares.push(Middleware {
                    name: "guard@docker".into(),
                    kind: guard.into(),
                    ..Middleware::default()
                });
                let router = Router {
                    name: "dash@docker".into(),
                    service: "api@internal".into(),
                    middlewares,
                    ..all.routers[0].clone()
                };
                all.routers.push(router);
            })
        };
        assert_eq!(with("basicauth").0, "passed");
        let (word, said) = with("headers");
        assert!(word == "failed" && said.contains("router dash@docker") && said.contains("without a login"), "{said}");
    }

    #[test]
    fn a_socket_for_writing_is_warned_of() {
        let (word, _) = asked(&CHECK, |facts| landscape(facts).containers[0].binds[0].writable = true);
        assert_eq!(word, "warning");
    }
}
