//! The `ext_pillar` setting: its entries, and their arguments as Python would take them.

use crate::source::PillarSource;
use corpus_core::{Diagnostic, Map, Value, python, suggest};
use std::sync::Arc;

/// One entry of `ext_pillar`: `- name: arguments`.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number in the list, from 0.
    pub index: usize,
    pub name: String,
    pub value: Value,
}

/// Reads the setting. An entry that Salt would only half understand is an error.
pub fn entries(setting: &Value) -> Result<Vec<Entry>, Diagnostic> {
    let malformed = |why: &str| Diagnostic::error("The \"ext_pillar\" option is malformed").hint(why.to_owned());
    let Some(list) = setting.as_list() else {
        return Err(malformed("`ext_pillar` is a list: below it `- name: arguments` for each source"));
    };
    let mut found = Vec::new();
    for (index, item) in list.iter().enumerate() {
        let Some(map) = item.as_map().filter(|map| !map.is_empty()) else {
            let why = format!("entry {} is a {}, not `name: arguments`", index + 1, item.type_name());
            return Err(malformed(&why));
        };
        if map.len() > 1 {
            let keys: Vec<String> = map.keys().map(python::str).collect();
            let why = format!(
                "entry {} has {} keys ({}): indent the arguments of `{}` by four more than its dash",
                index + 1,
                keys.len(),
                keys.join(", "),
                keys[0]
            );
            return Err(malformed(&why));
        }
        for (name, value) in map {
            found.push(Entry { index, name: python::str(name), value: value.clone() });
        }
    }
    Ok(found)
}

/// What a source is made with: a mapping gives arguments by name, a list by place, anything else is the first one.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    pub pos: Vec<Value>,
    pub named: Map,
}

impl Arguments {
    /// Takes an entry's value apart.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Map(map) => Self { pos: vec![], named: (**map).clone() },
            Value::List(items) => Self { pos: items.to_vec(), named: Map::new() },
            one => Self { pos: vec![one.clone()], named: Map::new() },
        }
    }

    /// Gives all arguments their names; more or others than these are refused.
    pub fn named(mut self, names: &[&str]) -> Result<Map, Diagnostic> {
        if self.pos.len() > names.len() {
            return Err(Diagnostic::error(format!(
                "takes {} argument(s) ({}), found {}",
                names.len(),
                names.join(", "),
                self.pos.len()
            )));
        }
        let mut all: Map = names.iter().copied().zip(self.pos.drain(..)).collect();
        for (name, value) in self.named {
            let name = python::str(&name);
            if !names.contains(&name.as_str()) {
                let hint = suggest::did_you_mean(&name, names.iter().copied());
                let known = format!("its arguments are: {}", names.join(", "));
                return Err(Diagnostic::error(format!("got an unexpected keyword argument '{name}'"))
                    .hint(hint.unwrap_or(known)));
            }
            all.insert(name, value);
        }
        Ok(all)
    }
}

/// Returns a text argument.
pub fn text(args: &Map, name: &str) -> Result<Option<String>, Diagnostic> {
    match args.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::List(_) | Value::Map(_)) => Err(Diagnostic::error(format!("argument `{name}` must be text"))),
        Some(value) => Ok(Some(python::str(value))),
    }
}

/// Returns a text argument that must be there.
pub fn need(args: &Map, name: &str) -> Result<String, Diagnostic> {
    let missing = || Diagnostic::error(format!("missing 1 required argument: '{name}'"));
    text(args, name)?.filter(|text| !text.is_empty()).ok_or_else(missing)
}

/// Returns a flag.
pub fn flag(args: &Map, name: &str) -> bool {
    args.get(name).is_some_and(Value::truthy)
}

/// A source that cannot be: it says why each time it is asked, so that the pillar without it is known to be partial.
pub struct Refused {
    pub name: String,
    pub why: Diagnostic,
}

impl Refused {
    /// Makes one.
    pub fn source(name: &str, why: Diagnostic) -> Arc<dyn PillarSource> {
        Arc::new(Self { name: name.to_owned(), why })
    }
}

impl PillarSource for Refused {
    fn name(&self) -> &str {
        &self.name
    }
    fn identity(&self) -> String {
        String::new()
    }
    fn sees(&self) -> crate::Sees {
        crate::Sees::ID
    }
    fn load(&self, _: &crate::Ask) -> Result<crate::Given, Diagnostic> {
        Err(self.why.clone())
    }
}
