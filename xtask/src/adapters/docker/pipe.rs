//! Named pipes in a private folder that a container mounts: a producer's bytes come straight from its process to ours, where the
//! engine would copy them twice. Used where they were seen to work; the engine's own stream is the way everywhere else.

use super::channel::ended;
use super::control::{End, Ending};
use super::engine::Engine;
use super::exec;
use crate::adapters::directory::DirectorySites;
use crate::domain::exec::{Bulk, Exec};
use crate::domain::site::SiteSpec;
use crate::ports::{OwnedSite, Sites};
use anyhow::{Context, Result};
use bollard::models::{Mount, MountType};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Where a container sees the folder.
const INSIDE: &str = "/xtask-pipes";
/// Larger than the kernel's 64 KiB: fewer turns between the two sides. The most that an ordinary user may ask for.
const ROOM: usize = 1 << 20;
/// How often it is looked whether a command has opened its input.
const COMING: Duration = Duration::from_millis(1);
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

    /// A new pipe for this stream of a command.
    pub(super) fn open(&self, bulk: Bulk) -> Result<Pipe> {
        let name = format!("{}", self.made.fetch_add(1, Ordering::SeqCst));
        let path = self.folder.join(&name);
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).context("make a pipe")?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o666)).context("open the pipe")?;
        let inside = format!("{INSIDE}/{name}");
        if bulk == Bulk::Input {
            return Ok(Pipe { side: Side::Write(path), inside });
        }
        // In this order neither waits for the other side.
        let reader = end_of(&path, OpenOptions::new().read(true)).context("read the pipe")?;
        let keeper = end_of(&path, OpenOptions::new().write(true)).context("hold the pipe")?;
        Ok(Pipe { side: Side::Read(reader, Keeper { _writer: keeper, path }), inside })
    }
}

/// Opens one end without waiting for the other.
fn end_of(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let end = options.custom_flags(flags.bits().cast_signed()).open(path)?;
    // A smaller one works as well.
    let _ = rustix::pipe::fcntl_setpipe_size(&end, ROOM);
    Ok(end)
}

/// One pipe, before anything is written.
pub(super) struct Pipe {
    pub(super) side: Side,
    /// Its path in the container.
    pub(super) inside: String,
}

/// Our end of a pipe.
pub(super) enum Side {
    /// We read what the command writes.
    Read(File, Keeper),
    /// We write what the command reads, once it has opened the pipe at this path.
    Write(PathBuf),
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
            if !matches!(known, None | Some(End::Done(_))) {
                return ended(&known);
            }
            match self.reader.read(buffer) {
                Ok(0) => {
                    let mut end = self.end.clone();
                    let end = self.engine.run(async { end.wait_for(Option::is_some).await.map(|e| e.clone()) });
                    return ended(&end.ok().flatten());
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => match known {
                    None => wait(&self.reader, PollFlags::IN)?,
                    // The command is over and the pipe is empty, but somebody still holds it: never a clean end.
                    Some(_) => return Err(io::Error::other("the command ended but what it wrote to stayed open")),
                },
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

/// A command's input through a pipe. Dropping it closes the input.
pub(super) struct PipeFeed {
    path: PathBuf,
    end: Ending,
    writer: Option<File>,
}

impl PipeFeed {
    pub(super) fn new(path: PathBuf, end: Ending) -> Self {
        Self { path, end, writer: None }
    }

    /// Opens our end once the command has opened its own. Opened before, a short input would be gone when the command comes.
    #[expect(
        clippy::disallowed_methods,
        reason = "there is nothing to wait on: a pipe without a reader cannot be polled"
    )]
    fn writer(&mut self) -> io::Result<&mut File> {
        let opened = loop {
            self.check()?;
            match self.writer.take() {
                Some(writer) => break writer,
                None => match end_of(&self.path, OpenOptions::new().write(true)) {
                    Err(e) if e.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
                        std::thread::sleep(COMING);
                    }
                    opened => self.writer = Some(opened?),
                },
            }
        };
        Ok(self.writer.insert(opened))
    }

    fn check(&self) -> io::Result<()> {
        match self.end.borrow().is_some() {
            true => Err(io::Error::new(ErrorKind::BrokenPipe, "the command no longer reads its input")),
            false => Ok(()),
        }
    }
}

impl Write for PipeFeed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        loop {
            let writer = self.writer()?;
            match writer.write(bytes) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => wait(writer, PollFlags::OUT)?,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for PipeFeed {
    fn drop(&mut self) {
        // A command that was given nothing waits for somebody to open its input, too.
        let _ = self.writer();
        let _ = std::fs::remove_file(&self.path);
    }
}

fn wait(end: &File, what: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(end, what)], Some(&DOUBT)) {
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
        let exec = Exec::site("cat").arg(BOOT).timeout(ATTEMPT);
        let mut running = exec::start_with(engine, container, name, &exec, Some(pipes.open(Bulk::Output)?))?;
        let mut came = String::new();
        running.stdout.read_to_string(&mut came)?;
        Ok(running.control.wait()?.ok() && came == wanted)
    };
    attempt().unwrap_or(false)
}
