//! `xtask __tool <engine> <verb> …`: the data tools that directory sites run as children of this same binary. Hidden: their
//! arguments are a contract between an engine and its tool, not for people. `main` hands them to the adapter that does the work.

/// Everything after `__tool`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The engine, its verb and the verb's operands.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pub words: Vec<String>,
}
