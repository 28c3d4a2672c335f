//! Whether encrypted routes present a certificate that browsers take, and whether plain requests are led to them. A resolver that does
//! not exist is no error for Traefik's API: only the certificate that is presented tells.

use crate::domain::check::{Check, Judged};
use crate::domain::place::Place;
use crate::domain::traefik::{Probe, TraefikFacts, became};
use crate::domain::web::{Certificate, Unanswered};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// Encrypted routes have a certificate of their own that fits and holds for a while yet.
pub static CHECK: Check<TraefikFacts> = Check {
    id: "tls",
    title: "certificates fit, hold, and plain requests are led to them",
    why: "an expired or foreign certificate locks every user out, on a day that was known for months",
    judge,
};

/// Renewal begins 30 days before the end (Let's Encrypt); after nine days without success somebody should look.
const SOON: SignedDuration = SignedDuration::from_hours(21 * 24);

fn judge(facts: &TraefikFacts) -> Judged {
    let mut judged = Judged::default();
    let encrypted = facts.probes.iter().any(|probe| probe.tls);
    if !encrypted {
        let Some(answers) = facts.answers.or_unknown(&mut judged) else { return judged };
        let uses = |router| became(answers, router).iter().any(|r| r.tls.is_some());
        if facts.routers().all(|(_, router)| router.resolver.is_none() && !uses(router)) {
            return Judged::skip("no route of the stack is encrypted");
        }
    }
    let mut seen = BTreeSet::new();
    for probe in facts.probes.iter().filter(|probe| probe.tls) {
        if seen.insert((&probe.host, &probe.door.address)) {
            certificate(facts, probe, &mut judged);
        }
    }
    for probe in &facts.plain {
        redirect(facts, probe, &mut judged);
    }
    judged
}

fn place<'f>(facts: &'f TraefikFacts, probe: &Probe) -> Option<&'f Place> {
    let (_, router) = facts.routers().find(|(_, router)| router.name == probe.router)?;
    Some(router.resolver.as_ref().map_or(&router.at, |(_, at)| at))
}

fn certificate(facts: &TraefikFacts, probe: &Probe, judged: &mut Judged) {
    let at = place(facts, probe);
    let shown = format!("{} through {} ({})", probe.host, probe.entrypoint, probe.door.address);
    let Some(found) = probe.answers.iter().flatten().find_map(|answer| answer.certificate.as_ref()) else {
        let why = probe.answers.iter().find_map(|answer| answer.as_ref().err());
        let why = why.map_or_else(|| "none was seen".to_owned(), Unanswered::to_string);
        let finding = judged
            .unknown(format!("{shown}: the certificate could not be looked at: {why}"), "see the check `endpoints`");
        at.map(|at| finding.at(at));
        return;
    };
    let wrong = faults(facts, probe, found);
    for (what, next) in &wrong {
        let finding = judged.fail(format!("{shown}: {what}"), next.clone());
        at.map(|at| finding.at(at));
    }
    if !wrong.is_empty() {
        return;
    }
    judged.see(format!("{shown}: {}, issued by {}, until {}", found.subject, found.issuer, day(found.until)));
    if found.until.duration_since(facts.now) < SOON {
        let left = found.until.duration_since(facts.now).as_hours() / 24;
        let what = format!("{shown}: the certificate ends in {left} days, on {}", day(found.until));
        let finding = judged.warn(what, "look in Traefik's log why it was not renewed");
        at.map(|at| finding.at(at));
    }
    if let Some(why) = &found.untrusted {
        let what = format!("{shown}: no authority that this host trusts vouches for the certificate: {why}");
        let finding = judged.warn(what, "let a public authority issue it, unless your users trust this one");
        at.map(|at| finding.at(at));
    }
}

fn faults(facts: &TraefikFacts, probe: &Probe, found: &Certificate) -> Vec<(String, String)> {
    let router = facts.routers().find(|(_, router)| router.name == probe.router).map(|(_, router)| router);
    let resolver = router.and_then(|router| router.resolver.as_ref()).map(|(name, _)| name.as_str());
    if found.subject.to_uppercase().contains("TRAEFIK DEFAULT CERT") {
        let of = match resolver {
            Some(name) => format!("resolver {name} gave none"),
            None => "no resolver is named and no file holds one".to_owned(),
        };
        let next = match resolver {
            Some(name) => {
                format!("see that Traefik knows a certificate resolver {name}; its log says why it gives nothing")
            }
            None => "write the label `tls.certresolver`, or give Traefik the certificate in a file".to_owned(),
        };
        return vec![(format!("Traefik presents its own default certificate: {of}"), next)];
    }
    let mut wrong = Vec::new();
    if !found.fits {
        let what = format!("the certificate is for {}, not for {}", found.subject, probe.host);
        wrong.push((what, "have one issued for this host".to_owned()));
    }
    if found.until < facts.now {
        let what = format!("the certificate ended on {}", day(found.until));
        wrong.push((what, "look in Traefik's log why it was not renewed".to_owned()));
    }
    if found.from > facts.now {
        let what = format!("the certificate holds only from {}", day(found.from));
        wrong.push((what, "see that the clocks are right".to_owned()));
    }
    wrong
}

