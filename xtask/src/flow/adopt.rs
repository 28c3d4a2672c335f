//! An archive of another tool becomes a backup set: brought back into a fresh site of this run, counted there, and backed up as any store is.
//! Nothing of the archive reaches anything else, and the archive itself is only read.

use crate::archive::foreign::Examined;
use crate::archive::vault::Vault;
use crate::domain::artifact::{Component, Role, StoredFile};
use crate::domain::binding::Binding;
use crate::domain::census::Census;
use crate::domain::engine::{Act, Adopted, Adoption, Engine, Feed, Target};
use crate::domain::event::Event;
use crate::domain::exec::Exec;
use crate::domain::foreign::{ADOPTED_AS_OF, ADOPTED_FROM, AsOf, Findings, Unknown};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::stack::Compression;
use crate::domain::store::Store;
use crate::flow::backup::{Source, Taken, Terms, backup_of};
use crate::flow::child::{Exited, act, plain_act};
use crate::flow::prove::{self, Place};
use crate::flow::world::World;
use crate::ports::Site;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a fresh server may take.
const READY_WITHIN: Duration = Duration::from_secs(180);

/// What is to be adopted, and into what.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// The stack.
    pub stack: &'a str,
    /// The store that it is a backup of.
    pub store: &'a Store,
    /// What we know about its kind.
    pub engine: &'a dyn Engine,
    /// The archive, read to its end.
    pub archive: &'a Examined,
    /// The folder inside of a tar archive that is meant; `None` = all of it.
    pub inside: Option<&'a str>,
    /// The moment that its data is taken to be of.
    pub as_of: AsOf,
    /// The stack's vault.
    pub vault: &'a Vault,
    /// How the set is compressed.
    pub compression: Compression,
}

/// What is different about a set whose data came out of an archive of another tool, and not out of the stack.
pub struct Provenance {
    /// The moment that its data is taken to be of; see docs/old-archives.md.
    pub as_of: jiff::Timestamp,
    /// Facts of the archive.
    pub facts: BTreeMap<String, String>,
    /// Facts of the site that it was brought back into, which say nothing of its source.
    pub forget: &'static [&'static str],
    /// What else the set must hold, in place of the engine's own extras.
    pub extras: Vec<(&'static str, Exec)>,
}

impl Provenance {
    /// Says so in the manifest.
    pub fn mark(&self, component: &mut Component) {
        component.consistent_as_of = self.as_of.to_string();
        component.as_of_window_ms = None;
        component.facts.retain(|key, _| !self.forget.contains(&key.as_str()));
        component.facts.extend(self.facts.clone());
    }
}

/// Adopts it. Nothing of a set that fails is left in the vault, and nothing of the site in any case.
///
/// # Errors
/// What the site, the restore or the backup fail with; `BadArtifact` when the archive's own content is what fails.
pub fn adopt(world: &World, order: Order<'_>) -> Result<Taken> {
    let Order { store, engine, archive, .. } = order;
    let found = archive.findings();
    let spec = engine.site(store);
    if let Some(image) = world.sites.prepare_image(&spec, world.events.as_ref())? {
        world.events.tell(Event::ImageReady(image));
    }
    let site = world.sites.open(&spec, "adopt").context("make a place to adopt it into")?;
    let target = Target { scratch: site.scratch(), ..engine.owned_target(store) };
    let at = site.as_site();
    prove::ready(world, Place { site: at, engine, target: &target }, READY_WITHIN)?;
    for question in engine.before_restore(&target, &described(order)) {
        let answer = plain_act(world, at, engine, &question.act).context(question.title)?;
        (question.judge)(&answer, store).context(question.title)?;
    }
    let answer = match engine.adopt_asks(&target) {
        Some(question) => plain_act(world, at, engine, &question)?,
        None => String::new(),
    };
    let what = Adopted { store, archive: found, inside: order.inside };
    let Adoption { before, content, after, source, extras, forget } = engine.adopt(&target, what, &answer)?;
    perform(world, order, at, &before)?;
    perform(world, order, at, &content).map_err(|error| blamed(found, error))?;
    perform(world, order, at, &after)?;
    let provenance = Provenance { as_of: order.as_of.moment(), facts: facts(order), forget, extras };
    let source = Source { store, engine, site: at, target: &source };
    let terms =
        Terms { binding: &Binding::default(), compression: Some(order.compression), provenance: Some(&provenance) };
    backup_of(world, order.stack, &[source], order.vault, terms)
}

