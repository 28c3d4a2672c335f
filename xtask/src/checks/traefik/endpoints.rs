//! Whether requests through the doors are answered by the stack. This is what users see; everything else explains it.

use super::up;
use crate::domain::check::{Check, Judged};
use crate::domain::place::Place;
use crate::domain::traefik::wanted::Routed;
use crate::domain::traefik::{Probe, TraefikFacts};
use crate::domain::web::{Answer, Unanswered};

/// A request to each route is answered, below 500 and not by Traefik's own 404.
pub static CHECK: Check<TraefikFacts> = Check {
    id: "endpoints",
    title: "a request through the entry point is answered by the stack",
    why: "it is what a user meets; every other sign may be green while this one is red",
    judge,
};

fn judge(facts: &TraefikFacts) -> Judged {
    let mut judged = Judged::default();
    for (router, why) in &facts.unasked {
        let place = facts.routers().find(|(_, r)| r.name == *router).map(|(_, r)| &r.at);
        let what = format!("router {router} could not be asked: {why}");
        let found = judged.unknown(what, "ask it by hand, or name its door: `traefik.entrypoints` in recovery.yaml");
        if let Some(place) = place {
            found.at(place);
        }
    }
    for probe in &facts.probes {
        if let Some((routed, router)) = facts.routers().find(|(_, router)| router.name == probe.router) {
            one(facts, routed, &router.at, probe, &mut judged);
        }
    }
    judged
}

fn one(facts: &TraefikFacts, routed: &Routed, at: &Place, probe: &Probe, judged: &mut Judged) {
    let shown = probe.shown();
    let total = probe.answers.len();
    let bad: Vec<&Result<Answer, Unanswered>> = probe.answers.iter().filter(|answer| wrong(answer).is_some()).collect();
    let Some(first) = bad.first() else {
        let statuses: Vec<String> = probe.answers.iter().flatten().map(|a| a.status.to_string()).collect();
        if statuses.is_empty() {
            judged.unknown(format!("{shown} was not asked"), "ask again").at(at);
            return;
        }
        judged.see(format!("{shown} answers {}", statuses.join(", ")));
        if !probe.door.published {
            let what = format!("entry point {} is published nowhere: it was asked at the container", probe.entrypoint);
            judged.warn(what, "publish its port in Traefik's own Compose file").at(at);
        }
        return;
    };
    let often = if bad.len() == total { String::new() } else { format!(" ({} of {total} times)", bad.len()) };
    let (what, place, next) = cause(facts, routed, at, first);
    judged.fail(format!("{shown}{often}: {what}"), next).at(place);
}

/// Nothing for an answer of the stack's.
fn wrong(answer: &Result<Answer, Unanswered>) -> Option<()> {
    match answer {
        Ok(answer) if answer.status < 500 && !of_traefik(answer) => None,
        _ => Some(()),
    }
}

/// Traefik's own answer for what nobody routes. A program in Go that answers so too cannot be told from it.
fn of_traefik(answer: &Answer) -> bool {
    let own = answer.status == 404 && answer.body == b"404 page not found\n";
    own && answer.header("x-content-type-options") == Some("nosniff")
}

fn cause<'r>(
    facts: &TraefikFacts,
    routed: &'r Routed,
    at: &'r Place,
    answer: &Result<Answer, Unanswered>,
) -> (String, &'r Place, String) {
    let logs = format!("docker compose -p {} logs --tail 50 {}", facts.project, routed.name);
    match answer {
        Err(late @ Unanswered::Late(..)) => {
            let what = format!("{late}; Traefik may not reach the container's network");
            (what, at, "see the checks `attachments` and `network`".to_owned())
        }
        Err(refused @ Unanswered::Refused(_)) => {
            (refused.to_string(), at, "see that Traefik publishes this entry point's port".to_owned())
        }
        Err(other) => (other.to_string(), at, "see the check `proxy`".to_owned()),
        Ok(answer) => match answer.status {
            404 => {
                let what = "404, word for word Traefik's own answer for what nobody routes".to_owned();
                (what, at, "see the check `routers`".to_owned())
            }
            502 => {
                let port = routed.ports().first().map_or("its port".to_owned(), |l| format!("port {}", l.value));
                let what = format!("502: nobody answers Traefik at {port} of service {}", routed.name);
                (
                    what,
                    routed.port_at(),
                    format!("write the port that the program listens on; then {}", up(facts, &routed.name)),
                )
            }
            503 => ("503: Traefik has no server for it".to_owned(), at, "see the check `backends`".to_owned()),
            504 => {
                let what = "504: Traefik waited in vain for the container".to_owned();
                (what, at, "see the checks `attachments` and `network`".to_owned())
            }
            status => (format!("{status}"), at, logs),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::asked;
    use super::*;

    fn first(answer: Result<Answer, Unanswered>) -> (String, String) {
        asked(&CHECK, |facts| facts.probes[0].answers[2] = answer.clone())
    }

    fn status(status: u16) -> Result<Answer, Unanswered> {
        Ok(Answer { status, ..Answer::default() })
    }

    #[test]
    fn answers_of_the_stack_pass_even_when_they_refuse() {
        let (word, said) = asked(&CHECK, |_| {});
        assert!(
            word == "passed"
                && said.contains("http://shop.example/api through web (127.0.0.1:80) answers 200, 200, 200"),
            "{said}"
        );
        for code in [204, 301, 401, 404] {
            assert_eq!(first(status(code)).0, "passed", "{code}");
        }
    }

    #[test]
    fn an_error_a_silence_and_traefiks_own_404_fail() {
        let (word, said) = first(status(502));
        assert!(word == "failed" && said.contains("compose.yaml:15: http://shop.example/api"), "{said}");
        assert!(said.contains("(1 of 3 times): 502: nobody answers Traefik at port 8000 of service api"), "{said}");
        for code in [500, 503, 504] {
            assert_eq!(first(status(code)).0, "failed", "{code}");
        }
        let (word, said) = first(Err(Unanswered::Late("127.0.0.1:80".into(), 5)));
        assert!(word == "failed" && said.contains("127.0.0.1:80: no answer within 5 s"), "{said}");
        assert_eq!(first(Err(Unanswered::Refused("127.0.0.1:80".into()))).0, "failed");
        let headers = vec![("x-content-type-options".to_owned(), "nosniff".to_owned())];
        let own = Answer { status: 404, headers, body: b"404 page not found\n".to_vec(), ..Answer::default() };
        let (word, said) = first(Ok(own));
        assert!(word == "failed" && said.contains("Traefik's own answer"), "{said}");
    }

    #[test]
    fn what_was_not_asked_is_unknown() {
        assert_eq!(
            asked(&CHECK, |facts| facts.unasked.push(("api".into(), "it asks for ClientIP too".into()))).0,
            "broken"
        );
        assert_eq!(asked(&CHECK, |facts| facts.probes.clear()).0, "broken");
        assert_eq!(asked(&CHECK, |facts| facts.probes[0].answers.clear()).0, "broken");
    }
}
