//! How many backup sets are kept: `backups.retention` in `recovery.yaml`, and the variables of earlier days where it says nothing.
//! It must not know what becomes of a set.

use super::fields::{only, text};
use super::node::Node;
use super::old_variables::{Written, contradiction};
use crate::adapters::environment::Lookup;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::retention::Policy;

/// The rules as they are written; what is left out is looked up in variables.
#[derive(Default)]
pub(super) struct RetentionText {
    daily: Written<u32>,
    weekly: Written<u32>,
    monthly: Written<u32>,
    floor: Written<u32>,
}

/// `backups.retention` of a stack.
pub(super) fn written(node: &Node, of: &str) -> Result<RetentionText, Refusal> {
    only(node, &format!("`retention` of {of}"), &["daily", "weekly", "monthly", "floor"])?;
    let number = |key: &str, least: u32| -> Result<Written<u32>, Refusal> {
        let Some(node) = node.get(key) else { return Ok(None) };
        let number = text(node, &format!("`{key}`"))?.parse::<u32>().ok().filter(|n| *n >= least);
        let cause = format!("`{key}` is not a number of sets");
        let at = node.at.place();
        match number {
            Some(number) => Ok(Some((number, at))),
            None => Err(at.refuse(cause, format!("write a whole number, at least {least}"))),
        }
    };
    Ok(RetentionText {
        daily: number("daily", 0)?,
        weekly: number("weekly", 0)?,
        monthly: number("monthly", 0)?,
        // Without any floor a vault could lose its last good set.
        floor: number("floor", 1)?,
    })
}

/// The policy: what is written, else what a variable says, else the default. A variable that says another number than the file is
/// refused: one of the two would remove what the other keeps. A note tells of a variable that is not followed.
pub(super) fn policy(text: &RetentionText, lookup: Lookup<'_>, notes: &mut Vec<String>) -> Result<Policy, Refusal> {
    let default = Policy::default();
    let (own, days) = (variable("RETENTION_DAILY", lookup)?, variable("BACKUP_RETENTION_DAYS", lookup)?);
    if let (Some(own), Some(days)) = (own, days)
        && own != days
    {
        notes.push(format!("RETENTION_DAILY ({own}) and BACKUP_RETENTION_DAYS ({days}) differ: the first is followed"));
    }
    let daily = match own {
        Some(own) => Some((own, "RETENTION_DAILY")),
        None => days.map(|days| (days, "BACKUP_RETENTION_DAYS")),
    };
    let said = |name: &'static str| variable(name, lookup).map(|found| found.map(|number| (number, name)));
    Ok(Policy {
        daily: one("daily", &text.daily, daily, default.daily)?,
        weekly: one("weekly", &text.weekly, said("RETENTION_WEEKLY")?, default.weekly)?,
        monthly: one("monthly", &text.monthly, said("RETENTION_MONTHLY")?, default.monthly)?,
        floor: text.floor.as_ref().map_or(default.floor, |(floor, _)| *floor),
    })
}

fn one(key: &str, written: &Written<u32>, said: Option<(u32, &str)>, default: u32) -> Result<u32, Refusal> {
    match (written, said) {
        (Some((number, at)), Some((other, variable))) if *number != other => {
            Err(contradiction(at, &format!("retention.{key}"), variable))
        }
        (Some((number, _)), _) => Ok(*number),
        (None, Some((number, _))) => Ok(number),
        (None, None) => Ok(default),
    }
}

fn variable(name: &str, lookup: Lookup<'_>) -> Result<Option<u32>, Refusal> {
    let Some(value) = lookup(name).filter(|v| !v.trim().is_empty()) else { return Ok(None) };
    value.trim().parse().map(Some).map_err(|_| {
        Refusal::new(
            RefusalKind::Configuration,
            format!("variable `{name}` is not a whole number"),
            format!(
                "correct `{name}` in the env file or the environment, or write `backups.retention` in recovery.yaml"
            ),
        )
    })
}
