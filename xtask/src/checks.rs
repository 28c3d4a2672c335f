//! The checks: a static list for each task that asks. One file a check, one line in its list; a test compares the folders with the lists.
//! A check is a pure judgement over facts; `flow` gathers them.

mod traefik;

pub use traefik::TRAEFIK;
