//! A snapshot that is held while its data is read: asked for, counted in, let go. It must not know where the data goes.

use super::{Source, parse_census};
use crate::domain::binding::Span;
use crate::domain::census::{Census, Entry};
use crate::domain::engine::Snapshot;
use crate::domain::exec::Exec;
use crate::flow::child::ask;
use crate::flow::session::{Session, Stopper};
use crate::flow::stall::while_alive;
use crate::flow::world::World;
use anyhow::{Context, Result, bail};

/// A held snapshot.
pub(super) struct Held {
    pub(super) id: String,
    /// When it was asked for, and when it was there; on the way, the end comes with the last of the data.
    pub(super) span: Span,
    pub(super) as_of: String,
    early: Census,
    pub(super) session: Option<(Session, String, String)>,
    census: Option<Exec>,
    release: Option<Exec>,
}

impl Held {
    /// Holds a snapshot of a store, or begins where there is none to hold.
    pub(super) fn take(world: &World, source: &Source<'_>) -> Result<Self> {
        let engine = source.engine;
        let snapshot = engine.snapshot(source.target);
        let now = world.clock.now();
        let mut held = Self {
            id: String::new(),
            span: Span { from: now, to: now },
            as_of: world.clock.wall().to_string(),
            early: Census::default(),
            session: None,
            census: None,
            release: None,
        };
        match snapshot {
            Snapshot::Session { exec, open, census, close } => {
                let mut session = Session::open(source.site, &exec).context("open the snapshot session")?;
                session.send(engine, &open)?;
                let (early, ready) =
                    session.until(engine, |line| line.starts_with("ready ")).context("hold a snapshot")?;
                held.id = ready.trim_start_matches("ready ").to_owned();
                held.early = parse_census(&early)?;
                held.session = Some((session, census, close));
            }
            Snapshot::Copy { exec, census, release } => {
                ask(world, source.site, engine, &exec).context("copy the store")?;
                (held.census, held.release) = (Some(census), Some(release));
            }
            Snapshot::OnTheWay { census, release } => (held.census, held.release) = (Some(census), Some(release)),
        }
        held.span.to = world.clock.now();
        Ok(held)
    }

    /// The census of a session's snapshot or of a copy; one that the dump takes on its way comes with the release.
    pub(super) fn census(&mut self, world: &World, source: &Source<'_>) -> Result<Option<Census>> {
        if let Some((session, script, _)) = &mut self.session {
            session.send(source.engine, script)?;
            let (text, _) = session.until(source.engine, |line| line == "end").context("take the census")?;
            return parse_census(&text).map(Some);
        }
        match (&self.census, source.engine.snapshot(source.target)) {
            (Some(exec), Snapshot::Copy { .. }) => {
                let text = ask(world, source.site, source.engine, exec).context("take the census")?;
                parse_census(&text).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Lets the snapshot go and completes the census: counters get their values from before and after the dump.
    pub(super) fn release(self, world: &World, source: &Source<'_>, census: Option<Census>) -> Result<Census> {
        let engine = source.engine;
        let mut census = match (census, &self.census) {
            (Some(census), _) => census,
            (None, Some(exec)) => parse_census(&ask(world, source.site, engine, exec).context("take the census")?)?,
            (None, None) => bail!("no census was taken"),
        };
        for (object, entry) in self.early.objects {
            census.objects.insert(object, entry);
        }
        if let Some((mut session, _, close)) = self.session {
            session.send(engine, &close)?;
            let (late, _) = session.until(engine, |line| line == "end").context("read the counters again")?;
            for (object, entry) in parse_census(&late)?.objects {
                if let (Some(Entry::Counter { high, .. }), Entry::Counter { low: now, .. }) =
                    (census.objects.get_mut(&object), entry)
                {
                    *high = now;
                }
            }
            session.close(engine).context("end the snapshot session")?;
        }
        if let Some(exec) = &self.release {
            ask(world, source.site, engine, exec).context("remove the copy")?;
        }
        Ok(census)
    }
}

/// What waits for the snapshot's session waits no longer than its server lives.
pub(super) fn while_server_answers<T>(
    world: &World,
    source: &Source<'_>,
    session: Option<&Stopper>,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let Some(session) = session else { return work() };
    let alive = || ask(world, source.site, source.engine, &source.engine.ready(source.target)).is_ok();
    while_alive(world, &format!("the server of {}", source.store.name), session, alive, work)
}
