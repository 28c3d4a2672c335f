//! `xtask __tool <engine> <verb> …`: the data tools that directory sites run as children of this same binary. Hidden: their
//! arguments are a contract between an engine and its tool, not for people.

use crate::adapters::{sqlite, tree};
use anyhow::{Result, bail};

/// Everything after `__tool`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The engine, its verb and the verb's operands.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pub words: Vec<String>,
}

/// Runs a tool.
pub fn run(args: &Args) -> Result<()> {
    match args.words.split_first() {
        Some((engine, words)) if engine == "sqlite" => sqlite::tool(words),
        Some((engine, words)) if engine == "files" => tree::tool(words),
        _ => bail!("there is no such tool"),
    }
}
