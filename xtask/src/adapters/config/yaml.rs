//! Composes a YAML text into nodes: one document, keys once, merge keys, within budgets of depth, size and aliases.
//! It must not read files nor know what the keys mean.

use super::node::{Change, Key, Kind, Node, Spot, Style};
use crate::domain::place::Place;
use crate::domain::refusal::Refusal;
use granit_parser::{Event, Parser, ScalarStyle, Tag};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;

/// Levels of nesting at most.
const DEEPEST: usize = 64;
/// Nodes at most, every alias followed.
const HEAVIEST: usize = 100_000;
/// Aliases at most.
const ALIASES: usize = 1_000;

/// The only document of a text; an empty text is `Kind::Null`.
///
/// # Errors
/// A configuration refusal at the place: broken YAML, a duplicate key, a spent budget, a second document, an unknown tag.
pub(super) fn compose(text: &str, file: &Path) -> Result<Node, Refusal> {
    let mut composer =
        Composer { file: file.into(), open: Vec::new(), anchors: HashMap::new(), root: None, aliases: 0, events: 0 };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| {
            let place = Place::new(file, e.marker().line(), e.marker().col() + 1);
            place.refuse(
                format!("broken YAML: {}", reason(&e)),
                "check indentation, quotes and brackets around this line",
            )
        })?;
        let at = Spot { file: composer.file.clone(), line: span.start.line(), column: span.start.col() + 1 };
        composer.take(event, at)?;
    }
    let top = Spot { file: file.into(), line: 1, column: 1 };
    Ok(composer.root.unwrap_or_else(|| Node::new(top, Kind::Null)))
}

struct Composer {
    file: Rc<Path>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    aliases: usize,
    events: usize,
}

/// A collection that is being read.
struct Open {
    at: Spot,
    anchor: usize,
    change: Change,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map { pairs: Vec<(Key, Node)>, seen: HashSet<Rc<str>>, merged: Vec<Node>, key: Option<Key> },
}

