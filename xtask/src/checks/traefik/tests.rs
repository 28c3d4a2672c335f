//! What the checks' tests start from: a stack in which everything is right, and what a real Traefik 3.7.15 answered of eleven routes.

use super::TRAEFIK;
use crate::domain::check::{Check, CheckRecord};
use crate::domain::compose::{ComposeProject, Network, Service};
use crate::domain::fact::Fact;
use crate::domain::landscape::{self, Attached, Bind, Container, Health, Landscape, Published};
use crate::domain::place::Place;
use crate::domain::traefik::answers::{self, Answers, LoadBalancer, Server, Tls};
use crate::domain::traefik::proxy::Door;
use crate::domain::traefik::wanted::{Routed, routed};
use crate::domain::traefik::{Probe, TraefikFacts};
use crate::domain::web::{Answer, Certificate};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Asks one check after changing the facts: its word, and all that it said.
pub(super) fn asked(check: &Check<TraefikFacts>, change: impl FnOnce(&mut TraefikFacts)) -> (String, String) {
    let mut facts = good();
    change(&mut facts);
    told(check, &facts)
}

fn told(check: &Check<TraefikFacts>, facts: &TraefikFacts) -> (String, String) {
    let record = CheckRecord::of(check, &facts.stack, facts);
    let findings = record.findings.iter().map(|finding| format!("{} (next: {})", finding.sentence(), finding.next));
    let said: Vec<String> = findings.chain(record.seen.iter().cloned()).collect();
    (record.word().to_owned(), said.join("\n"))
}

/// Asks one check of these routes of the real Traefik.
pub(super) fn captured(check: &Check<TraefikFacts>, names: &[&str]) -> (String, String) {
    let mut facts = good();
    let labels = |name: &&str| {
        let rule = facts_of_fixtures().routers.into_iter().find(|r| r.name == format!("{name}@docker")).unwrap().rule;
        service(
            name,
            10,
            vec![("traefik.enable", "true"), (leaked(format!("traefik.http.routers.{name}.rule")), leaked(rule))],
        )
    };
    let services = names.iter().map(|name| ((*name).to_owned(), labels(name))).collect();
    facts.wanted = routed(&ComposeProject { services, ..project() });
    facts.answers = Fact::Known(facts_of_fixtures());
    told(check, &facts)
}

fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn facts_of_fixtures() -> Answers {
    let version: answers::Version =
        serde_json::from_str(include_str!("../../../../fixtures/traefik/version.json")).unwrap();
    Answers {
        version: version.version,
        entrypoints: serde_json::from_str(include_str!("../../../../fixtures/traefik/entrypoints.json")).unwrap(),
        routers: serde_json::from_str(include_str!("../../../../fixtures/traefik/routers.json")).unwrap(),
        services: serde_json::from_str(include_str!("../../../../fixtures/traefik/services.json")).unwrap(),
        middlewares: serde_json::from_str(include_str!("../../../../fixtures/traefik/middlewares.json")).unwrap(),
    }
}

pub(super) fn landscape(facts: &mut TraefikFacts) -> &mut Landscape {
    let Fact::Known(landscape) = &mut facts.landscape else { panic!("unknown") };
    landscape
}

pub(super) fn answers(facts: &mut TraefikFacts) -> &mut Answers {
    let Fact::Known(answers) = &mut facts.answers else { panic!("unknown") };
    answers
}

pub(super) fn of_service<'f>(facts: &'f mut TraefikFacts, service: &str) -> &'f mut Container {
    landscape(facts).containers.iter_mut().find(|c| c.service() == Some(service)).unwrap()
}

pub(super) fn wanted<'f>(facts: &'f mut TraefikFacts, service: &str) -> &'f mut Routed {
    facts.wanted.iter_mut().find(|routed| routed.name == service).unwrap()
}

