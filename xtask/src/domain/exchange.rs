//! Restoring where a store really runs: what is there now, and the copy that was restored beside it and proven, change places in one
//! step. As data; it must not know how an engine does it.

use super::engine::{Act, Preflight, Target};
use super::refusal::{Refusal, RefusalKind};

/// How the one who restores wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Part of every name that is given: `20261120t010203_k7q2x`.
    pub tag: String,
    /// Whether what is there now stays, under another name.
    pub keep: bool,
    /// Whether it takes the place of what has the name; otherwise nothing may have it.
    pub replace: bool,
    /// Whether sessions that stand in the way are ended, at the exchange and not before.
    pub disconnect: bool,
}

impl Wish {
    /// The tag of a run.
    pub fn tag_of(run: &str) -> String {
        run.replace('-', "_")
    }
}

/// The exchange of one store.
#[derive(Clone)]
pub struct Exchange {
    /// Where it is restored and proven first.
    pub beside: Target,
    /// What holds the data that was there before, by its name; nothing when it is not kept.
    pub previous: Option<String>,
    /// Questions before anything is touched.
    pub questions: Vec<Preflight>,
    /// Questions for what would stand in the way of the exchange itself.
    pub obstacles: Vec<Preflight>,
    /// How much room it needs; `None` where a question of [`super::engine::Engine::before_restore`] asks for that.
    pub room: Option<Room>,
    /// The exchange: whole or not at all, whatever happens meanwhile. A line `note=…` of its answer is what went wrong after it.
    pub swap: Act,
    /// Asks whether the exchange took place, for when that was not heard: `landed=true` or `landed=false`.
    pub landed: Option<Act>,
    /// Removes what was there, where it is not kept and the exchange does not do so. Its failure undoes nothing.
    pub after: Option<Act>,
    /// What removes the previous data later, as a command line.
    pub removal: String,
    /// What has to be known about the exchange.
    pub notes: Vec<String>,
}

/// A question for room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// `df -P -k` of the place.
    pub act: Act,
    /// Bytes that are needed there, as far as the backup tells.
    pub needs: u64,
}

impl Room {
    /// Judges what `df -P -k` printed.
    ///
    /// # Errors
    /// There is too little room, or nobody could say.
    pub fn judge(&self, answer: &str) -> Result<(), Refusal> {
        let free = answer.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
        match free.map(|kib| kib.saturating_mul(1024)) {
            Some(free) if free >= self.needs => Ok(()),
            Some(free) => Err(Refusal::new(
                RefusalKind::Storage,
                format!("the restore needs about {} bytes beside what is there, and only {free} are free", self.needs),
                "free space where the server keeps its data: df -h",
            )),
            None => Err(Refusal::new(
                RefusalKind::Preflight,
                "the free space could not be asked for",
                "look at it by hand: df -h",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::exec::Exec;
    use crate::domain::timeline::Phase;

    #[test]
    fn room_is_judged_by_what_df_prints_and_silence_is_no_room() {
        let room = Room { act: Act::run(Phase::Provision, "look for room", Exec::site("df")), needs: 2048 };
        let df =
            |free: &str| format!("Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/x 9 1 {free} 2% /\n");
        assert_eq!(room.judge(&df("2")), Ok(()));
        assert_eq!(room.judge(&df("1")).unwrap_err().kind, RefusalKind::Storage);
        assert_eq!(room.judge("").unwrap_err().kind, RefusalKind::Preflight);
        assert_eq!(room.judge(&df("much")).unwrap_err().kind, RefusalKind::Preflight);
    }

    #[test]
    fn a_tag_is_a_word_of_its_own() {
        assert_eq!(Wish::tag_of("20261120t010203-k7q2x"), "20261120t010203_k7q2x");
    }
}
