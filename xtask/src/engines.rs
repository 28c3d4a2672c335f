//! The engines: a static list. One file an engine, one line here; a test compares the folder with the list.

use crate::domain::engine::Engine;

mod files;
mod postgres;
mod sqlite;

/// Every engine.
pub static ENGINES: &[&dyn Engine] = &[&sqlite::Sqlite, &postgres::ENGINE, &files::Files];

/// Their names.
pub fn names() -> Vec<&'static str> {
    ENGINES.iter().map(|e| e.name()).collect()
}

/// The engine of this name.
pub fn find(name: &str) -> Option<&'static dyn Engine> {
    ENGINES.iter().copied().find(|e| e.name() == name)
}
