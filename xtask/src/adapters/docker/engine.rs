//! The engine and our own runtime: the one door through which the synchronous core reaches asynchronous calls.
//! It must not know sites or images.

use super::fault;
use super::identity::RunIdentity;
use super::pipe::Pipes;
use crate::adapters::directory::DirectorySites;
use crate::domain::refusal::Refusal;
use anyhow::{Context, Result};
use bollard::{API_DEFAULT_VERSION, Docker};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Notify;

/// For the question whether there is an engine at all.
const PING: Duration = Duration::from_secs(5);
/// bollard's own bound; ours are shorter where that matters.
const CLIENT_SECONDS: u64 = 150;

pub(super) struct Engine {
    runtime: Option<Runtime>,
    handle: Handle,
    socket: Result<PathBuf, Refusal>,
    answered: OnceLock<(Docker, String)>,
    pub(super) identity: RunIdentity,
    abandoned: AtomicBool,
    creating: AtomicUsize,
    pub(super) streams: Streams,
    /// Where this host's own side of a container's folders is.
    pub(super) folders: DirectorySites,
    pipes: OnceLock<bool>,
}

impl Engine {
    pub(super) fn new(socket: Result<PathBuf, Refusal>, identity: RunIdentity) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("docker")
            .enable_io()
            .enable_time()
            .build()
            .context("start the threads that talk to Docker")?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
            socket,
            folders: DirectorySites::new(&identity.run, PathBuf::new(), None),
            pipes: OnceLock::new(),
            answered: OnceLock::new(),
            identity,
            abandoned: AtomicBool::new(false),
            creating: AtomicUsize::new(0),
            streams: Streams::default(),
        })
    }

    /// Runs a future to its end on the calling thread; on a thread of its own when the caller is itself inside a runtime.
    pub(super) fn run<F>(&self, future: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        if Handle::try_current().is_err() {
            return self.handle.block_on(future);
        }
        std::thread::scope(|scope| match scope.spawn(|| self.handle.block_on(future)).join() {
            Ok(output) => output,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Runs a task that outlives the call.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> tokio::task::AbortHandle {
        self.handle.spawn(task).abort_handle()
    }

    /// A client of an engine that has answered at least once.
    pub(super) fn client(&self) -> Result<Docker> {
        if self.known().is_none() {
            self.ping()?;
        }
        self.known().context("the engine's first answer was not kept")
    }

    /// A client, when the engine has answered before.
    pub(super) fn known(&self) -> Option<Docker> {
        self.answered.get().map(|(docker, _)| docker.clone())
    }

    /// Asks for a sign of life, within 5 s.
    pub(super) fn ping(&self) -> Result<()> {
        let socket = self.socket.clone()?;
        let answer = self.run(async {
            tokio::time::timeout(PING, greet(&socket)).await.unwrap_or_else(|_| Err(fault::silent(PING).into()))
        })?;
        self.answered.get_or_init(|| answer);
        Ok(())
    }

    /// The engine's version, once it has answered.
    pub(super) fn version(&self) -> Option<String> {
        self.answered.get().map(|(_, version)| version.clone())
    }

    /// A folder of pipes for a new container; `None` where pipes do not work or none can be made.
    pub(super) fn pipes(&self) -> Option<Pipes> {
        if self.pipes.get() == Some(&false) {
            return None;
        }
        // Without it everything works, only slower.
        Pipes::make(&self.folders).ok()
    }

    /// Whether pipes between this host and the engine's containers work, tried once.
    pub(super) fn pipes_work(&self, attempt: impl FnOnce() -> bool) -> bool {
        *self.pipes.get_or_init(attempt)
    }

    /// Announces that something will be created; refused once the run was abandoned.
    pub(super) fn creating(&self) -> Result<Creating<'_>> {
        self.creating.fetch_add(1, Ordering::SeqCst);
        let announced = Creating(self);
        self.not_abandoned()?;
        Ok(announced)
    }

    /// Checked between the steps of a creation, so that nothing is made behind the back of `abandon`.
    pub(super) fn not_abandoned(&self) -> Result<()> {
        anyhow::ensure!(!self.abandoned.load(Ordering::SeqCst), "the run is being cleaned up");
        Ok(())
    }

    /// From now on nothing new is made.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
        self.streams.release(None);
    }

    /// Whether a creation is under way.
    pub(super) fn is_creating(&self) -> bool {
        self.creating.load(Ordering::SeqCst) > 0
    }

    /// `xtask-<run>-<purpose>-<random>`, in the characters that the engine allows.
    pub(super) fn name(&self, purpose: &str) -> String {
        let random: String = std::iter::repeat_with(|| fastrand::char('a'..='z')).take(8).collect();
        let name = format!("xtask-{}-{purpose}-{random}", self.identity.run);
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A creation under way.
pub(super) struct Creating<'a>(&'a Engine);

impl Drop for Creating<'_> {
    fn drop(&mut self) {
        self.0.creating.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The output streams that are open, by container. The engine does not notice a container's death while somebody holds back the
/// output of a command in it, so whoever kills a container releases them.
#[derive(Default)]
pub(super) struct Streams(Mutex<Vec<(String, Weak<Notify>)>>);

impl Streams {
    pub(super) fn watch(&self, container: &str, release: &Arc<Notify>) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(_, release)| release.strong_count() > 0);
        open.push((container.to_owned(), Arc::downgrade(release)));
    }

    /// Lets the streams of one container, or of all, run out unread; their readers get an error.
    pub(super) fn release(&self, container: Option<&str>) {
        for (of, release) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let (true, Some(release)) = (container.is_none_or(|c| c == of), release.upgrade()) {
                release.notify_one();
            }
        }
    }
}

async fn greet(socket: &Path) -> Result<(Docker, String)> {
    // Opened once by hand: the HTTP client hides why a socket cannot be opened.
    tokio::net::UnixStream::connect(socket).await.map_err(|error| fault::no_socket(socket, &error))?;
    let path = socket.to_str().context("the Docker socket's path is not UTF-8")?;
    let docker = Docker::connect_with_unix(path, CLIENT_SECONDS, API_DEFAULT_VERSION).map_err(unusable)?;
    docker.ping().await.map_err(unusable)?;
    let docker = docker.negotiate_version().await.map_err(unusable)?;
    let version = docker.version().await.map_err(unusable)?.version.unwrap_or_else(|| "unknown".to_owned());
    Ok((docker, version))
}

fn unusable(error: bollard::errors::Error) -> anyhow::Error {
    use bollard::errors::Error;
    let refusal = match &error {
        Error::DockerResponseServerError { status_code, message } => {
            fault::unavailable(format!("the Docker engine answers with HTTP status {status_code}: {}", message.trim()))
        }
        other => {
            fault::unavailable(format!("what answers on the Docker socket does not speak Docker's protocol: {other}"))
        }
    };
    anyhow::Error::new(error).context(refusal)
}
