//! The gathering against a made-up engine and web: what is asked, where, and what is never sent.

use super::*;
use crate::adapters::fake::{FakeSurroundings, FakeWeb, ManualClock};
use crate::domain::compose::Service;
use crate::domain::landscape::{Attached, Published};
use crate::domain::place::Place;
use crate::domain::secret::Secret;
use crate::domain::web::{Answer, Ask, Over, Unanswered};

fn compose() -> ComposeProject {
    let labels = [
        ("traefik.enable", "true"),
        ("traefik.http.routers.web.rule", "Host(`shop.example`) && PathPrefix(`/x`)"),
        ("traefik.http.routers.web.entrypoints", "websecure"),
    ];
    let service = Service {
        name: "web".into(),
        at: Place::new("compose.yaml", 3, 3),
        image: None,
        working_dir: None,
        environment: BTreeMap::new(),
        mounts: Vec::new(),
        healthcheck: true,
        labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        label_places: BTreeMap::new(),
        networks: Vec::new(),
        depends_on: Vec::new(),
    };
    let services = [("web".to_owned(), service)].into();
    ComposeProject { name: "shop".into(), services, ..ComposeProject::default() }
}

fn stack(api: Option<Api>) -> Stack {
    let project = crate::domain::project::tests::project(&["shop"]);
    let mut stack = project.stacks.into_iter().next().unwrap();
    stack.traefik.api = api;
    stack
}

fn api(host: &str, tls: bool) -> Api {
    Api { tls, host: host.into(), port: 8080, login_from: None, login: None }
}

fn landscape() -> Landscape {
    let port = |inside| Published { address: "0.0.0.0".parse().unwrap(), port: inside + 10_000, inside };
    let attached = Attached { network: "n1".into(), addresses: vec!["10.0.0.2".parse().unwrap()] };
    let proxy = Container {
        name: "traefik-1".into(),
        image: "traefik:3".into(),
        command: vec!["/traefik".into(), "--entrypoints.traefik.address=:9000".into()],
        state: "running".into(),
        networks: [("public".to_owned(), attached)].into(),
        published: vec![port(80), port(443)],
        ..Container::default()
    };
    Landscape { containers: vec![proxy], networks: Vec::new() }
}

/// A web in which Traefik's API is, with one encrypted route, and whose doors answer 200.
fn web() -> FakeWeb {
    FakeWeb::new(|ask| {
        let body = match ask.path.split('?').next().unwrap() {
            "/api/version" if ask.host != "127.0.0.1" => r#"{"Version":"3.7.15"}"#,
            "/api/entrypoints" => {
                r#"[{"name":"traefik","address":":9000"},{"name":"web","address":":80"},{"name":"websecure","address":":443"}]"#
            }
            "/api/http/routers" => {
                r#"[{"name":"web@docker","rule":"Host(`shop.example`) && PathPrefix(`/x`)","using":["websecure"],
                    "service":"web","status":"enabled","priority":40,"tls":{"certResolver":"le"}}]"#
            }
            "/api/http/services" | "/api/http/middlewares" => "[]",
            _ => "",
        };
        Ok(Answer { status: 200, body: body.into(), ..Answer::default() })
    })
}

fn gathered(web: &FakeWeb, around: Result<Landscape, String>, api: Option<Api>) -> TraefikFacts {
    let (clock, surroundings) = (ManualClock::default(), FakeSurroundings(around));
    let eyes = Eyes { clock: &clock, surroundings: &surroundings, web };
    gather(&eyes, &stack(api), Some(&compose())).unwrap()
}

#[test]
fn the_api_is_asked_at_the_container_and_the_doors_where_they_are_published() {
    let web = web();
    let facts = gathered(&web, Ok(landscape()), None);
    assert_eq!(facts.api.as_deref(), Some("http://10.0.0.2:9000"), "it is published nowhere");
    assert_eq!(facts.doors["websecure"].address, "127.0.0.1:10443");
    let probe = &facts.probes[0];
    assert_eq!(
        (probe.tls, probe.host.as_str(), probe.path.as_str(), probe.answers.len()),
        (true, "shop.example", "/x", 3)
    );
    assert_eq!((facts.plain.len(), facts.plain[0].door.address.as_str()), (1, "127.0.0.1:10080"));
    assert_eq!(facts.intrusions.len(), 8, "two pages at two public doors, plain and encrypted; not at Traefik's own");
    assert!(facts.unasked.is_empty());
}

