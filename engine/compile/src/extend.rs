//! `extend` and `exclude`: what one SLS file says of another's IDs.

use crate::cx::{Cx, did_you_mean, py};
use crate::fnmatch::fnmatch;
use crate::high::{Arg, Decl, Extend, High, Item, Run, is_requisite};
use crate::verify::nearest_id;
use corpus_core::Value;
use corpus_core::hash::{HashMap, IndexSet};
use std::sync::Arc;

/// Declarations by ID and state module.
pub(crate) type Declarations = Vec<(Value, Arc<str>)>;

/// Finds IDs by any argument's value, as Salt does for targets given by name.
#[derive(Default)]
pub(crate) struct Names {
    /// Value, then the (ID, state module) of each argument that has it.
    index: Option<HashMap<Arc<str>, Declarations>>,
}

impl Names {
    /// Forgets all, since arguments have changed.
    fn clear(&mut self) {
        self.index = None;
    }

    /// Returns the IDs that the name stands for, below a state module.
    pub fn find(&mut self, high: &High, name: &Value, state: &str, strict: bool) -> Declarations {
        if let Some(body) = high.ids.get(name)
            && (!strict || body.decl(state).is_some())
        {
            return vec![(name.clone(), state.into())];
        }
        if state == "sls" {
            let of_sls = high.ids.iter().filter(|(_, body)| name.as_str() == Some(&body.sls));
            return of_sls.filter_map(|(id, body)| Some((id.clone(), body.decls.first()?.state.clone()))).collect();
        }
        let Some(name) = name.as_str() else { return vec![] };
        let index = self.index.get_or_insert_with(|| build(high));
        let found = index.get(name).into_iter().flatten();
        found.filter(|(_, module)| **module == *state).cloned().collect()
    }
}

fn build(high: &High) -> HashMap<Arc<str>, Declarations> {
    let mut index: HashMap<Arc<str>, Declarations> = HashMap::default();
    for (id, body) in &high.ids {
        for decl in &body.decls {
            for pair in decl.args().iter().filter_map(Arg::single) {
                if pair.items.is_none()
                    && let Value::Str(text) = pair.value()
                {
                    index.entry(text).or_default().push((id.clone(), decl.state.clone()));
                }
            }
        }
    }
    index
}

/// Merges extensions into the IDs they name. `strict` is for those that come of `*_in`.
pub(crate) fn reconcile(cx: &mut Cx, high: &mut High, extends: Vec<Extend>, strict: bool) {
    let excluded: Vec<Value> = high.excludes.iter().filter_map(excluded_sls).collect();
    let mut names = Names::default();
    for extend in extends {
        let Some(first) = extend.body.decls.iter().find(|decl| !decl.state.starts_with("__")) else { continue };
        let mut id = extend.id.clone();
        if high.ids.get(&id).is_none_or(|body| body.decl(&first.state).is_none()) {
            let found = names.find(high, &id, &first.state, strict);
            let [(by_name, _)] = found.as_slice() else {
                unknown(cx, high, &extend, first, found.len(), strict);
                continue;
            };
            id = by_name.clone();
        }
        if excluded.iter().any(|sls| sls.as_str() == Some(&extend.body.sls)) {
            continue;
        }
        let Some(body) = high.ids.get_mut(&id) else { continue };
        let mut renamed = false;
        for decl in extend.body.decls {
            match (body.decl_mut(&decl.state), decl) {
                (None, decl) if strict => {
                    // Salt adds a declaration without a function, which vanishes without a word.
                    let message = format!("ID '{}' has no state {}: the requisite has no effect", py(&id), decl.state);
                    cx.warn(message, decl.at, None);
                }
                (None, decl) => {
                    body.decls.push(decl);
                    renamed = true;
                }
                (Some(Decl { run: Run::List(own), .. }), Decl { run: Run::List(args), .. }) => {
                    for arg in args {
                        renamed |= !arg.word().is_some_and(is_requisite);
                        merge(own, arg);
                    }
                }
                // The verifier speaks of what is not a list.
                (Some(own), decl) if matches!(own.run, Run::List(_)) => (own.run, own.at) = (decl.run, decl.at),
                _ => {}
            }
        }
        if renamed {
            names.clear();
        }
    }
}

