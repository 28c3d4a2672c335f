//! Backing up: snapshot, census and dump of one moment, through the archive, committed by one rename.
//! The nightly backup and the drill both run this.

use crate::archive::pipeline;
use crate::archive::vault::{BackupSet, Staging, Vault};
use crate::domain::artifact::{Component, FORMAT, Fingerprint, Manifest, Role, SCHEMA, StoredFile};
use crate::domain::census::{Census, Entry};
use crate::domain::engine::{Engine, Snapshot, Target};
use crate::domain::exec::Exec;
use crate::domain::mark::Moment;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::report::BackupRecord;
use crate::domain::stack::Compression;
use crate::domain::store::Store;
use crate::flow::adopt::Provenance;
use crate::flow::child::{Progress, ask, failure, plain_act};
use crate::flow::drill::Order;
use crate::flow::session::{Session, Stopper};
use crate::flow::stall::{watched, while_alive};
use crate::flow::world::World;
use crate::ports::{Running, Site};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::collections::BTreeMap;

/// One store where it is now.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The store.
    pub store: &'a Store,
    /// What we know about its kind.
    pub engine: &'a dyn Engine,
    /// Where it is.
    pub site: &'a dyn Site,
    /// How it is addressed there.
    pub target: &'a Target,
}

/// A committed set and how it came to be.
pub struct Taken {
    /// The set, read back.
    pub set: BackupSet,
    /// What it cost.
    pub record: BackupRecord,
    /// When the oldest of its snapshots was held, on the run's clock.
    pub consistent_at: Moment,
}

