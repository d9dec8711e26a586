//! Where values came from: the layers that were merged, each with the places of its parts, and what a later one did to
//! an earlier one.

use crate::source::{Given, Piece, Place, Secret};
use corpus_core::merge::Strategy;
use corpus_core::{Map, Node, NodeKind, Span, Value, python};

/// What one source gave, in the order of merging.
#[derive(Clone, Debug)]
pub struct Layer {
    pub source: String,
    pub pieces: Vec<Piece>,
}

impl Layer {
    /// Makes the layer of a source; one that names no places is a whole without one.
    pub(crate) fn of_source(name: &str, given: Given) -> Self {
        let mut pieces = given.pieces;
        if pieces.is_empty() && !given.pillar.is_empty() {
            let node = Node::from_value(&Value::map(given.pillar), Default::default());
            pieces.push(Piece { node, under: vec![], place: Place::Thing("".into()) });
        }
        Self { source: name.to_owned(), pieces }
    }
}

/// The layers of a pillar.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    layers: Vec<Layer>,
    strategy: Strategy,
    merge_lists: bool,
}

/// A value that a layer gave for a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    pub source: String,
    /// The file, line and column, where there are such.
    pub place: Option<Span>,
    pub value: Value,
}

/// The story of a key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Story {
    /// Those whose value it is: one, or all that were merged into a mapping or list.
    pub from: Vec<Origin>,
    /// Those whose value was replaced, the last one first.
    pub overrode: Vec<Origin>,
}

impl Origins {
    /// Makes them of layers in the order of merging.
    pub fn new(layers: Vec<Layer>, strategy: Strategy, merge_lists: bool) -> Self {
        Self { layers, strategy, merge_lists: merge_lists && strategy != Strategy::None }
    }

    /// Walks what each part alone gives, also what others override.
    pub fn values(&self) -> impl Iterator<Item = Value> {
        self.layers.iter().flat_map(|layer| &layer.pieces).map(|piece| {
            let wrap = |inner: Value, key: &Value| Value::map([(key.clone(), inner)].into_iter().collect());
            piece.under.iter().rev().fold(piece.node.to_value(), wrap)
        })
    }

    /// Gives up all parts, in the order of merging.
    pub fn pieces(self) -> impl Iterator<Item = Piece> {
        self.layers.into_iter().flat_map(|layer| layer.pieces)
    }

    /// Tells where the value of a path of keys came from.
    pub fn of(&self, path: &[Value]) -> Story {
        let mut story = Story::default();
        for layer in &self.layers {
            for piece in &layer.pieces {
                match find(piece, path) {
                    Found::Nothing => {
                        // A strategy that does not look inside replaces the whole key.
                        let shallow = matches!(self.strategy, Strategy::Overwrite | Strategy::Aggregate);
                        if shallow && path.len() > 1 && matches!(find(piece, &path[..1]), Found::Value(..)) {
                            replace(&mut story);
                        }
                    }
                    Found::Above => replace(&mut story),
                    Found::Value(node, span) => {
                        let value = node.to_value();
                        let joins = story.from.last().is_some_and(|last| self.joins(&last.value, &value));
                        if !joins {
                            replace(&mut story);
                        }
                        let place = Some(span).filter(|span| !span.file.is_empty());
                        story.from.push(Origin { source: layer.source.clone(), place, value });
                    }
                }
            }
        }
        story
    }

    /// Tells whether two values of one key become one, instead of the second replacing the first.
    fn joins(&self, first: &Value, second: &Value) -> bool {
        let shallow = matches!(self.strategy, Strategy::Overwrite | Strategy::Aggregate);
        match (first, second) {
            (Value::Map(_), Value::Map(_)) => !shallow,
            (Value::List(_), Value::List(_)) => self.merge_lists && !shallow,
            _ => self.strategy == Strategy::List,
        }
    }
}

fn replace(story: &mut Story) {
    for origin in std::mem::take(&mut story.from).into_iter().rev() {
        story.overrode.insert(0, origin);
    }
}

enum Found {
    Nothing,
    /// The layer has something that is no mapping where the path leads through: what was below is gone.
    Above,
    Value(Node, Span),
}

fn find(piece: &Piece, path: &[Value]) -> Found {
    let common = piece.under.len().min(path.len());
    if piece.under[..common].iter().zip(path).any(|(a, b)| !same_key(a, b)) {
        return Found::Nothing;
    }
    if path.len() < piece.under.len() {
        let rest = &piece.under[path.len()..];
        let node = rest.iter().rev().fold(piece.node.clone(), |inner, key| Node {
            pos: piece.node.pos,
            kind: NodeKind::Map(vec![(Node::from_value(key, piece.node.pos), inner)]),
        });
        let span = piece.place.of(piece.node.pos);
        return Found::Value(node, span);
    }
    let (mut at, mut pos) = (&piece.node, piece.node.pos);
    for key in &path[common..] {
        match &at.kind {
            NodeKind::Map(entries) => match entries.iter().find(|(k, _)| same_key(&k.to_value(), key)) {
                Some((k, value)) => (at, pos) = (value, k.pos),
                None => return Found::Nothing,
            },
            NodeKind::Seq(items) => {
                let item = python::str(key).parse::<usize>().ok().and_then(|i| items.get(i));
                match item {
                    Some(item) => (at, pos) = (item, item.pos),
                    None => return Found::Above,
                }
            }
            NodeKind::Scalar(_) => return Found::Above,
        }
    }
    Found::Value(at.clone(), piece.place.of(pos))
}

/// A path is typed as text; keys may be numbers.
fn same_key(key: &Value, typed: &Value) -> bool {
    key == typed || python::str(key) == python::str(typed)
}

/// Which values of a pillar must not be shown, by the sources that gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    /// Paths of keys; everything below them is secret.
    pub below: Vec<String>,
}

impl Secrets {
    pub(crate) fn extend(&mut self, given: &Given) {
        match &given.secret {
            Secret::Nothing => {}
            Secret::Everything => leaves(&given.pillar, "", &mut self.below),
            Secret::Below(paths) => self.below.extend(paths.iter().cloned()),
        }
    }
}

/// Names the values of a mapping that are none themselves: later sources may put open values beside them.
fn leaves(map: &Map, under: &str, into: &mut Vec<String>) {
    for (key, value) in map {
        let key = python::str(key);
        let path = if under.is_empty() { key } else { format!("{under}:{key}") };
        match value {
            Value::Map(inner) if !inner.is_empty() => leaves(inner, &path, into),
            _ => into.push(path),
        }
    }
}
