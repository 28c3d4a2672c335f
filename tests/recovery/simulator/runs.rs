//! The runs that a history is made of, and what is to be expected of each: a fault never looks like success, and without one nothing
//! fails. It must not know what lies on the disk afterwards; see `promises`.

use super::faults::Fault;
use super::history::{Content, History, Known, STACK};
use super::machine::{Ended, Plan};
use super::world::CANARY;
use anyhow::{Error, Result};
use std::path::Path;
use xtask::archive::manifest;
use xtask::archive::vault::Left;
use xtask::domain::deed::What;
use xtask::domain::engine::Target;
use xtask::domain::level::Level;
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::flow::backup::{Source, Taken, backup};
use xtask::flow::prune::{Order, Pruned, apply};
use xtask::flow::verify::verify;
use xtask::flow::visit;
use xtask::ports::Clock;
use xtask::{engines, exit_code};

/// What was promised and did not hold.
pub type Broken = String;

fn kind(error: &Error) -> Option<RefusalKind> {
    Refusal::within(error).map(|refusal| refusal.kind)
}

impl History {
    /// What every failure must be, whatever failed.
    fn told_well(&self, error: &Error) -> Result<(), Broken> {
        let text = format!("{error:#}");
        if text.contains(CANARY) {
            return Err(format!("a message tells the data: {text}"));
        }
        if exit_code::of(error) == exit_code::PASSED {
            return Err(format!("a failure ends with exit code 0: {text}"));
        }
        match Refusal::within(error) {
            Some(refusal) if refusal.hint.is_empty() => Err(format!("a refusal without a hint: {text}")),
            _ => Ok(()),
        }
    }

    /// Backs up new data.
    pub fn back_up(&mut self, plan: Option<Plan>, trouble: Option<Fault>) -> Result<(), Broken> {
        let backwards = self.newest().is_some_and(|at| at > self.clock.wall().as_second());
        let (content, sites, fired) = self.stores(trouble);
        let stores = self.stack.stores.clone();
        let compression = self.stack.backups.compression;
        let (result, ended) = self.run("backup", plan, |world, vault| {
            let engine = |name: &str| engines::find(name).expect("the engine is there");
            let visits = stores.iter().zip(&sites);
            let targets: Vec<Target> = visits.map(|(s, site)| visit::target(engine(&s.engine), s, site)).collect();
            let source = |((store, site), target)| {
                let engine = engine(&(store as &xtask::domain::store::Store).engine);
                Source { store, engine, site: site as &dyn xtask::ports::Site, target }
            };
            let sources: Vec<Source<'_>> = stores.iter().zip(&sites).zip(&targets).map(source).collect();
            let taken = backup(world, STACK, &sources, vault, Some(compression));
            let deed = History::deed(What::Backup);
            match taken.map(|Taken { set, .. }| (set.manifest.id.clone(), set.manifest.sequence)) {
                Ok(done) => (Ok(done.clone()), Some(deed.of(&done.0))),
                Err(error) => {
                    let deed = deed.failed(&error);
                    (Err(error), Some(deed))
                }
            }
        });
        let failed = trouble.is_some_and(|t| t != Fault::Stall) && *fired.lock().unwrap();
        if ended.died {
            self.unheard.push(content);
            return Ok(());
        }
        match result {
            Ok((id, _)) if failed => Err(format!("{id} was committed although its producer failed")),
            Ok((id, _)) if backwards => Err(format!("{id} was committed although a newer set is there")),
            Ok((id, sequence)) => self.committed(id, sequence, content),
            Err(error) => {
                self.late.push(content);
                self.told_well(&error)?;
                self.refused_rightly(&error, backwards, failed, plan, ended)
            }
        }
    }

    fn committed(&mut self, id: String, sequence: u64, content: Content) -> Result<(), Broken> {
        let highest = self.known.values().map(|known| known.sequence).max().unwrap_or(0).max(self.highest);
        if sequence <= highest {
            return Err(format!("{id} has the number {sequence}, and {highest} was given before"));
        }
        self.highest = sequence;
        self.known.values_mut().for_each(|known| known.unsure = false);
        self.known.insert(id, Known { content, sequence, rotten: false, unsure: false });
        Ok(())
    }

    fn refused_rightly(
        &self,
        error: &Error,
        backwards: bool,
        failed: bool,
        plan: Option<Plan>,
        ended: Ended,
    ) -> Result<(), Broken> {
        let full = |p: Plan| matches!(p.fault, Fault::Full | Fault::FullOnce | Fault::FullAtSync);
        if !failed && !backwards && ended.fired && plan.is_some_and(full) && kind(error) != Some(RefusalKind::Storage) {
            return Err(format!("the disk is full, and this is said: {error:#}"));
        }
        let clock = backwards && kind(error) == Some(RefusalKind::Preflight);
        if !(failed || ended.fired || clock) {
            return Err(format!("a backup that nothing stood against failed: {error:#}"));
        }
        Ok(())
    }

