//! The shape of high data: what Salt's verifier refuses, each refusal with its place.

use crate::cx::{Cx, did_you_mean, py};
use crate::high::{Arg, At, Body, Decl, High, Item, Pair, Run, is_requisite};
use corpus_core::{Value, keywords};

/// Checks all declarations.
pub(crate) fn verify(cx: &mut Cx, high: &High) {
    for (id, body) in &high.ids {
        let errors = cx.errors.len();
        match id {
            Value::Str(text) if text.starts_with("__") => continue,
            Value::Str(_) => {}
            other => {
                let message = format!(
                    "ID '{}' in SLS '{}' is not formed as a string, but is type {}. It may need to be quoted.",
                    py(other),
                    body.sls,
                    other.type_name()
                );
                let diagnostic = cx.diagnostic(message, body.at).hint("put quotes around it");
                cx.errors.push(diagnostic);
            }
        }
        for decl in &body.decls {
            if !decl.state.starts_with("__") {
                verify_decl(cx, id, body, decl);
            }
        }
        if cx.errors.len() > errors {
            cx.broken.insert(py(id));
        }
    }
}

fn verify_decl(cx: &mut Cx, id: &Value, body: &Body, decl: &Decl) {
    let (id, sls, state) = (py(id), &body.sls, &decl.state);
    let args = match &decl.run {
        Run::List(args) => args,
        Run::Null => {
            let message = format!(
                "ID '{id}' in SLS '{sls}' contains a short declaration ({state}) with a trailing colon. When not \
                 passing any arguments to a state, the colon must be omitted."
            );
            let diagnostic = cx.diagnostic(message, decl.at).hint(format!("write `{id}: {state}` or `{state}: []`"));
            cx.errors.push(diagnostic);
            return;
        }
        Run::Other(value) => {
            let hint = match value {
                Value::Map(map) if map.is_empty() => "write `[]` for no arguments",
                Value::Map(_) => "put `- ` before each argument",
                _ => "write the arguments as a list, each after `- `",
            };
            let message = format!("State '{id}' in SLS '{sls}' is not formed as a list");
            let diagnostic = cx.diagnostic(message, decl.at).hint(hint);
            cx.errors.push(diagnostic);
            return;
        }
    };
    let mut funs: Vec<&str> = state.split_once('.').map(|(_, fun)| fun).into_iter().collect();
    let mut last = decl.at;
    for arg in args {
        match arg {
            Arg::Fun(at, fun) => {
                if fun.trim().contains(' ') {
                    let message = format!(
                        "The function \"{fun}\" in state \"{id}\" in SLS \"{sls}\" has whitespace, a function with \
                         whitespace is not supported, perhaps this is an argument that is missing a \":\""
                    );
                    let hint = fun
                        .split_once(' ')
                        .map(|(word, rest)| format!("did you mean `{word}: {}`?", rest.trim_start()));
                    let diagnostic = cx.diagnostic(message, *at).maybe_hint(hint);
                    cx.errors.push(diagnostic);
                }
                funs.push(fun);
                // The one of `module.function` is seldom the one too many.
                if at.pos != decl.at.pos {
                    last = *at;
                }
            }
            Arg::Pairs(at, pairs) => verify_pairs(cx, &id, sls, *at, pairs),
            Arg::Other(at, value) => {
                let message = format!(
                    "{} in state '{id}' in SLS '{sls}' is neither an argument nor a function and has no effect",
                    corpus_core::python::repr(value)
                );
                cx.warn(message, *at, None);
            }
        }
    }
    match funs.as_slice() {
        [] => {
            let message = format!("No function declared in state '{id}' in SLS '{sls}'");
            let diagnostic = cx.diagnostic(message, decl.at).hint(format!("write `{state}.<function>`"));
            cx.errors.push(diagnostic);
        }
        [_] => {}
        several => {
            let message = format!(
                "Too many functions declared in state '{id}' in SLS '{sls}'. Please choose one of the following: {}",
                several.join(", ")
            );
            let colon = several.iter().find_map(|fun| fun.split_once(':'));
            let hint = match colon {
                Some((word, _)) => format!("a space is missing after `{word}:`"),
                None => "leave one, and give the other an ID of its own".to_owned(),
            };
            let diagnostic = cx.diagnostic(message, last).hint(hint);
            cx.errors.push(diagnostic);
        }
    }
}

