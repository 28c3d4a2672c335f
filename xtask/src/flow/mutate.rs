//! Attacks the verifier with spoiled copies of a set: each must be refused for a reason of its own kind, and every unchanged copy must
//! pass. Nothing of it touches the vault, which is only read. It must not know how a mutant is planned.

use crate::archive::access::Access;
use crate::archive::vault::Vault;
use crate::domain::event::Event;
use crate::domain::level::Level;
use crate::domain::mutation::{
    Change, Class, ClassRecord, Mutant, MutationRecord, Subject, Survivor, in_artifacts, plan,
};
use crate::domain::outcome::{Outcome, Why};
use crate::domain::protection::{Encryption, Protection};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::secret::Secret;
use crate::domain::site::SiteSpec;
use crate::domain::stack::Stack;
use crate::flow::verify::{Engines, Verified, verify};
use crate::flow::world::World;
use crate::ports::Events;
use anyhow::{Context, Result, ensure};
use remade::Workshop;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use trial::Trial;

mod files;
mod remade;
mod trial;

/// What to attack, and how hard.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// The set: an id, or `latest`.
    pub set: &'a str,
    /// How many mutants.
    pub mutants: u64,
    /// How many unchanged copies.
    pub controls: u64,
    /// What the mutants follow from.
    pub seed: u64,
    /// Only this mutant.
    pub only: Option<u64>,
    /// How many mutants are made anew and restored; `None` = as many as the engines make cheap.
    pub remade: Option<u64>,
    /// How many stored bytes may be copied and read.
    pub budget: u64,
    /// All engines.
    pub engines: Engines,
}

/// What the verifier made of a mutant.
enum Fate {
    /// Refused as it should, by this.
    Killed(String),
    /// Not refused, or for another reason.
    Survived(String),
    /// The change changed nothing.
    Unchanged,
}

/// Attacks; what went wrong on the way is in the record.
pub fn mutate(world: &World, order: Order<'_>) -> MutationRecord {
    let begun = world.clock.now();
    let mut record = match attack(world, order) {
        Ok(record) => record,
        Err(error) => {
            let why = Why::from_error(&error);
            // No set, or a damaged one, is known to be wrong; anything else is not known.
            let known = Refusal::within(&error)
                .is_some_and(|r| matches!(r.kind, RefusalKind::NoBackup | RefusalKind::Integrity));
            let outcome = if known { Outcome::Failed(why) } else { Outcome::Broken(why) };
            MutationRecord::without(&order.stack.name, order.seed, outcome)
        }
    };
    record.duration_seconds = (world.clock.now() - begun).as_secs_f64();
    record
}

/// Hears of hundreds of verifications, and tells nobody.
struct Silence;

impl Events for Silence {
    fn tell(&self, _: Event) {}
}

fn attack(world: &World, order: Order<'_>) -> Result<MutationRecord> {
    let silent = World { events: Arc::new(Silence), ..world.clone() };
    let protection = &order.stack.backups.protection;
    let vault = Vault::with(&order.stack.backups.vault, Access::of(protection)?);
    let (_, public) = vault.outline(order.set)?;
    let id = public.outline.id.clone();
    let site = world.sites.open(&SiteSpec::Directory, "mutants").context("make a place for the copies")?;
    let scratch = PathBuf::from(site.scratch());
    let trial = Trial::prepare(&vault, &id, &scratch.join("trial")).context("copy the set")?;
    let mut bench = Bench {
        world: &silent,
        order,
        vault: Vault::with(trial.vault(), Access::of(protection)?),
        other: stranger_to(protection, &scratch)?,
        remade: None,
        level: Level::L2,
        baseline: Vec::new(),
        id,
    };
    let mut notes = bench.settle(&trial)?;
    let remade = bench.may_remake(&trial, &scratch)?;
    if let Err(why) = &remade {
        notes.push(format!("no mutant was made anew and restored: {why}"));
    }
    let subject = Subject { budget: order.budget, remade, ..trial.subject(protection, bench.level >= Level::L2)? };
    let mutants = plan(&subject, order.seed, order.mutants);
    let bytes: u64 = subject.files.iter().map(|f| f.bytes).sum();
    // A control reads everything twice; a copy that cannot be afforded so often is asked about less deeply.
    let deep = (order.budget / bytes.saturating_mul(2).max(1)).max(2);
    if deep < order.controls {
        notes.push(format!(
            "{deep} of {} unchanged copies were read to {}, the others to L0",
            order.controls, bench.level
        ));
    }
    let mut record = MutationRecord::without(&order.stack.name, order.seed, Outcome::Passed);
    record.set = Some(bench.id.clone());
    record.mutants = order.mutants;
    record.classes = Class::ALL.map(|class| empty(class, &subject)).into();
    let chosen: Vec<&Mutant> = mutants.iter().filter(|m| order.only.is_none_or(|only| only == m.number)).collect();
    ensure!(!chosen.is_empty(), "there is no mutant {}: there are {}", order.only.unwrap_or_default(), mutants.len());
    let spoiled = in_artifacts(&chosen, &subject);
    notes.push(format!("{spoiled} of {} mutants turn, cut or lengthen the stored data itself", chosen.len()));
    let every = (chosen.len() as u64).div_ceil(order.controls.max(1)).max(1);
    for (n, mutant) in chosen.iter().enumerate() {
        if (n as u64).is_multiple_of(every) && record.controls < order.controls {
            bench.control(&trial, deep, &mut record)?;
        }
        if n > 0 && n.is_multiple_of(100) {
            world.events.tell(Event::Note(format!("{n} of {} mutants of {}", chosen.len(), bench.id)));
        }
        let fate = bench.fate(&trial, mutant).with_context(|| format!("mutant {}: {mutant}", mutant.number))?;
        bench.note(mutant, fate, &mut record);
    }
    while record.controls < order.controls {
        bench.control(&trial, deep, &mut record)?;
    }
    if record.unchanged > 0 {
        notes.push(format!("{} mutants changed nothing and count for nothing", record.unchanged));
    }
    ensure!(trial.is_untouched()?, "the copy that mutants are made of was changed by one of them");
    record.notes = notes;
    site.destroy()?;
    let record = record.judged();
    Ok(match (order.only, spoiled) {
        (Some(number), _) => record.no_score(Why::new(format!("mutant {number} was refused; one mutant is no score"))),
        (None, 0) => {
            let why = Why::new("no byte of the stored data itself was spoiled: that is no score");
            record.no_score(why.hint("ask for more mutants (--mutants), or for a larger --budget"))
        }
        _ => record,
    })
}

