//! Describe and judge: what stacks, stores, engines, scenarios and measurements *are*.
//! Data and pure functions only: no I/O, no clock, no environment.

pub mod artifact;
pub mod census;
pub mod compose;
pub mod compose_version;
pub mod cron;
pub mod data_tool;
pub mod deed;
pub mod diagnosis;
pub mod display;
pub mod engine;
pub mod event;
pub mod exchange;
pub mod exec;
pub mod foreign;
pub mod judgement;
pub mod level;
pub mod mark;
pub mod objective;
pub mod outcome;
pub mod place;
pub mod project;
pub mod protection;
pub mod refusal;
pub mod report;
pub mod retention;
pub mod scenario;
pub mod schedule;
pub mod secret;
pub mod site;
pub mod stack;
pub mod store;
pub mod suggest;
pub mod timeline;
