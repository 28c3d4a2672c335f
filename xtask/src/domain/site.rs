//! A site: a place where a store runs. What to make (`SiteSpec`), what to attach to (`Attachment`), and what a report says of it.
//! `Owned` sites can be destroyed, attached ones have no such method: see `ports`.

use super::secret::Secret;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A site that this run is to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteSpec {
    /// A container with volumes of its own.
    Container(ContainerSpec),
    /// A private folder.
    Directory,
}

/// What can be reached from a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Nothing but itself: what is brought back there may be anybody's.
    #[default]
    Nothing,
    /// A private network without a way out. The host answers on it.
    PrivateNetwork,
}

/// A container to make. Everything gets this run's labels; nothing is shared with the real stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSpec {
    /// The image as the stack names it (`postgres:15`); the image policy resolves it.
    pub image: String,
    /// The engine, so that the policy knows which local recipe can stand in.
    pub engine: String,
    /// Environment that may be printed.
    pub env: Vec<(String, String)>,
    /// Environment that may not.
    pub secret_env: Vec<(String, Secret)>,
    /// Who everything there runs as, where the image would run it as root; `None` = as the image says.
    pub user: Option<String>,
    /// What can be reached from there.
    pub reach: Reach,
    /// Arguments to the image's entry point; empty = the image's own.
    pub command: Vec<String>,
    /// Where the labelled data volume is mounted; it is destroyed with the site.
    pub data: String,
    /// Where a second labelled volume for staging is mounted (large, outlives nothing).
    pub scratch: String,
}

/// A place that belongs to somebody. Read-only to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attachment {
    /// The running container of a Compose service. Commands run beside it: in a labelled one-shot container of the same image,
    /// in its network namespace, never inside it.
    Service {
        /// The Compose project.
        project: String,
        /// The service.
        service: String,
    },
    /// A folder on this host; commands run with it as their working folder and write only to the scratch folder.
    Folder(PathBuf),
    /// A named volume, read where the engine keeps it on this host; otherwise as a folder.
    Volume(VolumeOf),
}

/// A named volume and who has to mount it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeOf {
    /// The name that the engine knows it by.
    pub name: String,
    /// The Compose project of which a running container has to mount it: without one, a volume of this name may be anybody's, or
    /// left over. `None` for a stack without Compose.
    pub project: Option<String>,
    /// The service that has to, when the store names one.
    pub service: Option<String>,
}

/// What a site can suffer, beyond being destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// `pause` and `resume` work.
    pub pause: bool,
    /// `disconnect` and `reconnect` work.
    pub network: bool,
    /// There is a server process that can be killed and restarted.
    pub server: bool,
}

/// What a report says of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteIdentity {
    /// The container's name or the folder.
    pub name: String,
    /// `container`, `directory` or `fake`.
    pub kind: String,
    /// The image, at container sites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageIdentity>,
}

/// Which image really ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageIdentity {
    /// What the stack asks for (`postgres:15`).
    pub wanted: String,
    /// What ran (`postgres:15`, or `localhost/xtask-postgres:15` when a local recipe stood in).
    pub used: String,
    /// The image id or repository digest (`sha256:…`).
    pub digest: String,
    /// How it came here.
    pub origin: ImageOrigin,
    /// Milliseconds spent pulling or building; never part of RTO.
    pub prepared_ms: u64,
}

/// How an image came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageOrigin {
    /// It was on the engine already.
    Present,
    /// Pulled from its registry.
    Pulled,
    /// Built here from the documented local recipe: a stand-in, not the official image.
    BuiltLocally,
    /// A stand-in that was built here by an earlier run.
    PresentStandIn,
}
