//! From rows to a pillar: Salt's `sql_base`, with its lists, its depth and its quirks.

use corpus_core::merge;
use corpus_core::{Diagnostic, Map, Value, python};
use std::sync::Arc;

/// A query of the configuration and how its rows are read.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The key under which the result stands; none is the pillar itself.
    pub root: Option<String>,
    pub text: String,
    pub depth: usize,
    pub as_list: bool,
    pub as_json: bool,
    pub with_lists: Vec<usize>,
    pub ignore_null: bool,
}

/// Reads the queries: those without a name in their order, then the named ones by name.
pub fn queries(pos: &[Value], named: &Map) -> Result<Vec<Query>, Diagnostic> {
    let mut all: Vec<(Option<String>, &Value)> = pos.iter().map(|value| (None, value)).collect();
    let mut rest: Vec<(String, &Value)> = named.iter().map(|(name, value)| (python::str(name), value)).collect();
    rest.sort_by(|a, b| a.0.cmp(&b.0));
    all.extend(rest.into_iter().map(|(name, value)| (Some(name), value)));
    all.into_iter().filter_map(|(root, value)| query(root, value).transpose()).collect()
}

fn query(root: Option<String>, value: &Value) -> Result<Option<Query>, Diagnostic> {
    let plain = |text: String, depth: usize| Query {
        root: root.clone(),
        text,
        depth,
        as_list: false,
        as_json: false,
        with_lists: vec![],
        ignore_null: false,
    };
    let number = |value: Option<&Value>, name: &str| match value {
        None | Some(Value::Null) => Ok(0),
        Some(value) => value
            .as_int()
            .and_then(|n| usize::try_from(n).ok())
            .ok_or_else(|| Diagnostic::error(format!("`{name}` must be a number, found {}", python::repr(value)))),
    };
    Ok(match value {
        Value::Str(text) => Some(plain(text.to_string(), 0)),
        Value::List(items) if items.first().is_some_and(Value::truthy) => {
            Some(plain(python::str(&items[0]), number(items.get(1), "depth")?))
        }
        Value::Map(map) => {
            let known = ["query", "depth", "as_list", "as_json", "with_lists", "ignore_null"];
            for key in map.keys().map(python::str) {
                if !known.contains(&key.as_str()) {
                    let hint = corpus_core::suggest::did_you_mean(&key, known);
                    let hint = hint.unwrap_or_else(|| format!("a query has: {}", known.join(", ")));
                    return Err(Diagnostic::error(format!("unknown setting '{key}' of a query")).hint(hint));
                }
            }
            let flag = |name: &str| map.get(name).is_some_and(Value::truthy);
            Some(Query {
                as_list: flag("as_list"),
                as_json: flag("as_json"),
                ignore_null: flag("ignore_null"),
                with_lists: with_lists(map.get("with_lists"))?,
                ..plain(map.str("query").unwrap_or_default().to_owned(), number(map.get("depth"), "depth")?)
            })
        }
        _ => None,
    }
    .filter(|query| !query.text.is_empty()))
}

fn with_lists(value: Option<&Value>) -> Result<Vec<usize>, Diagnostic> {
    let wrong = || Diagnostic::error("`with_lists` is a list of column numbers, `1,3`");
    let parse = |text: &str| text.trim().parse::<usize>().map_err(|_| wrong());
    match value {
        None | Some(Value::Null) => Ok(vec![]),
        Some(Value::Str(text)) if text.is_empty() => Ok(vec![]),
        Some(Value::Str(text)) => text.split(',').map(parse).collect(),
        Some(Value::List(items)) => items.iter().map(|item| parse(&python::str(item))).collect(),
        Some(Value::Int(one)) => Ok(vec![usize::try_from(*one).map_err(|_| wrong())?]),
        Some(_) => Err(wrong()),
    }
}

/// A place in the result: the keys and list places that lead there.
type Path = Vec<Step>;

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(Value),
    Place(usize),
}

/// The result as it grows.
#[derive(Debug, Default)]
pub struct Shape {
    all: Value,
    /// Mappings of which some keys become lists at the end, the first one met first.
    lists: Vec<(Path, Vec<Value>)>,
}