fn empty(class: Class, subject: &Subject) -> ClassRecord {
    ClassRecord { class, applied: 0, killed: 0, by: BTreeMap::new(), left_out: class.hindered(subject) }
}

/// The same means to read sets with another key; `None` where sets are not encrypted.
fn stranger_to(protection: &Protection, scratch: &Path) -> Result<Option<Protection>> {
    let mut other = protection.clone();
    match &protection.encryption {
        Encryption::Passphrase(_) => {
            let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(24).collect();
            other.encryption = Encryption::Passphrase(Secret::new(random));
            other.identities = Vec::new();
        }
        _ if !protection.identities.is_empty() => {
            let file = scratch.join("stranger.key");
            crate::archive::keys::make(&file)?;
            other.identities = vec![file];
        }
        _ => return Ok(None),
    }
    Ok(Some(other))
}

struct Bench<'a> {
    world: &'a World,
    order: Order<'a>,
    /// The copy's own vault, with the stack's keys.
    vault: Vault,
    /// What does not open the set.
    other: Option<Protection>,
    remade: Option<Workshop>,
    /// How far an unchanged copy comes here.
    level: Level,
    /// What is said against the unchanged copy's vault.
    baseline: Vec<String>,
    id: String,
}

impl Bench<'_> {
    /// Finds out how far an unchanged copy comes; notes what limits it.
    fn settle(&mut self, trial: &Trial) -> Result<Vec<String>> {
        trial.reset()?;
        let mut notes = Vec::new();
        let mut first = self.asked(&self.vault, &self.id, Level::L2);
        if let Some(error) = first.stopped_by.take() {
            let kind = Refusal::within(&error).map(|refusal| refusal.kind);
            if kind != Some(RefusalKind::WrongKey) {
                return Err(error.context("the unchanged copy of the set is refused"));
            }
            self.level = Level::L1;
            notes.push("no key is here that opens the set: stored bytes were verified, contents were not".to_owned());
        }
        self.baseline = self.vault.contradictions()?;
        Ok(notes)
    }

    fn asked(&self, vault: &Vault, id: &str, level: Level) -> Verified {
        verify(self.world, self.order.stack, vault, id, level, self.order.engines)
    }

    /// How many mutants are made anew, or why none.
    fn may_remake(&mut self, trial: &Trial, scratch: &Path) -> Result<Result<u64, String>> {
        if self.level < Level::L2 {
            return Ok(Err("the set cannot be read here".to_owned()));
        }
        let whole = Vault::with(trial.base(), Access::of(&self.order.stack.backups.protection)?);
        let set = whole.find(&self.id)?;
        let mut most = 25;
        for component in &set.manifest.components {
            let store =
                self.order.stack.stores.iter().find(|s| s.name == component.store && s.engine == component.engine);
            let (Some(store), Some(engine)) = (store, (self.order.engines)(&component.engine)) else {
                return Ok(Err(format!("the set holds {}, which the stack has not", component.store)));
            };
            if matches!(engine.site(store), SiteSpec::Container(_)) {
                if let Err(error) = self.world.sites.containers() {
                    return Ok(Err(format!("{} needs a container engine: {error:#}", component.store)));
                }
                most = Class::REMADE.len() as u64;
            }
        }
        // Each is written, read back and restored.
        let bytes: u64 = set.manifest.components.iter().flat_map(|c| &c.files).map(|f| f.plain.bytes).sum();
        let affordable = self.order.budget / bytes.saturating_mul(4).max(1);
        let count = self.order.remade.unwrap_or(most).min(affordable);
        if count == 0 {
            let asked = self.order.remade == Some(0);
            return Ok(Err(if asked {
                "none was asked for".into()
            } else {
                "the set is too large for the budget".into()
            }));
        }
        self.remade = Some(Workshop::open(&scratch.join("remade"), set)?);
        Ok(Ok(count))
    }

    /// Asks about an unchanged copy; the first time also about one that was made anew without a change.
    fn control(&self, trial: &Trial, deep: u64, record: &mut MutationRecord) -> Result<()> {
        let level = if record.controls < deep { self.level } else { Level::L0 };
        trial.reset()?;
        let mut said = self.refused(&self.asked(&self.vault, &self.id, level));
        if said.is_none() {
            said = self.contradicted(&self.vault)?;
        }
        if let (None, 0, Some(workshop)) = (&said, record.controls, &self.remade) {
            let (vault, id) = workshop.remake(self.world, self.order.stack, None)?;
            said = self.refused(&self.asked(&vault, &id, Level::L4)).map(|said| format!("made anew unchanged: {said}"));
        }
        record.controls += 1;
        record.false_alarms.extend(said);
        Ok(())
    }

    fn refused(&self, verified: &Verified) -> Option<String> {
        verified.stopped_by.as_ref().map(|error| format!("{error:#}"))
    }

    /// What is said against a vault beyond what is said against the unchanged copy's.
    fn contradicted(&self, vault: &Vault) -> Result<Option<String>> {
        Ok(vault.contradictions()?.into_iter().find(|said| !self.baseline.contains(said)))
    }

    fn fate(&self, trial: &Trial, mutant: &Mutant) -> Result<Fate> {
        match &mutant.change {
            Change::WrongKey => {
                trial.reset()?;
                let other = self.other.as_ref().context("there is no other key")?;
                let vault = Vault::with(trial.vault(), Access::of(other)?);
                Ok(judged(&self.asked(&vault, &self.id, Level::L2), &[RefusalKind::WrongKey]))
            }
            Change::Remake(class, pick) => {
                let workshop = self.remade.as_ref().context("nothing can be made anew")?;
                let (vault, id) = workshop.remake(self.world, self.order.stack, Some((*class, *pick)))?;
                let verified = self.asked(&vault, &id, Level::L4);
                // Part of a dump shows by its own end; for anything else that is wrong its bytes have to be opened.
                let part = matches!(class, Class::EmptyDump | Class::CutDump);
                if verified.reached < Some(if part { Level::L1 } else { Level::L2 }) {
                    let said = self.refused(&verified).unwrap_or_default();
                    anyhow::bail!("it was not made in good order: {said}");
                }
                let kinds = [RefusalKind::BadArtifact, RefusalKind::Integrity];
                Ok(judged(&verified, if verified.reached < Some(Level::L2) { &kinds[..1] } else { &kinds }))
            }
            change => {
                trial.reset()?;
                let id = trial.apply(change)?;
                if trial.is_unchanged()? {
                    return Ok(Fate::Unchanged);
                }
                let verified = self.asked(&self.vault, &id, self.level);
                match (verified.stopped_by.is_none(), self.contradicted(&self.vault)?) {
                    (true, Some(_)) => Ok(Fate::Killed("catalog".to_owned())),
                    _ => Ok(judged(&verified, &[RefusalKind::Integrity])),
                }
            }
        }
    }

    fn note(&self, mutant: &Mutant, fate: Fate, record: &mut MutationRecord) {
        let Some(class) = record.classes.iter_mut().find(|c| c.class == mutant.class) else { return };
        match fate {
            Fate::Unchanged => record.unchanged += 1,
            Fate::Killed(by) => {
                class.applied += 1;
                class.killed += 1;
                *class.by.entry(by).or_default() += 1;
            }
            Fate::Survived(said) => {
                class.applied += 1;
                let Order { stack, seed, mutants, .. } = self.order;
                let remade = self.order.remade.map(|n| format!(" --remade {n}")).unwrap_or_default();
                let (id, stack, number) = (&self.id, &stack.name, mutant.number);
                record.survivors.push(Survivor {
                    mutant: number,
                    class: mutant.class,
                    what: mutant.to_string(),
                    said,
                    replay: format!(
                        "cargo xtask validate-backup-system {stack} --set {id} --seed {seed} --mutants {mutants}{remade} --mutant {number}"
                    ),
                });
            }
        }
    }
}

/// Refused counts only when it is for a reason of the mutant's own kind: a harness that cannot read proves nothing.
fn judged(verified: &Verified, wanted: &[RefusalKind]) -> Fate {
    let reached = verified.reached.map_or("nothing".to_owned(), |level| level.to_string());
    let Some(error) = &verified.stopped_by else { return Fate::Survived(format!("not refused: reached {reached}")) };
    match Refusal::within(error).map(|refusal| refusal.kind) {
        Some(kind) if wanted.contains(&kind) => {
            let next = verified.took.last().map_or("L0".to_owned(), |(level, _)| level.to_string());
            Fate::Killed(next)
        }
        kind => Fate::Survived(format!("refused after {reached} for another reason ({kind:?}): {error:#}")),
    }
}
