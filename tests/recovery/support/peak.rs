//! The most memory that the tool and its own data tools ever held, read from the kernel while they run.
//! Must not know what is run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Peak resident memory, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peak {
    /// Of the tool itself.
    pub tool: u64,
    /// Of the largest of the data tools that it started (`xtask __tool …`).
    pub data_tool: u64,
}

/// Runs the tool in this folder, quietly, and watches it until it ends.
#[expect(clippy::disallowed_methods, reason = "the process itself is what is measured")]
pub fn watched(program: &Path, folder: &Path, words: &[&str]) -> (ExitStatus, Peak) {
    let mut command = Command::new(program);
    command.args(words).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut peak = Peak::default();
    let mut tools = BTreeMap::new();
    loop {
        // In this order: what was resident before the end is seen before the end.
        peak.tool = peak.tool.max(high_water(child.id()));
        for pid in children(&child) {
            let seen: &mut u64 = tools.entry(pid).or_default();
            *seen = (*seen).max(high_water(pid));
        }
        if let Some(status) = child.try_wait().unwrap() {
            peak.data_tool = tools.into_values().max().unwrap_or_default();
            return (status, peak);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `VmHWM` of a process (`proc_pid_status(5)`), in bytes; 0 once it is gone.
fn high_water(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() * 1024
}

fn children(of: &Child) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{}/task", of.id())).into_iter().flatten().flatten();
    let lists = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}
