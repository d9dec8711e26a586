//! `require_in` and its kin, `use` and `use_in`: turned into plain declarations of the other side.

use crate::cx::{Cx, did_you_mean, py};
use crate::extend::{Declarations, Names, reconcile};
use crate::high::{Arg, At, Body, Decl, Extend, High, Item, Pair, Run};
use corpus_core::hash::{HashMap, IndexMap};
use corpus_core::{Map, Value};
use std::sync::Arc;

/// The words that speak of another state's declaration.
const WORDS: &[&str] = &["require_in", "watch_in", "onfail_in", "onchanges_in", "use", "use_in", "prereq_in"];

/// What `use` does not take over, besides `name`, `names` and what the user of it declares itself.
const NOT_USED: &[&str] = &[
    "require_in",
    "watch_in",
    "onfail_in",
    "onchanges_in",
    "use",
    "use_in",
    "prereq_in",
    "require",
    "watch",
    "prereq",
    "onfail",
    "onfail_stop",
    "onchanges",
    "name",
    "names",
];

/// The declaration in which a word stands.
struct Own<'h> {
    id: &'h Value,
    body: &'h Body,
    decl: &'h Decl,
    key: &'h str,
    at: At,
}

/// Extensions per target ID and state module, in the order of their making.
#[derive(Default)]
struct Extensions(IndexMap<Value, (Body, ByModule)>);

/// Arguments to add, by state module.
type ByModule = IndexMap<Arc<str>, Vec<Arg>>;

impl Extensions {
    fn args(&mut self, own: &Own, id: &Value, state: &Arc<str>) -> &mut Vec<Arg> {
        let entry = self.0.entry(id.clone()).or_insert_with(|| {
            let body = Body {
                at: own.at,
                sls: own.body.sls.clone(),
                env: own.body.env.clone(),
                included_from: vec![],
                decls: vec![],
            };
            (body, ByModule::default())
        });
        entry.0.at = own.at;
        entry.0.sls = own.body.sls.clone();
        entry.0.env = own.body.env.clone();
        entry.1.entry(state.clone()).or_default()
    }

    /// Adds the own state to a requisite of the target.
    fn add(&mut self, own: &Own, id: &Value, state: &Arc<str>, word: &str, at: At) {
        let own_target: Map = [(own.decl.state.clone(), own.id.clone())].into_iter().collect();
        let item = Item { at, value: Value::map(own_target) };
        let args = self.args(own, id, state);
        let mut found = false;
        for arg in args.iter_mut().filter(|arg| arg.word() == Some(word)) {
            if let Arg::Pairs(_, pairs) = arg
                && let Some(items) = pairs.first_mut().and_then(|pair| pair.items.as_mut())
            {
                Arc::make_mut(items).push(item.clone());
                found = true;
            }
        }
        if !found {
            args.push(Arg::Pairs(at, vec![Pair::of_items(word, vec![item], at)]));
        }
    }
}

/// Resolves all of them into the high data.
pub(crate) fn resolve(cx: &mut Cx, high: &mut High) {
    let mut extensions = Extensions::default();
    let mut finder = Finder::default();
    for (id, body) in &high.ids {
        for decl in body.decls.iter().filter(|decl| !decl.state.starts_with("__")) {
            for pair in decl.args().iter().filter_map(Arg::first) {
                let Some(key) = pair.key.as_str().filter(|key| WORDS.contains(key)) else { continue };
                if cx.disabled(key) {
                    continue;
                }
                let own = Own { id, body, decl, key, at: pair.at };
                if let Some(items) = &pair.items {
                    from_list(cx, high, &own, items, &mut extensions, &mut finder);
                } else if let Value::Map(map) = pair.value() {
                    from_map(cx, &own, &map, &mut extensions);
                }
            }
        }
    }
    let extends = extensions.0.into_iter().map(|(id, (mut body, states))| {
        let declaration = |(state, args): (Arc<str>, Vec<Arg>)| {
            let at = args.first().and_then(Arg::first).map_or(body.at, |pair| pair.at);
            Decl { at, state, run: Run::List(args) }
        };
        body.decls = states.into_iter().map(declaration).collect();
        Extend { id, body }
    });
    reconcile(cx, high, extends.collect(), true);
}

fn from_map(cx: &mut Cx, own: &Own, map: &Map, extensions: &mut Extensions) {
    let word = word_of(own.key);
    for (state, name) in map {
        let mut state = py(state);
        if let Some((before, _)) = state.split_once('.') {
            let message = format!(
                "Invalid requisite in {word}: {state} for {} in SLS '{}'. Requisites must not contain dots, did you \
                 mean '{before}'?",
                py(name),
                own.body.sls
            );
            cx.error(message, own.at);
            state = before.to_owned();
        }
        extensions.add(own, name, &state.into(), word, own.at);
    }
}

