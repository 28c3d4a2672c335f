//! Proving a restored store: its census against the promise, its marks against the ledger, its service against a probe.

use crate::domain::census::Census;
use crate::domain::engine::{Engine, MarkTable, Target};
use crate::domain::mark::{Ledger, MarkVerdict, Moment};
use crate::domain::store::Store;
use crate::domain::{mark, outcome::Why, report::ProofRecord};
use crate::flow::backup::parse_census;
use crate::flow::child::{ask, plain_act};
use crate::flow::world::World;
use crate::ports::Site;
use anyhow::{Context, Result, anyhow, bail};
use std::time::Duration;

/// A place whose content is to be proven.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Where.
    pub site: &'a dyn Site,
    /// Its kind.
    pub engine: &'a dyn Engine,
    /// How it is addressed.
    pub target: &'a Target,
}

/// How many probes in a row must answer.
const PROBES: u32 = 3;

/// The census of what is there now.
pub fn census(world: &World, at: Place<'_>) -> Result<Census> {
    parse_census(&plain_act(world, at.site, at.engine, &at.engine.census(at.target))?)
}

/// Compares everything with the promise. `Err` inside is a difference, outside a question that got no answer.
pub fn equal(promise: &Census, found: &Census) -> std::result::Result<ProofRecord, Why> {
    let differences = promise.differences(found);
    if promise.contents() == 0 {
        return Err(Why::new("the backup's census is empty: there is nothing to prove"));
    }
    match differences.as_slice() {
        [] => Ok(ProofRecord {
            contents: promise.contents(),
            objects: promise.objects.len(),
            rows: promise.rows(),
            quarantined: 0,
            unrecoverable: 0,
        }),
        [first, rest @ ..] => {
            let shown: Vec<String> = rest.iter().take(4).map(ToString::to_string).collect();
            let more = rest.len().saturating_sub(shown.len());
            let also = if shown.is_empty() { String::new() } else { format!("; {}", shown.join("; ")) };
            let more = if more == 0 { String::new() } else { format!("; and {more} more") };
            Err(Why::new(format!("the restored data is not what was backed up: {first}{also}{more}"))
                .hint("the backup does not restore to what it was taken from: keep older sets and find out why before pruning"))
        }
    }
}

/// The surviving marks of a table, judged.
pub fn marks(world: &World, at: Place<'_>, of: MarkTable, ledger: &Ledger, strike: Moment) -> Result<MarkVerdict> {
    let text = plain_act(world, at.site, at.engine, &at.engine.marks(at.target, of))?;
    let survivors = text
        .split_whitespace()
        .map(|word| word.parse::<u64>().with_context(|| format!("`{word}` is not a mark")))
        .collect::<Result<Vec<u64>>>()?;
    Ok(mark::judge(ledger, &survivors, strike))
}

/// Asks until the service answers three times in a row.
pub fn probe(world: &World, at: Place<'_>, store: &Store, within: Duration) -> Result<()> {
    let deadline = world.clock.now() + within;
    let mut in_a_row = 0;
    let mut last = anyhow!("it was never asked");
    while in_a_row < PROBES {
        match ask(world, at.site, at.engine, &at.engine.probe(at.target, store)) {
            Ok(answer) if !answer.trim().is_empty() => {
                in_a_row += 1;
                continue;
            }
            Ok(_) => last = anyhow!("it answered nothing"),
            Err(error) => last = error,
        }
        in_a_row = 0;
        if world.clock.now() >= deadline {
            return Err(last.context(format!("the service did not answer within {} s", within.as_secs())));
        }
        world.clock.sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Waits until the server accepts connections. Fails at the deadline with the last answer and the server's last words.
pub fn ready(world: &World, at: Place<'_>, within: Duration) -> Result<()> {
    let deadline = world.clock.now() + within;
    let exec = at.engine.ready(at.target);
    loop {
        match ask(world, at.site, at.engine, &exec) {
            Ok(_) => return Ok(()),
            Err(error) if world.clock.now() >= deadline => {
                let logs = at.site.logs(20).unwrap_or_default();
                if logs.trim().is_empty() {
                    bail!(error.context(format!("the server was not ready within {} s", within.as_secs())));
                }
                bail!(error.context(format!(
                    "the server was not ready within {} s; its last words:\n{}",
                    within.as_secs(),
                    logs.trim_end()
                )));
            }
            Err(_) => world.clock.sleep(Duration::from_millis(50)),
        }
    }
}
