//! A value that remembers where it was written. YAML is read into nodes; the compiler works on
//! nodes, so each of its messages can point at the source.

use crate::span::Pos;
use crate::value::{Map, Value};

/// A value with the place of its first character in the rendered text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    pub pos: Pos,
    pub kind: NodeKind,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind {
    /// Null, boolean, number or text; never a list or a mapping.
    Scalar(Value),
    Seq(Vec<Node>),
    /// Entries in order; keys are unique, by the loader's check.
    Map(Vec<(Node, Node)>),
}

impl Default for NodeKind {
    fn default() -> Self {
        Self::Scalar(Value::Null)
    }
}

impl Node {
    /// Makes a scalar without a place, for values that no file wrote.
    pub fn scalar(value: impl Into<Value>) -> Self {
        Self::from_value(&value.into(), Pos::default())
    }

    /// Makes a node tree of a plain value, all of it at one place.
    pub fn from_value(value: &Value, pos: Pos) -> Self {
        let kind = match value {
            Value::List(l) => NodeKind::Seq(l.iter().map(|item| Self::from_value(item, pos)).collect()),
            Value::Map(m) => {
                NodeKind::Map(m.iter().map(|(k, v)| (Self::from_value(k, pos), Self::from_value(v, pos))).collect())
            }
            scalar => NodeKind::Scalar(scalar.clone()),
        };
        Self { pos, kind }
    }

    /// Returns the plain value, places forgotten.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            NodeKind::Scalar(value) => value.clone(),
            NodeKind::Seq(items) => Value::list(items.iter().map(Self::to_value).collect()),
            NodeKind::Map(entries) => {
                Value::map(entries.iter().map(|(k, v)| (k.to_value(), v.to_value())).collect::<Map>())
            }
        }
    }

    /// Returns the text, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        if let NodeKind::Scalar(value) = &self.kind { value.as_str() } else { None }
    }

    /// Returns the items, if this is a list.
    pub fn as_seq(&self) -> Option<&[Node]> {
        if let NodeKind::Seq(items) = &self.kind { Some(items) } else { None }
    }

    /// Returns the entries, if this is a mapping.
    pub fn as_map(&self) -> Option<&[(Node, Node)]> {
        if let NodeKind::Map(entries) = &self.kind { Some(entries) } else { None }
    }

    /// Returns the entry of a text key with its key node.
    pub fn entry(&self, key: &str) -> Option<&(Node, Node)> {
        self.as_map()?.iter().find(|(k, _)| k.as_str() == Some(key))
    }

    /// Returns the value of a text key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Tells whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, NodeKind::Scalar(Value::Null))
    }

    /// Returns the only entry of a mapping with one entry.
    pub fn single(&self) -> Option<&(Node, Node)> {
        self.as_map().filter(|m| m.len() == 1).and_then(<[_]>::first)
    }

    /// Names the type as Python does.
    pub fn type_name(&self) -> &'static str {
        match &self.kind {
            NodeKind::Scalar(value) => value.type_name(),
            NodeKind::Seq(_) => "list",
            NodeKind::Map(_) => "dict",
        }
    }
}
