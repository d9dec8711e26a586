//! `saltclass`: a node names its classes, classes name others; their pillars are merged in that order.

use super::plain::{Engines, place};
use crate::arguments::{Arguments, text};
use crate::source::{Ask, Given, Piece, PillarSource, Sees};
use corpus_core::{Diagnostic, Map, Node, NodeKind, Pos, Value, glob, python};
use corpus_render::RenderedSls;
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct SaltClass {
    path: PathBuf,
    identity: String,
    engines: Engines,
}

/// Classes that name each other deeper than this are not written by people.
const MAX_DEPTH: usize = 64;

/// Makes the source.
pub fn make(mut args: Arguments, identity: String) -> Result<Arc<dyn PillarSource>, Diagnostic> {
    // Salt's form is a list of mappings, of which the last one's path counts.
    for item in std::mem::take(&mut args.pos) {
        let Some(map) = item.as_map() else {
            return Err(Diagnostic::error("its argument is a list of `path: folder`"));
        };
        for (key, value) in map {
            args.named.insert(key.clone(), value.clone());
        }
    }
    let path = text(&args.named(&["path"])?, "path")?.unwrap_or_else(|| "/srv/saltclass".into());
    Ok(Arc::new(SaltClass { path: path.into(), identity, engines: Engines::default() }))
}

impl PillarSource for SaltClass {
    fn name(&self) -> &str {
        "saltclass"
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn sees(&self) -> Sees {
        Sees::ALL
    }

    fn is_local(&self) -> bool {
        true
    }

    fn load(&self, ask: &Ask) -> Result<Given, Diagnostic> {
        if !self.path.is_dir() {
            return Err(Diagnostic::error(format!("{} is not a directory", self.path.display())));
        }
        Work { source: self, ask, pillar: ask.so_far(), seen: vec![] }.node()
    }
}

/// A class or node.
struct Class {
    name: String,
    data: Map,
    rendered: Option<Arc<RenderedSls>>,
}

impl Class {
    fn list(&self, key: &str) -> Vec<Value> {
        self.data.get(key).and_then(Value::as_list).unwrap_or_default().to_vec()
    }

    fn pillars(&self) -> Option<&Map> {
        self.data.get("pillars").and_then(Value::as_map)
    }
}

/// One minion's classes.
struct Work<'a> {
    source: &'a SaltClass,
    ask: &'a Ask,
    /// What templates see as `__pillar__`: it grows with each class.
    pillar: Map,
    seen: Vec<String>,
}

