//! One rendered SLS file to high data: `extend`, `exclude`, short forms and dotted declarations.

use crate::cx::{Cx, did_you_mean, py};
use crate::high::{Arg, At, Body, Decl, Extend, High, Run, into_value, read_items, read_run};
use corpus_core::hash::HashSet;
use corpus_core::{Node, NodeKind, Value};
use std::sync::Arc;

/// A member of an SLS file's `include`.
pub(crate) struct Include {
    pub at: At,
    pub value: Value,
}

/// The origin of what is being read.
pub(crate) struct Origin {
    pub sls: Arc<str>,
    pub env: Arc<str>,
    pub file: u32,
}

/// Reads a rendered SLS file; includes are not followed here.
pub(crate) fn read(cx: &mut Cx, origin: &Origin, node: Node) -> (High, Vec<Include>) {
    let (mut high, mut includes) = (High::default(), vec![]);
    let at = At { file: origin.file, pos: node.pos };
    let sls = &origin.sls;
    let NodeKind::Map(entries) = node.kind else {
        // Salt: what is empty in Python's sense is an SLS without states.
        if into_value(node).truthy() {
            let hint = "an SLS file is a mapping: `ID:`, and below it, indented, `module.function:`";
            let diagnostic = cx.diagnostic(format!("SLS {sls} does not render to a dictionary"), at).hint(hint);
            cx.errors.push(diagnostic);
        }
        return (high, includes);
    };
    for (key, value) in entries {
        let at = At { file: origin.file, pos: key.pos };
        match (key.as_str(), value.kind) {
            (Some("include"), NodeKind::Seq(items)) => {
                includes.extend(
                    read_items(origin.file, items).into_iter().map(|item| Include { at: item.at, value: item.value }),
                );
            }
            (Some("include"), _) => {
                let message = format!("Include Declaration in SLS {sls} is not formed as a list");
                let hint = "write each SLS name below `include:`, after `- `";
                let diagnostic = cx.diagnostic(message, at).hint(hint);
                cx.errors.push(diagnostic);
                // What the includes would have declared is not known.
                cx.incomplete = true;
            }
            (Some("extend"), NodeKind::Map(extends)) => read_extends(cx, origin, extends, &mut high),
            (Some("extend"), _) => cx.error(format!("Extension value in SLS '{sls}' is not a dictionary"), at),
            (Some("exclude"), NodeKind::Seq(items)) => high.excludes.extend(read_items(origin.file, items)),
            (Some("exclude"), _) => {
                cx.error(format!("Exclude Declaration in SLS {sls} is not formed as a list"), at);
            }
            (_, kind) => {
                let body = Node { pos: value.pos, kind };
                if let Some(body) = read_id(cx, origin, &key, body) {
                    high.ids.insert(into_value(key), body);
                }
            }
        }
    }
    (high, includes)
}

fn read_id(cx: &mut Cx, origin: &Origin, id: &Node, node: Node) -> Option<Body> {
    let at = At { file: origin.file, pos: id.pos };
    match node.kind {
        NodeKind::Map(entries) => {
            let mut body = empty(origin, at);
            body.decls = read_decls(cx, origin, entries, &mut body.included_from);
            resolve_dots(cx, &mut body, id, origin);
            Some(body)
        }
        NodeKind::Scalar(Value::Str(short)) if short.contains('.') => {
            let mut parts = short.split('.');
            let mut body = empty(origin, at);
            let state = Arc::from(parts.next().unwrap_or_default());
            let fun = Arc::from(parts.next().unwrap_or_default());
            let at = At { file: origin.file, pos: node.pos };
            body.decls.push(Decl { at, state, run: Run::List(vec![Arg::Fun(at, fun)]) });
            Some(body)
        }
        _ => {
            let id = py(&into_value(id.clone()));
            let hint = did_you_mean(&id, ["include", "extend", "exclude"]).or_else(|| {
                Some(format!("write `{id}: module.function`, or `module.function:` with its arguments below, indented"))
            });
            let diagnostic =
                cx.diagnostic(format!("ID {id} in SLS {} is not a dictionary", origin.sls), at).maybe_hint(hint);
            cx.errors.push(diagnostic);
            cx.broken.insert(id);
            None
        }
    }
}

fn empty(origin: &Origin, at: At) -> Body {
    Body { at, sls: origin.sls.clone(), env: origin.env.clone(), included_from: vec![], decls: vec![] }
}

/// Reads the declarations below an ID. The engine's own `__words__` come with data (`state.high`), not with files.
fn read_decls(
    cx: &mut Cx,
    origin: &Origin,
    entries: Vec<(Node, Node)>,
    included_from: &mut Vec<Arc<str>>,
) -> Vec<Decl> {
    let mut decls = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let at = At { file: origin.file, pos: key.pos };
        match key.as_str() {
            Some("__sls_included_from__") => {
                let from = value.as_seq().unwrap_or_default();
                included_from.extend(from.iter().filter_map(Node::as_str).map(Arc::from));
            }
            Some(word) if word.starts_with("__") => {}
            Some(state) => decls.push(Decl { at, state: state.into(), run: read_run(origin.file, value) }),
            None => cx.error(
                format!(
                    "State declaration {} in SLS '{}' is not formed as a string. It may need to be quoted.",
                    corpus_core::python::repr(&into_value(key)),
                    origin.sls
                ),
                at,
            ),
        }
    }
    decls
}