fn perform(world: &World, order: Order<'_>, site: &dyn Site, acts: &[Act]) -> Result<()> {
    for step in acts {
        world.events.tell(Event::Note(step.title.clone()));
        act(world, site, order.engine, step, &|feed| match feed {
            Feed::Data => Ok((order.archive.content()?, None)),
            other => bail!("an archive has no {other:?}"),
        })?;
    }
    Ok(())
}

/// The archive as a component, for the questions that come before every restore.
fn described(order: Order<'_>) -> Component {
    let found = order.archive.findings();
    let extensions: Vec<&str> = found.said.extensions.keys().map(String::as_str).collect();
    let facts = [
        ("server_version_num", found.said.server_number().unwrap_or_default().to_string()),
        ("extensions", extensions.join(", ")),
    ];
    let data = StoredFile {
        file: found.name.clone(),
        role: Role::Data,
        compression: Compression::None,
        stored: found.plain.clone(),
        plain: found.plain.clone(),
    };
    Component {
        store: order.store.name.clone(),
        engine: order.engine.name().to_owned(),
        as_of_window_ms: None,
        consistent_as_of: order.as_of.moment().to_string(),
        consistency: order.engine.consistency(),
        facts: facts.map(|(key, value)| (key.to_owned(), value)).into(),
        files: vec![data],
        census: Census::default(),
    }
}

/// What the manifest says of the archive.
fn facts(order: Order<'_>) -> BTreeMap<String, String> {
    let found = order.archive.findings();
    let declared = matches!(order.as_of, AsOf::Declared(_));
    let unknown = found.unknown.iter().filter(|u| !declared || **u != Unknown::Moment).map(|u| u.word());
    let mut facts: BTreeMap<String, String> = [
        (ADOPTED_FROM, found.name.clone()),
        ("adopted_sha256", found.file.sha256.clone()),
        ("adopted_bytes", found.file.bytes.to_string()),
        ("adopted_layers", found.layers_text()),
        ("adopted_content", found.content.name().to_owned()),
        ("adopted_unknown", unknown.collect::<Vec<_>>().join(", ")),
        (ADOPTED_AS_OF, order.as_of.word().to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    let said = [
        ("adopted_server_version", found.said.server_version.clone()),
        ("adopted_dump_version", found.said.dump_version.clone()),
        ("adopted_database", found.said.database.clone()),
        ("adopted_begun", found.said.begun.map(|at| at.to_string())),
        ("adopted_inside", order.inside.map(str::to_owned)),
    ];
    facts.extend(said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    facts
}

/// Whatever ends the replay of an archive's own content is the archive's doing, unless it is the machine's. Of what a program said only the
/// line with the error is shown: the others may hold rows.
fn blamed(found: &Findings, error: anyhow::Error) -> anyhow::Error {
    use RefusalKind::{AccessDenied, BadArtifact, MissingStore, Preflight, TargetNotEmpty};
    let (what, hint) = match (Refusal::within(&error), error.chain().find_map(|e| e.downcast_ref::<Exited>())) {
        (Some(known), _) if known.kind == AccessDenied => (
            known.message.clone(),
            "it asks for more than the owner of a database may do; if you trust whoever made it, replay it by hand in a server of its own \
             and dump that",
        ),
        (Some(known), _) if matches!(known.kind, BadArtifact | MissingStore | Preflight | TargetNotEmpty) => {
            (known.message.clone(), "take another archive, or make it whole by hand; see docs/old-archives.md")
        }
        (Some(_), _) | (None, None) => return error,
        (None, Some(exited)) => {
            let line = exited.said.lines().find(|l| l.to_ascii_lowercase().contains("error:"));
            let line = line.unwrap_or("a program ended without saying why").trim().to_owned();
            (line, "take another archive, or make it whole by hand; see docs/old-archives.md")
        }
    };
    Refusal::new(RefusalKind::BadArtifact, format!("{} does not restore: {what}", found.name), hint).into()
}