impl Work<'_> {
    fn node(mut self) -> Result<Given, Diagnostic> {
        let id = self.ask.data.id.to_string();
        let mut found = Vec::new();
        find(&self.source.path.join("nodes"), &format!("{id}.yml"), &mut found, 0);
        let node = match found.last() {
            Some(path) => self.read(&id, path)?,
            None => {
                tracing::warn!("{id}: Node definition not found");
                Class { name: id.clone(), data: Map::new(), rendered: None }
            }
        };
        merge(&mut self.pillar, node.pillars().unwrap_or(&Map::new()));
        let mut classes = Vec::new();
        self.expand(&node.list("classes"), &mut classes, 0)?;
        let names: Vec<String> = classes.iter().map(|class| class.name.clone()).collect();
        classes.push(node);

        let (mut merged, mut states, mut environment) = (Map::new(), Vec::<Value>::new(), Value::from(""));
        for class in &classes {
            merge(&mut merged, class.pillars().unwrap_or(&Map::new()));
            for state in class.list("states") {
                if !states.contains(&state) {
                    states.push(state);
                }
            }
            environment = class.data.get("environment").cloned().unwrap_or(environment);
        }
        let about: Map = [
            ("states", Value::list(states)),
            ("classes", names.into()),
            ("environment", environment),
            ("nodename", id.into()),
        ]
        .into_iter()
        .collect();
        let mut pillar = Map::from_iter([("__saltclass__", about)]);
        for (key, value) in expanded(merged) {
            pillar.insert(key, value);
        }
        let pieces = if self.ask.explain { pieces(&classes) } else { vec![] };
        Ok(Given { pillar, pieces, ..Given::default() })
    }

    fn read(&self, name: &str, path: &Path) -> Result<Class, Diagnostic> {
        let vars = [("minion_id", Value::from(self.ask.data.id.clone())), ("__pillar__", self.pillar.clone().into())];
        let head = format!("{}: ", path.display());
        let folder = path.parent().unwrap_or(Path::new("/"));
        let mut rendered = self.source.engines.render(folder, path, &head, self.ask, vars.into_iter().collect())?;
        rendered.read_yaml(&head)?;
        let wrong = |node: &Node, wanted: &str| {
            let message = format!("{head}expected {wanted}, found {}", node.type_name());
            Diagnostic::error(message).at(rendered.locate(node.pos), "")
        };
        let data = match rendered.node.to_value() {
            Value::Null => Map::new(),
            Value::Map(map) => Arc::unwrap_or_clone(map),
            _ => return Err(wrong(&rendered.node, "a mapping with `classes`, `pillars`, `states`")),
        };
        for (key, wanted) in [("classes", "list"), ("states", "list"), ("pillars", "dict")] {
            if let Some(node) = rendered.node.get(key).filter(|node| !node.is_null() && node.type_name() != wanted) {
                return Err(wrong(node, &format!("`{key}` to be a {wanted}")));
            }
        }
        Ok(Class { name: name.to_owned(), data, rendered: Some(Arc::new(rendered)) })
    }

    /// Puts classes after those that they name.
    fn expand(&mut self, names: &[Value], into: &mut Vec<Class>, depth: usize) -> Result<(), Diagnostic> {
        if depth > MAX_DEPTH {
            return Err(Diagnostic::error(format!("classes name each other deeper than {MAX_DEPTH} levels")));
        }
        let mut wanted: Vec<(String, PathBuf)> = Vec::new();
        for name in names {
            let name = python::str(name);
            let found = self.matching(&name);
            if found.is_empty() {
                tracing::warn!("{name}: Class globbing did not yield any results");
            }
            let new: Vec<_> = found.into_iter().filter(|(name, _)| !wanted.iter().any(|(n, _)| n == name)).collect();
            wanted.extend(new);
        }
        for (name, path) in wanted {
            if self.seen.contains(&name) {
                continue;
            }
            self.seen.push(name.clone());
            let class = self.read(&name, &path)?;
            merge(&mut self.pillar, class.pillars().unwrap_or(&Map::new()));
            self.expand(&class.list("classes"), into, depth + 1)?;
            into.push(class);
        }
        Ok(())
    }

    /// Finds the classes of a name, which may be a pattern.
    fn matching(&self, name: &str) -> Vec<(String, PathBuf)> {
        let root = self.source.path.join("classes");
        let dotted = name.replace('.', "/");
        let mut found: Vec<(String, PathBuf)> = Vec::new();
        for pattern in [format!("{name}.yml"), format!("{dotted}.yml"), format!("{dotted}/init.yml")] {
            for path in matching(&root, &pattern) {
                let relative = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned();
                let name = relative.trim_end_matches(".yml").replace('/', ".");
                let name = name.strip_suffix(".init").map_or(name.clone(), str::to_owned);
                if !found.iter().any(|(known, _)| *known == name) {
                    found.push((name, path));
                }
            }
        }
        found
    }
}

fn matching(root: &Path, pattern: &str) -> Vec<PathBuf> {
    if pattern.split('/').any(|part| part == "..") {
        return vec![];
    }
    let mut found = vec![root.to_owned()];
    for part in pattern.split('/') {
        if !part.contains(['*', '?', '[']) {
            found = found.into_iter().map(|dir| dir.join(part)).collect();
            continue;
        }
        let entries = found.iter().flat_map(|dir| std::fs::read_dir(dir).into_iter().flatten().flatten());
        found = entries.filter(|e| glob::matches(part, &e.file_name().to_string_lossy())).map(|e| e.path()).collect();
    }
    found.retain(|path| path.is_file());
    found.sort();
    found
}

fn find(dir: &Path, name: &str, found: &mut Vec<PathBuf>, depth: usize) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() && depth < 40 {
            find(&path, name, found, depth + 1);
        } else if path.file_name().is_some_and(|n| n == name) {
            found.push(path);
        }
    }
}

/// Merges mappings; lists are joined, unless the second begins with `^`.
fn merge(into: &mut Map, over: &Map) {
    for (key, value) in over {
        match (into.0.get_mut(key), value) {
            (Some(Value::List(mine)), Value::List(theirs)) => match theirs.first() {
                Some(first) if *first == Value::str("^") => *mine = Arc::new(theirs[1..].to_vec()),
                _ => Arc::make_mut(mine).extend(theirs.iter().cloned()),
            },
            (Some(Value::Map(mine)), Value::Map(theirs)) => merge(Arc::make_mut(mine), theirs),
            (_, Value::List(theirs)) if theirs.first() == Some(&Value::str("^")) => {
                into.insert(key.clone(), Value::list(theirs[1..].to_vec()));
            }
            (_, Value::Map(theirs)) => {
                let mut fresh = Map::new();
                merge(&mut fresh, theirs);
                into.insert(key.clone(), fresh);
            }
            (_, value) => _ = into.insert(key.clone(), value.clone()),
        }
    }
}

