//! Archives that the old scripts wrote: made here with the programs that made them then, read, spoiled in every way, and adopted.

mod command;
mod contents;
#[cfg(feature = "docker")]
mod docker_adopt;
#[cfg(feature = "docker")]
mod docker_hostile;
#[cfg(feature = "docker")]
mod docker_stage;
mod keys;
mod layers;
mod rig;
