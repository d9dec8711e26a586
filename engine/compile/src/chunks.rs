//! High data to low chunks: one per declaration and name, not yet in order.

use crate::cx::{Cx, did_you_mean, py};
use crate::high::{Arg, At, Body, Decl, High, Item, Pair, is_requisite};
use corpus_core::hash::{HashMap, HashSet, IndexMap, IndexSet};
use corpus_core::{Diagnostic, LowChunk, Map, Registry, Span, Value, keywords, state};
use std::sync::Arc;

/// A chunk in the making.
pub(crate) struct Draft {
    pub low: LowChunk,
    /// `order` as declared, if it is.
    pub order: Option<Value>,
    /// Place among the names of its declaration, from 1; 0 without `names`.
    pub name_order: u32,
    /// Requisites by word, with the place of each target.
    pub requisites: Vec<(Arc<str>, At, Arc<Vec<Item>>)>,
    pub at: At,
    /// A `name` that is no text: the ID is taken.
    pub odd_name: Option<(Value, At)>,
}

/// Makes the chunks of all declarations.
pub(crate) fn drafts(cx: &mut Cx, high: &High, registry: &Registry) -> Vec<Draft> {
    let mut out = Vec::with_capacity(high.ids.len());
    let mut known = Known::new(registry);
    for (id, body) in &high.ids {
        if id.as_str().is_some_and(|id| id.starts_with("__")) {
            continue;
        }
        for decl in body.decls.iter().filter(|decl| !decl.state.starts_with("__")) {
            let from = out.len();
            declare(cx, id, body, decl, &mut out);
            for draft in &mut out[from..] {
                known.reconcile_watch(draft);
                odd_words(cx, draft);
                // Of a declaration with a mistake, what it means is a guess.
                if !cx.broken.contains(&*draft.low.id) {
                    known.check(cx, &draft.low);
                }
            }
        }
    }
    out
}

/// Warns of engine words whose value means nothing; Salt falls back to its defaults without a word to the user.
fn odd_words(cx: &mut Cx, draft: &mut Draft) {
    let sound = |order: &Value| match order {
        Value::Int(_) | Value::Float(_) | Value::Null => true,
        other => matches!(other.as_str(), Some("first" | "last")),
    };
    let mut odd = vec![];
    if let Some(order) = draft.order.as_ref().filter(|order| !sound(order)) {
        let message = format!("`order: {}` in state '{}' has no effect", py(order), draft.low.id);
        odd.push(("order", message, "`order` is a number, `first` or `last`"));
    }
    if matches!(draft.low.args.get("retry"), Some(Value::Str(_) | Value::List(_) | Value::Int(_) | Value::Float(_))) {
        let message =
            "State is set to retry, but a valid dict for retry configuration was not found.  Using retry defaults";
        odd.push((
            "retry",
            message.to_owned(),
            "write `- retry: True`, or `- retry:` and below it `attempts:` and `interval:`",
        ));
    }
    if let Some((name, at)) = draft.odd_name.take() {
        let message =
            format!("`name: {}` in state '{}' is no text and has no effect: the ID is taken", py(&name), draft.low.id);
        cx.warn(message, at, Some("put the name in quotes".to_owned()));
    }
    for (word, message, hint) in odd {
        let at = draft.low.arg_span(word).clone();
        let warning = cx.located(Diagnostic::warning(message), &at, word.len()).hint(hint);
        cx.warnings.push(warning);
    }
}