    /// The time of the newest set, in seconds, by its name.
    fn newest(&self) -> Option<i64> {
        let state = self.machine.state();
        let at = state.find(Path::new(super::history::VAULT)).ok()?;
        let super::machine::Inode::Folder(folder) = state.inode(at).ok()? else { return None };
        let named = folder.seen.keys().filter(|name| manifest::is_id(name));
        let time = |name: &String| {
            let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", name.split('-').next()?).ok()?;
            Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
        };
        named.filter_map(time).max()
    }

    /// Verifies every set as a user would.
    pub fn verify_all(&mut self, plan: Option<Plan>) -> Result<(), Broken> {
        let stack = self.stack.clone();
        let (result, ended) = self.run("verify", plan, |world, vault| {
            let sets = vault.list().map(|listed| {
                let one = |id: String| verify(world, &stack, vault, &id, Level::L2, engines::find);
                listed.into_iter().map(|listed| one(listed.id)).collect::<Vec<_>>()
            });
            (sets, Some(History::deed(What::Verify)))
        });
        if ended.died {
            return Ok(());
        }
        let sets = match result {
            Ok(sets) => sets,
            Err(error) if ended.fired => return self.told_well(&error),
            Err(error) => return Err(format!("nothing stood against listing, and it failed: {error:#}")),
        };
        for set in &sets {
            let sound = set.reached == Some(Level::L2);
            match self.known.get(&set.id).map(|known| known.rotten) {
                Some(true) if sound => return Err(format!("{} is rotten and was verified", set.id)),
                Some(false) if !sound && !ended.fired => {
                    return Err(format!("{} is sound and was not verified: {:?}", set.id, set.stopped_by));
                }
                _ => {}
            }
            if let Some(error) = &set.stopped_by {
                self.told_well(error)?;
            }
        }
        let missing = |id: &&String| !sets.iter().any(|set| set.id == **id);
        match self.known.iter().filter(|(_, k)| !k.unsure).map(|(id, _)| id).find(missing) {
            Some(id) if !ended.fired => Err(format!("{id} was not even looked at")),
            _ => Ok(()),
        }
    }

    /// Removes what no rule keeps; `reader` is the set that somebody reads meanwhile.
    pub fn prune(&mut self, plan: Option<Plan>, reader: Option<&str>) -> Result<(), Broken> {
        let policy = self.stack.backups.retention;
        let given = self.sabotage.policy(policy);
        let before = self.good();
        let newest = before.iter().next_back().cloned();
        let (result, ended) = self.run("prune", plan, |world, vault| {
            let order = Order { stack: STACK, vault, policy: given };
            (apply(world, &order), Some(History::deed(What::Prune)))
        });
        match &result {
            Ok(pruned) => self.pruned(pruned, reader)?,
            Err(error) if ended.fired => self.told_well(error)?,
            Err(error) if kind(error) == Some(RefusalKind::NoBackup) && self.known.is_empty() => {}
            Err(error) => return Err(format!("a prune that nothing stood against failed: {error:#}")),
        }
        if let Ok(Pruned { failure: Some(error), .. }) = &result {
            self.told_well(error)?;
            if !ended.fired {
                return Err(format!("a removal that nothing stood against failed: {error:#}"));
            }
        }
        let after = self.good();
        let floor = policy.floor().min(before.len());
        if after.len() < floor {
            return Err(format!("{} good sets are left of {}, and the floor is {floor}", after.len(), before.len()));
        }
        match newest.filter(|newest| !after.contains(newest)) {
            // What is dated in the future counts for nothing, so the newest of the others is the newest.
            Some(newest) => Err(format!("the newest good set {newest} was removed")),
            None => Ok(()),
        }
    }

    fn pruned(&mut self, pruned: &Pruned, reader: Option<&str>) -> Result<(), Broken> {
        for row in pruned.rows.iter().filter(|row| row.decision.removes()) {
            let id = &row.set.id;
            match &row.done {
                Some(Ok(())) if self.held.contains(id) => return Err(format!("{id} was on hold and is removed")),
                Some(Ok(())) if reader == Some(id) => return Err(format!("{id} was being read and is removed")),
                Some(Ok(())) => {
                    self.known.remove(id);
                    // Names are made durable before anything is removed.
                    self.known.values_mut().for_each(|known| known.unsure = false);
                    self.removed.insert(id.clone());
                }
                Some(Err(Left::InUse | Left::OnHold)) => {}
                Some(Err(Left::Strange(_))) | None => {
                    if let Some(known) = self.known.remove(id) {
                        self.limbo.insert(id.clone(), known);
                    }
                }
            }
        }
        Ok(())
    }

