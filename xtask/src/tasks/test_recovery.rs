//! `cargo xtask test-recovery`: the main job. Decides what is drilled, drills it, and makes the one report of it.

use crate::archive::access::Access;
use crate::archive::vault::{BackupSet, Vault};
use crate::domain::engine::Engine;
use crate::domain::judgement::Subject;
use crate::domain::outcome::{Outcome, Why, exit_code};
use crate::domain::project::Project;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::report::{Drill, Report, SCHEMA};
use crate::domain::scenario::{Origin, Scenario};
use crate::domain::site::{Attachment, ImageIdentity, ImageOrigin, SiteSpec, VolumeOf};
use crate::domain::stack::{Foreign, Stack};
use crate::domain::store::{Location, Root, Store};
use crate::flow::drill::{Input, Order, drill};
use crate::flow::plan::plan;
use crate::flow::verify::{not_ours, same_database};
use crate::flow::world::World;
use crate::{engines, scenarios};
use anyhow::Result;
use std::time::Duration;

/// What to drill and how.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Only this stack (repeatable); `prod` and `staging` name the stack that ends so
    #[arg(long = "stack", value_name = "STACK")]
    pub stacks: Vec<String>,
    /// Only this store (repeatable)
    #[arg(long = "store", value_name = "STORE")]
    pub stores: Vec<String>,
    /// Only this scenario (repeatable): simple-loss, partial-corruption, total-loss, point-in-time
    #[arg(long = "scenario", value_name = "SCENARIO", value_parser = scenario)]
    pub scenarios: Vec<&'static Scenario>,
    /// Read the running stack's data (read-only, where it runs) instead of rehearsing with synthetic data
    #[arg(long, conflicts_with = "set")]
    pub live: bool,
    /// Restore an existing backup set of the stack: its id, or `latest`
    #[arg(long, value_name = "ID")]
    pub set: Option<String>,
    /// How much synthetic data a rehearsal makes: 10MB, 500kB, 1GB, 64MiB
    #[arg(long, value_name = "SIZE", default_value = "10MB", value_parser = size)]
    pub size: u64,
    /// Run every drill so many times; every run is reported, the worst one counts
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub repeat: u16,
    /// How long writes go on after the backup before the disaster: 2s, 5m
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = crate::domain::schedule::duration)]
    pub exposure: Duration,
    /// Fail, instead of skipping, what cannot be drilled without this
    #[arg(long, value_name = "WHAT")]
    pub require: Vec<Requirement>,
}

/// Something that drills may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Requirement {
    /// A container engine.
    Docker,
}

fn scenario(name: &str) -> Result<&'static Scenario, String> {
    let names = || scenarios::SCENARIOS.iter().map(|s| s.name).collect::<Vec<_>>().join(", ");
    scenarios::find(name).ok_or_else(|| format!("there is no such scenario; there are {}", names()))
}

/// Bytes from `10MB`, `500kB`, `1GB`, `64MiB` or a plain number.
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor: u64 = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        unit => return Err(format!("`{unit}` is not a unit: write kB, MB, GB, KiB, MiB or GiB")),
    };
    let number: u64 = text[..digits].parse().map_err(|_| "write a whole number and a unit, such as 10MB".to_owned())?;
    number
        .checked_mul(factor)
        .filter(|bytes| (100_000..=100_000_000_000).contains(bytes))
        .ok_or_else(|| "a rehearsal's size is between 100kB and 100GB".to_owned())
}

/// One thing to do: a drill, or a row that says why there is none.
enum Item<'a> {
    Drill(Box<Order<'a>>),
    Row(Subject, Outcome),
}

