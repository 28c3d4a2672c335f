//! A machine whose disk is in memory: processes that do numbered steps on it, locks, a fault at a chosen step, kills and power cuts.
//! It must not know what the steps are for.

use super::faults::{Fault, Tally};
use super::layers::{Bytes, Layers, Names, Naming};
use fastrand::Rng;
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Component, Path};
use std::sync::{Arc, Mutex, MutexGuard};

/// The number of the root folder.
const ROOT: u64 = 1;

/// What kind of step is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Looks or reads.
    Read,
    /// Takes space.
    Write,
    /// Renames or removes.
    Name,
    Sync,
    /// Takes a lock.
    Lock,
}

/// A fault that waits for its step.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub fault: Fault,
    /// So many steps that it fits pass before it happens.
    pub after: u64,
}

impl Plan {
    fn fits(&self, step: Step) -> bool {
        match self.fault {
            Fault::PowerCut | Fault::Kill => true,
            Fault::Full | Fault::FullOnce | Fault::ShortWrite => step == Step::Write,
            Fault::WriteError => matches!(step, Step::Write | Step::Name),
            Fault::SyncError | Fault::FullAtSync => step == Step::Sync,
            _ => step == Step::Read,
        }
    }
}

#[derive(Debug, Clone)]
pub enum Inode {
    File(Layers<Vec<u8>, Bytes>),
    Folder(Layers<Names, Naming>),
}

#[derive(Debug, Default)]
struct Process {
    plan: Option<Plan>,
    /// A fault that lasts.
    lasting: Option<Fault>,
    dead: bool,
    fired: bool,
    steps: u64,
}

/// Who holds the lock of something.
#[derive(Debug)]
enum Hold {
    Alone(u64),
    Shared(BTreeSet<u64>),
}

#[derive(Debug, Default)]
pub struct State {
    inodes: HashMap<u64, Inode>,
    next: u64,
    processes: BTreeMap<u32, Process>,
    locks: BTreeMap<u64, Hold>,
    /// Which process has which open thing.
    pub handles: BTreeMap<u64, u32>,
    /// What was changed since somebody last asked.
    touched: BTreeSet<u64>,
    cut: bool,
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Machine {
    state: Arc<Mutex<State>>,
    tally: Arc<Tally>,
}

/// What became of a process.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    pub died: bool,
    pub fired: bool,
    pub steps: u64,
}

