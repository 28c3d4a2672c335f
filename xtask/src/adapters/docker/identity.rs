//! Who made a thing: the labels on everything in the engine, and whether the process behind a label still lives.
//! It must not know how things are listed or removed.

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::fs;

/// On everything we make; never sufficient to remove it, since our images pass it on to anybody's containers.
pub(super) const MANAGED: &str = "io.xtask.managed";
pub(super) const RUN: &str = "io.xtask.run";
pub(super) const OWNER: &str = "io.xtask.owner";
/// A process id means nothing outside its own namespace (a run inside a container that shares the engine's socket).
const NAMESPACE: &str = "io.xtask.pidns";

/// A run and the process behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunIdentity {
    /// The run's id.
    pub run: String,
    /// The process that runs it.
    pub owner: Owner,
}

impl RunIdentity {
    /// This process as the owner of this run. Fails where there is no `/proc`.
    pub fn of_this_process(run: impl Into<String>) -> Result<Self> {
        Ok(Self { run: run.into(), owner: Owner::this_process()? })
    }

    /// The labels of everything this run makes.
    pub fn labels(&self) -> HashMap<String, String> {
        HashMap::from([
            (MANAGED.to_owned(), "1".to_owned()),
            (RUN.to_owned(), self.run.clone()),
            (OWNER.to_owned(), self.owner.label()),
            (NAMESPACE.to_owned(), self.owner.namespace.clone()),
        ])
    }
}

/// A process, named so that a later one with the same number is not taken for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The kernel's boot id.
    pub boot: String,
    /// The process id, in its own namespace.
    pub pid: u32,
    /// Its start in clock ticks since boot.
    pub started: u64,
    /// The process id namespace (`pid:[4026531836]`); empty when unknown.
    pub namespace: String,
}

/// What is known of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It runs.
    Alive,
    /// It is gone, or the machine was started again since.
    Dead,
    /// It lives or lived in another process namespace, where we cannot look.
    Unknown,
}

impl Owner {
    /// This process. Fails where there is no `/proc`.
    pub fn this_process() -> Result<Self> {
        let pid = std::process::id();
        let started = start_of(pid).context("read this process's start time from /proc/self/stat")?;
        Ok(Self { boot: boot_id()?, pid, started, namespace: namespace() })
    }

    /// `<boot id>:<pid>:<start time>`.
    pub fn label(&self) -> String {
        format!("{}:{}:{}", self.boot, self.pid, self.started)
    }

    /// Reads the labels of a thing; `None` when it names no owner, and so is not ours.
    pub(super) fn from_labels(labels: &HashMap<String, String>) -> Option<Self> {
        let mut parts = labels.get(OWNER)?.split(':');
        let (boot, pid, started) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || boot.is_empty() {
            return None;
        }
        let namespace = labels.get(NAMESPACE).cloned().unwrap_or_default();
        Some(Self { boot: boot.to_owned(), pid: pid.parse().ok()?, started: started.parse().ok()?, namespace })
    }

    /// Whether it still runs.
    pub fn life(&self) -> Result<Life> {
        if self.boot != boot_id()? {
            return Ok(Life::Dead);
        }
        if !self.namespace.is_empty() && self.namespace != namespace() {
            return Ok(Life::Unknown);
        }
        Ok(if start_of(self.pid) == Some(self.started) { Life::Alive } else { Life::Dead })
    }
}

fn boot_id() -> Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").context("read the boot id from /proc")?;
    Ok(id.trim().to_owned())
}

fn namespace() -> String {
    fs::read_link("/proc/self/ns/pid").map(|l| l.to_string_lossy().into_owned()).unwrap_or_default()
}

/// `None` when there is no such process, or only its remains (a zombie does nothing any more).
fn start_of(pid: u32) -> Option<u64> {
    start_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// proc_pid_stat(5): field 2 is the name in parentheses, which may itself hold spaces and parentheses; 3 the state, 22 the start.
fn start_in(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Owner {
        Owner::this_process().unwrap()
    }

    #[test]
    fn this_process_is_alive_and_its_labels_read_back() {
        let run = RunIdentity::of_this_process("r1").unwrap();
        assert_eq!(run.owner.life().unwrap(), Life::Alive);
        assert_eq!(Owner::from_labels(&run.labels()), Some(run.owner));
    }

    #[test]
    fn another_start_time_pid_or_boot_is_dead() {
        assert_eq!(Owner { started: me().started + 1, ..me() }.life().unwrap(), Life::Dead);
        assert_eq!(Owner { pid: u32::MAX, ..me() }.life().unwrap(), Life::Dead);
        assert_eq!(Owner { boot: "elsewhere".into(), ..me() }.life().unwrap(), Life::Dead);
    }

    #[test]
    fn an_owner_in_another_process_namespace_cannot_be_judged() {
        assert_eq!(Owner { pid: u32::MAX, namespace: "pid:[1]".into(), ..me() }.life().unwrap(), Life::Unknown);
    }

    #[test]
    fn what_names_no_proper_owner_is_nobodys() {
        for label in ["", "boot", "boot:1", "boot:1:2:3", ":1:2", "boot:x:2"] {
            assert_eq!(Owner::from_labels(&HashMap::from([(OWNER.to_owned(), label.to_owned())])), None, "{label}");
        }
        assert_eq!(Owner::from_labels(&HashMap::from([(MANAGED.to_owned(), "1".to_owned())])), None);
    }

    #[test]
    fn the_start_time_is_found_behind_any_process_name_and_a_zombie_has_none() {
        let fields = "1 1 1 0 -1 4194304 99 0 1 0 0 0 0 0 20 0 1 0 153309 2998272";
        assert_eq!(start_in(&format!("7 (a ) S 9) R {fields}")), Some(153_309));
        assert_eq!(start_in(&format!("7 (cut) Z {fields}")), None);
    }
}