/// Drills everything that was asked for.
pub fn run(world: &World, project: &Project, args: &Args) -> Result<Report> {
    let started = world.clock.wall();
    let begun = world.clock.now();
    let containers = world.sites.containers();
    let mut drills = Vec::new();
    for item in items(project, args)? {
        drills.push(match item {
            Item::Row(subject, outcome) => subject.without_runs(outcome),
            Item::Drill(order) => match &containers {
                Err(error) if needs_containers(&order) => {
                    order.subject().not_run(without_docker(error, args), order.objective, order.schedule)
                }
                _ => drill(world, &order),
            },
        });
    }
    Ok(Report {
        schema: SCHEMA,
        tool: concat!("xtask ", env!("CARGO_PKG_VERSION")).to_owned(),
        task: "test-recovery".to_owned(),
        run: world.run.clone(),
        started_at: started.to_string(),
        duration_seconds: (world.clock.now() - begun).as_secs_f64(),
        machine: world.sites.machine(),
        images: images(&drills),
        notes: notes(project, args)?.into_iter().chain(lacks(&drills)).collect(),
        exit_code: exit_code(drills.iter().map(|d| &d.outcome)),
        drills,
        checks: Vec::new(),
        mutations: Vec::new(),
    })
}

/// What would be done, as text.
pub fn plans(project: &Project, args: &Args) -> Result<String> {
    let texts = items(project, args)?.into_iter().map(|item| match item {
        Item::Drill(order) => plan(&order),
        Item::Row(s, outcome) => {
            let why = outcome.why().map(ToString::to_string).unwrap_or_default();
            format!("{}/{} {} ({})\n  {}: {why}\n", s.stack, s.store, s.scenario, s.input, outcome.word())
        }
    });
    Ok(texts.collect::<Vec<_>>().join("\n"))
}

/// What concerns the project and the chosen stacks: what is not covered must not be overlooked.
fn notes(project: &Project, args: &Args) -> Result<Vec<String>> {
    let rehearsed = args.set.is_none() && !args.live;
    let of = |stack: &Stack| {
        let stores = stack.stores.iter().filter(|s| args.stores.is_empty() || args.stores.contains(&s.name));
        let unread = stores.filter(|_| rehearsed).filter_map(|s| unread(stack, s));
        stack.notes.iter().cloned().chain(unread).map(|note| format!("{}: {note}", stack.name)).collect::<Vec<_>>()
    };
    let synthetic = rehearsed.then(|| {
        "a rehearsal proves the procedure on data made for it and reads none of yours: \
         --live proves the running data, --set latest a backup"
            .to_owned()
    });
    let notes = synthetic.into_iter().chain(project.notes.iter().cloned());
    Ok(notes.chain(chosen(project, args)?.into_iter().flat_map(of)).collect())
}

/// What the backups that were drilled do not hold, each once.
fn lacks(drills: &[Drill]) -> Vec<String> {
    let mut all = Vec::new();
    for drill in drills {
        let told = drill.runs.iter().filter_map(|r| r.backup.as_ref()).flat_map(|b| &b.lacks);
        for note in told.map(|what| format!("{}: {what}", drill.stack)) {
            if !all.contains(&note) {
                all.push(note);
            }
        }
    }
    all
}

/// What a green rehearsal must not hide: that nothing of the store's own data can be backed up where it is.
fn unread(stack: &Stack, store: &Store) -> Option<String> {
    engines::find(&store.engine)?;
    let why = attachment(stack, store).err()?;
    Some(format!("{} is rehearsed with synthetic data, but its own cannot be backed up: {why}", store.name))
}

fn chosen<'a>(project: &'a Project, args: &Args) -> Result<Vec<&'a Stack>> {
    match args.stacks.as_slice() {
        [] => Ok(project.stacks.iter().collect()),
        names => names.iter().map(|name| project.stack(name)).collect(),
    }
}

/// Whether the engine is needed: to run the store's server, or to say where it keeps the store's volume.
fn needs_containers(order: &Order<'_>) -> bool {
    matches!(order.engine.site(order.store), SiteSpec::Container(_))
        || matches!(order.input, Input::Live(Attachment::Volume(_)))
}

fn without_docker(error: &anyhow::Error, args: &Args) -> Outcome {
    let mut why = Why::from_error(error);
    why.message = format!("needs a container engine: {}", why.message);
    if args.require.contains(&Requirement::Docker) {
        why.message = format!("--require docker: {}", why.message);
        return Outcome::Failed(why);
    }
    Outcome::Skipped(why)
}

