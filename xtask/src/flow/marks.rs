//! Writes marks through the engine, one after the other, each acknowledged before the next, and keeps the ledger.

use crate::domain::engine::{Engine, MarkSession};
use crate::domain::mark::Ledger;
use crate::flow::session::Session;
use crate::flow::world::World;
use crate::ports::Site;
use anyhow::{Context, Result, anyhow, ensure};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The pause between a mark's acknowledgement and the next mark.
pub const INTERVAL: Duration = Duration::from_millis(50);

/// A writer at work.
pub struct MarkWriter {
    stop: Arc<AtomicBool>,
    ledger: Arc<Mutex<Ledger>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl MarkWriter {
    /// Starts writing. The session is opened here, so a site that cannot take marks fails at once.
    pub fn start(world: &World, site: &dyn Site, engine: &'static dyn Engine, marks: MarkSession) -> Result<Self> {
        let mut session = Session::open(site, &marks.exec).context("open the mark session")?;
        let stop = Arc::new(AtomicBool::new(false));
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let (world, stop2, ledger2) = (world.clone(), Arc::clone(&stop), Arc::clone(&ledger));
        let thread = std::thread::spawn(move || {
            while !stop2.load(Ordering::Relaxed) {
                let seq = locked(&ledger2).send();
                let text = marks.line.replace("{seq}", &seq.to_string());
                session.send(engine, &text).context("write a mark")?;
                let wanted = format!("ack {seq}");
                let line = session.line(engine).context("wait for a mark's acknowledgement")?;
                ensure!(line == wanted, "the mark session answered `{line}` instead of `{wanted}`");
                locked(&ledger2).ack(world.clock.now());
                world.clock.sleep(INTERVAL);
            }
            session.close(engine).context("end the mark session")
        });
        Ok(Self { stop, ledger, thread: Some(thread) })
    }

    /// How many marks are acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        locked(&self.ledger).acked()
    }

    /// Waits until `more` further marks are acknowledged, so that marks surely lie before and after a moment.
    pub fn wait_for(&self, world: &World, more: u64, within: Duration) -> Result<()> {
        let (goal, deadline) = (self.acknowledged() + more, world.clock.now() + within);
        while self.acknowledged() < goal {
            let dead = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
            ensure!(!dead, "the mark writer stopped by itself");
            ensure!(world.clock.now() < deadline, "no {more} marks were acknowledged within {within:?}");
            world.clock.sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Stops writing and hands the ledger over. A writer that failed on its way makes this fail, and so does a last mark that
    /// is not acknowledged in time.
    pub fn finish(mut self, world: &World, within: Duration) -> Result<Ledger> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().ok_or_else(|| anyhow!("the mark writer ended before"))?;
        let deadline = world.clock.now() + within;
        while !thread.is_finished() {
            ensure!(world.clock.now() < deadline, "the last mark was not acknowledged within {within:?}");
            world.clock.sleep(Duration::from_millis(10));
        }
        thread.join().map_err(|_| anyhow!("the mark writer panicked"))??;
        Ok(locked(&self.ledger).clone())
    }
}

impl Drop for MarkWriter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn locked(ledger: &Mutex<Ledger>) -> std::sync::MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::fake::{Answer, FakeSites, ManualClock};
    use crate::domain::event::Event;
    use crate::domain::site::SiteSpec;
    use crate::ports::{Events, Sites};

    struct Nobody;

    impl Events for Nobody {
        fn tell(&self, _: Event) {}
    }

    /// A writer at a site whose server acknowledges the marks up to this one and then says nothing more.
    fn writer(silent_after: u64) -> (World, MarkWriter) {
        let clock = Arc::new(ManualClock::default());
        let sites = FakeSites::strict(clock.clone());
        let ack = move |line: &str| {
            let seq: u64 = line.parse().unwrap();
            if seq > silent_after { Vec::new() } else { vec![format!("ack {seq}")] }
        };
        sites.on("mark", Answer::session(ack));
        let engine = crate::engines::find("sqlite").unwrap();
        let target = engine.owned_target(&engine.rehearsal_store(None));
        let site = sites.open(&SiteSpec::Directory, "drill").unwrap();
        let world = World { clock, sites: Arc::new(sites), events: Arc::new(Nobody), run: "run".into() };
        let writer = MarkWriter::start(&world, site.as_site(), engine, engine.mark_session(&target)).unwrap();
        // The site goes with its owner; the writer is all that this is about.
        std::mem::forget(site);
        (world, writer)
    }

    #[test]
    fn a_last_mark_that_is_never_acknowledged_ends_at_the_deadline() {
        // Waiting moves this clock: what really needs the other thread gets all the time there is.
        let ages = Duration::from_secs(u64::from(u32::MAX));
        let (world, sound) = writer(u64::MAX);
        sound.wait_for(&world, 3, ages).unwrap();
        assert!(sound.finish(&world, ages).unwrap().acked() >= 3);
        let (world, hung) = writer(3);
        hung.wait_for(&world, 3, ages).unwrap();
        let error = hung.finish(&world, Duration::from_secs(3600)).unwrap_err().to_string();
        assert!(error.contains("was not acknowledged within 3600s"), "{error}");
    }
}
