//! How the bodies of the drill workflows are executed on this host, without the service they are written for.
//! It must not know what the bodies do.

use crate::domain::exec::Exec;
use std::path::Path;

/// The workflows whose bodies are executed. `ci.yml` is left out: its body is `cargo xtask ci` itself.
pub const BODIES: [&str; 2] = ["backup-validation.yml", "recovery-drill.yml"];

/// Actions that would be fetched from elsewhere, each with its stand-in below the repository's root. The stand-in for the
/// upload fails when a file that should be uploaded is not there. The checkout needs none: the executor copies the folder.
pub const STAND_INS: [(&str, &str); 1] =
    [("actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a", "fixtures/actions/upload-artifact")];

/// The label of the runners that the workflows ask for; here it means this host.
pub const RUNNER: &str = "ubuntu-24.04";

/// One command a workflow.
pub fn commands(act: &Exec, cache: &Path) -> Vec<Exec> {
    let commands = BODIES.iter().map(|workflow| {
        let exec = act.clone().args(["workflow_dispatch", "--pull=false", "--no-cache-server"]);
        let exec = exec.args(["--workflows".to_owned(), format!(".github/workflows/{workflow}")]);
        let exec = exec.args(["--platform".to_owned(), format!("{RUNNER}=-self-hosted")]);
        // The host's own build folder, or every execution would build from nothing in a copy of the repository.
        let exec = exec.args(["--env".to_owned(), format!("CARGO_TARGET_DIR={}", cache.join("workflows").display())]);
        let exec = exec.args(["--action-cache-path".to_owned(), cache.join("act-runs").display().to_string()]);
        STAND_INS.iter().fold(exec, |exec, (action, folder)| {
            exec.args(["--local-repository".to_owned(), format!("{action}={folder}")])
        })
    });
    commands.collect()
}
