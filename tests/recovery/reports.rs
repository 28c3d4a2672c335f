//! The reporters and the publisher, from outside: golden files, readers of the formats, and what happens when a sink fails.

mod golden;
mod junit_reads;
mod publishing;
mod samples;
