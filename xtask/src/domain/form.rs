//! The forms that artifacts have, each with an end by which all of it is told from half of it. It must not know how one is read.

use super::artifact::Role;

/// How an artifact begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `pg_dump --format=custom`: a table of contents, and a block for everything that it promises.
    PostgresCustom,
    /// The roles of a server: what `pg_dumpall` writes between its heading and its last line, or statements of our own.
    PostgresRoles,
    /// An SQLite file: as many pages as its header says.
    Sqlite,
    /// A tar archive: entries, then two blocks of zeros.
    Tar,
}

impl Form {
    /// The form of a file of this engine; `None` where nothing tells its end: an engine that is not known, or free text.
    pub fn of(engine: &str, role: &Role) -> Option<Self> {
        match (engine, role) {
            ("postgres", Role::Data) => Some(Self::PostgresCustom),
            ("postgres", Role::Extra(name)) if name == "globals" => Some(Self::PostgresRoles),
            ("sqlite", Role::Data) => Some(Self::Sqlite),
            ("files", Role::Data) => Some(Self::Tar),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_of_every_engine_has_a_form() {
        for engine in crate::engines::ENGINES {
            assert!(Form::of(engine.name(), &Role::Data).is_some(), "{}: half of its data would pass", engine.name());
        }
        assert_eq!(Form::of("postgres", &Role::Extra("settings".to_owned())), None);
    }
}
