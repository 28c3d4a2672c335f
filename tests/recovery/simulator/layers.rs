//! Something on a disk as a process sees it, and what is left of it when the power fails: what was synced, and of the rest any
//! part in any order. It must not know what is stored.

use fastrand::Rng;
use std::collections::BTreeMap;

/// One change of something that is stored.
pub trait Change<T>: Clone {
    /// Carries it out.
    fn apply(&self, to: &mut T);
    /// What may be left of it when only a part reached the disk.
    fn torn(&self, rng: &mut Rng) -> Option<Self>;
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nobody asked for it to be durable yet.
    Pending,
    Durable,
    /// A sync of it failed: no later one will try again.
    Doomed,
}

/// What is seen, and what is known to be durable.
#[derive(Debug, Clone)]
pub struct Layers<T, C> {
    pub seen: T,
    base: T,
    log: Vec<(C, Fate)>,
}

impl<T: Clone, C: Change<T>> Layers<T, C> {
    pub fn new(durable: T) -> Self {
        Self { seen: durable.clone(), base: durable, log: Vec::new() }
    }

    pub fn change(&mut self, change: C) {
        change.apply(&mut self.seen);
        self.log.push((change, Fate::Pending));
    }

    pub fn sync(&mut self) {
        self.fate(Fate::Durable);
        let first = self.log.iter().position(|(_, fate)| *fate != Fate::Durable).unwrap_or(self.log.len());
        for (change, _) in self.log.drain(..first) {
            change.apply(&mut self.base);
        }
    }

    /// A sync fails: what was pending stays visible and will never be durable.
    pub fn fail(&mut self) {
        self.fate(Fate::Doomed);
    }

    fn fate(&mut self, fate: Fate) {
        self.log.iter_mut().filter(|(_, old)| *old == Fate::Pending).for_each(|(_, old)| *old = fate);
    }

    /// What is in memory only is read from the disk again: what failed to reach it is seen no more.
    pub fn forget(&mut self) {
        if self.log.iter().all(|(_, fate)| *fate != Fate::Doomed) {
            return;
        }
        self.log.retain(|(_, fate)| *fate != Fate::Doomed);
        self.seen = self.base.clone();
        self.log.iter().for_each(|(change, _)| change.apply(&mut self.seen));
    }

    /// The power fails. Whether anything had been at stake.
    pub fn crash(&mut self, rng: &mut Rng) -> bool {
        let at_stake = self.log.iter().any(|(_, fate)| *fate != Fate::Durable);
        let mode = rng.u8(..4);
        for (change, fate) in self.log.drain(..) {
            let kept = match (fate, mode) {
                (Fate::Durable, _) | (_, 0) => Some(change),
                (_, 1) => None,
                _ if rng.bool() => Some(change),
                _ => change.torn(rng),
            };
            kept.into_iter().for_each(|change| change.apply(&mut self.base));
        }
        self.seen = self.base.clone();
        at_stake
    }

    /// Changes it behind everybody's back, in memory and on the disk.
    pub fn rot(&mut self, change: &C) {
        change.apply(&mut self.seen);
        change.apply(&mut self.base);
    }
}

/// A change of a file's bytes.
#[derive(Debug, Clone)]
pub enum Bytes {
    Write { at: usize, bytes: Vec<u8> },
    Cut(usize),
    Flip { at: usize, bit: u8 },
}

impl Change<Vec<u8>> for Bytes {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => {
                let end = at + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*at..end].copy_from_slice(bytes);
            }
            Self::Cut(length) => to.truncate(*length),
            Self::Flip { at, bit } => {
                to[*at] ^= 1 << bit;
            }
        }
    }

    fn torn(&self, rng: &mut Rng) -> Option<Self> {
        let Self::Write { at, bytes } = self else { return None };
        match rng.u8(..3) {
            0 => None,
            // The length reached the disk, the bytes did not.
            1 => Some(Self::Write { at: *at, bytes: vec![0; bytes.len()] }),
            _ => Some(Self::Write { at: *at, bytes: bytes[..rng.usize(..=bytes.len())].to_vec() }),
        }
    }
}

/// What a folder holds: the number of each name.
pub type Names = BTreeMap<String, u64>;

/// A change of a folder's names. Each is there or not; there is no half of one.
#[derive(Debug, Clone)]
pub enum Naming {
    Put(String, u64),
    Take(String),
    Move { from: String, to: String, number: u64 },
}

impl Change<Names> for Naming {
    fn apply(&self, to: &mut Names) {
        match self {
            Self::Put(name, number) => drop(to.insert(name.clone(), *number)),
            Self::Take(name) => drop(to.remove(name)),
            Self::Move { from, to: name, number } => {
                if to.get(from) == Some(number) {
                    to.remove(from);
                }
                to.insert(name.clone(), *number);
            }
        }
    }

    fn torn(&self, _rng: &mut Rng) -> Option<Self> {
        None
    }
}