impl Machine {
    /// With an empty folder `/srv`.
    pub fn new(tally: Arc<Tally>) -> Self {
        let mut state = State { next: ROOT, ..State::default() };
        let folder = |names: Names| Inode::Folder(Layers::new(names));
        state.inodes.insert(ROOT, folder(Names::from([("srv".to_owned(), 2)])));
        state.inodes.insert(2, folder(Names::new()));
        state.next = 3;
        Self { state: Arc::new(Mutex::new(state)), tally }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Whether this process finds no space any more.
    pub fn is_full(&self, process: u32) -> bool {
        self.state().processes.get(&process).is_some_and(|p| p.lasting == Some(Fault::Full))
    }

    /// A new process.
    pub fn start(&self, plan: Option<Plan>) -> u32 {
        let mut state = self.state();
        state.next += 1;
        let number = state.next as u32;
        state.processes.insert(number, Process { plan, ..Process::default() });
        number
    }

    /// The end of a process, whatever it still holds. When it was the power that failed, the disk is now what is left of it.
    pub fn end(&self, process: u32, rng: &mut Rng) -> Ended {
        let mut state = self.state();
        let ended = state.processes.remove(&process).unwrap_or_default();
        state.kill(process);
        if std::mem::take(&mut state.cut) {
            state.crash(rng);
        }
        Ended { died: ended.dead, fired: ended.fired, steps: ended.steps }
    }

    /// The power fails while nothing runs. Whether anything was at stake.
    pub fn cut(&self, rng: &mut Rng) -> bool {
        self.state().crash(rng)
    }

    /// Flips a bit of a file.
    pub fn rot(&self, path: &Path, rng: &mut Rng) -> bool {
        let mut state = self.state();
        let Ok(number) = state.find(path) else { return false };
        let Some(Inode::File(file)) = state.inodes.get_mut(&number) else { return false };
        if file.seen.is_empty() {
            return false;
        }
        let flip = Bytes::Flip { at: rng.usize(..file.seen.len()), bit: rng.u8(..8) };
        file.rot(&flip);
        state.touched.insert(number);
        true
    }

    /// One step of a process: its number is counted, and its fault happens when it is due.
    pub fn step(&self, process: u32, step: Step) -> io::Result<(MutexGuard<'_, State>, Option<Fault>)> {
        let mut state = self.state();
        let Some(it) = state.processes.get_mut(&process) else { return Err(gone()) };
        if it.dead {
            return Err(gone());
        }
        it.steps += 1;
        let due = match &mut it.plan {
            Some(plan) if plan.fits(step) && plan.after > 0 => {
                plan.after -= 1;
                None
            }
            Some(plan) if plan.fits(step) => Some(plan.fault),
            _ => None,
        };
        if let Some(fault) = due {
            it.plan = None;
            it.fired = true;
            self.tally.fired(fault);
            if matches!(fault, Fault::Full | Fault::ReadErrors) {
                it.lasting = Some(fault);
            }
            if matches!(fault, Fault::PowerCut | Fault::Kill) {
                it.dead = true;
                if fault == Fault::PowerCut {
                    state.cut = true;
                    state.processes.values_mut().for_each(|p| p.dead = true);
                }
                return Err(gone());
            }
        }
        let lasting = state.processes.get(&process).and_then(|p| p.lasting);
        match due.or(lasting) {
            Some(Fault::Full) if step == Step::Write => Err(Errno::NOSPC.into()),
            Some(Fault::FullOnce) => Err(Errno::NOSPC.into()),
            Some(Fault::WriteError | Fault::ReadError) => Err(Errno::IO.into()),
            Some(Fault::ReadErrors) if step == Step::Read => Err(Errno::IO.into()),
            // What else is to happen, happens to what the step works on.
            _ => Ok((state, due)),
        }
    }
}

fn gone() -> io::Error {
    io::Error::from(Errno::IO)
}

impl State {
    fn crash(&mut self, rng: &mut Rng) -> bool {
        let mut numbers: Vec<u64> = self.inodes.keys().copied().collect();
        // A hash map's order must not decide what a seed does.
        numbers.sort_unstable();
        let mut at_stake = false;
        for number in numbers {
            at_stake |= match self.inodes.get_mut(&number) {
                Some(Inode::File(file)) => file.crash(rng),
                Some(Inode::Folder(folder)) => folder.crash(rng),
                None => false,
            };
            self.touched.insert(number);
        }
        self.locks.clear();
        self.handles.clear();
        at_stake
    }

    fn kill(&mut self, process: u32) {
        let handles: Vec<u64> = self.handles.iter().filter(|(_, p)| **p == process).map(|(h, _)| *h).collect();
        handles.into_iter().for_each(|handle| self.close(handle));
    }

    pub fn handle(&mut self, process: u32) -> u64 {
        self.next += 1;
        self.handles.insert(self.next, process);
        self.next
    }

    pub fn close(&mut self, handle: u64) {
        self.handles.remove(&handle);
        self.unlock(handle);
    }

    pub fn unlock(&mut self, handle: u64) {
        self.locks.retain(|_, hold| match hold {
            Hold::Alone(holder) => *holder != handle,
            Hold::Shared(holders) => {
                holders.remove(&handle);
                !holders.is_empty()
            }
        });
    }

    /// Takes a lock at once; `false` when that cannot be.
    pub fn lock(&mut self, number: u64, handle: u64, alone: bool) -> bool {
        match self.locks.get_mut(&number) {
            None if alone => drop(self.locks.insert(number, Hold::Alone(handle))),
            None => drop(self.locks.insert(number, Hold::Shared(BTreeSet::from([handle])))),
            Some(Hold::Shared(holders)) if !alone => drop(holders.insert(handle)),
            Some(Hold::Alone(holder)) if *holder == handle => {}
            Some(_) => return false,
        }
        true
    }

