//! Takes nodes apart with errors that point: wrong types, unknown keys. Messages name keys and kinds, never values.

use super::node::{Key, Kind, Node, Style};
use crate::adapters::environment::{self, Lookup};
use crate::domain::refusal::Refusal;
use crate::domain::suggest;
use std::rc::Rc;

/// The pairs of a mapping; nothing counts as an empty one.
pub(super) fn mapping<'n>(node: &'n Node, what: &str) -> Result<&'n [(Key, Node)], Refusal> {
    match &node.kind {
        Kind::Map(pairs) => Ok(pairs),
        Kind::Null => Ok(&[]),
        _ => Err(wrong(node, what, "a mapping of `key: value` lines")),
    }
}

/// The pairs of a mapping in which only these keys may stand.
pub(super) fn only<'n>(node: &'n Node, what: &str, known: &[&str]) -> Result<&'n [(Key, Node)], Refusal> {
    let pairs = mapping(node, what)?;
    for (key, _) in pairs {
        if !known.contains(&&*key.text) && !key.text.starts_with("x-") {
            let cause = format!("unknown key `{}` in {what}", key.text);
            return Err(key.at.place().refuse(cause, suggest::hint(&key.text, known)));
        }
    }
    Ok(pairs)
}

/// A single value as it is written.
pub(super) fn text(node: &Node, what: &str) -> Result<String, Refusal> {
    match &node.kind {
        Kind::Text(text, _) => Ok(text.to_string()),
        _ => Err(wrong(node, what, "a single value")),
    }
}

/// A list of single values; one alone counts as a list of one, nothing as an empty one.
pub(super) fn texts(node: &Node, what: &str) -> Result<Vec<(String, Node)>, Refusal> {
    match &node.kind {
        Kind::Null => Ok(Vec::new()),
        Kind::Text(text, _) => Ok(vec![(text.to_string(), node.clone())]),
        Kind::List(items) => items.iter().map(|n| Ok((self::text(n, what)?, n.clone()))).collect(),
        Kind::Map(_) => Err(wrong(node, what, "a single value or a list of them")),
    }
}

/// `true` or `false`, unquoted.
pub(super) fn flag(node: &Node, what: &str) -> Result<bool, Refusal> {
    match &node.kind {
        Kind::Text(text, Style::Plain) if &**text == "true" => Ok(true),
        Kind::Text(text, Style::Plain) if &**text == "false" => Ok(false),
        _ => Err(wrong(node, what, "`true` or `false`")),
    }
}

/// A whole number from 1 to 65535.
pub(super) fn port(node: &Node, what: &str) -> Result<u16, Refusal> {
    let port = text(node, what)?.parse::<u16>().ok().filter(|p| *p > 0);
    port.ok_or_else(|| node.at.place().refuse(format!("{what} is not a port"), "write a number from 1 to 65535"))
}

/// Something else stands there than must.
pub(super) fn wrong(node: &Node, what: &str, wanted: &str) -> Refusal {
    node.at.place().refuse(format!("{what} is {}", node.what()), format!("write {wanted}"))
}

/// The same tree with `${…}` filled in, in values only.
pub(super) fn fill(node: &Node, lookup: Lookup<'_>) -> Result<Node, Refusal> {
    let kind = match &node.kind {
        Kind::Text(text, style) if text.contains('$') => {
            // What was filled in is text, whatever it looks like, unless it was written plainly.
            Kind::Text(environment::interpolate(text, &node.at.place(), lookup)?.into(), *style)
        }
        Kind::List(items) => Kind::List(Rc::new(items.iter().map(|n| fill(n, lookup)).collect::<Result<_, _>>()?)),
        Kind::Map(pairs) => {
            let filled = pairs.iter().map(|(k, n)| Ok((k.clone(), fill(n, lookup)?)));
            Kind::Map(Rc::new(filled.collect::<Result<_, Refusal>>()?))
        }
        other => other.clone(),
    };
    Ok(Node { change: node.change, ..Node::new(node.at.clone(), kind) })
}
