//! Gathers the facts about a stack's backups, each for itself: what cannot be found out is said so and keeps nothing else from being
//! found. It must not judge.

use crate::archive::access::{Access, key_files};
use crate::archive::vault::{Listed, Vault};
use crate::domain::artifact::ComponentOutline;
use crate::domain::coverage::Gap;
use crate::domain::deed::Deed;
use crate::domain::fact::{BackupFacts, Content, Fact, Right, SetFact, Thing};
use crate::domain::place::Place;
use crate::domain::project::{Findings, Project, Source};
use crate::domain::protection::Encryption;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::scenario::Scenario;
use crate::domain::stack::Stack;
use crate::domain::store::Location;
use crate::flow::prune;
use crate::flow::world::World;
use anyhow::Result;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that is asked about the backups of this stack; `scenarios` are those that have an objective.
pub fn backups(world: &World, project: &Project, stack: &Stack, scenarios: &[&Scenario]) -> BackupFacts {
    let now = world.clock.wall();
    let backups = &stack.backups;
    let findings = project.findings(stack);
    let access = Access::of(&backups.protection);
    let locked = access.as_ref().err().map(|refusal| refusal.message.clone());
    // Without the keys the folder can still be looked at.
    let vault = Vault::with(&backups.vault, access.unwrap_or_default());
    let listed: Fact<Vec<Listed>> = vault.list().into();
    let deeds: Fact<(Vec<Deed>, usize)> = vault.deeds().into();
    let done: &[Deed] = if let Fact::Known((deeds, _)) = &deeds { deeds } else { &[] };
    let (sets, strangers) = match (&listed, &locked) {
        // Whose signature counts is not known then: nothing can be said of any set.
        (_, Some(why)) => (Fact::Unknown(why.clone()), Vec::new()),
        (Fact::Unknown(why), _) => (Fact::Unknown(why.clone()), Vec::new()),
        (Fact::Known(listed), None) => {
            let strange = listed.iter().filter(|l| l.at().is_none()).map(|l| l.id.clone());
            (Fact::Known(listed.iter().filter_map(|l| set(&vault, l, &stack.name, done)).collect()), strange.collect())
        }
    };
    let rights = rights(&vault, project, stack);
    let content = content(&vault, &sets, now);
    let wrong_key = |error: &anyhow::Error| {
        Refusal::within(error).filter(|r| r.kind == RefusalKind::WrongKey).map(|r| r.message.clone())
    };
    let locked_out = content.as_ref().err().filter(|_| !vault.keyless()).and_then(wrong_key);
    BackupFacts {
        stack: stack.name.clone(),
        now,
        production: production(stack, findings),
        stores: stack.stores.iter().map(|s| (s.name.clone(), s.allow_empty)).collect(),
        coverage: findings.filter(|f| f.compose.is_some()).map(|f| {
            let mut coverage = f.coverage.clone();
            coverage.gaps.extend(other_databases(&vault, &sets, stack, f, now));
            coverage
        }),
        schedule: backups.schedule.clone(),
        objectives: objectives(stack, scenarios),
        policy: backups.retention,
        protection: backups.protection.clone(),
        keys: key_files(&backups.protection),
        vault: backups.vault.clone(),
        content: content.into(),
        locked_out,
        rows_before: rows_before(&vault, &sets, now),
        sets,
        strangers,
        history: vault.history().into(),
        contradictions: vault.contradictions().into(),
        rights: rights.into(),
        room: vault.room().into(),
        leftovers: vault.leftovers().into(),
        holder: vault.holder().into(),
        deeds,
    }
}

/// Databases that the newest set's servers held beside those that stores cover, as the set itself says.
fn other_databases(
    vault: &Vault,
    sets: &Fact<Vec<SetFact>>,
    stack: &Stack,
    found: &Findings,
    now: Timestamp,
) -> Vec<Gap> {
    let Fact::Known(sets) = sets else { return Vec::new() };
    let newest = sets.iter().rfind(|set| set.damage.is_none() && set.at <= now);
    let Some(set) = newest.and_then(|set| vault.open(&set.id).ok()) else { return Vec::new() };
    let mut gaps: Vec<Gap> = Vec::new();
    for component in &set.manifest.components {
        let Some(store) = stack.stores.iter().find(|store| store.name == component.store) else { continue };
        let Some(service) = &store.service else { continue };
        let covered = |name: &str| {
            stack.stores.iter().filter(|s| s.service.as_ref() == Some(service)).any(
                |s| matches!(&s.location, Location::Database { database, .. } if database == name.trim_matches('"')),
            )
        };
        let told = component.facts.get("other_databases").map_or("", String::as_str);
        let at = found.compose.as_ref().and_then(|c| c.services.get(service)).map(|s| s.at.clone());
        for name in told.split(", ").filter(|name| !name.is_empty() && !covered(name)) {
            let named = vec![name.trim_matches('"').to_owned()];
            if gaps.iter().any(|gap| gap.names == named && gap.writers == [service.clone()]) {
                continue;
            }
            let what =
                format!("database {name} of service `{service}` is in no store (set {} says so)", set.manifest.id);
            let at = at.clone().unwrap_or_else(|| Place::new("recovery.yaml", 1, 1));
            gaps.push(Gap { what, at, names: named, writers: vec![service.clone()] });
        }
    }
    gaps
}