    /// The sets that are good, oldest first.
    fn good(&self) -> Vec<String> {
        let mut good: Vec<_> = self.known.iter().filter(|(_, k)| !k.rotten).collect();
        good.sort_by_key(|(id, known)| (known.sequence, (*id).clone()));
        good.into_iter().map(|(id, _)| id.clone()).collect()
    }

    /// Puts a set on hold, or ends that.
    pub fn hold(&mut self, plan: Option<Plan>) -> Result<(), Broken> {
        let ids: Vec<String> = self.known.keys().cloned().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let id = ids[self.rng.usize(..ids.len())].clone();
        let release = self.held.contains(&id);
        let now = self.clock.wall();
        let (result, ended) = self.run(if release { "release" } else { "hold" }, plan, |world, vault| {
            let done =
                if release { vault.release(&id, &world.run, now).map(drop) } else { vault.hold(&id, &world.run, now) };
            (done, None)
        });
        // Whether a release that failed took place is not known; nor is a hold promised that was not reported.
        if release {
            self.held.remove(&id);
        }
        match result {
            Ok(()) if !ended.died && !release => drop(self.held.insert(id)),
            Err(error) if !ended.died && !ended.fired => {
                return Err(format!("a hold that nothing stood against failed: {error:#}"));
            }
            Err(error) => self.told_well(&error)?,
            _ => {}
        }
        Ok(())
    }

    /// Removes what dead runs left.
    pub fn sweep(&mut self, plan: Option<Plan>) -> Result<(), Broken> {
        let now = self.clock.wall();
        let (result, ended) = self.run("sweep", plan, |world, vault| (vault.sweep(&world.run, now), None));
        match result {
            Err(error) if !ended.fired => Err(format!("a sweep that nothing stood against failed: {error:#}")),
            Err(error) => self.told_well(&error),
            Ok(_) => Ok(()),
        }
    }

    /// Another run has the vault meanwhile: whoever comes is told so, and waits for nobody.
    pub fn while_locked(&mut self) -> Result<(), Broken> {
        let (process, vault) = self.process(None);
        let now = self.clock.wall();
        if let Ok(staging) = vault.begin(STACK, "the-other-run", now) {
            self.tally.fired(Fault::LockHeld);
            self.tell("another run begins");
            let policy = self.stack.backups.retention;
            let by_prune = self.known.values().any(|known| !known.unsure) && self.rng.bool();
            let (content, result) = if by_prune {
                let pruned = self.run("prune", None, |world, vault| {
                    (apply(world, &Order { stack: STACK, vault, policy }).map(drop), None)
                });
                (None, pruned.0)
            } else {
                let (content, ..) = self.stores(None);
                (Some(content), self.run("begin", None, |w, v| (v.begin(STACK, &w.run, now).map(drop), None)).0)
            };
            drop(content);
            let error = match result {
                Ok(()) => return Err("two runs hold one vault".to_owned()),
                Err(error) => error,
            };
            if kind(&error) != Some(RefusalKind::Locked) || !format!("{error:#}").contains("the-other-run") {
                return Err(format!("another run holds the vault, and this is said: {error:#}"));
            }
            drop(staging);
        }
        drop(vault);
        self.machine.end(process, &mut self.rng);
        Ok(())
    }

    /// Prunes while somebody reads a set.
    pub fn prune_while_read(&mut self, plan: Option<Plan>) -> Result<(), Broken> {
        let ids = self.good();
        if ids.is_empty() {
            return Ok(());
        }
        let id = ids[self.rng.usize(..ids.len())].clone();
        let (process, vault) = self.process(None);
        let set = vault.open(&id).map_err(|error| format!("{id} cannot be opened: {error:#}"))?;
        self.tally.fired(Fault::Reader);
        self.tell(format!("somebody reads {id}"));
        let done = self.prune(plan, Some(&id));
        let cut = plan.is_some_and(|p| p.fault == Fault::PowerCut);
        if done.is_ok() && !cut && self.known.contains_key(&id) {
            set.verify().map_err(|error| format!("{id} was taken from its reader: {error:#}"))?;
        }
        drop((set, vault));
        self.machine.end(process, &mut self.rng);
        done
    }
}