impl Composer {
    fn take(&mut self, event: Event<'_>, at: Spot) -> Result<(), Refusal> {
        self.events += 1;
        if self.events > 2 * HEAVIEST {
            return Err(too_much(&at.place()));
        }
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(at.place().refuse("a second document in the file", "one document a file: remove the `---`"))
            }
            Event::Scalar(text, style, anchor, tag) => {
                let change = change(tag.as_deref(), &at)?;
                let text_tag = tag.as_deref().is_some_and(|t| t.core_suffix() == Some("str"));
                let plain = style == ScalarStyle::Plain && !text_tag;
                let null = plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let style = if plain { Style::Plain } else { Style::Quoted };
                let kind = if null { Kind::Null } else { Kind::Text(text.as_ref().into(), style) };
                self.give(Node { change, ..Node::new(at, kind) }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => self.start(anchor, tag.as_deref(), at, Inside::List(Vec::new())),
            Event::MappingStart(_, anchor, tag) => {
                let inside = Inside::Map { pairs: Vec::new(), seen: HashSet::new(), merged: Vec::new(), key: None };
                self.start(anchor, tag.as_deref(), at, inside)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => {
                    let (anchor, node) = (open.anchor, open.close(&mut self.events)?);
                    self.give(node, anchor)
                }
                None => Ok(()),
            },
            Event::Alias(id) => {
                self.aliases += 1;
                if self.aliases > ALIASES {
                    let cause = format!("more than {ALIASES} aliases");
                    return Err(at.place().refuse(cause, "write the values out, or split the file"));
                }
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return Err(at
                        .place()
                        .refuse("an alias inside the value that it stands for", "no value can contain itself"));
                };
                self.give(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, anchor: usize, tag: Option<&Tag>, at: Spot, inside: Inside) -> Result<(), Refusal> {
        if self.open.len() >= DEEPEST {
            let cause = format!("nested deeper than {DEEPEST} levels");
            return Err(at.place().refuse(cause, "no configuration needs that: the file is damaged or hostile"));
        }
        let change = change(tag, &at)?;
        self.open.push(Open { at, anchor, change, inside });
        Ok(())
    }

    /// A finished value goes to its anchor, and into what is open.
    fn give(&mut self, node: Node, anchor: usize) -> Result<(), Refusal> {
        if node.weight > HEAVIEST {
            return Err(too_much(&node.at.place()));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|o| &mut o.inside) {
            None => self.root = Some(node),
            Some(Inside::List(items)) => items.push(node),
            Some(Inside::Map { pairs, seen, merged, key }) => match key.take() {
                None => *key = Some(key_of(node)?),
                Some(k) if &*k.text == "<<" => {
                    if !merged.is_empty() {
                        return Err(k.at.place().refuse("key `<<` is written twice", "write `<<: [*one, *two]`"));
                    }
                    merged.push(node);
                }
                Some(k) => {
                    if !seen.insert(k.text.clone()) {
                        let first = pairs.iter().find(|(p, _)| p.text == k.text).map_or(0, |(p, _)| p.at.line);
                        let cause = format!("key `{}` is written twice, first on line {first}", k.text);
                        return Err(k.at.place().refuse(cause, "remove one of them"));
                    }
                    pairs.push((k, node));
                }
            },
        }
        Ok(())
    }
}

impl Open {
    fn close(self, events: &mut usize) -> Result<Node, Refusal> {
        let kind = match self.inside {
            Inside::List(items) => Kind::List(Rc::new(items)),
            Inside::Map { mut pairs, mut seen, merged, .. } => {
                for source in &merged {
                    for map in sources(source)? {
                        // Checked at the next event.
                        *events += map.len();
                        // What is written here wins over what is merged in, and earlier sources over later ones.
                        pairs.extend(map.iter().filter(|(k, _)| seen.insert(k.text.clone())).cloned());
                    }
                }
                Kind::Map(Rc::new(pairs))
            }
        };
        Ok(Node { change: self.change, ..Node::new(self.at, kind) })
    }
}

/// The mappings that a merge key names.
fn sources(node: &Node) -> Result<Vec<&Vec<(Key, Node)>>, Refusal> {
    let refuse = |n: &Node| {
        n.at.place()
            .refuse(format!("`<<` needs a mapping, not {}", n.what()), "write `<<: *name` or `<<: [*one, *two]`")
    };
    match &node.kind {
        Kind::Map(pairs) => Ok(vec![&**pairs]),
        Kind::List(items) => items
            .iter()
            .map(|n| match &n.kind {
                Kind::Map(pairs) => Ok(&**pairs),
                _ => Err(refuse(n)),
            })
            .collect(),
        _ => Err(refuse(node)),
    }
}

fn key_of(node: Node) -> Result<Key, Refusal> {
    match node.kind {
        Kind::Text(text, _) => Ok(Key { text, at: node.at }),
        Kind::Null => Ok(Key { text: "null".into(), at: node.at }),
        _ => Err(node.at.place().refuse(format!("{} as a key", node.what()), "keys are words")),
    }
}

/// Compose's own tags are understood, YAML's core tags change nothing but the style, any other is refused.
fn change(tag: Option<&Tag>, at: &Spot) -> Result<Change, Refusal> {
    match tag {
        None => Ok(Change::Merge),
        Some(tag) if tag.core_suffix().is_some() => Ok(Change::Merge),
        Some(tag) => match tag.to_string().as_str() {
            "!" => Ok(Change::Merge),
            "!reset" => Ok(Change::Reset),
            "!override" => Ok(Change::Override),
            _ => Err(at.place().refuse("an unknown tag", "only `!reset` and `!override` are understood")),
        },
    }
}

fn too_much(place: &Place) -> Refusal {
    let cause = format!("more than {HEAVIEST} values once every alias is followed");
    place.refuse(cause, "no configuration needs that: the file is damaged or hostile")
}

/// The parser's reason without any piece of the text.
fn reason(error: &granit_parser::ScanError) -> String {
    error.kind().to_string()
}
