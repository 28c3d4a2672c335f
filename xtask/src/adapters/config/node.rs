//! YAML as a tree in which every key and value knows its place. Aliases share what they point at, so a bomb is counted,
//! never built. It must not know what the keys mean.

use crate::domain::place::Place;
use std::path::Path;
use std::rc::Rc;

/// A position; the file is shared by all nodes of one text.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) file: Rc<Path>,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Spot {
    pub(super) fn place(&self) -> Place {
        Place::new(&*self.file, self.line, self.column)
    }
}

/// A value.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) at: Spot,
    pub(super) kind: Kind,
    pub(super) change: Change,
    /// Nodes in it with every alias followed.
    pub(super) weight: usize,
}

/// What a value is.
#[derive(Clone)]
pub(super) enum Kind {
    Null,
    Text(Rc<str>, Style),
    List(Rc<Vec<Node>>),
    Map(Rc<Vec<(Key, Node)>>),
}

/// How a text was written: only a plain one can mean a number or `true`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Quoted,
}

/// What Compose's own tags ask for when files are merged.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Change {
    #[default]
    Merge,
    Override,
    Reset,
}

/// A key of a mapping.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) text: Rc<str>,
    pub(super) at: Spot,
}

impl Node {
    pub(super) fn new(at: Spot, kind: Kind) -> Self {
        let inner: usize = match &kind {
            Kind::Null | Kind::Text(..) => 0,
            Kind::List(items) => items.iter().map(|n| n.weight).fold(0, usize::saturating_add),
            Kind::Map(pairs) => pairs.iter().map(|(_, n)| n.weight).fold(0, usize::saturating_add),
        };
        Self { at, kind, change: Change::Merge, weight: inner.saturating_add(1) }
    }

    /// What it is, for messages: never the value.
    pub(super) fn what(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Text(..) => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// The value under a key of a mapping.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(pairs) => pairs.iter().find(|(k, _)| &*k.text == key).map(|(_, n)| n),
            _ => None,
        }
    }
}