impl Shape {
    /// Makes an empty result.
    pub fn new() -> Self {
        Self { all: Value::map(Map::new()), lists: vec![] }
    }

    /// Returns the result.
    pub fn done(self) -> Map {
        match self.all {
            Value::Map(map) => Arc::unwrap_or_clone(map),
            _ => Map::new(),
        }
    }

    fn map(&mut self, path: &[Step]) -> Result<&mut Map, Diagnostic> {
        let lost = || Diagnostic::error("two rows disagree on what is a mapping");
        let found = path.iter().try_fold(&mut self.all, |at, step| match step {
            Step::Key(key) => at.as_map_mut()?.0.get_mut(key),
            Step::Place(i) => at.as_list_mut()?.get_mut(*i),
        });
        found.and_then(Value::as_map_mut).ok_or_else(lost)
    }

    /// Notes that a key of a mapping becomes a list.
    fn listify(&mut self, path: &[Step], key: &Value) {
        match self.lists.iter_mut().find(|(known, _)| known == path) {
            Some((_, keys)) if !keys.contains(key) => keys.push(key.clone()),
            Some(_) => {}
            None => self.lists.push((path.to_vec(), vec![key.clone()])),
        }
    }

    /// Takes in the rows of one query.
    pub fn take(&mut self, query: &Query, names: &[String], rows: &[Vec<Value>]) -> Result<(), Diagnostic> {
        let mut focus: Path = vec![];
        if let Some(root) = &query.root {
            focus.push(Step::Key(root.as_str().into()));
            self.map(&[])?.insert(root.as_str(), Map::new());
        }
        let columns = names.len();
        let depth = if query.depth == 0 || query.depth >= columns { columns.saturating_sub(1) } else { query.depth };
        if columns == 0 {
            return Ok(());
        }
        for row in rows {
            if row.iter().take(depth).any(|key| key.as_list().is_some() || key.as_map().is_some()) {
                return Err(Diagnostic::error("a key column holds lists or documents, which are no keys"));
            }
            if query.as_json && columns == 1 {
                let document = document(&row[0])?;
                merge::update(self.map(&focus)?, &document, query.as_list);
            } else {
                self.row(query, names, row, depth, focus.clone())?;
            }
        }
        self.make_lists();
        Ok(())
    }

    fn row(
        &mut self,
        query: &Query,
        names: &[String],
        row: &[Value],
        depth: usize,
        mut at: Path,
    ) -> Result<(), Diagnostic> {
        for (i, key) in row.iter().enumerate().take(depth.saturating_sub(1)) {
            if query.with_lists.contains(&(i + 1)) {
                self.listify(&at, key);
            }
            at = self.descend(query, at, key)?;
        }
        let last = names.len() - 1;
        // Salt: a single column is key and value.
        let key = row[depth.saturating_sub(1)].clone();
        let map = self.map(&at)?;
        if depth == last {
            // The column before the last one is the key.
            let value = row[last].clone();
            let known = map.0.get_mut(&key);
            if (query.as_list && known.is_some()) || query.with_lists.contains(&depth) {
                match known {
                    Some(Value::List(list)) => Arc::make_mut(list).push(value),
                    Some(one) => *one = Value::list(vec![std::mem::take(one), value]),
                    None => _ = map.insert(key, vec![value]),
                }
            } else if !query.ignore_null || !value.is_null() {
                map.insert(key, value);
            }
            return Ok(());
        }
        // The columns that are left are named by their names.
        if !map.0.contains_key(&key) {
            map.insert(key.clone(), Map::new());
        }
        if query.with_lists.contains(&depth) {
            self.listify(&at, &key);
        }
        at.push(Step::Key(key));
        for (i, name) in names.iter().enumerate().skip(depth) {
            let name = Value::str(name);
            if query.with_lists.contains(&(i + 1)) {
                self.listify(&at, &name);
            }
            let value = row[i].clone();
            let map = self.map(&at)?;
            match map.0.get_mut(&name).filter(|_| query.as_list) {
                Some(Value::List(list)) => Arc::make_mut(list).push(value),
                Some(one) => *one = Value::list(vec![std::mem::take(one), value]),
                None if !query.ignore_null || !value.is_null() => _ = map.insert(name, value),
                None => {}
            }
        }
        Ok(())
    }

