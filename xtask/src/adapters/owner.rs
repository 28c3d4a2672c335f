//! Who made a thing that outlives processes: one boot, one process number, one start time, and the namespace that the number
//! belongs to. Tells the living from the dead, so that a sweep removes only what nobody will ever remove.

use anyhow::{Context, Result};
use std::fmt;
use std::fs;
use std::str::FromStr;

/// The file that names a private folder's owner, beside the data and never in it.
pub const OWNER: &str = ".xtask-owner";

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

    /// What is written beside a thing on disk to name its owner: the name and, on a line of its own, the namespace.
    pub fn note(&self) -> String {
        format!("{self}\n{}\n", self.namespace)
    }

    /// Reads such a note; one without a namespace is judged in ours.
    ///
    /// # Errors
    /// Says what is not an owner's name.
    pub fn from_note(text: &str) -> std::result::Result<Self, String> {
        let (name, namespace) = text.split_once('\n').unwrap_or((text, ""));
        Ok(Self { namespace: namespace.trim().to_owned(), ..name.parse()? })
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

/// `<boot id>:<pid>:<start time>`; the namespace is not part of it.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.boot, self.pid, self.started)
    }
}

impl FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not <boot id>:<pid>:<start time>");
        let parts: Vec<&str> = text.trim_end().split(':').collect();
        let [boot, pid, started] = parts.as_slice() else { return Err(bad()) };
        if boot.is_empty() {
            return Err(bad());
        }
        let (pid, started) = (pid.parse().map_err(|_| bad())?, started.parse().map_err(|_| bad())?);
        Ok(Self { boot: (*boot).to_owned(), pid, started, namespace: String::new() })
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
    fn this_process_is_alive_and_its_name_comes_back() {
        assert_eq!(me().life().unwrap(), Life::Alive);
        let again: Owner = me().to_string().parse().unwrap();
        assert_eq!(Owner::from_note(&me().note()).unwrap(), me());
        assert_eq!(again.life().unwrap(), Life::Alive, "a name without a namespace is judged in ours");
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
    fn nonsense_is_not_an_owner() {
        for text in ["", "a", "a:1", "a::3", "a:b:3", "a:1:-3", ":1:2", "a:1:2:3"] {
            assert!(text.parse::<Owner>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_start_time_is_found_behind_any_process_name_and_a_zombie_has_none() {
        let fields = "1 1 1 0 -1 4194304 99 0 1 0 0 0 0 0 20 0 1 0 153309 2998272";
        assert_eq!(start_in(&format!("7 (a ) S 9) R {fields}")), Some(153_309));
        assert_eq!(start_in(&format!("7 (cut) Z {fields}")), None);
    }
}
