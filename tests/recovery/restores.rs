//! Restores to where a stack runs: everything that is refused, what is kept, old or new under every kill, and single tables.

mod archives;
#[cfg(feature = "docker")]
mod docker_killed;
#[cfg(feature = "docker")]
mod docker_live;
#[cfg(feature = "docker")]
mod docker_refusals;
#[cfg(feature = "docker")]
mod docker_shop;
mod killed;
mod live;
mod refusals;
mod rig;
mod tables;
