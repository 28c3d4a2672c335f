//! `cargo xtask keys`: makes the keys that protect backup sets, and says what to write into `recovery.yaml`. It never shows a
//! secret one and never writes over a file.

use crate::archive::{keys, signature};
use crate::exit_code::PASSED;
use anyhow::Result;
use std::io::Write;
use std::path::PathBuf;

/// What to make.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to make
    #[command(subcommand)]
    pub action: Action,
}

/// What to do.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Action {
    /// A key pair to encrypt for: the file opens sets, its public half goes to `recipients`. As `age-keygen` makes it
    Encryption {
        /// Where the secret half goes (mode 0600); keep it away from the host that makes the backups
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// A key pair to sign with: the file signs sets, its public half goes to `trusted_signers`. `minisign` can check it
    Signing {
        /// Where the secret half goes (mode 0600), on the host that makes the backups
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Makes a key pair and says its public half.
///
/// # Errors
/// `Refusal` of kind `Configuration` when the file is there, `Storage` when it cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<u8> {
    match &args.action {
        Action::Encryption { file } => {
            let public = keys::make(file)?;
            writeln!(
                out,
                "wrote {}\nbelow `backups:` write   encryption: {{ recipients: [{public}, …] }}",
                file.display()
            )?;
            writeln!(out, "to open sets with it      identity_files: [{}]", file.display())?;
            writeln!(out, "name two recipients at least: one of them kept where a fire does not reach")?;
        }
        Action::Signing { file } => {
            let public = signature::make(file)?;
            writeln!(out, "wrote {}\nbelow `backups:` write   signing_key: {}", file.display(), file.display())?;
            writeln!(out, "wherever sets are read    trusted_signers: [{public}]")?;
        }
    }
    Ok(PASSED)
}

/// What would be done, as text.
pub fn plan(args: &Args) -> String {
    let (Action::Encryption { file } | Action::Signing { file }) = &args.action;
    format!("make a key pair, write its secret half to {} (mode 0600, never over a file)\n", file.display())
}
