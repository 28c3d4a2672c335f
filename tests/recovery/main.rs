//! Every integration test, in one binary: one module a promise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests may fail as tests do")]
#![cfg_attr(not(feature = "docker"), allow(dead_code, reason = "only the tests of containers use some of the helpers"))]

mod audit_log;
mod command;
mod contracts;
mod distrust;
#[cfg(feature = "docker")]
mod docker_attached;
#[cfg(feature = "docker")]
mod docker_contracts;
#[cfg(feature = "docker")]
mod docker_daemon;
#[cfg(feature = "docker")]
mod docker_images;
#[cfg(feature = "docker")]
mod docker_killed;
#[cfg(feature = "docker")]
mod docker_live;
#[cfg(feature = "docker")]
mod docker_pipes;
#[cfg(feature = "docker")]
mod docker_removal;
#[cfg(feature = "docker")]
mod docker_rig;
#[cfg(feature = "docker")]
mod docker_routes;
#[cfg(feature = "docker")]
mod docker_sites;
#[cfg(feature = "docker")]
mod docker_store;
#[cfg(feature = "docker")]
mod docker_streams;
#[cfg(feature = "docker")]
mod docker_volumes;
#[cfg(feature = "docker")]
mod docker_witness;
mod drills;
mod env_files;
mod faults;
mod hidden_loss;
mod hostile_surface;
mod memory;
mod old_archives;
mod old_services;
mod plain_places;
mod postgres_engine;
mod protected;
mod reports;
mod restores;
mod rewrapped;
mod runbook;
mod sabotage;
mod simulator;
mod support;
mod tidy;
mod together;
mod validate;
mod vault_syscalls;
mod vault_under_fire;
mod verify_reports;
