//! Merges Compose files the way Compose does: mappings deep, lists joined, commands replaced, `!reset` and `!override` obeyed.
//! It must not know what a service is beyond the names of the fields whose rule differs.

use super::node::{Change, Key, Kind, Node, Style};
use std::rc::Rc;

/// Lists that a later file replaces.
const REPLACED: [&str; 3] = ["command", "entrypoint", "test"];

/// Lists `NAME=value` that mean a mapping.
const MAPPINGS: [&str; 2] = ["environment", "labels"];

/// One file's tree, ready for merging: short forms written out, what is reset left out.
pub(super) fn prepare(node: &Node) -> Node {
    prepared("", node)
}

fn prepared(key: &str, node: &Node) -> Node {
    let kind = match &node.kind {
        Kind::List(items) if MAPPINGS.contains(&key) => Kind::Map(Rc::new(pairs(items))),
        Kind::List(items) => Kind::List(Rc::new(items.iter().map(|n| prepared("", n)).collect())),
        Kind::Map(pairs) => Kind::Map(Rc::new(pairs.iter().map(|(k, n)| (k.clone(), prepared(&k.text, n))).collect())),
        other => other.clone(),
    };
    Node { change: node.change, ..Node::new(node.at.clone(), kind) }
}

/// `NAME=value` items as pairs; the last of a name wins.
fn pairs(items: &[Node]) -> Vec<(Key, Node)> {
    let mut found: Vec<(Key, Node)> = Vec::new();
    for item in items {
        let Kind::Text(text, _) = &item.kind else { continue };
        let (name, kind) = match text.split_once('=') {
            Some((name, value)) => (name, Kind::Text(value.into(), Style::Quoted)),
            None => (&**text, Kind::Null),
        };
        let pair = (Key { text: name.into(), at: item.at.clone() }, Node::new(item.at.clone(), kind));
        match found.iter_mut().find(|(k, _)| *k.text == *name) {
            Some(old) => *old = pair,
            None => found.push(pair),
        }
    }
    found
}

/// What both files say together; `over` is the later one.
pub(super) fn merge(key: &str, base: &Node, over: &Node) -> Node {
    if over.change == Change::Override {
        return Node { change: Change::Merge, ..over.clone() };
    }
    let kind = match (&base.kind, &over.kind) {
        (_, Kind::Null) => return base.clone(),
        (Kind::Map(old), Kind::Map(new)) => {
            let mut all: Vec<(Key, Node)> = (**old).clone();
            for (k, n) in new.iter() {
                match all.iter().position(|(o, _)| o.text == k.text) {
                    Some(i) if n.change == Change::Reset => drop(all.remove(i)),
                    Some(i) => all[i] = (k.clone(), merge(&k.text, &all[i].1, n)),
                    None => all.push((k.clone(), n.clone())),
                }
            }
            Kind::Map(Rc::new(all))
        }
        (Kind::List(old), Kind::List(new)) if !REPLACED.contains(&key) => {
            Kind::List(Rc::new(old.iter().chain(new.iter()).cloned().collect()))
        }
        (Kind::Text(..), Kind::List(new)) if key == "env_file" => {
            Kind::List(Rc::new(std::iter::once(base).chain(new.iter()).cloned().collect()))
        }
        (Kind::List(old), Kind::Text(..)) if key == "env_file" => {
            Kind::List(Rc::new(old.iter().chain(std::iter::once(over)).cloned().collect()))
        }
        (Kind::Text(..), Kind::Text(..)) if key == "env_file" => Kind::List(Rc::new(vec![base.clone(), over.clone()])),
        _ => return over.clone(),
    };
    Node::new(base.at.clone(), kind)
}

/// The tree without what is still marked to be reset.
pub(super) fn without_resets(node: &Node) -> Node {
    let kind = match &node.kind {
        Kind::Map(pairs) => {
            let kept = pairs.iter().filter(|(_, n)| n.change != Change::Reset);
            Kind::Map(Rc::new(kept.map(|(k, n)| (k.clone(), without_resets(n))).collect()))
        }
        other => other.clone(),
    };
    Node::new(node.at.clone(), kind)
}
