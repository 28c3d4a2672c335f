//! Restoring where the stack really runs: everything that could be refused first, then a safety backup, then each store beside and proven,
//! and at last the exchange. Killed anywhere, a store is the old one or the restored one. It must not know any engine.

use crate::archive::vault::{BackupSet, Intent, Restoring, Vault};
use crate::domain::artifact::Component;
use crate::domain::deed::{Deed, Ending, What};
use crate::domain::engine::{Engine, Target};
use crate::domain::event::Event;
use crate::domain::exchange::{Exchange, Wish};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::site::Attachment;
use crate::domain::stack::Stack;
use crate::domain::store::Store;
use crate::domain::timeline::Timeline;
use crate::flow::world::World;
use crate::flow::{audit, child};
use crate::ports::Site;
use anyhow::{Context, Result};

mod choose;
mod clear;
mod perform;
mod questions;
mod safety;

pub use choose::chosen;
pub use clear::{clear_all, unfinished};

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// The running stores themselves.
    Live,
    /// Beside them, under this name.
    Named(String),
}

impl Goal {
    /// As it is typed: `live`, or a name.
    pub fn of(word: &str) -> Self {
        if word == LIVE { Self::Live } else { Self::Named(word.to_owned()) }
    }

    /// As it is typed.
    pub fn word(&self) -> &str {
        match self {
            Self::Live => LIVE,
            Self::Named(name) => name,
        }
    }
}

const LIVE: &str = "live";

/// One store that is to be restored.
#[derive(Clone)]
pub struct Aim<'a> {
    /// The store.
    pub store: &'a Store,
    /// Its engine.
    pub engine: &'static dyn Engine,
    /// Where it really runs.
    pub to: Attachment,
}

/// What is to be restored, and how.
pub struct Order<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// Its vault.
    pub vault: &'a Vault,
    /// The set.
    pub set: &'a BackupSet,
    /// The old archive that the set was made of for this run alone, and its SHA-256: no vault knows that set.
    pub archive: Option<(String, String)>,
    /// The stores.
    pub aims: Vec<Aim<'a>>,
    /// Where to.
    pub goal: Goal,
    /// Single tables, as census objects; empty = everything.
    pub tables: Vec<String>,
    /// The stack's name, typed by whoever means it.
    pub confirm: Option<String>,
    /// Whether sessions that stand in the way are ended at the exchange.
    pub disconnect: bool,
    /// Whether what was there before goes after the exchange.
    pub drop_previous: bool,
    /// Whether it may go on although what is there now cannot be backed up.
    pub without_safety_backup: bool,
    /// Whether roles that the server lacks are brought back.
    pub with_roles: bool,
}

impl Order<'_> {
    /// Where to, and of an old archive what it was: as the audit log tells it.
    fn target(&self) -> String {
        match &self.archive {
            Some((path, sha256)) => format!("{}; from the archive {path}, SHA-256 {sha256}", self.goal.word()),
            None => self.goal.word().to_owned(),
        }
    }

    fn wish(&self, world: &World) -> Wish {
        wish(self, &world.run)
    }
}

/// What of a restore's names and manner the order says.
pub fn wish(order: &Order<'_>, run: &str) -> Wish {
    Wish {
        tag: Wish::tag_of(run),
        keep: !order.drop_previous,
        replace: order.goal == Goal::Live,
        disconnect: order.disconnect,
    }
}

/// A store that was visited, and what was found out there.
struct Visit<'a> {
    store: &'a Store,
    /// The same, allowed to be empty: whatever is there is backed up before it is replaced.
    as_it_is: Store,
    engine: &'static dyn Engine,
    component: &'a Component,
    site: Box<dyn Site>,
    /// What is to be replaced.
    at: Target,
    exchange: Exchange,
    /// The roles that the server lacks, a line each.
    roles: String,
    /// Whether there is something.
    occupied: bool,
}