/// Who may reach the vault, the keys, and what decides what is backed up; each folder once.
fn rights(vault: &Vault, project: &Project, stack: &Stack) -> Result<Vec<Right>, Refusal> {
    let protection = &stack.backups.protection;
    let mut rights = vault.rights()?;
    let keys = protection.identities.iter().chain(&protection.signing_key).chain(&protection.passphrase_file);
    let mut files: Vec<(&PathBuf, Thing)> = keys.map(|path| (path, Thing::Key)).collect();
    // A passphrase that stands in no file of its own is taken from the env file, if from any.
    let told = matches!(protection.encryption, Encryption::Passphrase(_)) && protection.passphrase_file.is_none();
    files.extend(stack.env_file.iter().map(|path| (path, if told { Thing::Key } else { Thing::Config })));
    files.extend(stack.compose_files.iter().map(|path| (path, Thing::Config)));
    if let Source::Recovery(path) = &project.source {
        files.push((path, Thing::Config));
    }
    for (path, of) in files {
        for right in Vault::rights_of(path, of)? {
            if !rights
                .iter()
                .any(|known| known.path == right.path && (known.of == right.of || known.of == Thing::Above))
            {
                rights.push(right);
            }
        }
    }
    Ok(rights)
}

/// The data loss that each scenario which can be drilled may cost.
fn objectives(stack: &Stack, scenarios: &[&Scenario]) -> Vec<(String, Duration)> {
    let drilled = scenarios.iter().filter(|scenario| scenario.unsupported.is_none());
    drilled.map(|scenario| (scenario.name.to_owned(), stack.objectives.of(scenario).rpo)).collect()
}

/// Why the stack is taken for a production one: what is written wins over what names suggest.
fn production(stack: &Stack, findings: Option<&Findings>) -> Option<String> {
    if let Some(environment) = findings.and_then(|f| f.environment.as_deref()) {
        return (environment == "production").then(|| "`environment: production`".to_owned());
    }
    let names = [("name", &stack.name), ("project", &stack.project)];
    let meant = |name: &str| name.split(['-', '_', '.']).any(|word| matches!(word, "prod" | "production"));
    names.iter().find(|(_, name)| meant(name)).map(|(what, name)| format!("by its {what}, {name}"))
}

fn set(vault: &Vault, listed: &Listed, stack: &str, deeds: &[Deed]) -> Option<SetFact> {
    let at = listed.at()?;
    let moment = |text: &str| text.parse::<Timestamp>().ok();
    let outline = listed.public.as_ref().ok().map(|public| &public.outline);
    let took = outline.and_then(|o| {
        let took = moment(&o.finished_at)?.duration_since(moment(&o.started_at)?);
        Duration::try_from(took).ok()
    });
    // Damage that an earlier run found by reading is not forgotten because the records look well.
    let known = vault.look(listed).ok().and_then(|look| look.known_damage);
    let known = known.or_else(|| prune::found_by_verify(deeds, stack, &listed.id));
    let files = || outline.into_iter().flat_map(|o| &o.components).flat_map(|c| &c.files);
    Some(SetFact {
        id: listed.id.clone(),
        at,
        as_of: outline.and_then(|o| o.components.iter().filter_map(|c| moment(&c.consistent_as_of)).min()),
        took,
        stored_bytes: files().map(|file| file.stored.bytes).sum(),
        store_bytes: outline.map(|o| o.components.iter().map(stored).collect()).unwrap_or_default(),
        // Manifest, digest, signature, rest and key beside the artifacts.
        files: files().count() as u64 + 5,
        stores: outline.map(|o| o.components.iter().map(|c| c.store.clone()).collect()).unwrap_or_default(),
        adopted: outline.is_some_and(|o| o.adopted()),
        encrypted: outline.is_some_and(|o| o.seal.is_some()),
        damage: listed.public.as_ref().err().cloned().or_else(|| outline?.of_another(stack)).or(known),
    })
}

fn stored(component: &ComponentOutline) -> (String, u64) {
    (component.store.clone(), component.files.iter().map(|file| file.stored.bytes).sum())
}

/// The rows of each store in the sound sets before the newest; a set that no key opens here adds nothing.
fn rows_before(vault: &Vault, sets: &Fact<Vec<SetFact>>, now: Timestamp) -> BTreeMap<String, Vec<u64>> {
    let mut rows: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let Fact::Known(sets) = sets else { return rows };
    let sound = sets.iter().rev().filter(|set| set.damage.is_none() && set.at <= now);
    for set in sound.skip(1).take(BackupFacts::USUAL).filter_map(|set| vault.open(&set.id).ok()) {
        for component in &set.manifest.components {
            rows.entry(component.store.clone()).or_default().push(component.census.rows());
        }
    }
    rows
}

/// What the newest sound set holds.
fn content(vault: &Vault, sets: &Fact<Vec<SetFact>>, now: Timestamp) -> Result<BTreeMap<String, Content>> {
    let Fact::Known(sets) = sets else { anyhow::bail!("the sets could not be looked at") };
    let Some(newest) = sets.iter().rfind(|set| set.damage.is_none() && set.at <= now) else {
        return Ok(BTreeMap::new());
    };
    let set = vault.open(&newest.id)?;
    let held = |c: &crate::domain::artifact::Component| {
        (c.store.clone(), Content { objects: c.census.contents(), rows: c.census.rows() })
    };
    Ok(set.manifest.components.iter().map(held).collect())
}
