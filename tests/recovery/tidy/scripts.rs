//! The old script names are one-line entries to tasks that exist, and nothing else lives beside them.

use super::tools::{output, said};
use super::{assert_none, pages_in, root};
use std::path::Path;

/// The task that a script runs, or what is wrong with it.
fn task(path: &str, text: &str) -> Result<String, String> {
    let wrong = || format!("{path}: must be `#!/bin/sh` and one line `exec cargo xtask <task> \"$@\"`");
    let line = text.strip_prefix("#!/bin/sh\n").and_then(|rest| rest.strip_suffix('\n')).ok_or_else(wrong)?;
    let task = line.strip_prefix("exec cargo xtask ").and_then(|l| l.strip_suffix(" \"$@\"")).ok_or_else(wrong)?;
    let plain = !task.is_empty() && task.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    if plain { Ok(task.to_owned()) } else { Err(wrong()) }
}

/// What is wrong with one script, given the tasks that the help lists.
fn check(path: &str, text: &str, tasks: &[String]) -> Vec<String> {
    match task(path, text) {
        Ok(task) if tasks.contains(&task) => Vec::new(),
        Ok(task) => vec![format!("{path}: there is no task `{task}`")],
        Err(wrong) => vec![wrong],
    }
}

/// The commands that `xtask --help` lists.
fn tasks() -> Vec<String> {
    let help = output(Path::new(env!("CARGO_BIN_EXE_xtask")), &["--help"], &root());
    let text = said(&help);
    let listed = text.lines().skip_while(|l| !l.starts_with("Commands:")).skip(1).take_while(|l| !l.trim().is_empty());
    // Entries are indented by two; what is indented further continues one.
    let names = listed.filter_map(|l| l.strip_prefix("  ").filter(|l| !l.starts_with(' '))?.split_whitespace().next());
    let names: Vec<String> = names.map(str::to_owned).collect();
    assert!(!names.is_empty(), "no commands in the help:\n{text}");
    names
}

#[test]
fn every_script_runs_a_task_that_exists() {
    let tasks = tasks();
    let findings: Vec<String> = pages_in("scripts/", "").iter().flat_map(|p| check(&p.path, &p.text, &tasks)).collect();
    assert_none(&findings);
}

#[cfg(unix)]
#[test]
fn every_script_can_be_executed() {
    use std::os::unix::fs::PermissionsExt;
    for page in pages_in("scripts/", "").into_iter().chain(pages_in(".ci/", "run")) {
        let mode = std::fs::metadata(root().join(&page.path)).expect("read a script's mode").permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{} cannot be executed", page.path);
    }
}

#[test]
fn the_old_names_of_this_releases_tasks_are_all_there() {
    let names: Vec<String> = pages_in("scripts/", ".sh").into_iter().map(|p| p.path).collect();
    for old in [
        "test-recovery.sh",
        "validate-backup-system.sh",
        "backup-database.sh",
        "backup-postgres.sh",
        "backup-production.sh",
        "verify-backup.sh",
        "restore-backup.sh",
        "restore-database.sh",
    ] {
        assert!(names.contains(&format!("scripts/{old}")), "{old} is gone; somebody's schedule still calls it");
    }
}

#[test]
fn a_script_that_does_more_or_runs_no_task_is_reported() {
    let tasks = ["backup".to_owned()];
    assert_none(&check("scripts/a.sh", "#!/bin/sh\nexec cargo xtask backup \"$@\"\n", &tasks));
    for text in [
        "#!/bin/sh\nexec cargo xtask restore \"$@\"\n",
        "#!/bin/sh\nset -e\nexec cargo xtask backup \"$@\"\n",
        "#!/bin/sh\nexec cargo xtask backup $@\n",
        "#!/bin/sh\ncargo xtask backup \"$@\"\n",
        "#!/bin/sh\nexec cargo xtask backup; rm -rf x \"$@\"\n",
        "",
    ] {
        assert_eq!(check("scripts/a.sh", text, &tasks).len(), 1, "{text}");
    }
}
