//! Whether everything that holds data is backed up, or somebody said why it need not be.

use crate::domain::check::{Check, Judged};
use crate::domain::fact::BackupFacts;
use crate::domain::refusal::RefusalKind;

/// Every volume, folder and database service is covered by a store, or waived with a reason.
pub static CHECK: Check<BackupFacts> = Check {
    id: "inventory",
    title: "everything that holds data is covered or waived",
    why: "what nobody thought of is what is missing after the disaster",
    judge,
};

fn judge(facts: &BackupFacts) -> Judged {
    let mut judged = Judged::default();
    if facts.stores.is_empty() {
        judged
            .fail("the stack has no store: nothing of it is backed up", "describe its stores: cargo xtask init")
            .kind(RefusalKind::MissingStore);
        return judged;
    }
    let Some(coverage) = &facts.coverage else {
        return Judged::skip(format!(
            "the stack has no Compose file: nobody can say what else holds data beside {}",
            names(facts)
        ));
    };
    for unseen in &coverage.unseen {
        judged.unknown(
            unseen.clone(),
            "name the files it comes from with `compose:` in recovery.yaml, or write it out in place",
        );
    }
    for gap in &coverage.gaps {
        match coverage.waiver(gap) {
            Some(waiver) => judged.see(format!("{} is waived: {}", waiver.name, waiver.because)),
            None => {
                let name = gap.names.last().map_or("its-name", String::as_str);
                let next = format!(
                    "describe a store for it in recovery.yaml, or say why it needs none:  waivers: {{ {name:?}: \"…\" }}"
                );
                judged.fail(gap.what.clone(), next).at(&gap.at);
            }
        }
    }
    let bare: Vec<&str> = coverage.bare().map(String::as_str).collect();
    if !bare.is_empty() {
        let what = format!("{} mounts nothing: what it writes is gone with its container", bare.join(", "));
        judged.warn(what, "if that is data, mount a volume there; if not, waive it by its service");
    }
    for waiver in coverage.idle() {
        let what = format!("the waiver of `{}` waives nothing that is there", waiver.name);
        judged.warn(what, "correct its name, or remove it").at(&waiver.at);
    }
    judged.see(format!("{} places that hold data; stores: {}", coverage.places.len(), names(facts)));
    judged
}

fn names(facts: &BackupFacts) -> String {
    facts.stores.keys().cloned().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::asked;
    use super::*;
    use crate::domain::coverage::{Coverage, Gap, Waiver};
    use crate::domain::place::Place;

    fn gap(facts: &mut BackupFacts) -> &mut Coverage {
        let at = Place::new("compose.yaml", 9, 7);
        let what = "volume uploads (service api, /uploads) is covered by no store".into();
        let coverage = facts.coverage.get_or_insert_default();
        coverage.gaps.push(Gap { what, at, names: vec!["uploads".into()], writers: vec!["api".into()] });
        coverage
    }

    fn waiver(name: &str) -> Waiver {
        Waiver { name: name.into(), because: "made anew".into(), at: Place::new("recovery.yaml", 4, 5) }
    }

    #[test]
    fn what_no_store_covers_is_named_with_its_place() {
        let (word, said) = asked(&CHECK, |facts| {
            gap(facts);
        });
        assert_eq!(word, "failed");
        assert!(said.contains("compose.yaml:9: volume uploads") && said.contains("waivers"), "{said}");
    }

    #[test]
    fn a_waiver_with_its_reason_ends_it_and_one_that_means_nothing_is_told() {
        assert_eq!(asked(&CHECK, |facts| gap(facts).waivers.push(waiver("uploads"))).0, "passed");
        let (word, said) = asked(&CHECK, |facts| {
            let coverage = facts.coverage.get_or_insert_default();
            coverage.waivers.push(waiver("uploda"));
        });
        assert_eq!(word, "warning");
        assert!(said.contains("recovery.yaml:4: the waiver of `uploda`"), "{said}");
    }

    #[test]
    fn what_could_not_be_looked_at_is_broken_and_a_service_without_any_mount_is_told() {
        let (word, said) = asked(&CHECK, |facts| {
            facts.coverage.get_or_insert_default().unseen.push("compose.yaml:1: `include` is not followed".into());
        });
        assert!(word == "broken" && said.contains("include"), "{said}");
        let bare = |waived: &str| {
            asked(&CHECK, |facts| {
                let coverage = facts.coverage.get_or_insert_default();
                coverage.bare.push("api".into());
                coverage.waivers.extend((!waived.is_empty()).then(|| waiver(waived)));
            })
        };
        assert_eq!((bare("").0.as_str(), bare("api").0.as_str()), ("warning", "passed"));
    }

    #[test]
    fn a_stack_without_stores_fails_and_one_without_compose_is_not_green() {
        assert_eq!(asked(&CHECK, |facts| facts.stores.clear()).0, "failed");
        assert_eq!(asked(&CHECK, |facts| facts.coverage = None).0, "skipped");
    }
}