fn service(name: &str, line: usize, labels: Vec<(&'static str, &'static str)>) -> Service {
    let places = labels.iter().enumerate();
    Service {
        name: name.into(),
        at: Place::new("compose.yaml", line, 3),
        image: None,
        working_dir: None,
        environment: BTreeMap::new(),
        mounts: Vec::new(),
        healthcheck: true,
        label_places: places
            .map(|(n, (k, _))| ((*k).to_owned(), Place::new("compose.yaml", line + n + 1, 7)))
            .collect(),
        labels: labels.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        networks: vec!["internal".into(), "public".into()],
        depends_on: Vec::new(),
    }
}

fn project() -> ComposeProject {
    let api = service(
        "api",
        10,
        vec![
            ("traefik.enable", "true"),
            ("traefik.docker.network", "traefik-public"),
            ("traefik.http.routers.api.rule", "Host(`shop.example`) && PathPrefix(`/api`)"),
            ("traefik.http.routers.api.entrypoints", "web"),
            ("traefik.http.services.api.loadbalancer.server.port", "8000"),
        ],
    );
    let web = service(
        "web",
        20,
        vec![
            ("traefik.enable", "true"),
            ("traefik.docker.network", "traefik-public"),
            ("traefik.http.routers.web.rule", "Host(`shop.example`)"),
            ("traefik.http.routers.web.entrypoints", "websecure"),
            ("traefik.http.routers.web.middlewares", "strip"),
            ("traefik.http.routers.web.tls.certresolver", "le"),
            ("traefik.http.services.web.loadbalancer.server.port", "80"),
        ],
    );
    let public = Network { name: "traefik-public".into(), external: true, at: Place::new("compose.yaml", 40, 3) };
    ComposeProject {
        name: "shop".into(),
        services: [("api".to_owned(), api), ("web".to_owned(), web)].into(),
        networks: [("public".to_owned(), public)].into(),
        ..ComposeProject::default()
    }
}

fn attached(address: &str) -> BTreeMap<String, Attached> {
    let place = Attached { network: "n1".into(), addresses: vec![address.parse().unwrap()] };
    [("traefik-public".to_owned(), place)].into()
}

fn container(project: &ComposeProject, service: &str, address: &str) -> Container {
    let mut labels = project.services[service].labels.clone();
    labels.insert("com.docker.compose.project".into(), "shop".into());
    labels.insert("com.docker.compose.service".into(), service.into());
    let mut networks = attached(address);
    networks.insert("shop_internal".into(), Attached { network: "n3".into(), addresses: Vec::new() });
    Container {
        name: format!("shop-{service}-1"),
        state: "running".into(),
        health: Health::Healthy,
        labels,
        networks,
        ..Container::default()
    }
}

fn probe(router: &str, tls: bool, path: &str, door: &Door, answer: Answer, times: usize) -> Probe {
    Probe {
        router: router.into(),
        entrypoint: if tls { "websecure" } else { "web" }.into(),
        door: door.clone(),
        tls,
        host: "shop.example".into(),
        path: path.into(),
        answers: vec![Ok(answer); times],
    }
}

