//! Known causes behind failed commands, read from their standard error. It must not know what the command was for.

use crate::domain::exec::{Exec, Exit};
use crate::domain::refusal::Refusal;

/// The known cause behind a failed command, if it is one.
pub fn explain(_exec: &Exec, _exit: &Exit) -> Option<Refusal> {
    None
}
