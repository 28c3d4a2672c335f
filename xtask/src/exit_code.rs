//! The process exit codes that belong to no known cause; causes have theirs in `domain::refusal`. All are in docs/exit-codes.md.

use crate::domain::refusal::Refusal;

/// Everything asked for was proven or done.
pub const PASSED: u8 = 0;
/// A check or an objective failed.
pub const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
pub const USAGE: u8 = 2;
/// The answer could not be known.
pub const BROKEN: u8 = 3;
/// Ended by SIGHUP, SIGINT or SIGTERM, after cleaning up.
pub const SIGNALS: [(i32, u8); 3] = [(1, 129), (2, 130), (15, 143)];

/// The exit code of an error: its known cause's, or `BROKEN`.
pub fn of(error: &anyhow::Error) -> u8 {
    Refusal::within(error).map_or(BROKEN, |refusal| refusal.kind.exit_code())
}

/// The hint of an error's known cause.
pub fn hint(error: &anyhow::Error) -> Option<&str> {
    Refusal::within(error).map(|r| r.hint.as_str()).filter(|h| !h.is_empty())
}