/// A stack in which everything is right.
fn good() -> TraefikFacts {
    let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    let project = project();
    let port = |inside: u16| Published { address: "127.0.0.1".parse().unwrap(), port: inside, inside };
    let words = ["/traefik", "--api.insecure=true", "--providers.docker.exposedbydefault=false"];
    let proxy = Container {
        name: "traefik-1".into(),
        image: "traefik:v3.3".into(),
        command: words.map(str::to_owned).to_vec(),
        state: "running".into(),
        health: Health::Healthy,
        networks: attached("10.0.0.2"),
        published: vec![port(80), port(443), port(8080)],
        binds: vec![Bind { source: "/run/docker.sock".into(), target: "/var/run/docker.sock".into(), writable: false }],
        ..Container::default()
    };
    let door = |port: u16| Door { address: format!("127.0.0.1:{port}"), published: true };
    let service = |name: &str, url: &str| answers::Service {
        name: format!("{name}@docker"),
        status: "enabled".into(),
        load_balancer: Some(LoadBalancer { servers: vec![Server { url: url.into() }] }),
        server_status: [(url.to_owned(), "UP".to_owned())].into(),
        ..Default::default()
    };
    let router = |name: &str, rule: &str, door: &str, priority| answers::Router {
        name: format!("{name}@docker"),
        rule: rule.into(),
        entry_points: vec![door.into()],
        using: vec![door.into()],
        service: name.into(),
        status: "enabled".into(),
        priority,
        tls: (door == "websecure").then(Tls::default),
        ..Default::default()
    };
    let strip = answers::Middleware {
        name: "strip@docker".into(),
        status: "enabled".into(),
        kind: "stripprefix".into(),
        ..Default::default()
    };
    let doors = ["web", "websecure"].map(|name| answers::Entrypoint { name: name.into(), address: String::new() });
    let ok = Answer { status: 200, ..Answer::default() };
    let certificate = Certificate {
        subject: "CN=shop.example".into(),
        issuer: "CN=R11".into(),
        from: now - SignedDuration::from_hours(24),
        until: now + SignedDuration::from_hours(24 * 60),
        fits: true,
        untrusted: None,
    };
    let moved = vec![("location".to_owned(), "https://shop.example/".to_owned())];
    let not_found = Answer { status: 404, ..Answer::default() };
    TraefikFacts {
        stack: "shop".into(),
        project: "shop".into(),
        now,
        wanted: routed(&project),
        remote: None,
        landscape: Fact::Known(Landscape {
            containers: vec![proxy, container(&project, "api", "10.0.0.3"), container(&project, "web", "10.0.0.4")],
            networks: vec![landscape::Network {
                id: "n1".into(),
                name: "traefik-public".into(),
                driver: "bridge".into(),
            }],
        }),
        api: Some("http://127.0.0.1:8080".into()),
        answers: Fact::Known(Answers {
            version: "3.7.15".into(),
            entrypoints: doors.to_vec(),
            routers: vec![
                router("api", "Host(`shop.example`) && PathPrefix(`/api`)", "web", 42),
                router("web", "Host(`shop.example`)", "websecure", 20),
            ],
            services: vec![service("api", "http://10.0.0.3:8000"), service("web", "http://10.0.0.4:80")],
            middlewares: vec![strip],
        }),
        doors: [("web".to_owned(), door(80)), ("websecure".to_owned(), door(443))].into(),
        unasked: Vec::new(),
        probes: vec![
            probe("api", false, "/api", &door(80), ok.clone(), 3),
            probe("web", true, "/", &door(443), Answer { certificate: Some(certificate), ..ok }, 3),
        ],
        plain: vec![probe(
            "web",
            false,
            "/",
            &door(80),
            Answer { status: 301, headers: moved, ..Answer::default() },
            1,
        )],
        intrusions: vec![probe("", false, "/dashboard/", &door(80), not_found, 1)],
    }
}

#[test]
fn a_stack_in_which_everything_is_right_passes_whole() {
    for check in TRAEFIK {
        let (word, said) = told(check, &good());
        assert_eq!(word, "passed", "{}: {said}", check.id);
    }
}

#[test]
fn what_nobody_could_see_passes_nowhere() {
    let mut facts = good();
    facts.landscape = Fact::Unknown("no engine".into());
    facts.answers = Fact::Unknown("no answer".into());
    (facts.probes, facts.plain, facts.intrusions) = (Vec::new(), Vec::new(), Vec::new());
    for check in TRAEFIK {
        let word = told(check, &facts).0;
        assert!(word == "broken", "{}: {word}", check.id);
    }
}

#[test]
fn names_are_unique_and_every_check_says_why_it_matters() {
    for (n, check) in TRAEFIK.iter().enumerate() {
        assert!(!check.title.is_empty() && !check.why.is_empty());
        assert!(check.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", check.id);
        assert!(TRAEFIK.iter().skip(n + 1).all(|other| other.id != check.id), "{}", check.id);
    }
}
