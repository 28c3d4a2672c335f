//! How many backup sets are kept: `backups.retention` in `recovery.yaml`, and the variables of earlier days where it says nothing.
//! It must not know what becomes of a set.

use super::fields::{only, text};
use super::node::Node;
use crate::adapters::environment::Lookup;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::retention::Policy;

/// The rules as they are written; what is left out is looked up in variables.
#[derive(Default)]
pub(super) struct RetentionText {
    daily: Option<u32>,
    weekly: Option<u32>,
    monthly: Option<u32>,
    floor: Option<u32>,
}

/// `backups.retention` of a stack.
pub(super) fn written(node: &Node, of: &str) -> Result<RetentionText, Refusal> {
    only(node, &format!("`retention` of {of}"), &["daily", "weekly", "monthly", "floor"])?;
    let number = |key: &str, least: u32| -> Result<Option<u32>, Refusal> {
        let Some(node) = node.get(key) else { return Ok(None) };
        let number = text(node, &format!("`{key}`"))?.parse::<u32>().ok().filter(|n| *n >= least);
        let cause = format!("`{key}` is not a number of sets");
        number.map(Some).ok_or_else(|| node.at.place().refuse(cause, format!("write a whole number, at least {least}")))
    };
    Ok(RetentionText {
        daily: number("daily", 0)?,
        weekly: number("weekly", 0)?,
        monthly: number("monthly", 0)?,
        // Without any floor a vault could lose its last good set.
        floor: number("floor", 1)?,
    })
}

/// The policy: what is written, else what a variable says, else the default. A note tells of a variable that is not followed.
pub(super) fn policy(text: &RetentionText, lookup: Lookup<'_>, notes: &mut Vec<String>) -> Result<Policy, Refusal> {
    let default = Policy::default();
    let daily = match text.daily {
        Some(daily) => daily,
        None => {
            let (own, days) = (variable("RETENTION_DAILY", lookup)?, variable("BACKUP_RETENTION_DAYS", lookup)?);
            if let (Some(own), Some(days)) = (own, days)
                && own != days
            {
                notes.push(format!(
                    "RETENTION_DAILY ({own}) and BACKUP_RETENTION_DAYS ({days}) differ: the first is followed"
                ));
            }
            own.or(days).unwrap_or(default.daily)
        }
    };
    let or_variable = |written: Option<u32>, name: &str, default: u32| match written {
        Some(number) => Ok(number),
        None => variable(name, lookup).map(|found| found.unwrap_or(default)),
    };
    Ok(Policy {
        daily,
        weekly: or_variable(text.weekly, "RETENTION_WEEKLY", default.weekly)?,
        monthly: or_variable(text.monthly, "RETENTION_MONTHLY", default.monthly)?,
        floor: text.floor.unwrap_or(default.floor),
    })
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