/// The parts of an explanation; lists that were joined are told with all their parts.
fn pieces(classes: &[Class]) -> Vec<Piece> {
    let of = |class: &Class| {
        let rendered = class.rendered.as_ref()?;
        let node = rendered.node.get("pillars").filter(|node| node.as_map().is_some())?.clone();
        Some(Piece { node, under: vec![], place: place(rendered) })
    };
    let about = Node { pos: Pos::default(), kind: NodeKind::Map(vec![]) };
    let first = classes.last().and_then(|node| node.rendered.as_ref());
    let about = first.map(|node| Piece { node: about, under: vec![Value::str("__saltclass__")], place: place(node) });
    about.into_iter().chain(classes.iter().filter_map(of)).collect()
}

/// Replaces `${a:b}` by the value of that key. Salt's way: a text is replaced wherever it stands, once its turn comes.
fn expanded(pillars: Map) -> Map {
    let mut all = Value::map(pillars.clone());
    walk(&mut all, &pillars, &mut vec![]);
    match all {
        Value::Map(map) => Arc::unwrap_or_clone(map),
        _ => pillars,
    }
}

/// A step into a value: a key or a place in a list.
#[derive(Clone)]
enum Step {
    Key(Value),
    Place(usize),
}

fn at<'a>(all: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(all, |value, step| match step {
        Step::Key(key) => value.as_map()?.get_value(key),
        Step::Place(i) => value.as_list()?.get(*i),
    })
}

fn walk(all: &mut Value, originals: &Map, path: &mut Vec<Step>) {
    let keys: Vec<Value> = at(all, path).and_then(Value::as_map).into_iter().flat_map(Map::keys).cloned().collect();
    for key in keys {
        path.push(Step::Key(key.clone()));
        let value = at(all, path).cloned().unwrap_or_default();
        // On the first level Salt reads a copy in which nothing is replaced.
        let value = match originals.get_value(&key) {
            Some(Value::Str(text)) if path.len() == 1 => Value::Str(text.clone()),
            _ => value,
        };
        match value {
            Value::Map(_) => walk(all, originals, path),
            Value::List(items) => {
                for i in 0..items.len() {
                    path.push(Step::Place(i));
                    match at(all, path).cloned() {
                        Some(Value::Map(_)) => walk(all, originals, path),
                        Some(Value::Str(text)) => replace_in(all, &text),
                        _ => {}
                    }
                    path.pop();
                }
            }
            Value::Str(text) => replace_in(all, &text),
            _ => {}
        }
        path.pop();
    }
}

/// Replaces the references of one text, everywhere where that text stands.
fn replace_in(all: &mut Value, text: &str) {
    let mut now = Value::str(text);
    for (before, reference) in references(text) {
        let Value::Str(current) = now.clone() else { return };
        let new = if before == Some('\\') {
            Value::str(current.replace(&format!("\\{reference}"), &reference))
        } else {
            match lookup(all, &reference) {
                // The whole text is one reference: it becomes that value, of whatever type.
                Some(value) if *current == *reference => value,
                Some(value) => Value::str(current.replace(&reference, &python::str(&value))),
                None => continue,
            }
        };
        exchange(all, &now, &new);
        now = new;
    }
}

/// Finds `${…}` with the character before it, each after the end of the last, as Python's `(^|.)\$\{.*?\}` does.
fn references(text: &str) -> Vec<(Option<char>, String)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = text[from..].find("${").map(|at| from + at) {
        let before = text[from..start].chars().next_back();
        let end = text[start..].find(['}', '\n']).map(|at| start + at);
        match (before, end) {
            (before, Some(end))
                if text[end..].starts_with('}') && (before.is_some_and(|c| c != '\n') || start == 0) =>
            {
                found.push((before, text[start..=end].to_owned()));
                from = end + 1;
            }
            _ => from = start + 2,
        }
    }
    found
}

fn lookup(all: &Value, reference: &str) -> Option<Value> {
    let path = reference.strip_prefix("${")?.strip_suffix('}')?;
    path.split(':').try_fold(all, |value, key| value.get(key)).cloned()
}

fn exchange(all: &mut Value, old: &Value, new: &Value) {
    match all {
        Value::Map(map) => {
            for (_, value) in &mut Arc::make_mut(map).0 {
                if value == old {
                    *value = new.clone();
                } else {
                    exchange(value, old, new);
                }
            }
        }
        Value::List(items) => {
            for item in Arc::make_mut(items) {
                match item {
                    Value::Map(_) => exchange(item, old, new),
                    item if item == old => *item = new.clone(),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_references_as_python_does() {
        let found = |text: &str| references(text).into_iter().map(|(_, r)| r).collect::<Vec<_>>();
        assert_eq!(found("${a}"), ["${a}"]);
        assert_eq!(found("x ${a:b} y ${c}"), ["${a:b}", "${c}"]);
        assert_eq!(found("${a}${b}"), ["${a}"], "the character before the second is used up");
        assert_eq!(found("${a\n}"), Vec::<String>::new());
        assert_eq!(references("\\${a}"), [(Some('\\'), "${a}".to_owned())]);
    }
}