fn declare(cx: &Cx, id: &Value, body: &Body, decl: &Decl, out: &mut Vec<Draft>) {
    let mut base = Draft {
        low: LowChunk {
            state: decl.state.clone(),
            id: Arc::from(py(id)),
            name: id.clone(),
            sls: body.sls.clone(),
            saltenv: body.env.clone(),
            included_from: body.included_from.clone(),
            span: cx.raw(decl.at),
            args: Map::with_capacity(decl.args().len()),
            arg_spans: Vec::with_capacity(decl.args().len()),
            ..LowChunk::default()
        },
        order: None,
        name_order: 0,
        requisites: vec![],
        at: decl.at,
        odd_name: None,
    };
    let mut fun = None;
    let mut names = IndexMap::default();
    for arg in decl.args() {
        match arg {
            Arg::Fun(_, name) => fun = fun.or(Some(name)),
            Arg::Pairs(_, pairs) => {
                for pair in pairs {
                    if pair.key.as_str() == Some("names") {
                        collect_names(pair, &mut names);
                    } else {
                        set(cx, &mut base, id, pair);
                    }
                }
            }
            Arg::Other(..) => {}
        }
    }
    // Without a function there is nothing to run; the verifier has said so.
    let Some(fun) = fun else { return };
    base.low.fun = fun.clone();
    if names.is_empty() {
        out.push(base);
        return;
    }
    for (place, entry) in names.into_values().flatten().enumerate() {
        let mut draft = Draft {
            low: base.low.clone(),
            order: base.order.clone(),
            name_order: place as u32 + 1,
            requisites: base.requisites.clone(),
            at: base.at,
            odd_name: None,
        };
        match &entry.value {
            Value::Map(map) => {
                for (name, overrides) in map.iter().take(1) {
                    draft.low.name = name.clone();
                    for (key, value) in overrides.as_list().into_iter().flatten().filter_map(Value::as_map).flatten() {
                        overridden(cx, &mut draft, key, value, entry.at);
                    }
                }
            }
            name => draft.low.name = name.clone(),
        }
        out.push(draft);
    }
}

/// Collects names in order, each once; an override does not equal the bare name.
fn collect_names(pair: &Pair, names: &mut IndexMap<(Value, bool), Vec<Item>>) {
    for item in pair.items.iter().flat_map(|items| items.iter()) {
        let key = match &item.value {
            Value::Map(map) => (map.keys().next().cloned().unwrap_or_default(), true),
            name => (name.clone(), false),
        };
        let same = names.entry(key).or_default();
        if !same.iter().any(|known| known.value == item.value) {
            same.push(item.clone());
        }
    }
}

fn set(cx: &Cx, draft: &mut Draft, id: &Value, pair: &Pair) {
    let low = &mut draft.low;
    match pair.key.as_str() {
        // The declaration's own state and function are not to be changed by an argument.
        Some("state" | "fun") => return,
        Some("name") => {
            let value = pair.value();
            draft.odd_name = None;
            if value.as_str().is_some() {
                low.name = value;
            } else {
                low.name = id.clone();
                draft.odd_name = Some((value, pair.at)).filter(|(value, _)| !value.is_null());
            }
        }
        Some("order") => draft.order = Some(pair.value()),
        Some(word) if is_requisite(word) || matches!(word, "listen" | "listen_in") => {
            if let Some(items) = &pair.items {
                requisite(draft, word, pair.at, items.clone());
            }
            draft.low.args.0.insert(pair.key.clone(), pair.value());
        }
        _ => _ = low.args.0.insert(pair.key.clone(), pair.value()),
    }
    if let Value::Str(word) = &pair.key {
        let span = cx.raw(pair.at);
        match draft.low.arg_spans.iter_mut().find(|(name, _)| name == word) {
            Some(known) => known.1 = span,
            None => draft.low.arg_spans.push((word.clone(), span)),
        }
    }
}

/// Sets what an entry of `names` says of one name only.
fn overridden(cx: &Cx, draft: &mut Draft, key: &Value, value: &Value, at: At) {
    match (key.as_str(), value) {
        (Some("name"), _) => draft.low.name = value.clone(),
        (Some("fun"), _) => {}
        (Some("state"), Value::Str(state)) => draft.low.state = state.clone(),
        (Some(word), Value::List(list)) if is_requisite(word) || word == "listen_in" => {
            let items = list.iter().map(|value| Item { at, value: value.clone() }).collect();
            requisite(draft, word, at, Arc::new(items));
            draft.low.args.0.insert(key.clone(), value.clone());
        }
        _ => {
            let mut pair = Pair::new("", value.clone(), at);
            pair.key = key.clone();
            let name = draft.low.name.clone();
            set(cx, draft, &name, &pair);
        }
    }
}

fn requisite(draft: &mut Draft, word: &str, at: At, items: Arc<Vec<Item>>) {
    // A word that is given twice: the second counts, as in a Python dict.
    match draft.requisites.iter_mut().find(|(known, ..)| **known == *word) {
        Some(known) => (known.1, known.2) = (at, items),
        None => draft.requisites.push((word.into(), at, items)),
    }
}

/// What is known of a state function.
struct Function {
    known: bool,
    hint: Option<String>,
    /// Takes anything.
    open: bool,
    args: HashSet<&'static str>,
    required: Vec<String>,
}

