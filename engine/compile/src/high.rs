//! High data: IDs, the state declarations below each, and their arguments, every piece with the
//! place where it was written.

use corpus_core::hash::IndexMap;
use corpus_core::{Map, Node, NodeKind, Pos, Value, keywords};
use std::sync::Arc;

/// A place: which file (an index into the compiler's table) and where in its rendered text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct At {
    pub file: u32,
    pub pos: Pos,
}

/// A member of a requisite list or of `names`.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub at: At,
    pub value: Value,
}

/// One entry of an argument.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub at: At,
    pub key: Value,
    value: Value,
    /// The members, where each needs a place of its own: requisites and `names`, formed as lists.
    pub items: Option<Arc<Vec<Item>>>,
}

impl Pair {
    /// Makes an entry that no file wrote.
    pub fn new(key: &str, value: Value, at: At) -> Self {
        Self { at, key: key.into(), value, items: None }
    }

    /// Makes a requisite.
    pub fn of_items(key: &str, items: Vec<Item>, at: At) -> Self {
        Self { at, key: key.into(), value: Value::Null, items: Some(Arc::new(items)) }
    }

    /// Returns the plain value.
    pub fn value(&self) -> Value {
        match &self.items {
            Some(items) => Value::list(items.iter().map(|item| item.value.clone()).collect()),
            None => self.value.clone(),
        }
    }
}

/// A member of a declaration's list.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    /// A text: the function's name.
    Fun(At, Arc<str>),
    /// A mapping, of one entry in a sound declaration.
    Pairs(At, Vec<Pair>),
    /// Anything else; Salt takes no notice of it.
    Other(At, Value),
}

impl Arg {
    /// Returns the first entry, which is what Salt looks at.
    pub fn first(&self) -> Option<&Pair> {
        if let Self::Pairs(_, pairs) = self { pairs.first() } else { None }
    }

    /// Returns the only entry, if there is just one.
    pub fn single(&self) -> Option<&Pair> {
        if let Self::Pairs(_, pairs) = self
            && let [pair] = pairs.as_slice()
        {
            return Some(pair);
        }
        None
    }

    /// Returns the first entry's key, if it is a text.
    pub fn word(&self) -> Option<&str> {
        self.first()?.key.as_str()
    }

    /// Returns the plain value.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Fun(_, name) => name.clone().into(),
            Self::Other(_, value) => value.clone(),
            Self::Pairs(_, pairs) => {
                Value::map(pairs.iter().map(|pair| (pair.key.clone(), pair.value())).collect::<Map>())
            }
        }
    }
}

/// What stands below a state declaration.
#[derive(Clone, Debug)]
pub(crate) enum Run {
    List(Vec<Arg>),
    /// Nothing: a short declaration with a trailing colon.
    Null,
    Other(Value),
}

/// A state declaration below an ID: `file: [managed, …]`.
#[derive(Clone, Debug)]
pub(crate) struct Decl {
    pub at: At,
    pub state: Arc<str>,
    pub run: Run,
}

impl Decl {
    /// Returns the arguments, none if the declaration is not a list.
    pub fn args(&self) -> &[Arg] {
        if let Run::List(args) = &self.run { args } else { &[] }
    }
}

/// An ID with its declarations.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub at: At,
    pub sls: Arc<str>,
    pub env: Arc<str>,
    pub included_from: Vec<Arc<str>>,
    pub decls: Vec<Decl>,
}

impl Body {
    /// Returns the declaration of a state module.
    pub fn decl(&self, state: &str) -> Option<&Decl> {
        self.decls.iter().find(|decl| *decl.state == *state)
    }

    /// Returns the declaration of a state module, for change.
    pub fn decl_mut(&mut self, state: &str) -> Option<&mut Decl> {
        self.decls.iter_mut().find(|decl| *decl.state == *state)
    }

    fn to_value(&self) -> Value {
        let mut out = Map::new();
        for decl in &self.decls {
            let run = match &decl.run {
                Run::List(args) => Value::list(args.iter().map(Arg::to_value).collect()),
                Run::Null => Value::Null,
                Run::Other(value) => value.clone(),
            };
            out.insert(decl.state.clone(), run);
        }
        out.insert("__sls__", self.sls.clone());
        out.insert("__env__", self.env.clone());
        if !self.included_from.is_empty() {
            let from = self.included_from.iter().map(|sls| sls.clone().into()).collect();
            out.insert("__sls_included_from__", Value::list(from));
        }
        Value::map(out)
    }
}

