//! A store: one thing in a stack that holds data. It must not know how the data is reached.

use super::secret::Secret;
use std::path::PathBuf;

/// One thing that holds data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Unique in its stack, `[a-z0-9][a-z0-9-]*`; names artifacts and report rows.
    pub name: String,
    /// An engine's name, as in `engines::ENGINES`.
    pub engine: String,
    /// The Compose service that runs or mounts it.
    pub service: Option<String>,
    /// The image that serves it, when it needs a server.
    pub image: Option<String>,
    /// Where the data is.
    pub location: Location,
    /// Whether an empty store may be backed up without being refused.
    pub allow_empty: bool,
}

/// Where a store's data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A database inside a server.
    Database {
        /// Its name.
        database: String,
        /// The role that backs it up.
        user: String,
        /// That role's password, when the server wants one.
        password: Option<Secret>,
        /// The server's port inside its own network namespace.
        port: u16,
    },
    /// One database file.
    File {
        /// The folder or volume it is in.
        root: Root,
        /// Its path below the root.
        path: PathBuf,
    },
    /// A whole folder.
    Folder {
        /// The folder or volume.
        root: Root,
        /// Its path below the root; empty for the root itself.
        path: PathBuf,
    },
}

/// What holds a plain-file store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// A folder on this host.
    Host(PathBuf),
    /// A Docker volume, by its real name.
    Volume(String),
}
