//! Every kind of fault that a history may hold, and how often each one really happened. It must not know what a fault does.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! faults {
    ($($name:ident $words:literal,)*) => {
        /// A kind of fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault { $($name,)* }

        impl Fault {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What happens, a few words.
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

faults! {
    PowerCut "the power fails at a step",
    Kill "the process is killed at a step",
    IdlePowerCut "the power fails between two runs",
    Full "the disk is full from a step on",
    FullOnce "one step finds no space",
    FullAtSync "there is no space when bytes are synced",
    WriteError "one step of writing or naming fails",
    SyncError "a sync fails",
    ReadError "one step of reading fails",
    ReadErrors "every step of reading fails from one on",
    ShortWrite "a write takes only a part",
    ProducerExit "a command prints everything and exits 1",
    ProducerKilled "a command is killed",
    ProducerLies "a dump declares another length",
    ProducerCut "a dump is cut short and exits 0",
    ProducerBreaks "the stream of a dump breaks",
    ProducerEmpty "a dump exits 0 without a byte",
    ProducerTimeout "a command runs out of time",
    ProducerAbsent "a command cannot be started",
    Stall "a dump stands still for nine minutes",
    HourAhead "the clock jumps an hour ahead",
    HourBack "the clock jumps an hour back",
    YearsAhead "the clock jumps ten years ahead",
    YearsBack "the clock jumps ten years back",
    LockHeld "another run holds the vault",
    Reader "somebody reads a set",
    Rot "a stored bit flips",
}

/// How often each fault happened.
#[derive(Debug)]
pub struct Tally(Vec<AtomicU64>);

impl Default for Tally {
    fn default() -> Self {
        Self(Fault::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }
}

impl Tally {
    pub fn fired(&self, fault: Fault) {
        self.0[fault as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize].load(Ordering::Relaxed)
    }
}
