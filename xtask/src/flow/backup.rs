//! Backing up: snapshot, census and dump of one moment, through the archive, committed by one rename.
//! The nightly backup and the drill both run this.

mod held;
mod produce;

use crate::archive::vault::{BackupSet, Staging, Vault};
use crate::domain::artifact::{Component, FORMAT, Manifest, Role, SCHEMA};
use crate::domain::binding::{Binding, Span, skew};
use crate::domain::census::{Census, Entry};
use crate::domain::engine::{Engine, Snapshot, Target};
use crate::domain::exec::Exec;
use crate::domain::mark::Moment;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::report::BackupRecord;
use crate::domain::stack::Compression;
use crate::domain::store::Store;
use crate::flow::adopt::Provenance;
use crate::flow::child::plain_act;
use crate::flow::drill::Order;
use crate::flow::session::Stopper;
use crate::flow::world::World;
use crate::ports::Site;
use anyhow::{Context, Result, anyhow, bail, ensure};
use held::{Held, while_server_answers};
use produce::produce;
use std::collections::BTreeMap;
use std::time::Duration;

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
    /// How far the moments of its stores may be apart; `None` for one store.
    pub skew: Option<Duration>,
}

/// What a set is made of beside its stores.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// The configuration that it is made under.
    pub binding: &'a Binding,
    /// How its files are compressed; `None` = as suits each engine.
    pub compression: Option<Compression>,
    /// Where its data comes from, when that is an archive of another tool.
    pub provenance: Option<&'a Provenance>,
}

/// Backs up the sources into one set that is bound to no configuration, as drills do.
pub fn backup(
    world: &World,
    stack: &str,
    sources: &[Source<'_>],
    vault: &Vault,
    compression: Option<Compression>,
) -> Result<Taken> {
    backup_of(world, stack, sources, vault, Terms { binding: &Binding::default(), compression, provenance: None })
}

/// Backs up the sources into one set. Nothing of a set that fails is left in the vault: one store that fails fails all of them.
///
/// Every snapshot is held before anything is read, so that the stores' moments lie close together. Those in sessions go first, and
/// are read first: they keep a server from tidying up.
pub fn backup_of(world: &World, stack: &str, sources: &[Source<'_>], vault: &Vault, terms: Terms<'_>) -> Result<Taken> {
    ensure!(!sources.is_empty(), "stack {stack} has no store to back up");
    let begun = world.clock.now();
    let started = world.clock.wall();
    let staging = vault.begin(stack, &world.run, started)?;
    // What an archive of another tool takes was never seen here.
    if terms.provenance.is_none() {
        staging.has_room_for(sources.iter().map(|source| source.store.name.as_str()))?;
    }
    let failed = |source: &Source<'_>| format!("back up {}", source.store.name);
    let mut order: Vec<(usize, &Source<'_>)> = sources.iter().enumerate().collect();
    order.sort_by_key(|(_, source)| turn(&source.engine.snapshot(source.target)));
    let mut asked = Vec::new();
    for (place, source) in order {
        asked.push((place, source, ask_first(world, source).with_context(|| failed(source))?));
    }
    let mut held = Vec::new();
    for (place, source, facts) in asked {
        let snapshot = match source.engine.snapshot(source.target) {
            Snapshot::OnTheWay { .. } => None,
            _ => Some(
                Held::take(world, source).map_err(|e| cut_short(source.store, e)).with_context(|| failed(source))?,
            ),
        };
        held.push((place, source, facts, snapshot));
    }
    let mut done = Vec::new();
    for (place, source, facts, snapshot) in held {
        let taken = snapshot.map_or_else(|| Held::take(world, source).map_err(|e| cut_short(source.store, e)), Ok);
        let taken = taken.and_then(|snapshot| one(world, source, &staging, terms, facts, snapshot));
        let (mut component, span) = taken.with_context(|| failed(source))?;
        terms.provenance.into_iter().for_each(|provenance| provenance.mark(&mut component));
        done.push((place, component, span));
    }
    done.sort_by_key(|(place, ..)| *place);
    let spans: Vec<Span> = done.iter().map(|(.., span)| *span).collect();
    let skew = if terms.provenance.is_some() { None } else { skew(&spans) };
    let consistent_at = spans.iter().map(|span| span.from).min().unwrap_or(Moment::MAX);
    let components: Vec<Component> = done.into_iter().map(|(_, component, _)| component).collect();
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
        rest: None,
        binding: Some(Binding { skew_ms: skew.map(milliseconds), ..terms.binding.clone() })
            .filter(|b| *b != Binding::default()),
        components,
    };
    let set = staging.commit(manifest).context("commit the backup set")?;
    let seconds = (world.clock.now() - begun).as_secs_f64();
    let lacks = sources.iter().flat_map(|s| lacks(&set, s.store, s.engine)).collect();
    let record = BackupRecord { id: set.manifest.id.clone(), seconds, plain_bytes, stored_bytes, lacks };
    Ok(Taken { set, record, consistent_at, skew })
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

/// When a store's turn comes, to be held and to be read.
fn turn(snapshot: &Snapshot) -> u8 {
    match snapshot {
        Snapshot::Session { .. } => 0,
        Snapshot::Copy { .. } => 1,
        Snapshot::OnTheWay { .. } => 2,
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What is asked of a store before anything is held.
fn ask_first(world: &World, source: &Source<'_>) -> Result<BTreeMap<String, String>> {
    let Source { store, engine, site, target } = *source;
    for question in engine.before_dump(target) {
        let answer = plain_act(world, site, engine, &question.act).context(question.title)?;
        (question.judge)(&answer, store).with_context(|| question.title)?;
    }
    parse_facts(&plain_act(world, site, engine, &engine.facts(target))?)
}

/// Counts and stores what is held.
fn one(
    world: &World,
    source: &Source<'_>,
    staging: &Staging,
    terms: Terms<'_>,
    mut facts: BTreeMap<String, String>,
    mut held: Held,
) -> Result<(Component, Span)> {
    let Source { store, engine, target, site } = *source;
    let compression = terms.compression.unwrap_or(engine.compression());
    if let Some(image) = site.identity().image.filter(|_| terms.provenance.is_none()) {
        facts.extend([("image".to_owned(), image.used), ("image_digest".to_owned(), image.digest)]);
    }
    let name = format!("{}.{}", store.name, engine.extension());
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
    if matches!(engine.snapshot(target), Snapshot::OnTheWay { .. }) {
        held.span.to = world.clock.now();
    }
    let (span, as_of) = (held.span, held.as_of.clone());
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
    for (extra, exec) in terms.provenance.map_or_else(|| engine.extras(target), |p| p.extras.clone()) {
        let name = format!("{}.{extra}", store.name);
        let extra = produce(world, source, &exec, staging, &name, Role::Extra(extra.to_owned()), compression);
        files.push(extra.map_err(|e| cut_short(store, e))?);
    }
    let component = Component {
        as_of_window_ms: Some(milliseconds(span.to - span.from)),
        store: store.name.clone(),
        engine: engine.name().to_owned(),
        consistent_as_of: as_of,
        consistency: engine.consistency(),
        facts,
        files,
        census,
    };
    Ok((component, span))
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

/// Facts of a source, by key.
pub fn parse_facts(text: &str) -> Result<BTreeMap<String, String>> {
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