/// Backs up the sources into one set. Nothing of a set that fails is left in the vault.
pub fn backup(
    world: &World,
    stack: &str,
    sources: &[Source<'_>],
    vault: &Vault,
    with: Option<Compression>,
) -> Result<Taken> {
    backup_of(world, stack, sources, vault, with, None)
}

/// As [`backup`], of data that an archive of another tool was brought back to.
pub fn backup_of(
    world: &World,
    stack: &str,
    sources: &[Source<'_>],
    vault: &Vault,
    with: Option<Compression>,
    provenance: Option<&Provenance>,
) -> Result<Taken> {
    ensure!(!sources.is_empty(), "stack {stack} has no store to back up");
    let begun = world.clock.now();
    let started = world.clock.wall();
    let staging = vault.begin(stack, &world.run, started)?;
    let mut components = Vec::new();
    let mut consistent_at = Moment::MAX;
    for source in sources {
        let compression = with.unwrap_or(source.engine.compression());
        let (mut component, at) = one(world, source, &staging, compression, provenance)
            .with_context(|| format!("back up {}", source.store.name))?;
        provenance.into_iter().for_each(|provenance| provenance.mark(&mut component));
        components.push(component);
        consistent_at = consistent_at.min(at);
    }
    let files = || components.iter().flat_map(|c: &Component| &c.files);
    let (plain_bytes, stored_bytes) =
        files().fold((0, 0), |(plain, stored), file| (plain + file.plain.bytes, stored + file.stored.bytes));
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        schema: SCHEMA,
        requires: Vec::new(),
        id: staging.id().to_owned(),
        sequence: staging.sequence(),
        stack: stack.to_owned(),
        tool: concat!("xtask ", env!("CARGO_PKG_VERSION")).to_owned(),
        started_at: started.to_string(),
        finished_at: world.clock.wall().to_string(),
        // The vault fills these in.
        previous: None,
        seal: None,
        components,
    };
    let set = staging.commit(manifest).context("commit the backup set")?;
    let seconds = (world.clock.now() - begun).as_secs_f64();
    let lacks = sources.iter().flat_map(|s| lacks(&set, s.store, s.engine)).collect();
    let record = BackupRecord { id: set.manifest.id.clone(), seconds, plain_bytes, stored_bytes, lacks };
    Ok(Taken { set, record, consistent_at })
}

/// What a set says of its own making, as far as a drill of one store needs it.
pub fn record(set: &BackupSet, order: &Order<'_>) -> BackupRecord {
    let manifest = &set.manifest;
    let at = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let took = at(&manifest.finished_at).zip(at(&manifest.started_at)).map(|(end, begin)| end.duration_since(begin));
    let files = || manifest.components.iter().flat_map(|c| &c.files);
    BackupRecord {
        id: manifest.id.clone(),
        seconds: took.map_or(0.0, |took| took.as_secs_f64().max(0.0)),
        plain_bytes: files().map(|f| f.plain.bytes).sum(),
        stored_bytes: files().map(|f| f.stored.bytes).sum(),
        lacks: lacks(set, order.store, order.engine),
    }
}

/// What the set does not hold of a store although people may expect it.
fn lacks(set: &BackupSet, store: &Store, engine: &dyn Engine) -> Vec<String> {
    let taken = set.manifest.component(&store.name).map(|taken| engine.lacks(taken)).unwrap_or_default();
    taken.into_iter().map(|what| format!("{}: {what}", store.name)).collect()
}

fn one(
    world: &World,
    source: &Source<'_>,
    staging: &Staging,
    compression: Compression,
    provenance: Option<&Provenance>,
) -> Result<(Component, Moment)> {
    let Source { store, engine, site, target } = *source;
    for question in engine.before_dump(target) {
        let answer = plain_act(world, site, engine, &question.act).context(question.title)?;
        (question.judge)(&answer, store).with_context(|| question.title)?;
    }
    let facts = parse_facts(&plain_act(world, site, engine, &engine.facts(target))?)?;
    let name = format!("{}.{}", store.name, engine.extension());
    let mut held = Held::take(world, source).map_err(|e| cut_short(store, e))?;
    let session = held.session.as_ref().map(|(session, ..)| session.stopper());
    let (census, data) = std::thread::scope(|scope| {
        let snapshot = held.id.clone();
        let census =
            scope.spawn(|| while_server_answers(world, source, session.as_ref(), || held.census(world, source)));
        let dump = with_snapshot(engine.dump(target), &snapshot);
        let data = produce(world, source, &dump, staging, &name, Role::Data, compression);
        // What is not backed up need not be counted, and a server that is gone would let nobody finish.
        if data.is_err() {
            session.iter().for_each(Stopper::stop);
        }
        (census.join().unwrap_or_else(|_| Err(anyhow!("the census thread panicked"))), data)
    });
    let at = held.at;
    let as_of = held.as_of.clone();
    // The dump's own failure says more than that of the session which was waiting for it.
    let data = data.map_err(|e| cut_short(store, e))?;
    let release =
        |census| while_server_answers(world, source, session.as_ref(), || held.release(world, source, census));
    let census = census.and_then(release).map_err(|e| cut_short(store, e))?;
    if !store.allow_empty && (census.contents() == 0 || census.rows() == 0) {
        let message = format!("{} holds no rows: an empty backup proves nothing", store.name);
        let hint = "check the database's name; if it is meant to be empty, set `allow_empty: true` on the store";
        return Err(Refusal::new(RefusalKind::EmptyStore, message, hint).into());
    }
    if let Some((object, Entry::Unreadable { error })) =
        census.objects.iter().find(|(_, e)| matches!(e, Entry::Unreadable { .. }))
    {
        bail!("{object} cannot be read: {error}");
    }
    let mut files = vec![data];
    for (extra, exec) in provenance.map_or_else(|| engine.extras(target), |p| p.extras.clone()) {
        let name = format!("{}.{extra}", store.name);
        let extra = produce(world, source, &exec, staging, &name, Role::Extra(extra.to_owned()), compression);
        files.push(extra.map_err(|e| cut_short(store, e))?);
    }
    let component = Component {
        store: store.name.clone(),
        engine: engine.name().to_owned(),
        consistent_as_of: as_of,
        consistency: engine.consistency(),
        facts,
        files,
        census,
    };
    Ok((component, at))
}

/// What waits for the snapshot's session waits no longer than its server lives.
fn while_server_answers<T>(
    world: &World,
    source: &Source<'_>,
    session: Option<&Stopper>,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let Some(session) = session else { return work() };
    let alive = || ask(world, source.site, source.engine, &source.engine.ready(source.target)).is_ok();
    while_alive(world, &format!("the server of {}", source.store.name), session, alive, work)
}

/// A failure that has no known cause of its own is the producer's: nothing else takes part between snapshot and end.
fn cut_short(store: &Store, error: anyhow::Error) -> anyhow::Error {
    if Refusal::within(&error).is_some() {
        return error;
    }
    let message = format!("the data of {} did not arrive whole: {error:#}", store.name);
    let hint = "look at the server's log (`docker compose logs`), then run the backup again";
    Refusal::new(RefusalKind::Producer, message, hint).into()
}

/// Runs a producer through the archive into the staging folder and checks every number it gives.
fn produce(
    world: &World,
    source: &Source<'_>,
    exec: &Exec,
    staging: &Staging,
    name: &str,
    role: Role,
    compression: Compression,
) -> Result<StoredFile> {
    let file = match compression {
        Compression::Zstd => format!("{name}.zst"),
        Compression::Gzip => format!("{name}.gz"),
        Compression::None => name.to_owned(),
    };
    let file = if staging.key().is_some() { format!("{file}.age") } else { file };
    let program = exec.program_name();
    let Running { mut stdout, control, .. } = source.site.start(exec).with_context(|| program.to_owned())?;
    let control = Stopper::of(control);
    let mut progress = Progress::new(world, None);
    let stored = watched(world, program, &control, |moved| {
        let mut told = |bytes| {
            moved.at(bytes);
            progress.at(bytes);
        };
        staging.store(&mut stdout, &file, compression, &mut told)
    });
    let stored = match stored {
        Ok(stored) => stored,
        Err(error) => {
            control.stop();
            return Err(error.context(program.to_owned()));
        }
    };
    let exit = control.wait().with_context(|| program.to_owned())?;
    if !exit.ok() {
        return Err(failure(source.engine, exec, &exit));
    }
    let pipeline::Stored { plain, stored } = stored;
    check_length(program, &role, &plain, exit.declared_bytes)?;
    Ok(StoredFile { file, role, compression, stored, plain })
}

/// An extra may be empty: a database without settings of its own has nothing to say.
fn check_length(program: &str, role: &Role, plain: &Fingerprint, declared: Option<u64>) -> Result<()> {
    let hint = "run it again; if it stays, look at the producer's own log";
    if plain.bytes == 0 && *role == Role::Data {
        let message = format!("{program} ended well but wrote nothing");
        return Err(Refusal::new(RefusalKind::Producer, message, hint).into());
    }
    match declared.filter(|declared| *declared != plain.bytes) {
        None => Ok(()),
        Some(declared) => {
            let message = format!("{program} says it wrote {declared} bytes, but {} arrived", plain.bytes);
            Err(Refusal::new(RefusalKind::Producer, message, hint).into())
        }
    }
}

/// A held snapshot.
struct Held {
    id: String,
    at: Moment,
    as_of: String,
    early: Census,
    session: Option<(Session, String, String)>,
    census: Option<Exec>,
    release: Option<Exec>,
}

impl Held {
    fn take(world: &World, source: &Source<'_>) -> Result<Self> {
        let engine = source.engine;
        let snapshot = engine.snapshot(source.target);
        let mut held = Self {
            id: String::new(),
            at: world.clock.now(),
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
        Ok(held)
    }

    /// The census of a session's snapshot or of a copy; one that the dump takes on its way comes with the release.
    fn census(&mut self, world: &World, source: &Source<'_>) -> Result<Option<Census>> {
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
    fn release(self, world: &World, source: &Source<'_>, census: Option<Census>) -> Result<Census> {
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

/// Puts the snapshot's id where the arguments want it.
fn with_snapshot(mut exec: Exec, id: &str) -> Exec {
    for arg in &mut exec.args {
        *arg = arg.replace("{snapshot}", id);
    }
    exec
}

/// Census lines, as an `anyhow` result.
pub fn parse_census(text: &str) -> Result<Census> {
    Census::parse(text).map_err(anyhow::Error::msg)
}

fn parse_facts(text: &str) -> Result<BTreeMap<String, String>> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.split_once('=').map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())))
        .collect::<Option<BTreeMap<_, _>>>()
        .ok_or_else(|| anyhow!("facts must be lines of key=value, not: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_that_fails_for_no_known_cause_is_the_producers_failure_and_known_causes_stay() {
        let store = crate::engines::find("sqlite").unwrap().rehearsal_store(None);
        let kind = |error| Refusal::within(&cut_short(&store, error)).map(|r| r.kind);
        assert_eq!(kind(anyhow!("the container stopped").context("pg_dump")), Some(RefusalKind::Producer));
        let known = Refusal::new(RefusalKind::Timeout, "too late", "wait");
        assert_eq!(kind(anyhow::Error::new(known).context("pg_dump")), Some(RefusalKind::Timeout));
    }
}