/// What the registry says, asked once per function.
struct Known<'r> {
    registry: &'r Registry,
    watching: HashSet<&'static str>,
    functions: HashMap<(Arc<str>, Arc<str>), Function>,
}

impl<'r> Known<'r> {
    fn new(registry: &'r Registry) -> Self {
        let watching = registry.all_states().filter(|def| def.watches);
        let watching = watching.filter_map(|def| Some(def.name.split_once('.')?.0)).collect();
        Self { registry, watching, functions: HashMap::default() }
    }

    /// Makes `watch` a `require` where the module has nothing to do on a change.
    fn reconcile_watch(&self, draft: &mut Draft) {
        if self.watching.contains(&*draft.low.state) {
            return;
        }
        for (from, to) in [("watch", "require"), ("watch_any", "require_any")] {
            if let Some(Value::List(more)) = draft.low.args.get(from).cloned() {
                draft.low.args.remove(from);
                match draft.low.args.get_mut(to).and_then(Value::as_list_mut) {
                    Some(own) => own.extend(more.iter().cloned()),
                    None => _ = draft.low.args.insert(to, Value::List(more)),
                }
            }
            let Some(place) = draft.requisites.iter().position(|(word, ..)| **word == *from) else { continue };
            let (_, at, items) = draft.requisites.remove(place);
            match draft.requisites.iter_mut().find(|(word, ..)| **word == *to) {
                Some((_, _, own)) => Arc::make_mut(own).extend(items.iter().cloned()),
                None => draft.requisites.push((to.into(), at, items)),
            }
            // Messages on the requisite still find its place.
            if let Some((_, span)) = draft.low.arg_spans.iter().find(|(word, _)| **word == *from).cloned()
                && !draft.low.arg_spans.iter().any(|(word, _)| **word == *to)
            {
                draft.low.arg_spans.push((to.into(), span));
            }
        }
    }

    /// Says what Salt would say when it runs the state.
    fn check(&mut self, cx: &mut Cx, low: &LowChunk) {
        let registry = self.registry;
        let key = (low.state.clone(), low.fun.clone());
        let function = self.functions.entry(key).or_insert_with(|| Function::of(registry, &low.full_name()));
        if !function.known {
            // The run says so too, when it comes to the state.
            if !cx.opts.strict {
                return;
            }
            let message = format!("State '{}' was not found in SLS '{}'", low.full_name(), low.sls);
            return suspect(cx, message, low, &low.span, low.full_name().chars().count(), function.hint.clone());
        }
        if !function.open {
            for key in low.args.keys().filter_map(Value::as_str) {
                if function.args.contains(key) || is_engine_word(key) {
                    continue;
                }
                let message = format!("'{key}' is an invalid keyword argument for '{}'", low.full_name());
                let words = engine_words().chain(function.args.iter().copied()).collect::<IndexSet<_>>();
                let hint = did_you_mean(key, words);
                suspect(cx, message, low, low.arg_span(key), key.chars().count(), hint);
            }
        }
        if function.open {
            for key in low.args.keys().filter_map(Value::as_str).filter(|key| !is_engine_word(key)) {
                // What the function takes by name is no slip of the pen.
                if function.args.contains(&key) {
                    continue;
                }
                // What `module.run` hands on has names of its own.
                let own = function
                    .args
                    .iter()
                    .copied()
                    .filter(|arg| key.len() > 2 && arg.len() > 3 && *low.state != *"module");
                let own = corpus_core::suggest::nearest(key, own);
                if let (None, Some(word)) = (mistyped_requisite(key), own) {
                    let message =
                        format!("'{key}' in state '{}' is no argument of '{}' by itself", low.id, low.full_name());
                    let hint = Some(format!("did you mean `{word}`?"));
                    suspect(cx, message, low, low.arg_span(key), key.chars().count(), hint);
                }
                if let Some(word) = mistyped_requisite(key) {
                    let message =
                        format!("'{key}' in state '{}' is taken for an argument, not for a requisite", low.id);
                    let hint = Some(format!("did you mean `{word}`?"));
                    suspect(cx, message, low, low.arg_span(key), key.chars().count(), hint);
                }
            }
        }
        // As with an unknown function, the run fails the state by itself.
        if !cx.opts.strict {
            return;
        }
        if let Some((arg, message)) = wrong_value(registry, low) {
            suspect(cx, message, low, low.arg_span(&arg), arg.chars().count(), None);
        }
        for required in &function.required {
            if !low.args.contains(required) && missing(registry, low, required) {
                let message = format!("Missing parameter {required} for state {}", low.full_name());
                let hint = format!("`corpus sys.state_doc {}` tells what it takes", low.full_name());
                suspect(cx, message, low, &low.span, low.full_name().chars().count(), Some(hint));
            }
        }
    }
}

