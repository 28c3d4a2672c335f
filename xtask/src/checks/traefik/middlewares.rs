//! Whether the middlewares that routes pass through are there. One that is missing disables its route.

use crate::domain::check::{Check, Judged};
use crate::domain::traefik::answers::qualified;
use crate::domain::traefik::{TraefikFacts, works};

/// Each middleware that a router names exists and is enabled.
pub static CHECK: Check<TraefikFacts> = Check {
    id: "middlewares",
    title: "each middleware exists and is enabled",
    why: "a route whose middleware is missing answers 404; one that lost its login is open to everybody",
    judge,
};

fn judge(facts: &TraefikFacts) -> Judged {
    if facts.routers().all(|(_, router)| router.middlewares.is_empty()) {
        return Judged::skip("no router of the stack names a middleware");
    }
    let mut judged = Judged::default();
    let Some(answers) = facts.answers.or_unknown(&mut judged) else { return judged };
    for (_, router) in facts.routers() {
        for (name, at) in &router.middlewares {
            let full = qualified(name, &format!("{}@docker", router.name));
            let of = format!("middleware {full} of router {}", router.name);
            let next =
                format!("define `traefik.http.middlewares.{name}` on a container that runs, or take the name off");
            match answers.middlewares.iter().find(|middleware| middleware.name == full) {
                None => {
                    judged.fail(format!("{of} does not exist"), next).at(at);
                }
                Some(found) if !works(&found.status) || !found.error.is_empty() => {
                    judged.fail(format!("{of} is {}: {}", found.status, found.error.join("; ")), "correct it").at(at);
                }
                Some(found) => judged.see(format!("{of} is a {}", found.kind)),
            }
        }
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::super::tests::{answers, asked, wanted};
    use super::*;

    #[test]
    fn middlewares_that_are_there_pass_and_none_is_skipped() {
        let (word, said) = asked(&CHECK, |_| {});
        assert!(word == "passed" && said.contains("middleware strip@docker of router web is a stripprefix"), "{said}");
        assert_eq!(asked(&CHECK, |facts| wanted(facts, "web").routers[0].middlewares.clear()).0, "skipped");
    }

    #[test]
    fn one_that_is_missing_or_broken_fails_where_it_is_named() {
        let (word, said) = asked(&CHECK, |facts| answers(facts).middlewares.clear());
        assert!(
            word == "failed" && said.contains("compose.yaml:25: middleware strip@docker of router web does not"),
            "{said}"
        );
        let (word, said) = asked(&CHECK, |facts| {
            answers(facts).middlewares[0].status = "disabled".into();
            answers(facts).middlewares[0].error = vec!["invalid prefix".into()];
        });
        assert!(word == "failed" && said.contains("is disabled: invalid prefix"), "{said}");
    }
}
