//! From tokens to nodes: the grammar of the parser, then Salt's constructor with anchors, merge keys, duplicate
//! detection and types. A whole document is composed before any of it is constructed, as in PyYAML, so that a
//! mistake of syntax anywhere is told before a mistake of meaning.

use super::resolve::{self, Tag};
use super::scan::{MAX_DEPTH, Result, Scanner, Tok, Token, too_deep};
use super::texts::Texts;
use super::{ErrorKind, YamlError, hints};
use crate::hash::HashMap;
use crate::{Node, NodeKind, Pos, Value};
use std::borrow::Cow;

/// How many nodes the aliases of one text may add; a bomb multiplies, honest sharing does not.
const ALIAS_BUDGET: usize = 500_000;

/// Up to so many keys of a mapping are compared one by one.
const FEW: usize = 16;

enum Kind<'a> {
    Scalar(Cow<'a, str>),
    Seq(Vec<u32>),
    Map(Vec<(u32, u32)>),
}

impl Kind<'_> {
    fn id(&self) -> &'static str {
        match self {
            Self::Scalar(_) => "scalar",
            Self::Seq(_) => "sequence",
            Self::Map(_) => "mapping",
        }
    }
}

struct Raw<'a> {
    at: Pos,
    tag: Tag,
    kind: Kind<'a>,
    /// Set while this node is under construction: an alias that leads back is found by it.
    open: bool,
}

/// Where a node stands, which decides what may follow it.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Block,
    /// The key or value of a block mapping: a list may start in the same column.
    Entry,
    Flow,
}

/// Reads the one document of a text.
pub fn load(text: &str) -> Result<Node> {
    let mut composer = Composer {
        scanner: Scanner::new(text)?,
        text,
        // A node stands for four characters or more, nearly always: growing by doubling would touch thrice the memory,
        // and what is not used is never touched.
        raws: Vec::with_capacity(text.len() / 4),
        anchors: HashMap::default(),
        handles: Vec::new(),
        depth: 0,
        built: 0,
        texts: Texts::default(),
    };
    match composer.document()? {
        Some(root) => composer.construct(root, 0),
        None => Ok(Node::default()),
    }
}

struct Composer<'a> {
    scanner: Scanner<'a>,
    text: &'a str,
    raws: Vec<Raw<'a>>,
    anchors: HashMap<&'a str, u32>,
    /// `%TAG` directives: handle and prefix.
    handles: Vec<(String, String)>,
    depth: usize,
    built: usize,
    texts: Texts,
}

impl<'a> Composer<'a> {
    #[cold]
    fn error(
        &self,
        kind: ErrorKind,
        context: Option<(&str, Pos)>,
        message: impl Into<String>,
        pos: Pos,
    ) -> Box<YamlError> {
        let related = context.map(|(text, at)| (at, text.to_owned())).into_iter().collect();
        let mut error = YamlError { pos, message: message.into(), hints: Vec::new(), related, kind };
        error.hints = hints::for_error(self.text, &error);
        Box::new(error)
    }

    fn syntax<T>(&self, context: Option<(&str, Pos)>, message: &str, pos: Pos) -> Result<T> {
        Err(self.error(ErrorKind::Parser, context, message, pos))
    }