fn items<'a>(project: &'a Project, args: &Args) -> Result<Vec<Item<'a>>> {
    let stacks = chosen(project, args)?;
    let wanted: Vec<&'static Scenario> = match args.scenarios.as_slice() {
        [] => scenarios::SCENARIOS.to_vec(),
        some => some.to_vec(),
    };
    let mut items = Vec::new();
    let foreign = |stack: &'a Stack| {
        stack.without_engine.iter().filter(|f| args.stores.is_empty() || args.stores.contains(&f.service))
    };
    for name in &args.stores {
        if stacks.iter().any(|s| foreign(s).any(|f| f.service == *name)) {
            continue;
        }
        if !stacks.iter().any(|s| s.stores.iter().any(|store| store.name == *name)) {
            let all: Vec<&str> = stacks.iter().flat_map(|s| &s.stores).map(|s| s.name.as_str()).collect();
            let message = format!("no chosen stack has a store `{name}`");
            let hint = format!("choose one of: {}", all.join(", "));
            return Err(Refusal::new(RefusalKind::Configuration, message, hint).into());
        }
    }
    let several = stacks.len() > 1;
    for stack in stacks {
        for (foreign, scenario) in foreign(stack).flat_map(|f| wanted.iter().map(move |s| (f, s))) {
            items.push(uncovered(stack, foreign, scenario, args));
        }
        for store in stack.stores.iter().filter(|s| args.stores.is_empty() || args.stores.contains(&s.name)) {
            for scenario in &wanted {
                items.push(item(stack, store, scenario, args, several)?);
            }
        }
    }
    Ok(items)
}

/// The row of a service that no engine knows.
fn uncovered<'a>(stack: &Stack, foreign: &Foreign, scenario: &Scenario, args: &Args) -> Item<'a> {
    let origin = match (args.set.is_some(), args.live) {
        (true, _) => Origin::Set,
        (_, true) => Origin::Live,
        _ => Origin::Rehearsal,
    };
    let subject = Subject {
        stack: stack.name.clone(),
        store: foreign.service.clone(),
        engine: foreign.what.to_lowercase(),
        scenario: scenario.name.to_owned(),
        input: origin.name().to_owned(),
    };
    let why = Why::new(format!("no engine for {} yet: this service is NOT covered", foreign.what))
        .hint("back it up by other means, and do not take this report for a proof of it");
    Item::Row(subject, Outcome::Skipped(why))
}

fn item<'a>(
    stack: &'a Stack,
    store: &'a Store,
    scenario: &'static Scenario,
    args: &Args,
    several: bool,
) -> Result<Item<'a>> {
    let row = |input: &str, outcome| {
        let subject = Subject {
            stack: stack.name.clone(),
            store: store.name.clone(),
            engine: store.engine.clone(),
            scenario: scenario.name.to_owned(),
            input: input.to_owned(),
        };
        Ok(Item::Row(subject, outcome))
    };
    let Some(engine) = engines::find(&store.engine) else {
        let why = Why::new(format!("no engine for {} yet: this store is NOT covered", store.engine));
        return row("rehearsal", Outcome::Skipped(why));
    };
    let input = match (&args.set, args.live) {
        (Some(_), _) if let Err(why) = scenario.steps_for(Origin::Set) => {
            return row("set", Outcome::Skipped(Why::new(why)));
        }
        (Some(which), _) => match of_vault(stack, store, which) {
            Ok(set) => Input::Set(Box::new(set)),
            // One stack without a sound set must not keep the others from being drilled.
            Err(error) if several => return row("set", Outcome::Failed(Why::from_error(&error))),
            Err(error) => return Err(error),
        },
        (None, true) => match attachment(stack, store) {
            Ok(attachment) => Input::Live(attachment),
            Err(why) => return row("live", Outcome::Skipped(why)),
        },
        (None, false) => Input::Rehearsal { bytes: args.size },
    };
    if let Input::Set(set) = &input
        && set.manifest.component(&store.name).is_none()
    {
        return row("set", Outcome::Failed(not_in_set(stack, store, &set.manifest.id)));
    }
    Ok(Item::Drill(Box::new(order(stack, store, engine, scenario, input, args))))
}

