//! stub
/// stub
#[derive(Debug, Clone, clap::Args)]
pub struct Args {}