/// What an `extend` says of one ID.
#[derive(Clone, Debug)]
pub(crate) struct Extend {
    pub id: Value,
    pub body: Body,
}

/// The high data of a run, or of one SLS file with what it includes.
#[derive(Clone, Debug, Default)]
pub(crate) struct High {
    pub ids: IndexMap<Value, Body>,
    pub extends: Vec<Extend>,
    pub excludes: Vec<Item>,
    /// How many IDs Salt's mapping has before `__extend__` and `__exclude__`.
    pub before: [usize; 2],
}

impl High {
    /// Returns the plain form, as `state.show_highstate` prints it.
    pub fn to_value(&self) -> Value {
        let mut out = Map::new();
        let extends = self.extends.iter();
        let extends = extends
            .map(|extend| Value::map([(extend.id.clone(), extend.body.to_value())].into_iter().collect::<Map>()))
            .collect::<Vec<_>>();
        let excludes = self.excludes.iter().map(|item| item.value.clone()).collect::<Vec<_>>();
        let mut words = [("__extend__", extends, self.before[0]), ("__exclude__", excludes, self.before[1])];
        for (place, (id, body)) in self.ids.iter().enumerate() {
            for (word, list, _) in words.iter_mut().filter(|(_, list, before)| *before <= place && !list.is_empty()) {
                out.insert(*word, Value::list(std::mem::take(list)));
            }
            out.0.insert(id.clone(), body.to_value());
        }
        for (word, list, _) in words.into_iter().filter(|(_, list, _)| !list.is_empty()) {
            out.insert(word, Value::list(list));
        }
        Value::map(out)
    }
}

/// Turns a node into its plain value without copying texts.
pub(crate) fn into_value(node: Node) -> Value {
    match node.kind {
        NodeKind::Scalar(value) => value,
        NodeKind::Seq(items) => Value::list(items.into_iter().map(into_value).collect()),
        NodeKind::Map(entries) => {
            Value::map(entries.into_iter().map(|(k, v)| (into_value(k), into_value(v))).collect::<Map>())
        }
    }
}

/// Reads what stands below a state declaration.
pub(crate) fn read_run(file: u32, node: Node) -> Run {
    match node.kind {
        NodeKind::Seq(items) => Run::List(items.into_iter().map(|item| read_arg(file, item)).collect()),
        NodeKind::Scalar(Value::Null) => Run::Null,
        _ => Run::Other(into_value(node)),
    }
}

/// Reads a list's members, each with its place.
pub(crate) fn read_items(file: u32, nodes: Vec<Node>) -> Vec<Item> {
    nodes.into_iter().map(|node| Item { at: At { file, pos: node.pos }, value: into_value(node) }).collect()
}

fn read_arg(file: u32, node: Node) -> Arg {
    let at = At { file, pos: node.pos };
    match node.kind {
        NodeKind::Scalar(Value::Str(name)) => Arg::Fun(at, name),
        NodeKind::Map(entries) => {
            Arg::Pairs(at, entries.into_iter().map(|(key, value)| read_pair(file, key, value)).collect())
        }
        _ => Arg::Other(at, into_value(node)),
    }
}

fn read_pair(file: u32, key: Node, value: Node) -> Pair {
    let at = At { file, pos: key.pos };
    let key = into_value(key);
    match value.kind {
        NodeKind::Seq(nodes) if key.as_str().is_some_and(has_places) => {
            Pair { at, key, value: Value::Null, items: Some(Arc::new(read_items(file, nodes))) }
        }
        kind => Pair { at, key, value: into_value(Node { pos: value.pos, kind }), items: None },
    }
}

fn has_places(word: &str) -> bool {
    word == "names" || keywords::REQUISITES.contains(&word) || keywords::REQUISITES_IN.contains(&word)
}

/// Tells whether Salt's verifier wants a list below the word, and `extend` appends to it.
pub(crate) fn is_requisite(word: &str) -> bool {
    // `use` is no requisite in this sense: 3008 resolves it away before.
    word != "use" && keywords::REQUISITES.contains(&word)
}