    /// How many locks anybody holds.
    pub fn locked(&self) -> usize {
        self.locks.len()
    }

    pub fn find(&self, path: &Path) -> io::Result<u64> {
        let mut at = ROOT;
        for part in path.components() {
            let Component::Normal(name) = part else { continue };
            let Some(Inode::Folder(folder)) = self.inodes.get(&at) else { return Err(Errno::NOTDIR.into()) };
            at = *folder.seen.get(&*name.to_string_lossy()).ok_or(Errno::NOENT)?;
        }
        Ok(at)
    }

    pub fn inode(&self, number: u64) -> io::Result<&Inode> {
        self.inodes.get(&number).ok_or_else(gone)
    }

    pub fn file(&mut self, number: u64) -> io::Result<&mut Layers<Vec<u8>, Bytes>> {
        self.touched.insert(number);
        match self.inodes.get_mut(&number) {
            Some(Inode::File(file)) => Ok(file),
            _ => Err(Errno::ISDIR.into()),
        }
    }

    pub fn names(&mut self, number: u64) -> io::Result<&mut Layers<Names, Naming>> {
        self.touched.insert(number);
        match self.inodes.get_mut(&number) {
            Some(Inode::Folder(folder)) => Ok(folder),
            _ => Err(Errno::NOTDIR.into()),
        }
    }

    pub fn child(&self, folder: u64, name: &str) -> io::Result<u64> {
        match self.inode(folder)? {
            Inode::Folder(folder) => folder.seen.get(name).copied().ok_or_else(|| Errno::NOENT.into()),
            Inode::File(_) => Err(Errno::NOTDIR.into()),
        }
    }

    /// Puts something new into a folder.
    pub fn put(&mut self, folder: u64, name: &str, inode: Inode) -> io::Result<u64> {
        if self.child(folder, name).is_ok() {
            return Err(Errno::EXIST.into());
        }
        self.next += 1;
        let number = self.next;
        self.names(folder)?.change(Naming::Put(name.to_owned(), number));
        self.inodes.insert(number, inode);
        self.touched.insert(number);
        Ok(number)
    }

    pub fn rename(&mut self, folder: u64, from: &str, to: &str) -> io::Result<()> {
        let number = self.child(folder, from)?;
        if self.child(folder, to).is_ok() {
            return Err(Errno::EXIST.into());
        }
        self.names(folder)?.change(Naming::Move { from: from.to_owned(), to: to.to_owned(), number });
        Ok(())
    }

    /// Removes a file, or an empty folder.
    pub fn take(&mut self, folder: u64, name: &str, file: bool) -> io::Result<()> {
        match self.inode(self.child(folder, name)?)? {
            Inode::File(_) if !file => return Err(Errno::NOTDIR.into()),
            Inode::Folder(_) if file => return Err(Errno::ISDIR.into()),
            Inode::Folder(it) if !it.seen.is_empty() => return Err(Errno::NOTEMPTY.into()),
            _ => {}
        }
        self.names(folder)?.change(Naming::Take(name.to_owned()));
        Ok(())
    }

    /// Whether anything below this folder was changed since the last call of [`State::looked`].
    pub fn changed(&self, path: &Path) -> bool {
        let Ok(number) = self.find(path) else { return true };
        let inside = match self.inodes.get(&number) {
            Some(Inode::Folder(folder)) => folder.seen.values().any(|child| self.touched.contains(child)),
            _ => false,
        };
        inside || self.touched.contains(&number)
    }

    /// Everything that was changed has been looked at.
    pub fn looked(&mut self) {
        self.touched.clear();
    }

    /// The bytes of every file that has a name, with its path.
    pub fn all_files(&self) -> Vec<(String, &[u8])> {
        let (mut found, mut open) = (Vec::new(), vec![(String::new(), ROOT)]);
        while let Some((path, number)) = open.pop() {
            match self.inodes.get(&number) {
                Some(Inode::File(file)) => found.push((path, file.seen.as_slice())),
                Some(Inode::Folder(folder)) => {
                    open.extend(folder.seen.iter().map(|(name, child)| (format!("{path}/{name}"), *child)));
                }
                None => {}
            }
        }
        found
    }
}
