//! Programs that some rules run: found in the project's cache or on the PATH; a rule without its program says by name
//! that it was skipped, or fails when the run insists on the tools.

use super::root;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program, or `None` after printing `SKIPPED <test>: <why>`. With `XTASK_REQUIRE_TOOLS=1` it must be there.
pub fn find(program: &str, test: &str) -> Option<PathBuf> {
    let cache = root().join(".cache/xtask");
    let cached = [cache.join("bin").join(program), cache.join(program).join("bin").join(program)];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(program));
    let found = cached.into_iter().chain(on_path).find(|p| p.is_file());
    if found.is_none() {
        let required = std::env::var_os("XTASK_REQUIRE_TOOLS").is_some_and(|v| v == "1");
        assert!(!required, "{program} is required and not here; `cargo xtask ci` fetches it");
        println!("SKIPPED {test}: {program} is not here; `cargo xtask ci` fetches it");
    }
    found
}

/// Runs a program to its end.
#[expect(clippy::disallowed_methods, reason = "these tests look at programs from outside, as a user does")]
pub fn output(program: &Path, args: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder).env("CARGO_TERM_COLOR", "never").env("NO_COLOR", "1");
    command.output().unwrap_or_else(|error| panic!("start {}: {error}", program.display()))
}

/// Both outputs as one text.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