    /// Steps into the mapping of a key, making it where there is none.
    fn descend(&mut self, query: &Query, mut at: Path, key: &Value) -> Result<Path, Diagnostic> {
        let map = self.map(&at)?;
        at.push(Step::Key(key.clone()));
        match map.0.get_mut(key) {
            Some(Value::Map(_)) => {}
            Some(Value::List(list)) => {
                let list = Arc::make_mut(list);
                list.push(Map::new().into());
                at.push(Step::Place(list.len() - 1));
            }
            Some(one) if query.as_list => {
                *one = Value::list(vec![std::mem::take(one), Map::new().into()]);
                at.push(Step::Place(1));
            }
            _ => _ = map.insert(key.clone(), Map::new()),
        }
        Ok(at)
    }

    /// Turns the noted mappings into lists of their values, the inner ones first.
    fn make_lists(&mut self) {
        for (path, keys) in std::mem::take(&mut self.lists).into_iter().rev() {
            let Ok(map) = self.map(&path) else { continue };
            for key in keys {
                if let Some(value) = map.0.get_mut(&key) {
                    match value {
                        Value::Map(inner) => *value = Value::list(inner.values().cloned().collect()),
                        Value::List(_) => *value = Value::list(vec![std::mem::take(value)]),
                        _ => {}
                    }
                }
            }
        }
    }
}

fn document(value: &Value) -> Result<Map, Diagnostic> {
    let wrong = |what: &str| Diagnostic::error(format!("as_json rows must decode to a dict, got {what}"));
    match value {
        Value::Map(map) => Ok((**map).clone()),
        Value::Str(text) => match serde_json::from_str::<Value>(text) {
            Ok(Value::Map(map)) => Ok(Arc::unwrap_or_clone(map)),
            Ok(other) => Err(wrong(other.type_name())),
            Err(error) => Err(wrong(&format!("text that is no JSON ({error})"))),
        },
        other => Err(wrong(other.type_name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value as Json;

    fn value(json: &Json) -> Value {
        serde_json::from_value(json.clone()).unwrap()
    }

    /// Recorded from Salt 3008.3's `sql_base` over tables in memory.
    #[test]
    fn gives_what_salt_gives() {
        let cases: Json = serde_json::from_str(include_str!("../tests/shapes.json")).unwrap();
        let mut wrong = Vec::new();
        for case in cases.as_array().unwrap() {
            let (pos, named) = match value(&case["entry"]) {
                Value::List(items) => (items.to_vec(), Map::new()),
                Value::Map(map) => (vec![], Arc::unwrap_or_clone(map)),
                _ => (vec![], Map::new()),
            };
            let mut shape = Shape::new();
            for query in queries(&pos, &named).unwrap() {
                let table = &case["tables"][&query.text];
                let names: Vec<String> = serde_json::from_value(table[0].clone()).unwrap();
                let rows: Vec<Vec<Value>> = serde_json::from_value(table[1].clone()).unwrap();
                shape.take(&query, &names, &rows).unwrap();
            }
            let (ours, salt) = (serde_json::to_string(&shape.done()).unwrap(), case["pillar"].to_string());
            if ours != salt {
                wrong.push(format!("{}\n  salt {salt}\n  ours {ours}", case["name"]));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn says_what_is_wrong() {
        let query = |json: Json| queries(&[value(&json)], &Map::new()).unwrap_err();
        assert!(query(serde_json::json!({"query": "q", "dept": 1})).hints[0].contains("did you mean `depth`?"));
        assert!(query(serde_json::json!({"query": "q", "with_lists": "a"})).message.contains("column numbers"));
        assert!(query(serde_json::json!({"query": "q", "depth": "x"})).message.contains("must be a number"));
        let documents = Query { as_json: true, ..queries(&["q".into()], &Map::new()).unwrap().remove(0) };
        let mut shape = Shape::new();
        let why = shape.take(&documents, &["a".into()], &[vec!["[1]".into()]]).unwrap_err();
        assert!(why.message.contains("must decode to a dict, got list"), "{}", why.message);
    }
}
