//! `validate-traefik` against a real Traefik: a stack whose routes are right passes whole, and each fault of one whose routes are all
//! wrong is found and named, with the line that is to blame.

mod images;
mod rig;

use crate::docker_rig::docker;
use rig::Rig;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(90);

/// What must be found of each service: the check, and the beginning of what it says.
fn faults(rig: &Rig) -> Vec<(&'static str, String)> {
    let bad = |line: usize, what: &str| format!("{}:{line}: {what}", rig.file("bad.yaml").display());
    let clash = "router clash and router rival of project";
    vec![
        ("routers", bad(14, "router badrule is disabled: error while parsing rule")),
        ("endpoints", bad(26, "http://badport.example/ through web")),
        ("endpoints", "502: nobody answers Traefik at port 81 of service badport".to_owned()),
        ("routers", bad(34, "router twin is not in Traefik: it is defined several times, differently: by")),
        ("routers", bad(44, "router twin is not in Traefik: it is defined several times, differently: by")),
        ("attachments", format!("in network {}_default, in which Traefik", rig.project("bad"))),
        ("endpoints", bad(55, "http://elsewhere.example/ through web")),
        ("containers", format!("{}-sick-1 is unhealthy: Traefik leaves it out", rig.project("bad"))),
        ("routers", bad(65, "router sick is not in Traefik: ")),
        ("routers", bad(80, "router nomiddleware is disabled: middleware \"auth@docker\" does not exist")),
        ("middlewares", bad(82, "middleware auth@docker of router nomiddleware does not exist")),
        ("rules", bad(91, clash)),
        ("tls", "Traefik presents its own default certificate: resolver nosuch gave none".to_owned()),
        ("tls", "http://secure.example/ through web".to_owned()),
        (
            "dashboard",
            bad(106, "router open@docker (Host(`dashboard.example`)) leads to the dashboard through web, without"),
        ),
    ]
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a poll with a deadline reads a clock")]
fn docker_a_good_stack_passes_whole_and_each_fault_of_a_bad_one_is_found_and_named() {
    let Some(rig) = Rig::open("docker_a_good_stack_passes_whole_and_each_fault_of_a_bad_one_is_found_and_named") else {
        return;
    };
    rig.up("good", &["--wait"]);
    let until = Instant::now() + PATIENCE;
    // Traefik hears of a container some moments after it became well.
    let (code, report) = rig.until(until, "good", |code, _| code == 0);
    let words: Vec<(&str, &str)> = report.checks().collect();
    assert_eq!(words.len(), 12, "{words:?}");
    let green = |word: &str| matches!(word, "passed" | "skipped");
    assert!(code == 0 && words.iter().all(|(id, word)| green(word) || *id == "proxy"), "{}", report.text);
    let skipped: Vec<&str> = words.iter().filter(|(_, word)| *word == "skipped").map(|(id, _)| *id).collect();
    assert_eq!(skipped, ["middlewares", "tls"], "what the stack does not use");

    rig.up("rival", &[]);
    rig.up("bad", &[]);
    let faults = faults(&rig);
    let missing = |report: &rig::Said| {
        let absent = faults.iter().filter(|(check, what)| !report.says(check, what));
        absent.cloned().collect::<Vec<_>>()
    };
    let (code, report) = rig.until(until, "bad", |_, report| missing(report).is_empty());
    assert_eq!(missing(&report), [], "{}", report.text);
    assert_eq!(code, 1);
    // A fault of the one stack is none of the other's, except that the dashboard is open for all.
    let (code, report) = rig.validate("good");
    let failed: Vec<&str> = report.checks().filter(|(_, word)| *word == "failed").map(|(id, _)| id).collect();
    assert_eq!((code, failed), (1, vec!["dashboard"]), "{}", report.text);

    // A label that was changed since the container was made, and a container that is gone.
    let good = rig.file("good.yaml");
    let text = std::fs::read_to_string(&good).unwrap();
    std::fs::write(&good, text.replace("Host(`shop.example`)", "Host(`new.example`)")).unwrap();
    let (_, report) = rig.validate("good");
    assert!(report.says("labels", "another value of label traefik.http.routers.shop.rule"), "{}", report.text);
    assert!(
        report.says("routers", "has the rule Host(`shop.example`), not the file's Host(`new.example`)"),
        "{}",
        report.text
    );
    std::fs::write(&good, text).unwrap();
    docker(&["stop", "--time", "0", &format!("{}-shop-1", rig.project("good"))]).unwrap();
    let (code, report) =
        rig.until(until, "good", |_, report| report.says("routers", "no container of service shop runs"));
    assert!(code == 1 && report.says("containers", "shop-1 is exited"), "{}", report.text);
}