#[test]
fn a_configured_api_and_configured_doors_are_asked_instead_and_nothing_here_is_looked_at() {
    let web = web();
    let facts = gathered(&web, Ok(landscape()), Some(api("proxy.example", true)));
    assert_eq!(facts.remote.as_deref(), Some("https://proxy.example:8080"));
    assert!(matches!(facts.landscape, Fact::Unknown(_)));
    assert!(web.asked().iter().all(|ask| ask.over == Over::TrustedTls), "nothing else could be asked");
    assert_eq!(facts.unasked[0].1, "where entry point websecure can be reached is not known");
}

#[test]
fn a_login_goes_to_the_api_alone_and_one_that_is_not_set_asks_nothing() {
    let web = web();
    let login = |login| Api { login_from: Some("LOGIN".into()), login, ..api("127.0.0.1", false) };
    let facts = gathered(&web, Ok(landscape()), Some(login(Some(Secret::new("ops:canary")))));
    assert!(facts.remote.is_none());
    let asked = web.asked();
    let (with, without): (Vec<&Ask>, Vec<&Ask>) = asked.iter().partition(|ask| ask.login.is_some());
    assert!(with.len() == 5 && with.iter().all(|ask| ask.address == "127.0.0.1:8080"), "{with:?}");
    assert!(without.iter().all(|ask| ask.address != "127.0.0.1:8080"));
    assert!(!format!("{facts:?}").contains("canary"));
    let silent = FakeWeb::new(|ask| Err(Unanswered::Refused(ask.address.clone())));
    let facts = gathered(&silent, Ok(landscape()), Some(login(None)));
    assert!(matches!(&facts.answers, Fact::Unknown(why) if why.contains("variable `LOGIN`")), "{:?}", facts.answers);
    assert!(silent.asked().is_empty());
}

#[test]
fn what_is_not_traefiks_api_is_not_taken_for_it() {
    for (status, header, body, why) in [
        (401, "1", "", "wants a login (401)"),
        (404, "1", "", "answers 404: is this Traefik's API"),
        (503, "1", "", "answers 503"),
        (200, "1", "<html>", "does not answer as Traefik's API does"),
        (200, "2", "[]", "has more than 10000 entries"),
    ] {
        let web = FakeWeb::new(move |_| {
            let headers = vec![("x-next-page".to_owned(), header.to_owned())];
            Ok(Answer { status, headers, body: body.into(), ..Answer::default() })
        });
        let facts = gathered(&web, Ok(landscape()), None);
        assert!(matches!(&facts.answers, Fact::Unknown(said) if said.contains(why)), "{why}: {:?}", facts.answers);
        assert!(facts.probes.is_empty() && facts.doors.is_empty());
    }
}

#[test]
fn without_an_engine_or_with_two_traefiks_nobody_is_asked() {
    let silent = web();
    let facts = gathered(&silent, Err("no engine".into()), None);
    assert!(matches!(&facts.landscape, Fact::Unknown(why) if why == "no engine"));
    let mut two = landscape();
    two.containers.push(Container { name: "other".into(), ..two.containers[0].clone() });
    let facts_of_two = gathered(&silent, Ok(two), None);
    assert!(silent.asked().is_empty() && facts.api.is_none() && facts_of_two.api.is_none());
}

#[test]
fn a_stack_without_routes_is_refused_and_no_success() {
    let (clock, surroundings, web) = (ManualClock::default(), FakeSurroundings(Ok(landscape())), web());
    let eyes = Eyes { clock: &clock, surroundings: &surroundings, web: &web };
    for compose in [None, Some(&ComposeProject::default())] {
        let error = gather(&eyes, &stack(None), compose).unwrap_err();
        assert_eq!(Refusal::within(&error).map(|r| r.kind), Some(RefusalKind::Configuration));
    }
}

#[test]
fn a_route_that_hangs_is_not_asked_again() {
    let api = web();
    let web = FakeWeb::new(move |ask| match ask.path.starts_with("/api/") && ask.address.ends_with(":9000") {
        true => api.ask(ask, PATIENCE),
        false => Err(Unanswered::Late(ask.address.clone(), 5)),
    });
    let facts = gathered(&web, Ok(landscape()), None);
    assert_eq!(facts.probes[0].answers.len(), 1);
}