fn redirect(facts: &TraefikFacts, probe: &Probe, judged: &mut Judged) {
    let at = place(facts, probe);
    let shown = probe.shown();
    let next = "redirect the plain entry point: `--entrypoints.web.http.redirections.entrypoint.to=websecure`";
    let finding = match probe.answers.first() {
        Some(Ok(answer)) => {
            let to = answer.header("location").unwrap_or_default();
            let moved = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
            if moved && to.to_ascii_lowercase().starts_with("https://") {
                judged.see(format!("{shown} leads to {to}"));
                return;
            }
            judged.fail(format!("{shown} answers {} and does not lead to https", answer.status), next)
        }
        Some(Err(Unanswered::Refused(_))) => {
            judged.see(format!("{shown}: nobody listens"));
            return;
        }
        Some(Err(error)) => judged.unknown(format!("{shown}: {error}"), "ask again"),
        None => judged.unknown(format!("{shown} was not asked"), "ask again"),
    };
    at.map(|at| finding.at(at));
}

fn day(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, wanted};
    use super::*;
    use crate::domain::web::Answer;

    fn with(change: impl Fn(&mut Certificate, Timestamp)) -> (String, String) {
        asked(&CHECK, |facts| {
            let now = facts.now;
            let probe = facts.probes.iter_mut().find(|probe| probe.tls).unwrap();
            probe.answers.iter_mut().flatten().filter_map(|a| a.certificate.as_mut()).for_each(|c| change(c, now));
        })
    }

    #[test]
    fn a_certificate_that_fits_and_holds_passes_and_no_encryption_is_skipped() {
        let (word, said) = with(|_, _| {});
        assert!(word == "passed" && said.contains("leads to https://shop.example/"), "{said}");
        let (word, _) = asked(&CHECK, |facts| {
            facts.probes.retain(|probe| !probe.tls);
            facts.wanted.retain(|routed| routed.name == "api");
        });
        assert_eq!(word, "skipped");
        assert_eq!(
            asked(&CHECK, |facts| facts.probes.retain(|probe| !probe.tls)).0,
            "passed",
            "only the redirect is seen"
        );
    }

    #[test]
    fn traefiks_default_certificate_fails_and_names_the_resolver() {
        let (word, said) = with(|c, _| c.subject = "CN=TRAEFIK DEFAULT CERT".into());
        assert!(word == "failed" && said.contains("compose.yaml:26"), "{said}");
        assert!(said.contains("its own default certificate: resolver le gave none"), "{said}");
        let (_, said) = asked(&CHECK, |facts| {
            wanted(facts, "web").routers[0].resolver = None;
            let probe = facts.probes.iter_mut().find(|probe| probe.tls).unwrap();
            let all = probe.answers.iter_mut().flatten().filter_map(|a| a.certificate.as_mut());
            all.for_each(|c| c.subject = "CN=TRAEFIK DEFAULT CERT".into());
        });
        assert!(said.contains("no resolver is named"), "{said}");
    }

    #[test]
    fn dates_and_names_are_judged() {
        let hours = SignedDuration::from_hours;
        assert_eq!(with(|c, now| c.until = now - hours(1)).0, "failed");
        assert_eq!(with(|c, now| c.from = now + hours(1)).0, "failed");
        assert_eq!(with(|c, _| c.fits = false).0, "failed");
        let (word, said) = with(|c, now| c.until = now + hours(20 * 24));
        assert!(word == "warning" && said.contains("ends in 20 days"), "{said}");
        assert_eq!(with(|c, now| c.until = now + hours(22 * 24)).0, "passed");
        assert_eq!(with(|c, _| c.untrusted = Some("unknown issuer".into())).0, "warning");
    }

    #[test]
    fn a_plain_request_that_is_not_led_to_https_fails() {
        let plain =
            |answer: Result<Answer, Unanswered>| asked(&CHECK, |facts| facts.plain[0].answers = vec![answer.clone()]);
        for status in [200, 404, 500] {
            assert_eq!(plain(Ok(Answer { status, ..Answer::default() })).0, "failed", "{status}");
        }
        let to =
            |to: &str| Ok(Answer { status: 301, headers: vec![("location".into(), to.into())], ..Answer::default() });
        assert_eq!(
            (plain(to("HTTPS://shop.example/")).0.as_str(), plain(to("/login")).0.as_str()),
            ("passed", "failed")
        );
        assert_eq!(plain(Err(Unanswered::Refused("h".into()))).0, "passed");
        assert_eq!(plain(Err(Unanswered::Late("h".into(), 5))).0, "broken");
    }
}