fn from_list(cx: &mut Cx, high: &High, own: &Own, items: &[Item], extensions: &mut Extensions, finder: &mut Finder) {
    let word = word_of(own.key);
    // As in Salt, targets collect over the list: an earlier one is added again with each later item.
    let mut hinges: Vec<(Value, Arc<str>, At)> = vec![];
    for item in items {
        let (state, name) = match &item.value {
            Value::Map(map) => match map.iter().next() {
                Some((state, name)) => (py(state), name.clone()),
                None => continue,
            },
            plain => match finder.by_id_or_name(high, plain) {
                Some((state, id)) => (state.to_string(), id),
                None => {
                    let name = py(plain);
                    let message = format!(
                        "No state with ID or name '{name}' for {} in state '{}' in SLS '{}': the requisite has no effect",
                        own.key,
                        py(own.id),
                        own.body.sls
                    );
                    let hint = did_you_mean(&name, high.ids.keys().filter_map(Value::as_str));
                    cx.warn(message, item.at, hint);
                    continue;
                }
            },
        };
        if state == "sls" {
            hinges = finder.of_sls(high, &name).into_iter().map(|(id, state)| (id, state, item.at)).collect();
            if hinges.is_empty() && !cx.incomplete && !cx.processed.iter().any(|sls| name.as_str() == Some(sls)) {
                let message = format!(
                    "SLS '{}' has no state for {} in state '{}' in SLS '{}': the requisite has no effect",
                    py(&name),
                    own.key,
                    py(own.id),
                    own.body.sls
                );
                let hint = did_you_mean(&py(&name), cx.processed.iter().map(|sls| &**sls));
                cx.warn(message, item.at, hint);
            }
        } else if let Some((before, _)) = state.split_once('.') {
            let message = format!(
                "Invalid requisite in {word}: {state} for {}, in SLS '{}'. Requisites must not contain dots, did you \
                 mean '{before}'?",
                py(&name),
                own.body.sls
            );
            cx.error(message, item.at);
            hinges.push((name, before.into(), item.at));
        } else {
            hinges.push((name, state.into(), item.at));
        }
        for (name, state, at) in &hinges {
            match own.key {
                "use_in" => use_in(high, own, name, state, extensions, finder),
                "use" => use_(high, own, name, state, extensions, finder),
                _ => extensions.add(own, name, state, word, *at),
            }
        }
    }
}

fn use_in(high: &High, own: &Own, name: &Value, state: &Arc<str>, extensions: &mut Extensions, finder: &mut Finder) {
    for (target, state) in finder.names.find(high, name, state, true) {
        let theirs = high.ids.get(&target).and_then(|body| body.decl(&state));
        copy(own.decl.args(), theirs, extensions.args(own, &target, &state));
    }
}

fn use_(high: &High, own: &Own, name: &Value, state: &Arc<str>, extensions: &mut Extensions, finder: &mut Finder) {
    for (source, state) in finder.names.find(high, name, state, true) {
        if let Some(from) = high.ids.get(&source).and_then(|body| body.decl(&state)) {
            copy(from.args(), Some(own.decl), extensions.args(own, own.id, &own.decl.state));
        }
    }
}

fn copy(from: &[Arg], to: Option<&Decl>, into: &mut Vec<Arg>) {
    for arg in from {
        let Some(pair) = arg.single() else { continue };
        let taken = pair.key.as_str().is_some_and(|key| NOT_USED.contains(&key))
            || to.is_some_and(|decl| decl.args().iter().filter_map(Arg::single).any(|own| own.key == pair.key));
        if !taken {
            into.push(arg.clone());
        }
    }
}

fn word_of(key: &str) -> &str {
    key.split('_').next().unwrap_or(key)
}

/// Finds targets; its tables are made when first asked for.
#[derive(Default)]
struct Finder {
    names: Names,
    by_name: Option<HashMap<Value, (Arc<str>, Value)>>,
    by_sls: Option<HashMap<Arc<str>, Declarations>>,
}

impl Finder {
    /// Finds a target given without its module: by ID its first module, else by its `name`.
    fn by_id_or_name(&mut self, high: &High, target: &Value) -> Option<(Arc<str>, Value)> {
        if let Some(body) = high.ids.get(target) {
            return Some((body.decls.first()?.state.clone(), target.clone()));
        }
        let table = self.by_name.get_or_insert_with(|| {
            let mut table = HashMap::default();
            for (id, body) in &high.ids {
                for decl in &body.decls {
                    for arg in decl.args() {
                        let Arg::Pairs(_, pairs) = arg else { continue };
                        for pair in pairs.iter().filter(|pair| pair.key.as_str() == Some("name")) {
                            table.entry(pair.value()).or_insert_with(|| (decl.state.clone(), id.clone()));
                        }
                    }
                }
            }
            table
        });
        table.get(target).cloned()
    }

    /// Returns all declarations of an SLS.
    fn of_sls(&mut self, high: &High, sls: &Value) -> Declarations {
        let table = self.by_sls.get_or_insert_with(|| {
            let mut table: HashMap<Arc<str>, Declarations> = HashMap::default();
            for (id, body) in &high.ids {
                let all = body.decls.iter().map(|decl| (id.clone(), decl.state.clone()));
                table.entry(body.sls.clone()).or_default().extend(all);
            }
            table
        });
        sls.as_str().and_then(|sls| table.get(sls)).cloned().unwrap_or_default()
    }
}
