//! Named pipes in a private folder that a container mounts: a producer's bytes come straight from its process to ours, where the
//! engine would copy them twice. Used where they were seen to work; the engine's own stream is the way everywhere else.

use super::control::{End, Ending};
use super::engine::Engine;
use super::exec;
use crate::adapters::directory::DirectorySites;
use crate::domain::exec::Exec;
use crate::domain::site::SiteSpec;
use crate::ports::{OwnedSite, Sites};
use anyhow::{Context, Result};
use bollard::models::{Mount, MountType};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Where a container sees the folder.
const INSIDE: &str = "/xtask-pipes";
/// Larger than the kernel's 64 KiB: fewer turns between the two sides. The most that an ordinary user may ask for.
const ROOM: usize = 1 << 20;
/// How often a silent pipe is doubted.
const DOUBT: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// A private folder of this host that one container mounts.
pub(super) struct Pipes {
    _home: Box<dyn OwnedSite>,
    folder: PathBuf,
    made: AtomicU32,
}

impl Pipes {
    /// Makes the folder. Nobody but this user and whoever mounts it can reach it.
    pub(super) fn make(folders: &DirectorySites) -> Result<Self> {
        let home = folders.open(&SiteSpec::Directory, "pipes")?;
        let folder = PathBuf::from(home.scratch());
        // The container's users are others; the folder above stays closed to them on this host.
        std::fs::set_permissions(&folder, Permissions::from_mode(0o711)).context("open the folder of pipes")?;
        Ok(Self { _home: home, folder, made: AtomicU32::new(0) })
    }

    /// How the container gets it. A folder that the engine cannot see is an error there, never made.
    pub(super) fn mount(&self) -> Mount {
        Mount {
            target: Some(INSIDE.to_owned()),
            source: Some(self.folder.display().to_string()),
            typ: Some(MountType::BIND),
            ..Default::default()
        }
    }

    /// A new pipe.
    pub(super) fn open(&self) -> Result<Pipe> {
        let name = format!("{}", self.made.fetch_add(1, Ordering::SeqCst));
        let path = self.folder.join(&name);
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).context("make a pipe")?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o622)).context("open the pipe")?;
        let flags = |more: OFlags| (OFlags::NONBLOCK | OFlags::NOFOLLOW | more).bits().cast_signed();
        // In this order neither waits for the other side.
        let reader = OpenOptions::new().read(true).custom_flags(flags(OFlags::CLOEXEC)).open(&path);
        let reader = reader.context("read the pipe")?;
        let keeper = OpenOptions::new().write(true).custom_flags(flags(OFlags::CLOEXEC)).open(&path);
        let keeper = keeper.context("hold the pipe")?;
        // A smaller one works as well.
        let _ = rustix::pipe::fcntl_setpipe_size(&reader, ROOM);
        Ok(Pipe { reader, keeper: Keeper { _writer: keeper, path }, inside: format!("{INSIDE}/{name}") })
    }
}

/// One pipe, before anything is written.
pub(super) struct Pipe {
    pub(super) reader: File,
    pub(super) keeper: Keeper,
    /// Its path in the container.
    pub(super) inside: String,
}

/// Holds a pipe open for writing: its end is not seen before this is dropped, however late the producer comes.
pub(super) struct Keeper {
    _writer: File,
    path: PathBuf,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Whoever has it open keeps it; what stays goes with its folder.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A command's output through a pipe. Its end is `Ok(0)` only when the command's stream ended by itself.
pub(super) struct PipeOutput {
    pub(super) engine: Arc<Engine>,
    pub(super) reader: File,
    pub(super) end: Ending,
}

impl Read for PipeOutput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            // Looked at before reading: what was written before the end is read after it.
            let known = self.end.borrow().clone();
            if !matches!(known, None | Some(End::Eof)) {
                return ended(known);
            }
            match self.reader.read(buffer) {
                Ok(0) => {
                    let mut end = self.end.clone();
                    let end = self.engine.run(async { end.wait_for(Option::is_some).await.map(|e| e.clone()) });
                    return ended(end.ok().flatten());
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => match known {
                    None => wait(&self.reader)?,
                    // The command is over and the pipe is empty, but somebody still holds it: never a clean end.
                    Some(_) => return Err(io::Error::other("the command ended but what it wrote to stayed open")),
                },
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

/// What the end of a stream means to its reader.
pub(super) fn ended(end: Option<End>) -> io::Result<usize> {
    match end {
        Some(End::Eof) => Ok(0),
        Some(End::TimedOut(refusal)) => Err(io::Error::new(ErrorKind::TimedOut, refusal)),
        Some(End::Killed) => Err(io::Error::other("the command was killed")),
        Some(End::Broken(why)) => Err(io::Error::other(why)),
        None => Err(io::Error::other("the stream of the command's output was lost")),
    }
}

fn wait(reader: &File) -> io::Result<()> {
    match poll(&mut [PollFd::new(reader, PollFlags::IN)], Some(&DOUBT)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Tells one boot of one kernel from every other (`random(4)`).
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
/// For the attempt, which moves a few bytes.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Whether what a command in this container writes into a pipe arrives here: tried, because an engine may run in a machine of
/// its own, or see other folders than we do.
pub(super) fn works(engine: &Arc<Engine>, container: &str, name: &str, pipes: &Pipes) -> bool {
    let attempt = || -> Result<bool> {
        let wanted = std::fs::read_to_string(BOOT)?;
        let exec = Exec::site("dd").args([format!("if={BOOT}"), "status=none".to_owned()]).timeout(ATTEMPT);
        let mut running = exec::start_into(engine, container, name, &exec.can_write_to("of=", NOTHING), pipes.open()?)?;
        let mut came = String::new();
        running.stdout.read_to_string(&mut came)?;
        Ok(running.control.wait()?.ok() && came == wanted)
    };
    attempt().unwrap_or(false)
}

const NOTHING: [String; 0] = [];
