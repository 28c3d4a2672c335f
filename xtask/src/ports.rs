//! The only doors to the world: time, sites, images, and telling what happens. Adapters implement these; flow uses nothing else.

use crate::domain::event::Event;
use crate::domain::exec::{Exec, Exit};
use crate::domain::landscape::Landscape;
use crate::domain::mark::Moment;
use crate::domain::report::Machine;
use crate::domain::site::{Attachment, Capabilities, ImageIdentity, SiteIdentity, SiteSpec, VolumeOf};
use crate::domain::web::{Answer, Ask, Unanswered};
use anyhow::Result;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time. One implementation serves a whole run, so that all its moments are on one clock.
pub trait Clock: Send + Sync {
    /// Monotonic time since the run began. The only source of durations.
    fn now(&self) -> Moment;
    /// Wall time, for names and display only.
    fn wall(&self) -> jiff::Timestamp;
    /// Waits.
    fn sleep(&self, time: Duration);
}

/// Whoever watches a run.
pub trait Events: Send + Sync {
    /// Tells one event; must not block for long and cannot fail.
    fn tell(&self, event: Event);
}

/// A started command.
pub struct Running {
    /// Its standard input when `Exec::input` is `Stream`; dropping it closes the child's input.
    pub stdin: Option<Box<dyn Write + Send>>,
    /// Its standard output. End of file is not success: ask [`Control::wait`].
    pub stdout: Box<dyn Read + Send>,
    /// The child itself.
    pub control: Box<dyn Control>,
}

/// Power over a started command. Dropping it kills the child if it still runs.
pub trait Control: Send {
    /// Waits for the end, at most until the `Exec`'s timeout, then kills the child and fails with `RefusalKind::Timeout`.
    /// Call after standard output was read to its end (or dropped).
    fn wait(&mut self) -> Result<Exit>;
    /// Kills the child and everything it started.
    fn kill(&mut self) -> Result<()>;
}

/// A place where a store runs. Nothing here can destroy.
pub trait Site: Send + Sync {
    /// What a report says of it.
    fn identity(&self) -> SiteIdentity;
    /// Starts a command. A program that does not exist is an error here or an exit status 126/127 from `wait`.
    fn start(&self, exec: &Exec) -> Result<Running>;
    /// The last lines of the server's log; empty when there is none.
    fn logs(&self, lines: usize) -> Result<String>;
    /// A folder for staging, in the site's own terms.
    fn scratch(&self) -> String;
    /// The server's address on its own network, where an application reaches it; `None` where there is none.
    fn address(&self) -> Option<String> {
        None
    }
}

/// A site that this run made, and may therefore hurt. There is no way from a `Site` to an `OwnedSite`.
///
/// Aiming a disaster at somebody's service does not compile:
/// ```compile_fail
/// fn disaster(somebodys: &dyn xtask::ports::Site) {
///     somebodys.destroy();
/// }
/// ```
pub trait OwnedSite: Site {
    /// What it can suffer; the methods below fail with a clear error where it cannot.
    fn capabilities(&self) -> Capabilities;
    /// Kills the server at once (SIGKILL); the data stays.
    fn kill(&self) -> Result<()>;
    /// Stops the server in its own good order and starts it again on the same data.
    fn restart(&self) -> Result<()>;
    /// Freezes every process.
    fn pause(&self) -> Result<()>;
    /// Thaws them.
    fn resume(&self) -> Result<()>;
    /// Cuts it off its network.
    fn disconnect(&self) -> Result<()>;
    /// Connects it again.
    fn reconnect(&self) -> Result<()>;
    /// Removes container, volumes and network, or the folder: everything. Idempotent. Also happens on drop.
    fn destroy(&self) -> Result<()>;
    /// Itself as a place to run commands at.
    fn as_site(&self) -> &dyn Site;
}

/// What a sweep removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Names of containers, networks, volumes and folders whose owner is dead, now removed.
    pub removed: Vec<String>,
    /// What belongs to runs that are alive, left alone.
    pub kept: Vec<String>,
    /// What could not be looked at, and why.
    pub unseen: Vec<String>,
}

/// Makes sites and finds them.
pub trait Sites: Send + Sync {
    /// Whether container sites can be made: `Err` says why not, with a hint.
    fn containers(&self) -> Result<()>;
    /// Resolves an image by the policy (present, pull, local recipe) and says which. Called before a recovery's clock starts.
    fn prepare_image(&self, spec: &SiteSpec, events: &dyn Events) -> Result<Option<ImageIdentity>>;
    /// Makes a site. Does not wait for readiness. `purpose` is a short word for names and labels (`drill`, `fresh`).
    fn open(&self, spec: &SiteSpec, purpose: &str) -> Result<Box<dyn OwnedSite>>;
    /// The folder of this host in which the container engine keeps a volume that the running stack mounts.
    fn volume(&self, of: &VolumeOf) -> Result<PathBuf>;
    /// Attaches to a place that belongs to somebody.
    fn attach(&self, to: &Attachment) -> Result<Box<dyn Site>>;
    /// Removes what dead runs left behind, and nothing of living ones.
    fn sweep(&self) -> Result<Swept>;
    /// Removes everything that *this* run made; for signals and panics. Must work while other threads are busy.
    fn abandon(&self) -> Result<()>;
    /// What the numbers depend on.
    fn machine(&self) -> Machine;
}

/// An image as the container engine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineImage {
    /// Its id: `sha256:…`.
    pub id: String,
    /// Bytes of its layers.
    pub bytes: u64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// The container engine's own images.
pub trait ImageLoader: Send + Sync {
    /// The image of this name, if the engine has it. Never pulls.
    fn find(&self, reference: &str) -> Result<Option<EngineImage>>;
    /// Loads an image file (`docker save` format). An image of ours that loses its name to it and is not in use is removed.
    fn load(&self, file: &Path) -> Result<()>;
}

/// Looks at what runs on the container engine. It only looks: nothing here can change anything.
pub trait Surroundings: Send + Sync {
    /// Containers that belong to this Compose project, carry a label for Traefik, or run it; and all networks.
    fn look(&self, project: &str) -> Result<Landscape>;
}

/// Asks web servers.
pub trait Web: Send + Sync {
    /// One GET request. Follows no redirect, keeps no connection, reads a bounded part of the body, and ends within this time.
    fn ask(&self, ask: &Ask, within: Duration) -> Result<Answer, Unanswered>;
}