fn verify_pairs(cx: &mut Cx, id: &str, sls: &str, at: At, pairs: &[Pair]) {
    let Some(first) = pairs.first() else { return };
    let word = py(&first.key);
    if word == "names" && first.items.is_none() {
        let message = format!("The 'names' argument in state '{id}' in SLS '{sls}' needs to be formed as a list");
        cx.error(message, first.at);
    }
    if word == "names" {
        verify_names(cx, id, sls, first);
    }
    if keywords::REQUISITES_IN.contains(&word.as_str()) && first.items.is_none() && first.value().as_map().is_none() {
        let hint = Some(format!("write the targets of `{word}` as a list"));
        cx.warn(format!("The {word} statement in state '{id}' in SLS '{sls}' has no effect"), first.at, hint);
    }
    if !is_requisite(&word) {
        return;
    }
    let Some(items) = &first.items else {
        let message = format!("The {word} statement in state '{id}' in SLS '{sls}' needs to be formed as a list");
        let hint = match first.value() {
            Value::Map(_) => Some("put `- ` before each target".to_owned()),
            Value::Str(target) => Some(format!("write `- {word}: [{target}]`")),
            _ => None,
        };
        let diagnostic = cx.diagnostic(message, first.at).maybe_hint(hint);
        cx.errors.push(diagnostic);
        return multiple(cx, id, sls, at, pairs);
    };
    for item in items.iter() {
        verify_requisite(cx, id, sls, item);
    }
    multiple(cx, id, sls, at, pairs);
}

fn multiple(cx: &mut Cx, id: &str, sls: &str, at: At, pairs: &[Pair]) {
    if pairs.len() > 1 {
        let diagnostic = cx
            .diagnostic(format!("Multiple dictionaries defined in argument of state '{id}' in SLS '{sls}'"), at)
            .hint("put `- ` before each argument");
        cx.errors.push(diagnostic);
    }
}

fn verify_requisite(cx: &mut Cx, id: &str, sls: &str, item: &Item) {
    let target = match &item.value {
        Value::Str(_) => return,
        Value::Map(map) if map.len() == 1 => map.iter().next(),
        _ => None,
    };
    let Some((module, target)) = target else {
        let message = format!(
            "Requisite declaration {} in state {id} in SLS {sls} is not formed as a single key dictionary",
            corpus_core::python::repr(&item.value)
        );
        let hint = match &item.value {
            Value::Map(map) if map.len() > 1 => "put `- ` before each target",
            _ => "a requisite is written `- module: ID`",
        };
        let diagnostic = cx.diagnostic(message, item.at).hint(hint);
        return cx.errors.push(diagnostic);
    };
    let module = py(module);
    if let Some((before, _)) = module.split_once('.') {
        let message = format!(
            "Invalid requisite type '{module}' in state '{id}', in SLS '{sls}'. Requisite types must not contain \
             dots, did you mean '{before}'?"
        );
        cx.error(message, item.at);
    }
    if matches!(target, Value::List(_) | Value::Map(_)) {
        let message = format!("Illegal requisite \"{}\" in SLS \"{sls}\", please check your syntax.\n", py(target));
        cx.error(message, item.at);
    }
}

/// Checks the overrides of `names`; Salt would stop with a Python traceback.
fn verify_names(cx: &mut Cx, id: &str, sls: &str, names: &Pair) {
    for item in names.items.iter().flat_map(|items| items.iter()) {
        let sound = match &item.value {
            Value::Map(map) => map.values().all(|overrides| {
                overrides.as_list().is_some_and(|list| list.iter().all(|entry| entry.as_map().is_some()))
            }),
            Value::List(_) => false,
            _ => true,
        };
        if !sound {
            let message = format!(
                "The 'names' argument in state '{id}' in SLS '{sls}' holds {}, which is neither a name nor a name \
                 with a list of arguments",
                corpus_core::python::repr(&item.value)
            );
            cx.error(message, item.at);
        }
    }
}

/// Returns the hint for an ID that nothing declares.
pub(crate) fn nearest_id(high: &High, id: &str) -> Option<String> {
    did_you_mean(id, high.ids.keys().filter_map(Value::as_str))
}
