//! What each step of a scenario does.

use super::*;
use crate::archive::access::Access;
use crate::domain::foreign::{ADOPTED_AS_OF, UNKNOWN};
use crate::flow::visit;

impl Driller<'_> {
    pub(super) fn step(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Sandbox => self.open_site("drill").and_then(|()| self.wait_ready()),
            Step::Seed => self.seed(),
            Step::StartMarks => self.start_marks(),
            Step::Backup => self.back_up(),
            Step::Verify => self.set()?.verify().map(drop),
            Step::Churn => self.churn(),
            Step::Expose => self.expose(),
            Step::Strike(strike) => self.strike(strike),
            Step::Declare => self.declare(),
            Step::Diagnose => self.diagnose(),
            Step::Provision => self.provision(),
            Step::Restore => self.restore(),
            Step::RestoreSelected => self.restore_selected(),
            Step::Prove => self.prove(),
            Step::Probe => self.probe(),
        }
    }

    /// The image is made ready before the site opens: pulling or building is told, and never part of a recovery's time.
    fn prepare_image(&self) -> Result<SiteSpec> {
        let spec = self.order.engine.site(self.order.store);
        if let Some(image) = self.world.sites.prepare_image(&spec, self.world.events.as_ref())? {
            self.world.events.tell(Event::ImageReady(image));
        }
        Ok(spec)
    }

    fn open_site(&mut self, purpose: &str) -> Result<()> {
        let spec = self.prepare_image()?;
        let site = self.world.sites.open(&spec, purpose)?;
        self.target.scratch = site.scratch();
        self.sites.push(site.identity());
        self.site = Some(site);
        Ok(())
    }

    fn wait_ready(&self) -> Result<()> {
        prove::ready(self.world, self.place()?, READY_WITHIN)
    }

    pub(super) fn owned(&self) -> Result<&dyn OwnedSite> {
        self.site.as_deref().ok_or_else(|| anyhow!("there is no site"))
    }

    pub(super) fn place(&self) -> Result<Place<'_>> {
        Ok(Place { site: self.owned()?.as_site(), engine: self.order.engine, target: &self.target })
    }

    pub(super) fn set(&self) -> Result<&BackupSet> {
        self.set.as_ref().ok_or_else(|| anyhow!("there is no backup set"))
    }

    pub(super) fn component(&self) -> Result<&Component> {
        let name = &self.order.store.name;
        self.set()?.manifest.component(name).ok_or_else(|| anyhow!("the set holds nothing of {name}"))
    }

    fn enter(&mut self, phase: Phase) {
        let now = self.world.clock.now();
        if let Some(watch) = &mut self.watch {
            watch.enter(phase, now);
        }
    }

    fn seed(&mut self) -> Result<()> {
        let Input::Rehearsal { bytes } = self.order.input else { return Err(anyhow!("only a rehearsal is seeded")) };
        let place = self.place()?;
        for act in self.order.engine.seed(&self.target, bytes) {
            child::plain_act(self.world, place.site, place.engine, &act)?;
        }
        Ok(())
    }

    fn start_marks(&mut self) -> Result<()> {
        let session = self.order.engine.mark_session(&self.target);
        let writer = MarkWriter::start(self.world, self.place()?.site, self.order.engine, session)?;
        writer.wait_for(self.world, 3, READY_WITHIN)?;
        self.marks = Some(writer);
        Ok(())
    }

    fn back_up(&mut self) -> Result<()> {
        let order = self.order;
        let vault_site = self.world.sites.open(&SiteSpec::Directory, "vault")?;
        let folder = PathBuf::from(vault_site.scratch()).join("sets");
        let vault = Vault::with(&folder, Access::throw_away(order.encryption));
        self.vault = Some(vault_site);
        let live;
        let (site, target) = match &order.input {
            Input::Live(attachment) => {
                let site = self.world.sites.attach(attachment)?;
                self.sites.push(site.identity());
                live = visit::target(order.engine, order.store, site.as_ref());
                self.attached = Some(site);
                (self.attached.as_deref().ok_or_else(|| anyhow!("detached"))?, &live)
            }
            _ => (self.owned()?.as_site(), &self.target),
        };
        let source = Source { store: order.store, engine: order.engine, site, target };
        let taken = backup::backup(self.world, order.stack, &[source], &vault, order.compression)?;
        self.consistent_at = Some(taken.consistent_at);
        self.backup = Some(taken.record);
        self.set = Some(taken.set);
        // Read-only visits end here: from now on nothing of the drill is near the user's service.
        self.attached = None;
        Ok(())
    }

    fn churn(&mut self) -> Result<()> {
        let place = self.place()?;
        for act in self.order.engine.churn(&self.target) {
            child::plain_act(self.world, place.site, place.engine, &act)?;
        }
        Ok(())
    }

    fn expose(&mut self) -> Result<()> {
        let writer = self.marks.take().ok_or_else(|| anyhow!("no marks were started"))?;
        writer.wait_for(self.world, 1, READY_WITHIN)?;
        self.world.clock.sleep(self.order.exposure);
        let partial = self.order.scenario.steps.contains(&Step::RestoreSelected);
        if partial {
            // The ground truth needs quiet; what a partial strike costs is told by the marks all the same.
            self.ledger = Some(writer.finish(self.world, READY_WITHIN)?);
            self.truth = Some(prove::census(self.world, self.place()?).context("note the ground truth")?);
        } else {
            self.ledger = Some(writer.finish(self.world, READY_WITHIN)?);
        }
        Ok(())
    }

    fn strike(&mut self, which: Strike) -> Result<()> {
        let blows = self
            .order
            .engine
            .strike(&self.target, which)
            .ok_or_else(|| anyhow!("{} cannot suffer this strike", self.order.engine.name()))?;
        let now = self.world.clock.now();
        self.struck_at = Some(now);
        self.watch = Some(Stopwatch::start(Phase::Detect, now));
        let struck = strike::strike(self.world, self.owned()?, self.order.engine, &blows)?;
        self.taken = struck.taken;
        match struck.after {
            After::Standing => Ok(()),
            After::Restarted => self.wait_ready(),
            After::Gone => {
                self.site = None;
                Ok(())
            }
        }
    }

    fn declare(&mut self) -> Result<()> {
        // Nothing may have been opened from this image yet, and what is pulled later would count as recovery.
        self.prepare_image()?;
        let now = self.world.clock.now();
        self.struck_at = Some(now);
        self.watch = Some(Stopwatch::start(Phase::Provision, now));
        let loss = match (&self.order.input, self.consistent_at) {
            (Input::Live(_), Some(at)) => now.saturating_sub(at).as_secs_f64(),
            _ => {
                let as_of: jiff::Timestamp = self.component()?.consistent_as_of.parse()?;
                let age = self.world.clock.wall().duration_since(as_of).as_secs_f64();
                ensure!(age >= 0.0, "the set claims to be {:.0} s from the future: a clock is wrong", -age);
                age
            }
        };
        // Of data whose moment nobody knows, nobody knows what would be lost.
        let facts = &self.component()?.facts;
        let unknown = facts.get(ADOPTED_AS_OF).is_some_and(|word| word == UNKNOWN);
        self.rpo_seconds = (!unknown).then_some(loss);
        Ok(())
    }

    fn diagnose(&mut self) -> Result<()> {
        let place = self.place()?;
        let backup = &self.component()?.census;
        let (diagnosis, _) = diagnose::diagnose(self.world, place.site, place.engine, place.target, backup)?;
        let missed: Vec<&str> = self
            .order
            .engine
            .expected_damage(Strike::Corrupt)
            .into_iter()
            .filter(|object| !diagnosis.damages.iter().any(|d| d.object() == *object))
            .collect();
        self.diagnosis = diagnosis;
        ensure!(missed.is_empty(), "the diagnosis missed the damage to {}", missed.join(", "));
        Ok(())
    }

    fn provision(&mut self) -> Result<()> {
        self.enter(Phase::Provision);
        self.open_site("fresh")?;
        self.wait_ready()
    }

    fn restore(&mut self) -> Result<()> {
        let mut watch = self.watch.take().ok_or_else(|| anyhow!("the clock was not started"))?;
        let done = self.restore_into().and_then(|into| restore::whole(self.world, into, &mut watch));
        self.watch = Some(watch);
        done
    }

    fn restore_selected(&mut self) -> Result<()> {
        let mut watch = self.watch.take().ok_or_else(|| anyhow!("the clock was not started"))?;
        let done =
            self.restore_into().and_then(|into| restore::selected(self.world, into, &self.diagnosis, &mut watch));
        self.watch = Some(watch);
        self.quarantined = done?;
        Ok(())
    }

    fn restore_into(&self) -> Result<restore::Into<'_>> {
        let place = self.place()?;
        let component = self.component()?;
        Ok(restore::Into {
            store: self.order.store,
            engine: place.engine,
            site: place.site,
            target: place.target,
            set: self.set()?,
            component,
        })
    }

    fn prove(&mut self) -> Result<()> {
        self.enter(Phase::Prove);
        let found = prove::census(self.world, self.place()?)?;
        let proof = match &self.truth {
            None => prove::equal(&self.component()?.census, &found),
            Some(truth) => {
                let place = self.place()?;
                let backup = &self.component()?.census;
                let (again, _) = diagnose::diagnose(self.world, place.site, place.engine, place.target, backup)?;
                ensure!(again.damages.is_empty(), "damage remains after the restore: {}", again.damages[0]);
                partial::mended(
                    &partial::Rules {
                        is_mark: &|object| place.engine.is_mark(object),
                        sum: &|one, other| place.engine.digest_sum(one, other),
                        taken: &self.taken,
                    },
                    backup,
                    truth,
                    &self.diagnosis,
                    &found,
                    self.quarantined,
                )
            }
        };
        self.proof = Some(proof.map_err(|why| {
            anyhow::Error::new(crate::domain::refusal::Refusal::new(
                crate::domain::refusal::RefusalKind::Integrity,
                why.message,
                why.hint.unwrap_or_default(),
            ))
        })?);
        self.prove_marks()
    }

    fn prove_marks(&mut self) -> Result<()> {
        let (Some(ledger), Some(strike)) = (&self.ledger, self.struck_at) else { return Ok(()) };
        let place = self.place()?;
        let kept = prove::marks(self.world, place, MarkTable::Kept, ledger, strike)?;
        let struck = prove::marks(self.world, place, MarkTable::Struck, ledger, strike)?;
        self.verdict = Some(struck.clone());
        for verdict in [&kept, &struck] {
            if let Some(corruption) = &verdict.corruption {
                anyhow::bail!("the marks are corrupt: {corruption}");
            }
        }
        if self.truth.is_some() {
            ensure!(kept.lost == 0, "{} newer rows in an undamaged table were lost", kept.lost);
        }
        ensure!(struck.last_survivor > 0, "no mark survived: the backup holds nothing of what was written before it");
        // A census that was taken of the same incomplete copy would agree with it; these marks do not.
        let promised = self.consistent_at.map_or(0, |at| ledger.acked_by(at));
        for verdict in [&kept, &struck] {
            let last = verdict.last_survivor;
            ensure!(
                last >= promised,
                "{promised} marks were acknowledged before the backup's snapshot, but it ends at mark {last}"
            );
        }
        self.rpo_seconds = struck.rpo_seconds;
        Ok(())
    }

    fn probe(&mut self) -> Result<()> {
        self.enter(Phase::Probe);
        prove::probe(self.world, self.place()?, self.order.store, READY_WITHIN)?;
        let now = self.world.clock.now();
        let watch = self.watch.take().ok_or_else(|| anyhow!("the clock was not started"))?;
        self.timeline = Some(watch.stop(now));
        Ok(())
    }
}