    fn peek(&mut self) -> Result<&Token<'a>> {
        self.scanner.peek()
    }

    fn next_is(&mut self, kinds: &[Tok<'a>]) -> Result<bool> {
        let kind = &self.scanner.peek()?.kind;
        Ok(kinds.iter().any(|k| k.like(kind)))
    }

    fn raw(&mut self, at: Pos, tag: Tag, kind: Kind<'a>) -> u32 {
        self.raws.push(Raw { at, tag, kind, open: false });
        (self.raws.len() - 1) as u32
    }

    fn empty(&mut self, at: Pos) -> u32 {
        self.raw(at, Tag::Null, Kind::Scalar(Cow::Borrowed("")))
    }

    // ---- documents ---------------------------------------------------------------------------------------

    fn document(&mut self) -> Result<Option<u32>> {
        let Some(explicit) = self.document_start(true)? else { return Ok(None) };
        let content = &[Tok::Version, Tok::DocumentStart, Tok::DocumentEnd, Tok::StreamEnd];
        let nothing = self.next_is(content)? || matches!(self.peek()?.kind, Tok::TagDirective(..));
        let root = if explicit && nothing {
            let at = self.peek()?.at;
            self.empty(at)
        } else {
            self.node(Place::Block)?
        };
        if self.next_is(&[Tok::DocumentEnd])? {
            self.scanner.next()?;
        }
        let second = self.peek()?.at;
        if self.document_start(false)?.is_some() {
            let context = Some(("expected a single document in the stream", self.raws[root as usize].at));
            return Err(self.error(ErrorKind::Composer, context, "but found another document", second));
        }
        Ok(Some(root))
    }

    /// Steps to the content of the next document; returns whether it was announced by `---`.
    fn document_start(&mut self, first: bool) -> Result<Option<bool>> {
        while !first && self.next_is(&[Tok::DocumentEnd])? {
            self.scanner.next()?;
        }
        let mut explicit = !first;
        self.handles.clear();
        loop {
            match &self.peek()?.kind {
                Tok::StreamEnd if !explicit || !first => return Ok(None),
                Tok::Version => explicit = true,
                Tok::TagDirective(pair) => {
                    let pair = (**pair).clone();
                    explicit = true;
                    if self.handles.iter().any(|(h, _)| *h == pair.0) {
                        let at = self.peek()?.at;
                        return self.syntax(None, "found duplicate %TAG directive", at);
                    }
                    self.handles.push(pair);
                }
                Tok::DocumentStart => {
                    self.scanner.next()?;
                    return Ok(Some(true));
                }
                _ if explicit => {
                    let at = self.peek()?.at;
                    return self.syntax(None, "did not find expected <document start>", at);
                }
                _ => return Ok(Some(false)),
            }
            self.scanner.next()?;
        }
    }

    // ---- nodes -------------------------------------------------------------------------------------------

    fn node(&mut self, place: Place) -> Result<u32> {
        let first = self.peek()?;
        let (start, scalar) = (first.at, matches!(first.kind, Tok::Scalar(..)));
        if scalar && self.depth < MAX_DEPTH {
            let (tag, kind) = self.content(place, start, None, true)?;
            return Ok(self.raw(start, tag, kind));
        }
        let (mut anchor, mut tag, mut tag_at) = (None, None, start);
        loop {
            match &self.peek()?.kind {
                Tok::Alias(name) if anchor.is_none() && tag.is_none() => {
                    let name = *name;
                    self.scanner.next()?;
                    let message = || format!("found undefined alias {}", crate::python::quoted(name));
                    let found = self.anchors.get(name).copied();
                    return found.ok_or_else(|| self.error(ErrorKind::Composer, None, message(), start));
                }
                Tok::Anchor(name) if anchor.is_none() => anchor = Some(*name),
                Tok::Tag(pair) if tag.is_none() => {
                    tag = Some(pair.clone());
                    tag_at = self.peek()?.at;
                }
                _ => break,
            }
            self.scanner.next()?;
        }
        let bare = anchor.is_none() && tag.is_none();
        let tag = match tag {
            Some(pair) => self.full_tag(&pair.0, &pair.1, start, tag_at)?,
            None => None,
        };
        if self.depth >= MAX_DEPTH {
            return Err(self.error(ErrorKind::Composer, None, too_deep(), start));
        }
        // An anchored node is known by its name before its content is read.
        let id = self.raws.len() as u32;
        if let Some(name) = anchor
            && let Some(first) = self.anchors.insert(name, id)
        {
            let context = Some(("found duplicate anchor; first occurrence", self.raws[first as usize].at));
            return Err(self.error(ErrorKind::Composer, context, "second occurrence", start));
        }
        self.raw(start, Tag::Null, Kind::Scalar(Cow::Borrowed("")));
        self.depth += 1;
        let (tag, kind) = self.content(place, start, tag, bare)?;
        self.depth -= 1;
        let raw = &mut self.raws[id as usize];
        (raw.tag, raw.kind) = (tag, kind);
        Ok(id)
    }

    fn content(&mut self, place: Place, start: Pos, tag: Option<Tag>, bare: bool) -> Result<(Tag, Kind<'a>)> {
        let token = self.peek()?;
        let here = token.at;
        let block = place != Place::Flow;
        let collection = match &token.kind {
            Tok::Scalar(..) => {
                let Tok::Scalar(text, plain) = self.scanner.next()?.kind else {
                    return self.syntax(None, "did not find expected node content", here);
                };
                let tag = match tag {
                    Some(tag) if tag != Tag::Other("!".into()) => tag,
                    _ if plain => resolve::implicit(&text),
                    _ => Tag::Str,
                };
                return Ok((tag, Kind::Scalar(text)));
            }
            Tok::BlockEntry if place == Place::Entry => Kind::Seq(self.indentless()?),
            Tok::FlowSequence => Kind::Seq(self.flow_sequence().map_err(|error| error.within(here))?),
            Tok::FlowMapping => Kind::Map(self.flow_mapping().map_err(|error| error.within(here))?),
            Tok::BlockSequence if block => Kind::Seq(self.block_sequence()?),
            Tok::BlockMapping if block => Kind::Map(self.block_mapping()?),
            _ if !bare => return Ok((tag.unwrap_or(Tag::Null), Kind::Scalar(Cow::Borrowed("")))),
            _ => {
                let context = if block { "while parsing a block node" } else { "while parsing a flow node" };
                return self.syntax(Some((context, start)), "did not find expected node content", here);
            }
        };
        let natural = if matches!(collection, Kind::Seq(_)) { Tag::Seq } else { Tag::Map };
        let tag = tag.filter(|t| *t != Tag::Other("!".into())).unwrap_or(natural);
        Ok((tag, collection))
    }

    fn full_tag(&self, handle: &str, suffix: &str, start: Pos, at: Pos) -> Result<Option<Tag>> {
        if handle.is_empty() {
            return Ok(Some(Tag::of(suffix.to_owned())));
        }
        let declared = self.handles.iter().find(|(h, _)| h == handle).map(|(_, prefix)| prefix.as_str());
        let standard = match handle {
            "!" => Some("!"),
            "!!" => Some("tag:yaml.org,2002:"),
            _ => None,
        };
        match declared.or(standard) {
            Some(prefix) => Ok(Some(Tag::of(format!("{prefix}{suffix}")))),
            None => self.syntax(Some(("while parsing a node", start)), "found undefined tag handle", at),
        }
    }

    /// Reads the node after an indicator, or nothing if one of these tokens follows at once.
    fn node_unless(&mut self, place: Place, ends: &[Tok<'a>]) -> Result<u32> {
        let at = self.scanner.next()?.at;
        if self.next_is(ends)? {
            return Ok(self.empty(Pos::new(at.line, at.col + 1)));
        }
        self.node(place)
    }

    fn block_sequence(&mut self) -> Result<Vec<u32>> {
        let start = self.scanner.next()?.at;
        let mut items = Vec::new();
        while self.next_is(&[Tok::BlockEntry])? {
            items.push(self.node_unless(Place::Block, &[Tok::BlockEntry, Tok::BlockEnd])?);
        }
        self.close(Tok::BlockEnd, ("while parsing a block collection", start), "did not find expected '-' indicator")?;
        Ok(items)
    }

    fn indentless(&mut self) -> Result<Vec<u32>> {
        let mut items = Vec::new();
        while self.next_is(&[Tok::BlockEntry])? {
            items.push(self.node_unless(Place::Block, &[Tok::BlockEntry, Tok::Key, Tok::Value, Tok::BlockEnd])?);
        }
        Ok(items)
    }

    fn close(&mut self, end: Tok<'a>, context: (&str, Pos), message: &str) -> Result<()> {
        let token = self.peek()?;
        if token.kind.like(&end) {
            self.scanner.next()?;
            return Ok(());
        }
        let at = token.at;
        self.syntax(Some(context), message, at)
    }

    fn block_mapping(&mut self) -> Result<Vec<(u32, u32)>> {
        let start = self.scanner.next()?.at;
        let ends = [Tok::Key, Tok::Value, Tok::BlockEnd];
        let mut entries = Vec::new();
        while self.next_is(&[Tok::Key])? {
            let key = self.node_unless(Place::Entry, &ends)?;
            let value = if self.next_is(&[Tok::Value])? {
                self.node_unless(Place::Entry, &ends)?
            } else {
                let at = self.peek()?.at;
                self.empty(at)
            };
            entries.push((key, value));
        }
        self.close(Tok::BlockEnd, ("while parsing a block mapping", start), "did not find expected key")?;
        Ok(entries)
    }

    /// Reads the value of a flow mapping's entry, if there is one.
    fn flow_value(&mut self, end: &Tok<'a>) -> Result<u32> {
        if self.next_is(&[Tok::Value])? {
            return self.node_unless(Place::Flow, &[Tok::FlowEntry, end.clone()]);
        }
        let at = self.peek()?.at;
        Ok(self.empty(at))
    }

    fn flow_sequence(&mut self) -> Result<Vec<u32>> {
        let start = self.scanner.next()?.at;
        let end = Tok::FlowSequenceEnd;
        let mut items: Vec<u32> = Vec::new();
        let context = ("while parsing a flow sequence", start);
        while !self.next_is(std::slice::from_ref(&end))? {
            if !items.is_empty() {
                self.close(Tok::FlowEntry, context, "did not find expected ',' or ']'")?;
                if self.next_is(std::slice::from_ref(&end))? {
                    break;
                }
            }
            let at = self.peek()?.at;
            if self.next_is(&[Tok::Key])? {
                let key = self.node_unless(Place::Flow, &[Tok::Value, Tok::FlowEntry, end.clone()])?;
                let value = self.flow_value(&end)?;
                let pair = self.raw(at, Tag::Map, Kind::Map(vec![(key, value)]));
                items.push(pair);
            } else {
                items.push(self.node(Place::Flow)?);
            }
        }
        self.scanner.next()?;
        Ok(items)
    }

    fn flow_mapping(&mut self) -> Result<Vec<(u32, u32)>> {
        let start = self.scanner.next()?.at;
        let end = Tok::FlowMappingEnd;
        let mut entries: Vec<(u32, u32)> = Vec::new();
        let context = ("while parsing a flow mapping", start);
        while !self.next_is(std::slice::from_ref(&end))? {
            if !entries.is_empty() {
                self.close(Tok::FlowEntry, context, "did not find expected ',' or '}'")?;
                if self.next_is(std::slice::from_ref(&end))? {
                    break;
                }
            }
            if self.next_is(&[Tok::Key])? {
                let key = self.node_unless(Place::Flow, &[Tok::Value, Tok::FlowEntry, end.clone()])?;
                let value = self.flow_value(&end)?;
                entries.push((key, value));
            } else {
                let key = self.node(Place::Flow)?;
                let at = self.peek()?.at;
                let value = self.empty(at);
                entries.push((key, value));
            }
        }
        self.scanner.next()?;
        Ok(entries)
    }

    // ---- construction ------------------------------------------------------------------------------------

    fn wrong<T>(&self, context: Option<(&str, Pos)>, message: impl Into<String>, pos: Pos) -> Result<T> {
        Err(self.error(ErrorKind::Constructor, context, message, pos))
    }

    fn construct(&mut self, id: u32, depth: usize) -> Result<Node> {
        let at = self.raws[id as usize].at;
        self.built += 1;
        if self.built > self.raws.len() + ALIAS_BUDGET {
            return self.wrong(None, format!("aliases expand to more than {ALIAS_BUDGET} nodes"), at);
        }
        if depth > MAX_DEPTH {
            return self.wrong(None, too_deep(), at);
        }
        if self.raws[id as usize].open {
            return self.wrong(None, "found unconstructable recursive node", at);
        }
        if let (Tag::Str, Kind::Scalar(text)) = (&self.raws[id as usize].tag, &self.raws[id as usize].kind) {
            return Ok(Node { pos: at, kind: NodeKind::Scalar(Value::Str(self.texts.share(text))) });
        }
        self.raws[id as usize].open = true;
        let kind = self.construct_kind(id, at, depth)?;
        self.raws[id as usize].open = false;
        Ok(Node { pos: at, kind })
    }

    fn construct_kind(&mut self, id: u32, at: Pos, depth: usize) -> Result<NodeKind> {
        let raw = &self.raws[id as usize];
        let (wanted, found) = match (&raw.tag, &raw.kind) {
            (Tag::Merge | Tag::Value | Tag::Other(_), _) => {
                let name = crate::python::quoted(&raw.tag.name());
                return self.wrong(None, format!("could not determine a constructor for the tag {name}"), at);
            }
            (Tag::Map, Kind::Map(_)) => return self.construct_map(id, at, depth),
            (Tag::Seq, Kind::Seq(_)) => return self.construct_seq(id, depth),
            (Tag::Set, Kind::Map(_)) => {
                let NodeKind::Map(entries) = self.construct_map(id, at, depth)? else { return Ok(NodeKind::default()) };
                return Ok(NodeKind::Seq(entries.into_iter().map(|(key, _)| key).collect()));
            }
            (Tag::Omap, Kind::Map(_)) => return self.construct_map(id, at, depth),
            (Tag::Omap | Tag::Pairs, Kind::Seq(items)) => {
                let ordered = raw.tag == Tag::Omap;
                let items = items.clone();
                return self.construct_pairs(&items, ordered, at, depth);
            }
            (Tag::Map | Tag::Set, other) => ("mapping", other),
            (Tag::Seq | Tag::Pairs | Tag::Omap, other) => ("sequence", other),
            (tag, Kind::Scalar(text)) => {
                return match resolve::convert(tag, text) {
                    Ok(value) => Ok(NodeKind::Scalar(value)),
                    Err(message) => self.wrong(None, message, at),
                };
            }
            (_, other) => ("scalar", other),
        };
        let message = format!("expected a {wanted} node, but found {}", found.id());
        self.wrong(None, message, at)
    }

    fn construct_seq(&mut self, id: u32, depth: usize) -> Result<NodeKind> {
        let Kind::Seq(items) = &self.raws[id as usize].kind else { return Ok(NodeKind::default()) };
        let mut out = Vec::with_capacity(items.len());
        while let Kind::Seq(items) = &self.raws[id as usize].kind
            && let Some(item) = items.get(out.len()).copied()
        {
            out.push(self.construct(item, depth + 1)?);
        }
        Ok(NodeKind::Seq(out))
    }

    /// Constructs a list of one-entry mappings: a mapping of them all, or a list of pairs.
    fn construct_pairs(&mut self, items: &[u32], ordered: bool, at: Pos, depth: usize) -> Result<NodeKind> {
        let context = if ordered { "while constructing an ordered map" } else { "while constructing pairs" };
        let mut entries = Vec::new();
        for item in items {
            let raw = &self.raws[*item as usize];
            let here = raw.at;
            let Kind::Map(map) = &raw.kind else {
                let message = format!("expected a mapping of length 1, but found {}", raw.kind.id());
                return self.wrong(Some((context, at)), message, here);
            };
            let [(key, value)] = map[..] else {
                let message = format!("expected a single mapping item, but found {} items", map.len());
                return self.wrong(Some((context, at)), message, here);
            };
            entries.push((self.construct(key, depth + 1)?, self.construct(value, depth + 1)?));
        }
        if ordered {
            return Ok(NodeKind::Map(entries));
        }
        let pair = |(key, value): (Node, Node)| Node { pos: key.pos, kind: NodeKind::Seq(vec![key, value]) };
        Ok(NodeKind::Seq(entries.into_iter().map(pair).collect()))
    }

    fn construct_map(&mut self, id: u32, at: Pos, depth: usize) -> Result<NodeKind> {
        self.flatten(id, depth)?;
        let Kind::Map(entries) = &self.raws[id as usize].kind else { return Ok(NodeKind::default()) };
        let mut out: Vec<(Node, Node)> = Vec::with_capacity(entries.len());
        // A few keys are compared faster than they are hashed.
        let many = entries.len() > FEW;
        let mut seen: HashMap<Value, Pos> =
            HashMap::with_capacity_and_hasher(if many { entries.len() } else { 0 }, Default::default());
        while let Kind::Map(entries) = &self.raws[id as usize].kind {
            let Some((key, value)) = entries.get(out.len()).copied() else { break };
            let raw_key = &self.raws[key as usize];
            let key_at = raw_key.at;
            if matches!(raw_key.tag, Tag::Seq | Tag::Map | Tag::Set) && !matches!(raw_key.kind, Kind::Scalar(_)) {
                let message = format!("found unacceptable key {}", self.describe_value(key, 0));
                return self.wrong(Some(("while constructing a mapping", at)), message, key_at);
            }
            let key = self.construct(key, depth + 1)?;
            let value = self.construct(value, depth + 1)?;
            let NodeKind::Scalar(name) = &key.kind else {
                return self.wrong(Some(("while constructing a mapping", at)), "found unacceptable key", key_at);
            };
            let first = match many {
                true => seen.insert(name.clone(), key_at),
                false => out.iter().find(|(other, _)| other.kind == key.kind).map(|(other, _)| other.pos),
            };
            if let Some(first) = first {
                let message = format!("found conflicting ID '{}'", crate::python::str(name));
                let mut error =
                    self.error(ErrorKind::Constructor, Some(("while constructing a mapping", at)), message, key_at);
                error.related.push((first, "first declared here".into()));
                return Err(error);
            }
            out.push((key, value));
        }
        Ok(NodeKind::Map(out))
    }

    /// Replaces merge keys by what they name. Merged entries come first, as Salt puts them.
    fn flatten(&mut self, id: u32, depth: usize) -> Result<()> {
        let at = self.raws[id as usize].at;
        let Kind::Map(entries) = &self.raws[id as usize].kind else { return Ok(()) };
        let special = |key: u32| matches!(self.raws[key as usize].tag, Tag::Merge | Tag::Value);
        if !entries.iter().any(|(key, _)| special(*key)) {
            return Ok(());
        }
        if depth > MAX_DEPTH {
            return self.wrong(None, "merge keys lead back to their own mapping", at);
        }
        let context = Some(("while constructing a mapping", at));
        let (mut own, mut merge) = (Vec::new(), Vec::new());
        for (key, value) in entries.clone() {
            if self.raws[key as usize].tag == Tag::Value {
                self.raws[key as usize].tag = Tag::Str;
            }
            if self.raws[key as usize].tag != Tag::Merge {
                own.push((key, value));
                continue;
            }
            let sources = match &self.raws[value as usize].kind {
                Kind::Map(_) => vec![value],
                // The last of several is put first, so that the first one named wins.
                Kind::Seq(items) => items.iter().rev().copied().collect(),
                Kind::Scalar(_) => {
                    let message = "expected a mapping or list of mappings for merging, but found scalar";
                    return self.wrong(context, message, self.raws[value as usize].at);
                }
            };
            for source in sources {
                self.flatten(source, depth + 1)?;
                match &self.raws[source as usize].kind {
                    Kind::Map(entries) => merge.extend(entries.iter().copied()),
                    other => {
                        let message = format!("expected a mapping for merging, but found {}", other.id());
                        return self.wrong(context, message, self.raws[source as usize].at);
                    }
                }
            }
        }
        let text = |key: u32| if let Kind::Scalar(text) = &self.raws[key as usize].kind { Some(&**text) } else { None };
        merge.retain(|(key, _)| text(*key).is_none() || own.iter().all(|(mine, _)| text(*mine) != text(*key)));
        merge.extend(own);
        if merge.len() > ALIAS_BUDGET {
            return self.wrong(context, "merge keys expand without end", at);
        }
        self.raws[id as usize].kind = Kind::Map(merge);
        Ok(())
    }

    /// Writes a node's content as PyYAML shows it in messages.
    fn describe_value(&self, id: u32, depth: usize) -> String {
        let list = |parts: Vec<String>| format!("[{}]", parts.join(", "));
        if depth > 4 {
            return "...".into();
        }
        match &self.raws[id as usize].kind {
            Kind::Scalar(text) => crate::python::quoted(text),
            Kind::Seq(items) => list(items.iter().take(20).map(|i| self.describe(*i, depth + 1)).collect()),
            Kind::Map(entries) => list(
                (entries.iter().take(20))
                    .map(|(k, v)| format!("({}, {})", self.describe(*k, depth + 1), self.describe(*v, depth + 1)))
                    .collect(),
            ),
        }
    }

    fn describe(&self, id: u32, depth: usize) -> String {
        let raw = &self.raws[id as usize];
        let kind = match raw.kind {
            Kind::Scalar(_) => "ScalarNode",
            Kind::Seq(_) => "SequenceNode",
            Kind::Map(_) => "MappingNode",
        };
        let tag = crate::python::quoted(&raw.tag.name());
        format!("{kind}(tag={tag}, value={})", self.describe_value(id, depth))
    }
}
