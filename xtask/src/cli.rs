//! The whole command line: what can be typed, and nothing of what it does.

use crate::tasks;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Proves that a Compose stack can be recovered: backs it up, destroys a copy, restores it, proves the data, and measures
/// recovery time (RTO) and data loss (RPO).
///
/// Start with `cargo xtask test-recovery`: it needs no configuration, makes its own data in private sites, and touches nothing
/// of yours. With a Compose file in the folder, `cargo xtask init` writes what can be inferred from it.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
    /// Describes the stacks; without it, ./recovery.yaml or the Compose file in this folder
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where test-recovery, verify and validate-backup-system write junit.xml and report.json
    #[arg(long, global = true, value_name = "DIR", default_value = "target/recovery")]
    pub report_dir: PathBuf,
    /// Print the result as JSON on standard output, and everything else on standard error (test-recovery and validate-backup-system: their report.json)
    #[arg(long, global = true)]
    pub json: bool,
    /// Print every step and command line, and run nothing
    #[arg(long, global = true)]
    pub plan: bool,
    /// Print only the summary and what went wrong
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// No colour and no animation (also: NO_COLOR, TERM=dumb, not a terminal)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// What to do
    #[command(subcommand)]
    pub task: Task,
}

const AFTER_HELP: &str = "\
Examples:
  cargo xtask test-recovery                          rehearse every store of every stack
  cargo xtask test-recovery --stack prod --live      prove that the running data restores
  cargo xtask test-recovery --plan                   see every command line first
  cargo xtask test-recovery --repeat 20 --size 1GB   numbers that mean something

Exit codes: 0 proven, 1 a check or objective failed, 2 usage or configuration, 3 could not be known;
causes with codes of their own are listed in docs/exit-codes.md.";

/// Every task.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Write recovery.yaml from what the Compose files say
    Init(tasks::init::Args),
    /// Back up, destroy, restore, prove and measure, in private sites
    TestRecovery(tasks::test_recovery::Args),
    /// Back up a stack where it runs, into its vault
    Backup(tasks::backup::Args),
    /// Make the keys that encrypt and sign backup sets
    Keys(tasks::keys::Args),
    /// Say how much is known of a stack's backup sets, up to restoring them
    Verify(tasks::verify::Args),
    /// Bring a backup set, or an old archive, back to where the stack runs, or beside it
    Restore(tasks::restore::Args),
    /// Say whether a stack's backups can be trusted, and attack the verifier with spoiled copies
    ValidateBackupSystem(tasks::validate_backup_system::Args),
    /// Show which backup sets of a stack are kept and why; with --apply, remove the others
    Prune(tasks::prune::Args),
    /// Change who can read backup sets that are there, without touching their data
    Rewrap(tasks::rewrap::Args),
    /// Make a backup set of an archive that an old script wrote
    Adopt(tasks::adopt::Args),
    /// Ask Traefik, and its entry points, whether a stack's routes lead where its files say
    ValidateTraefik(tasks::validate_traefik::Args),
    /// Build or list the local images that stand in when no registry answers
    Images(tasks::images::Args),
    /// Remove what runs that died left behind
    Sweep(tasks::sweep::Args),
    /// Format, lint and test everything
    Ci(tasks::ci::Args),
    /// Data tools that sites run
    #[command(name = "__tool", hide = true)]
    Tool(tasks::tool::Args),
}
