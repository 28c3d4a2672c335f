//! The machine's disk as one of its processes sees it, through the door that the real one has too.

use super::faults::Fault;
use super::layers::{Bytes, Layers, Names};
use super::machine::{Inode, Machine, State, Step};
use super::sabotage::Sabotage;
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::path::Path;
use xtask::archive::disk::{Disk, Entry, Folder, Kind, Links, Opened};

/// The disk of one process.
#[derive(Debug, Clone)]
pub struct SimDisk {
    pub machine: Machine,
    pub process: u32,
    pub sabotage: Sabotage,
}

fn text(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

/// The folder that a path's last name is in, and that name.
fn place(state: &State, path: &Path) -> io::Result<(u64, String)> {
    let name = path.file_name().ok_or(Errno::EXIST)?;
    Ok((state.find(path.parent().unwrap_or(Path::new("/")))?, text(name)))
}

fn entry(state: &State, number: u64) -> io::Result<Entry> {
    let (kind, bytes, mode) = match state.inode(number)? {
        Inode::File(file) => (Kind::File, file.seen.len() as u64, 0o600),
        Inode::Folder(_) => (Kind::Folder, 0, 0o700),
    };
    Ok(Entry { kind, bytes, owner: rustix::process::geteuid().as_raw(), mode, identity: (1, number) })
}

impl SimDisk {
    fn file(&self, state: &mut State, number: u64, path: &Path) -> Box<dyn Opened> {
        Box::new(self.held(state, number, path))
    }

    fn held(&self, state: &mut State, number: u64, path: &Path) -> SimOpen {
        let sabotage = self.sabotage.at(path);
        SimOpen { disk: self.clone(), number, handle: state.handle(self.process), at: 0, sabotage }
    }

    fn opened(&self, state: &mut State, number: u64, path: &Path) -> io::Result<Box<dyn Folder>> {
        match state.inode(number)? {
            Inode::File(_) => Err(Errno::NOTDIR.into()),
            Inode::Folder(_) => Ok(Box::new(self.held(state, number, path))),
        }
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Opened>> {
        let (mut state, _) = self.machine.step(self.process, Step::Write)?;
        let (folder, name) = place(&state, path)?;
        let number = state.put(folder, &name, Inode::File(Layers::new(Vec::new())))?;
        Ok(self.file(&mut state, number, path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Opened>> {
        let (mut state, _) = self.machine.step(self.process, Step::Read)?;
        let number = state.find(path)?;
        Ok(self.file(&mut state, number, path))
    }

    fn extend(&self, path: &Path) -> io::Result<Box<dyn Opened>> {
        let (mut state, _) = self.machine.step(self.process, Step::Write)?;
        let (folder, name) = place(&state, path)?;
        let number = match state.child(folder, &name) {
            Ok(number) => number,
            Err(_) => state.put(folder, &name, Inode::File(Layers::new(Vec::new())))?,
        };
        Ok(self.file(&mut state, number, path))
    }

    fn folder(&self, path: &Path, _links: Links) -> io::Result<Box<dyn Folder>> {
        let (mut state, _) = self.machine.step(self.process, Step::Read)?;
        let number = state.find(path)?;
        self.opened(&mut state, number, path)
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let (mut state, _) = self.machine.step(self.process, Step::Write)?;
        let (folder, name) = place(&state, path)?;
        state.put(folder, &name, Inode::Folder(Layers::new(Names::new()))).map(drop)
    }

    fn look(&self, path: &Path, _links: Links) -> io::Result<Entry> {
        let (state, _) = self.machine.step(self.process, Step::Read)?;
        entry(&state, state.find(path)?)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (mut state, _) = self.machine.step(self.process, Step::Name)?;
        let ((folder, from), (other, to)) = (place(&state, from)?, place(&state, to)?);
        if folder == other { state.rename(folder, &from, &to) } else { Err(Errno::XDEV.into()) }
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let (mut state, _) = self.machine.step(self.process, Step::Name)?;
        let (folder, name) = place(&state, path)?;
        state.take(folder, &name, true)
    }

    fn remove_all(&self, path: &Path) -> io::Result<()> {
        if self.sabotage == Sabotage::CleanUp {
            return Ok(());
        }
        for name in self.folder(path, Links::Refused)?.names()? {
            let child = path.join(name);
            match self.look(&child, Links::Refused)?.kind {
                Kind::Folder => self.remove_all(&child)?,
                _ => self.remove_file(&child)?,
            }
        }
        let (mut state, _) = self.machine.step(self.process, Step::Name)?;
        let (folder, name) = place(&state, path)?;
        state.take(folder, &name, false)
    }

    fn free_bytes(&self, _path: &Path) -> Option<u64> {
        Some(if self.machine.is_full(self.process) { 0 } else { 1 << 40 })
    }
}

/// An open file or folder.
#[derive(Debug)]
struct SimOpen {
    disk: SimDisk,
    number: u64,
    handle: u64,
    at: usize,
    /// What is missing when it works on this.
    sabotage: Sabotage,
}

impl SimOpen {
    fn step(&self, step: Step) -> io::Result<(std::sync::MutexGuard<'_, State>, Option<Fault>)> {
        let (state, due) = self.disk.machine.step(self.disk.process, step)?;
        // A handle that a power cut took is of no use to anybody.
        if state.handles.contains_key(&self.handle) { Ok((state, due)) } else { Err(Errno::IO.into()) }
    }

    fn sync_it(&self) -> io::Result<()> {
        let (mut state, due) = self.step(Step::Sync)?;
        if self.sabotage.forgets_to_sync(matches!(state.inode(self.number)?, Inode::Folder(_))) {
            return Ok(());
        }
        let errno = match due {
            Some(Fault::SyncError) => Some(Errno::IO),
            Some(Fault::FullAtSync) => Some(Errno::NOSPC),
            _ => None,
        };
        let folder = matches!(state.inode(self.number)?, Inode::Folder(_));
        match (folder, errno) {
            (true, None) => state.names(self.number)?.sync(),
            (true, Some(_)) => state.names(self.number)?.fail(),
            (false, None) => state.file(self.number)?.sync(),
            (false, Some(_)) => state.file(self.number)?.fail(),
        }
        errno.map_or(Ok(()), |errno| Err(errno.into()))
    }

    fn entry_of(&self) -> io::Result<Entry> {
        entry(&self.step(Step::Read)?.0, self.number)
    }

    /// There is one thread a process, and processes take turns: whoever had to wait would wait for ever.
    fn lock_it(&self, alone: bool) -> io::Result<bool> {
        let (mut state, _) = self.step(Step::Lock)?;
        let folder = matches!(state.inode(self.number)?, Inode::Folder(_));
        Ok(state.lock(self.number, self.handle, alone) || self.sabotage.ignores_locks(folder))
    }

    fn unlock_it(&self) {
        self.disk.machine.state().unlock(self.handle);
    }
}

impl Drop for SimOpen {
    fn drop(&mut self) {
        self.disk.machine.state().close(self.handle);
    }
}

impl Read for SimOpen {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (state, _) = self.step(Step::Read)?;
        let Inode::File(file) = state.inode(self.number)? else { return Err(Errno::ISDIR.into()) };
        let n = file.seen.get(self.at..).unwrap_or_default().read(into)?;
        drop(state);
        self.at += n;
        Ok(n)
    }
}

impl Write for SimOpen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (mut state, due) = self.step(Step::Write)?;
        if self.sabotage == Sabotage::Catalog {
            return Ok(bytes.len());
        }
        let n = if due == Some(Fault::ShortWrite) && bytes.len() > 1 { bytes.len() / 2 } else { bytes.len() };
        let file = state.file(self.number)?;
        let at = file.seen.len();
        file.change(Bytes::Write { at, bytes: bytes[..n].to_vec() });
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Opened for SimOpen {
    fn look(&self) -> io::Result<Entry> {
        self.entry_of()
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        let (mut state, _) = self.step(Step::Name)?;
        state.file(self.number)?.change(Bytes::Cut(bytes as usize));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_it()
    }

    fn forget(&self) {
        if let Ok((mut state, _)) = self.step(Step::Read)
            && let Ok(file) = state.file(self.number)
        {
            file.forget();
        }
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        let (state, _) = self.step(Step::Read)?;
        let Inode::File(file) = state.inode(self.number)? else { return Err(Errno::ISDIR.into()) };
        file.seen.get(at as usize..).unwrap_or_default().read_exact(into)
    }

    fn lock(&self) -> io::Result<()> {
        if self.lock_it(true)? { Ok(()) } else { Err(Errno::DEADLK.into()) }
    }

    fn lock_now(&self) -> io::Result<bool> {
        self.lock_it(true)
    }

    fn unlock(&self) {
        self.unlock_it();
    }
}

impl Folder for SimOpen {
    fn look(&self) -> io::Result<Entry> {
        self.entry_of()
    }

    fn names(&self) -> io::Result<Vec<OsString>> {
        let (state, _) = self.step(Step::Read)?;
        let Inode::Folder(folder) = state.inode(self.number)? else { return Err(Errno::NOTDIR.into()) };
        Ok(folder.seen.keys().map(OsString::from).collect())
    }

    fn entry(&self, name: &OsStr) -> io::Result<Entry> {
        let (state, _) = self.step(Step::Read)?;
        entry(&state, state.child(self.number, &text(name))?)
    }

    fn folder(&self, name: &OsStr) -> io::Result<Box<dyn Folder>> {
        let (mut state, _) = self.step(Step::Read)?;
        let number = state.child(self.number, &text(name))?;
        self.disk.opened(&mut state, number, Path::new(name))
    }

    fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        self.step(Step::Name)?.0.rename(self.number, &text(from), &text(to))
    }

    fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        self.step(Step::Name)?.0.take(self.number, &text(name), true)
    }

    fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
        self.step(Step::Name)?.0.take(self.number, &text(name), false)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_it()
    }

    fn lock_shared(&self) -> io::Result<()> {
        if self.lock_it(false)? { Ok(()) } else { Err(Errno::DEADLK.into()) }
    }

    fn lock_now(&self) -> io::Result<bool> {
        self.lock_it(true)
    }

    fn unlock(&self) {
        self.unlock_it();
    }
}