/// One restored store.
#[derive(Debug)]
pub struct Restored {
    /// The store.
    pub store: String,
    /// Rows that came back, as the census counts them.
    pub rows: u64,
    /// Objects whose content was compared.
    pub contents: usize,
    /// What holds the data that was there before.
    pub previous: Option<String>,
    /// What removes it, as a command line at the store's place.
    pub removal: String,
    /// Where that is: the folder, or the service's container.
    pub place: String,
    /// What has to be known.
    pub notes: Vec<String>,
    /// Phase by phase: the time until this store's data was there, proven, and answered.
    pub timeline: Timeline,
}

/// A restore that went well.
#[derive(Debug)]
pub struct Done {
    /// The set that holds what was there before, when there was something.
    pub safety: Option<String>,
    /// The moment whose data that set is: the earliest of its stores.
    pub safety_as_of: Option<String>,
    /// In the order of the exchange.
    pub stores: Vec<Restored>,
    /// What has to be known.
    pub notes: Vec<String>,
    /// From the command to the last answer.
    pub seconds: f64,
}

/// Restores. Everything that can be refused is refused before anything is touched.
///
/// # Errors
/// `Refusal`s of [`questions`] and of what the restore itself needs; then every store that is not named as exchanged is what it was.
pub fn recover(world: &World, order: &Order<'_>) -> Result<Done> {
    let deed = Deed::new(What::Restore, &order.stack.name).to(order.target());
    let deed = if order.archive.is_some() { deed } else { deed.of(&order.set.manifest.id) };
    let done = carried_out(world, order, &deed);
    match &done {
        Ok(Done { safety: Some(id), .. }) => {
            let target = format!("{}; what was there is in set {id}", order.target());
            audit::note(world, order.vault, deed.to(target));
        }
        Ok(_) => audit::note(world, order.vault, deed),
        Err(error) => audit::note(world, order.vault, deed.failed(error)),
    }
    done
}

fn carried_out(world: &World, order: &Order<'_>, deed: &Deed) -> Result<Done> {
    let begun = world.clock.now();
    let restoring = order.vault.restoring(&world.run, world.clock.wall())?;
    // Nothing of a set is looked into before all of its bytes were found right.
    order.set.verify()?;
    clear_all(world, order.stack, order.vault, &restoring, (&order.aims, false))?;
    let (visits, mut notes) = questions::visit(world, order)?;
    let (saved, told) = safety::ready(world, order, &visits)?;
    notes.extend(told);
    let why = saved.as_ref().err().map(|why| format!("without a safety backup: {why}"));
    audit::record(world, order.vault, Deed { ending: Ending::Begun, why, ..deed.clone() })
        .context("write the audit log before anything is changed")?;
    let safety = match &saved {
        Ok(sources) if !sources.is_empty() => Some(safety::back_up(world, order, sources)?),
        _ => None,
    };
    let intents: Vec<Intent> =
        visits.iter().map(|v| Intent { store: v.store.name.clone(), to: order.goal.word().to_owned() }).collect();
    restoring.begin(&world.run, &intents)?;
    let stores = perform::all(world, order, &visits);
    let cleared = tidy_up(world, &restoring, &visits);
    let stores = stores?;
    if let Err(error) = cleared {
        notes.push(format!(
            "what the restore needed on its way could not be removed, `cargo xtask sweep` tries again: {error:#}"
        ));
    }
    let (safety, safety_as_of) = safety.unzip();
    Ok(Done { safety, safety_as_of, stores, notes, seconds: (world.clock.now() - begun).as_secs_f64() })
}

/// Removes what the restore needed on its way; after a restore that failed, that is all it made.
fn tidy_up(world: &World, restoring: &Restoring<'_>, visits: &[Visit<'_>]) -> Result<()> {
    let tag = Wish::tag_of(&world.run);
    for visit in visits {
        for act in visit.engine.clear(&visit.at, &tag) {
            child::plain_act(world, visit.site.as_ref(), visit.engine, &act)?;
        }
    }
    restoring.end(&world.run)
}

fn say(world: &World, text: impl Into<String>) {
    world.events.tell(Event::Note(text.into()));
}

fn refuse(kind: RefusalKind, message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Refusal::new(kind, message, hint).into()
}
