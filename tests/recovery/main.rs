//! The integration tests of `xtask`, one binary; each module opens with what it proves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[cfg(feature = "docker")]
mod docker_attached;
#[cfg(feature = "docker")]
mod docker_daemon;
#[cfg(feature = "docker")]
mod docker_images;
#[cfg(feature = "docker")]
mod docker_removal;
#[cfg(feature = "docker")]
mod docker_rig;
#[cfg(feature = "docker")]
mod docker_sites;
#[cfg(feature = "docker")]
mod docker_streams;