/// Turns `file.managed: […]` into `file: […, managed]`.
fn resolve_dots(cx: &mut Cx, body: &mut Body, id: &Node, origin: &Origin) {
    if !body.decls.iter().any(|decl| decl.state.contains('.')) {
        return;
    }
    let mut seen: HashSet<Arc<str>> = HashSet::default();
    let mut moved: Vec<Decl> = vec![];
    let mut kept: Vec<Decl> = vec![];
    for mut decl in std::mem::take(&mut body.decls) {
        if decl.state.starts_with('_') || !matches!(decl.run, Run::List(_)) {
            kept.push(decl);
            continue;
        }
        let Some((module, rest)) = decl.state.split_once('.') else {
            // Salt loses a plain declaration when a dotted one of its module stands above it.
            if seen.insert(decl.state.clone()) {
                kept.push(decl);
            } else {
                let message = format!(
                    "ID '{}' in SLS '{}' declares {} twice: only the first declaration counts",
                    py(&into_value(id.clone())),
                    origin.sls,
                    decl.state
                );
                cx.warn(message, decl.at, Some("give the second declaration an ID of its own".into()));
            }
            continue;
        };
        let module: Arc<str> = module.into();
        let fun: Arc<str> = rest.split('.').next().unwrap_or_default().into();
        if !seen.insert(module.clone()) {
            let message = format!(
                "ID '{}' in SLS '{}' contains multiple state declarations of the same type",
                py(&into_value(id.clone())),
                origin.sls
            );
            let diagnostic =
                cx.diagnostic(message, decl.at).hint("give the second declaration an ID of its own, and a `name`");
            cx.errors.push(diagnostic);
            cx.broken.insert(py(&into_value(id.clone())));
            continue;
        }
        if let Run::List(args) = &mut decl.run {
            args.push(Arg::Fun(decl.at, fun));
        }
        decl.state = module;
        moved.push(decl);
    }
    // Salt pops the dotted key and puts the plain one at the end.
    kept.extend(moved);
    body.decls = kept;
}

fn read_extends(cx: &mut Cx, origin: &Origin, entries: Vec<(Node, Node)>, high: &mut High) {
    for (id, node) in entries {
        let at = At { file: origin.file, pos: id.pos };
        let NodeKind::Map(entries) = node.kind else {
            let name = py(&into_value(id));
            cx.error(format!("Extension name '{name}' in SLS '{}' is not a dictionary", origin.sls), at);
            continue;
        };
        let mut body = empty(origin, at);
        body.decls = read_decls(cx, origin, entries, &mut vec![]);
        let mut moved = vec![];
        for mut decl in std::mem::take(&mut body.decls) {
            let dotted = decl
                .state
                .split_once('.')
                .map(|(module, rest)| (Arc::from(module), Arc::from(rest.split('.').next().unwrap_or_default())));
            match (&mut decl.run, dotted) {
                (Run::List(args), Some((module, fun))) => {
                    args.push(Arg::Fun(decl.at, fun));
                    decl.state = module;
                    moved.push(decl);
                }
                _ => body.decls.push(decl),
            }
        }
        body.decls.extend(moved);
        high.extends.push(Extend { id: into_value(id), body });
    }
}

/// Reads high data given as data: `state.high`, with the engine's own words where they are given.
pub(crate) fn read_high(cx: &mut Cx, node: Node) -> High {
    let mut high = High::default();
    let at = At { file: 0, pos: node.pos };
    let NodeKind::Map(entries) = node.kind else {
        cx.error("High data is not a dictionary and is invalid", at);
        return high;
    };
    for (key, value) in entries {
        let at = At { file: 0, pos: key.pos };
        let word = |name: &str| value.get(name).and_then(Node::as_str).map(Arc::from);
        let origin = Origin {
            sls: word("__sls__").unwrap_or_default(),
            env: word("__env__").unwrap_or_else(|| "base".into()),
            file: 0,
        };
        match (key.as_str(), value.kind) {
            (Some("__exclude__"), NodeKind::Seq(items)) => high.excludes.extend(read_items(0, items)),
            (Some("__extend__"), NodeKind::Seq(items)) => {
                for item in items {
                    if let NodeKind::Map(extends) = item.kind {
                        read_extends(cx, &origin, extends, &mut high);
                    }
                }
            }
            (Some(word), _) if word.starts_with("__") => {}
            (_, NodeKind::Map(entries)) => {
                let mut body = empty(&origin, at);
                body.decls = read_decls(cx, &origin, entries, &mut body.included_from);
                high.ids.insert(into_value(key), body);
            }
            (_, kind) => {
                let body = into_value(Node { pos: value.pos, kind });
                let id = py(&into_value(key));
                cx.error(format!("The type {id} in {} is not formatted as a dictionary", py(&body)), at);
            }
        }
    }
    high
}
