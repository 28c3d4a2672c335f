//! Who made a thing that outlives processes: one boot, one process number, one start time. Tells the living from the dead, so
//! that a sweep removes only what nobody will ever remove.

use anyhow::{Context, Result};
use std::fmt;
use std::str::FromStr;

/// The file that names a private folder's owner, beside the data and never in it.
pub const OWNER: &str = ".xtask-owner";

/// A process, told from every other that ever had its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    boot: String,
    pid: u32,
    start: u64,
}

impl Owner {
    /// This process.
    ///
    /// # Errors
    /// When the kernel's process files cannot be read.
    pub fn current() -> Result<Self> {
        let pid = std::process::id();
        let start = start_of(pid).context("read this process's start time")?;
        Ok(Self { boot: boot()?, pid, start })
    }

    /// Whether that process still runs.
    ///
    /// # Errors
    /// When that cannot be known.
    pub fn is_alive(&self) -> Result<bool> {
        Ok(self.boot == boot()? && start_of(self.pid) == Some(self.start))
    }
}

/// `<boot id>:<pid>:<start time>`
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.boot, self.pid, self.start)
    }
}

impl FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.trim_end().splitn(3, ':');
        let mut next =
            || parts.next().filter(|p| !p.is_empty()).ok_or(format!("`{text}` is not <boot id>:<pid>:<start time>"));
        let (boot, pid, start) = (next()?, next()?, next()?);
        let number = |n: &str| n.parse::<u64>().map_err(|e| format!("`{text}`: {e}"));
        let pid = u32::try_from(number(pid)?).map_err(|e| format!("`{text}`: {e}"))?;
        Ok(Self { boot: boot.to_owned(), pid, start: number(start)? })
    }
}

/// This boot's id (`random(4)`).
fn boot() -> Result<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").context("read the boot id")?;
    Ok(id.trim().to_owned())
}

/// A process's start time in clock ticks since boot: field 22 of `/proc/<pid>/stat` (`proc_pid_stat(5)`). A zombie is dead.
fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold spaces and parentheses itself.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if matches!(fields.first(), Some(&("Z" | "X"))) {
        return None;
    }
    fields.get(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_its_name_comes_back() {
        let owner = Owner::current().unwrap();
        assert!(owner.is_alive().unwrap());
        assert_eq!(owner.to_string().parse::<Owner>().unwrap(), owner);
    }

    #[test]
    fn another_boot_start_or_number_is_dead() {
        let owner = Owner::current().unwrap();
        for dead in [
            Owner { boot: "other".to_owned(), ..owner.clone() },
            Owner { start: owner.start + 1, ..owner.clone() },
            Owner { pid: u32::MAX, ..owner },
        ] {
            assert!(!dead.is_alive().unwrap(), "{dead}");
        }
    }

    #[test]
    fn nonsense_is_not_an_owner() {
        for text in ["", "a", "a:1", "a::3", "a:b:3", "a:1:-3", ":1:2", "a:1:2:3"] {
            assert!(text.parse::<Owner>().is_err(), "{text}");
        }
    }
}
