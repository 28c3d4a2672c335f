//! Removes what runs made: one thing at a time until it is gone, all of a run, or all that dead runs left.
//! It must not know how things were made; images are never touched.

use super::engine::Engine;
use super::fault::{self, gone, within};
use super::identity::{MANAGED, RUN, owner_of};
use crate::adapters::owner::Life;
use crate::ports::Swept;
use anyhow::{Result, bail};
use bollard::Docker;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptionsBuilder,
};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// How long one thing may resist its removal.
const STUBBORN: Duration = Duration::from_secs(60);
/// A creation may land after its creator died: so many listings in a row must show nothing to remove, this far apart.
const QUIET_LISTINGS: usize = 3;
const BETWEEN_LISTINGS: Duration = Duration::from_millis(700);
/// The end of patience with an engine that keeps showing things.
const ROUNDS: usize = 40;

/// One thing in the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Thing {
    Container(String),
    Volume(String),
    Network(String),
}

impl std::fmt::Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Container(name) => write!(f, "container {name}"),
            Self::Volume(name) => write!(f, "volume {name}"),
            Self::Network(name) => write!(f, "network {name}"),
        }
    }
}

/// Removes one thing and its anonymous volumes; that it is not there is success.
pub(super) async fn remove(docker: &Docker, thing: &Thing) -> Result<()> {
    let until = Instant::now() + STUBBORN;
    let mut pause = Duration::from_millis(20);
    loop {
        let what = format!("remove the {thing}");
        let result = match thing {
            Thing::Container(name) => {
                let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
                within(fault::CHANGE, &what, docker.remove_container(name, Some(options))).await
            }
            Thing::Volume(name) => {
                let options = RemoveVolumeOptionsBuilder::default().force(true).build();
                within(fault::CHANGE, &what, docker.remove_volume(name, Some(options))).await
            }
            Thing::Network(name) => within(fault::CHANGE, &what, docker.remove_network(name)).await,
        };
        // A container removed by somebody else at this moment answers 409, and holds its volumes and network a little longer.
        match gone(result) {
            Ok(()) if !still_there(docker, thing).await? => return Ok(()),
            Err(error) if Instant::now() >= until || fault::status(&error).is_none() => return Err(error),
            Ok(()) if Instant::now() >= until => bail!("{what}: it is still there"),
            _ => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

async fn still_there(docker: &Docker, thing: &Thing) -> Result<bool> {
    let what = format!("look whether the {thing} is gone");
    let looked = match thing {
        Thing::Container(name) => within(fault::LOOK, &what, docker.inspect_container(name, None)).await.map(drop),
        Thing::Volume(name) => within(fault::LOOK, &what, docker.inspect_volume(name)).await.map(drop),
        Thing::Network(name) => within(fault::LOOK, &what, docker.inspect_network(name, None)).await.map(drop),
    };
    match looked {
        Ok(()) => Ok(true),
        Err(error) if fault::status(&error) == Some(404) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes these in order (containers first), tries all even if some fail, and reports every failure.
pub(super) async fn remove_all(docker: &Docker, things: &[Thing]) -> Result<()> {
    let mut failures = Vec::new();
    for thing in things {
        if let Err(error) = remove(docker, thing).await {
            failures.push(format!("{error:#}"));
        }
    }
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("; ")) }
}

/// Removes what dead runs left behind.
pub(super) fn sweep(engine: &Engine) -> Result<Swept> {
    let docker = engine.client()?;
    let mut swept = Swept::default();
    let mut kept = BTreeSet::new();
    engine.run(until_quiet(&docker, &format!("{MANAGED}=1"), || QUIET_LISTINGS, &mut |thing, labels| {
        let fate = fate(labels)?;
        match fate {
            Fate::Removed => swept.removed.push(thing.to_string()),
            Fate::Kept => drop(kept.insert(thing.to_string())),
            Fate::Nobodys => {}
        }
        Ok(fate == Fate::Removed)
    }))?;
    swept.removed.sort_unstable();
    swept.removed.dedup();
    swept.kept = kept.into_iter().collect();
    Ok(swept)
}

/// What a sweep does with a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its owner is dead.
    Removed,
    /// Its owner lives, or cannot be judged from here.
    Kept,
    /// Not ours: an image of ours passes its labels on to anybody's container, but no owner.
    Nobodys,
}

fn fate(labels: &HashMap<String, String>) -> Result<Fate> {
    let Some(owner) = owner_of(labels) else { return Ok(Fate::Nobodys) };
    Ok(if owner.life()? == Life::Dead { Fate::Removed } else { Fate::Kept })
}

/// Removes everything of this run, and lets it make nothing more.
pub(super) fn abandon(engine: &Engine) -> Result<()> {
    engine.abandon();
    // An engine that never answered holds nothing of ours: a run without Docker ends without asking for it.
    let Some(docker) = engine.known() else { return Ok(()) };
    let label = format!("{RUN}={}", engine.identity.run);
    let mine = engine.identity.owner.clone();
    let quiet = || if engine.is_creating() { QUIET_LISTINGS } else { 1 };
    engine.run(until_quiet(&docker, &label, quiet, &mut |_, labels| Ok(owner_of(labels).as_ref() == Some(&mine))))
}

type Choice<'a> = dyn FnMut(&Thing, &HashMap<String, String>) -> Result<bool> + Send + 'a;

async fn until_quiet(
    docker: &Docker,
    label: &str,
    enough: impl Fn() -> usize + Send,
    choose: &mut Choice<'_>,
) -> Result<()> {
    let (mut quiet, mut failure) = (0, Ok(()));
    for _ in 0..ROUNDS {
        let mut condemned = Vec::new();
        for (thing, labels) in listing(docker, label).await? {
            if choose(&thing, &labels)? {
                condemned.push(thing);
            }
        }
        if condemned.is_empty() {
            (quiet, failure) = (quiet + 1, Ok(()));
            if quiet >= enough() {
                return Ok(());
            }
        } else {
            quiet = 0;
            failure = remove_all(docker, &condemned).await;
            if failure.as_ref().is_err_and(|error| error.chain().any(|e| e.is::<crate::domain::refusal::Refusal>())) {
                return failure;
            }
        }
        if quiet > 0 || failure.is_err() {
            tokio::time::sleep(BETWEEN_LISTINGS).await;
        }
    }
    failure.and_then(|()| bail!("things with the label {label} keep appearing"))
}

/// Everything with this label: containers first, since they hold the rest.
async fn listing(docker: &Docker, label: &str) -> Result<Vec<(Thing, HashMap<String, String>)>> {
    let filter = HashMap::from([("label", vec![label])]);
    let mut found = Vec::new();
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
    for container in within(fault::LOOK, "list the containers", docker.list_containers(Some(options))).await? {
        let name = container.names.unwrap_or_default().first().map(|n| n.trim_start_matches('/').to_owned());
        let Some(name) = name.or(container.id) else { continue };
        found.push((Thing::Container(name), container.labels.unwrap_or_default()));
    }
    let options = ListVolumesOptionsBuilder::default().filters(&filter).build();
    for volume in
        within(fault::LOOK, "list the volumes", docker.list_volumes(Some(options))).await?.volumes.unwrap_or_default()
    {
        found.push((Thing::Volume(volume.name), volume.labels));
    }
    let options = ListNetworksOptionsBuilder::default().filters(&filter).build();
    for network in within(fault::LOOK, "list the networks", docker.list_networks(Some(options))).await? {
        let Some(name) = network.name.or(network.id) else { continue };
        found.push((Thing::Network(name), network.labels.unwrap_or_default()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::identity::RunIdentity;
    use super::*;

    #[test]
    fn only_what_names_a_dead_owner_is_removed() {
        let mut run = RunIdentity::of_this_process("r").unwrap();
        assert_eq!(fate(&run.labels()).unwrap(), Fate::Kept);
        run.owner.started += 1;
        assert_eq!(fate(&run.labels()).unwrap(), Fate::Removed);
        run.owner.namespace = "pid:[1]".to_owned();
        assert_eq!(fate(&run.labels()).unwrap(), Fate::Kept, "an owner in another process namespace cannot be judged");
        let inherited = HashMap::from([(MANAGED.to_owned(), "1".to_owned())]);
        assert_eq!(fate(&inherited).unwrap(), Fate::Nobodys);
    }
}