fn merge(own: &mut Vec<Arg>, arg: Arg) {
    let mut updated = false;
    for old in own.iter_mut() {
        match (&arg, &mut *old) {
            (Arg::Fun(..), Arg::Fun(..)) => {
                *old = arg.clone();
                updated = true;
            }
            (Arg::Pairs(_, new_pairs), Arg::Pairs(_, old_pairs)) => {
                let (Some(new), Some(first)) = (new_pairs.first(), old_pairs.first_mut()) else { continue };
                if new.key == first.key {
                    match (&new.items, &mut first.items) {
                        (Some(more), Some(items)) if new.key.as_str().is_some_and(is_requisite) => {
                            Arc::make_mut(items).extend(more.iter().cloned());
                        }
                        _ => *old = arg.clone(),
                    }
                    updated = true;
                } else if new.key.as_str() == Some("name") && first.key.as_str() == Some("names") {
                    *old = arg.clone();
                }
            }
            _ => {}
        }
    }
    if !updated {
        own.push(arg);
    }
}

fn unknown(cx: &mut Cx, high: &High, extend: &Extend, decl: &Decl, found: usize, strict: bool) {
    // What is missing may be in a file that could not be read.
    let id = py(&extend.id);
    if cx.incomplete || cx.broken.contains(&id) {
        return;
    }
    let (env, sls) = (&extend.body.env, &extend.body.sls);
    let message = format!(
        "Cannot extend ID '{id}' in '{env}:{sls}'. It is not part of the high state.\nThis is likely due to a missing \
         include statement or an incorrectly typed ID.\nEnsure that a state with an ID of '{id}' is available\nin \
         environment '{env}' and to SLS '{sls}'"
    );
    let hint = match high.ids.get(&extend.id) {
        Some(body) => {
            let known: Vec<&str> = body.decls.iter().map(|decl| &*decl.state).collect();
            Some(format!("`{id}` is declared with `{}`, not with `{}`", known.join("`, `"), decl.state))
        }
        None if found > 1 => Some(format!("{found} states have an argument `{id}`: use the ID of the one you mean")),
        None => nearest_id(high, &id),
    };
    // Of an `extend` it is the ID; of a `require_in`, where that stands.
    let by_id = !strict && !high.ids.contains_key(&extend.id);
    let at = if decl.at.file == 0 || by_id { extend.body.at } else { decl.at };
    let diagnostic = cx.diagnostic(message, at).maybe_hint(hint);
    cx.errors.push(diagnostic);
}

fn excluded_sls(item: &Item) -> Option<Value> {
    match &item.value {
        Value::Str(_) => Some(item.value.clone()),
        Value::Map(map) => map.get("sls").filter(|sls| sls.truthy()).cloned(),
        _ => None,
    }
}

/// Takes out what `exclude` names.
pub(crate) fn exclude(cx: &mut Cx, high: &mut High) {
    let (mut patterns, mut ids): (Vec<Value>, IndexSet<Value>) = (vec![], IndexSet::default());
    for item in std::mem::take(&mut high.excludes) {
        suspicious(cx, high, &item);
        match &item.value {
            Value::Str(_) => patterns.push(item.value),
            Value::Map(map) if map.len() == 1 => {
                if let Some(sls) = map.get("sls") {
                    patterns.push(sls.clone());
                } else if let Some(id) = map.get("id") {
                    ids.insert(id.clone());
                }
            }
            _ => {}
        }
    }
    if patterns.is_empty() && ids.is_empty() {
        return;
    }
    high.ids.retain(|id, body| {
        let of_sls = || patterns.iter().any(|pattern| fnmatch(&body.sls, &py(pattern)));
        !ids.contains(id) && (body.sls.is_empty() || !of_sls())
    });
}

/// Warns of an `exclude` that excludes nothing and is nearly the name of something; others may be there on other minions.
fn suspicious(cx: &mut Cx, high: &High, item: &Item) {
    let id = item.value.as_map().and_then(|map| map.get("id")).map(py);
    let (what, name, hint) = match (id, excluded_sls(item).as_ref().map(py)) {
        (Some(id), _) if !high.ids.contains_key(&Value::from(id.as_str())) => ("ID", id.clone(), nearest_id(high, &id)),
        (None, Some(sls)) if !cx.processed.iter().any(|known| fnmatch(known, &sls)) => {
            ("SLS", sls.clone(), did_you_mean(&sls, cx.processed.iter().map(|known| &**known)))
        }
        _ => return,
    };
    if hint.is_some() {
        cx.warn(format!("`exclude` of the {what} '{name}' excludes nothing"), item.at, hint);
    }
}