/// A set of the stack's vault, opened with the stack's keys. One of another stack or database would prove nothing of this one.
fn of_vault(stack: &Stack, store: &Store, which: &str) -> Result<BackupSet> {
    let set = Vault::with(&stack.backups.vault, Access::of(&stack.backups.protection)?).find(which)?;
    if set.manifest.stack != stack.name {
        let what = format!("set {} is of stack {}, not of {}", set.manifest.id, set.manifest.stack, stack.name);
        return Err(not_ours(what, stack).into());
    }
    set.manifest.component(&store.name).map_or(Ok(()), |part| same_database(stack, store, part))?;
    Ok(set)
}

/// The stack declares a store that this backup cannot bring back: that is known to be wrong, not merely untried.
fn not_in_set(stack: &Stack, store: &Store, id: &str) -> Why {
    Why {
        exit_code: Some(RefusalKind::NoBackup.exit_code()),
        ..Why::new(format!("the set {id} holds nothing of {}: it cannot be restored from it", store.name)).hint(
            format!("cargo xtask backup {}   (without --store), or name with --store what the set holds", stack.name),
        )
    }
}

fn order<'a>(
    stack: &'a Stack,
    store: &'a Store,
    engine: &'static dyn Engine,
    scenario: &'static Scenario,
    input: Input,
    args: &Args,
) -> Order<'a> {
    Order {
        stack: &stack.name,
        store,
        engine,
        scenario,
        input,
        objective: stack.objectives.of(scenario),
        schedule: stack.backups.schedule.as_ref(),
        compression: Some(stack.backups.compression),
        encryption: &stack.backups.protection.encryption,
        exposure: args.exposure,
        repeat: usize::from(args.repeat),
    }
}

/// Where a store really runs.
pub fn attachment(stack: &Stack, store: &Store) -> Result<Attachment, Why> {
    let root = match &store.location {
        Location::Database { .. } => {
            return match &store.service {
                Some(service) => Ok(Attachment::Service { project: stack.project.clone(), service: service.clone() }),
                None => Err(Why::new(format!("{} names no Compose service", store.name))
                    .hint("set `service:` on the store in recovery.yaml")),
            };
        }
        Location::File { root, .. } | Location::Folder { root, .. } => root,
    };
    match root {
        Root::Host(folder) => Ok(Attachment::Folder(folder.clone())),
        Root::Volume(volume) => Ok(Attachment::Volume(VolumeOf {
            name: volume.clone(),
            project: (!stack.compose_files.is_empty()).then(|| stack.project.clone()),
            service: store.service.clone(),
        })),
    }
}

/// Every image that ran, once, with the longest preparation that was seen for it.
fn images(drills: &[Drill]) -> Vec<ImageIdentity> {
    let mut all: Vec<ImageIdentity> = Vec::new();
    for image in drills.iter().flat_map(|d| &d.runs).flat_map(|r| &r.sites).filter_map(|s| s.image.as_ref()) {
        match all
            .iter_mut()
            .find(|known| (&known.used, &known.wanted, &known.digest) == (&image.used, &image.wanted, &image.digest))
        {
            None => all.push(image.clone()),
            Some(known) => {
                known.prepared_ms = known.prepared_ms.max(image.prepared_ms);
                if matches!(image.origin, ImageOrigin::BuiltLocally | ImageOrigin::Pulled) {
                    known.origin = image.origin;
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("10MB"), Ok(10_000_000));
        assert_eq!(size("1GB"), Ok(1_000_000_000));
        assert_eq!(size("64MiB"), Ok(64 << 20));
        for bad in ["", "MB", "10XB", "-1MB", "1kB", "99999999999999999999GB", "200GB", "1é"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