/// Checks one chunk that comes from no file.
pub(crate) fn check(cx: &mut Cx, low: &LowChunk, registry: &Registry) {
    Known::new(registry).check(cx, low);
}

/// Records what is a warning by default and an error under `strict`.
fn suspect(cx: &mut Cx, message: String, low: &LowChunk, span: &Span, len: usize, hint: Option<String>) {
    let new = if cx.opts.strict { Diagnostic::error } else { Diagnostic::warning };
    let mut diagnostic = cx.located(new(message), span, len);
    if span.file != low.span.file && low.span.line > 0 {
        // An `extend` brought it.
        diagnostic = diagnostic.at(cx.loader.relocate(&low.span), "in the state that is declared here");
    }
    let list = if cx.opts.strict { &mut cx.errors } else { &mut cx.warnings };
    list.push(diagnostic.maybe_hint(hint));
}

/// Finds the requisite that a word is a slip of; short words are near too much.
fn mistyped_requisite(key: &str) -> Option<&'static str> {
    let known = keywords::REQUISITES.iter().chain(keywords::REQUISITES_IN).copied();
    let same_start = |word: &&str| word.len() > 4 && word.as_bytes().first() == key.as_bytes().first();
    if key.len() < 5 { None } else { corpus_core::suggest::nearest(key, known.filter(same_start)) }
}

/// Reads the chunk's arguments and returns the one of a wrong type, with the run's words for it.
fn wrong_value(registry: &Registry, low: &LowChunk) -> Option<(String, String)> {
    let def = registry.state(&low.full_name())?;
    let args = state::arguments(low);
    if args.values().any(|value| value.as_str().is_some_and(|text| text.starts_with("__slot__:"))) {
        return None;
    }
    let error = (def.decode)(&args).err().filter(|error| !error.missing)?;
    Some((error.arg.clone()?, format!("State {}: {error}", low.full_name())))
}

/// Reads the chunk's arguments, to be sure that the one is missing (it may have another name).
fn missing(registry: &Registry, low: &LowChunk, required: &str) -> bool {
    let Some(def) = registry.state(&low.full_name()) else { return false };
    let error = (def.decode)(&state::arguments(low)).err();
    error.is_some_and(|error| error.missing && error.arg.as_deref() == Some(required))
}

impl Function {
    fn of(registry: &Registry, full: &str) -> Self {
        let Some(def) = registry.state(full) else {
            let hint = did_you_mean(full, registry.all_states().map(|def| def.name));
            return Self { known: false, hint, open: false, args: HashSet::default(), required: vec![] };
        };
        let args = (def.args)().iter().copied().collect();
        Self { known: true, hint: None, open: def.open, args, required: required(def) }
    }
}

/// Finds the arguments that a function cannot do without, by giving it one after the other.
fn required(def: &corpus_core::StateDef) -> Vec<String> {
    let samples = [Value::str("x"), Value::Int(1), Value::list(vec![]), Value::map(Map::new())];
    let mut args: Map = [("name", Value::str("x"))].into_iter().collect();
    let mut found: Vec<String> = vec![];
    let mut sample = 0;
    while let Err(error) = (def.decode)(&args) {
        let Some(arg) = error.arg else { break };
        if error.missing && arg != "name" && !found.contains(&arg) {
            args.insert(&arg, samples[0].clone());
            found.push(arg);
            sample = 0;
        } else if found.last() == Some(&arg) && sample + 1 < samples.len() {
            sample += 1;
            args.insert(&arg, samples[sample].clone());
        } else {
            break;
        }
    }
    found
}

/// Words of the engine that the common table leaves to the compiler.
const MORE_WORDS: &[&str] = &["name", "no_log"];

fn engine_words() -> impl Iterator<Item = &'static str> {
    let lists = [keywords::REQUISITES, keywords::REQUISITES_IN, keywords::RUNTIME, MORE_WORDS];
    lists.into_iter().flatten().copied().filter(|word| !word.starts_with("__"))
}

fn is_engine_word(word: &str) -> bool {
    word.starts_with("__") || MORE_WORDS.contains(&word) || keywords::is_engine_word(word)
}
