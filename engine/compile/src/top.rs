//! The top file: which SLS names a minion gets.

use crate::CompileOptions;
use crate::cx::{Cx, did_you_mean, py};
use crate::fnmatch::fnmatch;
use crate::high::At;
use crate::loader::{LoadError, Loaded, SlsLoader};
use corpus_core::hash::{HashSet, IndexMap};
use corpus_core::{Diagnostic, Label, Node, NodeKind, Value};

/// How the top files of several environments become one (`top_file_merging_strategy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merging {
    /// `base` decides; another environment's file counts for itself only, and only where `base` has no section.
    #[default]
    Merge,
    /// Each environment's file counts for itself, with `default_top`'s where it has none.
    Same,
    /// All files count for all environments.
    MergeAll,
}

/// The configuration of top files.
#[derive(Clone, Debug)]
pub struct TopOptions {
    /// The SLS name of the top file, `top` (from `state_top`).
    pub state_top: String,
    pub merging: Merging,
    /// The environments in order of their importance; the loader's order, if empty.
    pub env_order: Vec<String>,
    pub default_top: Option<String>,
    /// Take the top file from this environment only.
    pub state_top_saltenv: Option<String>,
    /// Only this environment counts, its top file and its section.
    pub saltenv: Option<String>,
}

impl Default for TopOptions {
    fn default() -> Self {
        Self {
            state_top: "top".into(),
            merging: Merging::Merge,
            env_order: vec![],
            default_top: Some("base".into()),
            state_top_saltenv: None,
            saltenv: None,
        }
    }
}

/// What the top files say of one minion.
#[derive(Clone, Debug, Default)]
pub struct TopMatches {
    /// Environments with their SLS names, as [`crate::compile_top`] takes them.
    pub matches: Vec<(String, Vec<String>)>,
    /// How many top files there are; without one, and without a match, there is nothing to do.
    pub files: usize,
    /// Where each name stands, for [`CompileOptions::named_at`].
    pub places: Vec<(String, String, Label)>,
    pub warnings: Vec<Diagnostic>,
}

/// A target with the place of its declaration and what follows it.
type Section = IndexMap<String, (At, Node, u32)>;
/// Sections by environment.
type Top = IndexMap<String, (At, Section)>;

/// Reads the top files and asks the matcher about each target: the expression and its kind (`compound` if none is
/// given, else `glob`, `grain`, `pillar`, `list`…), which it may find malformed.
pub fn top_matches(
    loader: &dyn SlsLoader,
    opts: &TopOptions,
    matcher: &dyn Fn(&str, &str) -> Result<bool, String>,
) -> Result<TopMatches, Vec<Diagnostic>> {
    let compile = CompileOptions::default();
    let mut cx = Cx::new(loader, &compile);
    let tops = read(&mut cx, opts);
    let files = tops.values().filter(|files| files.iter().any(|(_, node)| !node.is_null())).count();
    let top = merge(&mut cx, opts, &tops);
    verify(&mut cx, &top);
    let mut matches = Found::default();
    for (env, (_, section)) in &top {
        if opts.saltenv.as_ref().is_some_and(|only| only != env) {
            continue;
        }
        for (expression, (at, data, _)) in section {
            collect(&mut cx, env, expression, data, *at, matcher, &mut matches);
        }
    }
    if cx.errors.is_empty() {
        let warnings = std::mem::take(&mut cx.warnings);
        let places = places(&cx, &top, &matches);
        let names =
            |(env, names): (String, Vec<(String, At)>)| (env, names.into_iter().map(|(name, _)| name).collect());
        let matches = matches.into_iter().map(names).collect();
        Ok(TopMatches { matches, files, places, warnings: cx.finished(warnings) })
    } else {
        let errors = std::mem::take(&mut cx.errors);
        Err(cx.finished(errors))
    }
}

/// SLS names by environment, each with its place.
type Found = IndexMap<String, Vec<(String, At)>>;

/// Makes a label for each environment (with an empty name) and each name that the tree has not.
fn places(cx: &Cx, top: &Top, found: &Found) -> Vec<(String, String, Label)> {
    let label = |at: At| cx.finished(vec![cx.diagnostic("", at)]).into_iter().flat_map(|shown| shown.labels).next();
    let envs = cx.loader.envs();
    let unknown = top.iter().filter(|(env, _)| !envs.contains(env));
    let mut places: Vec<(String, String, Label)> =
        unknown.filter_map(|(env, (at, _))| Some((env.clone(), String::new(), label(*at)?))).collect();
    for (env, names) in found {
        let known: HashSet<String> = cx.loader.list(env).into_iter().collect();
        for (name, at) in names.iter().filter(|(name, _)| !known.contains(name)) {
            places.extend(label(*at).map(|label| (env.clone(), name.clone(), label)));
        }
    }
    places
}

/// Reads the top file of each environment, with what it includes.
fn read(cx: &mut Cx, opts: &TopOptions) -> IndexMap<String, Vec<(u32, Node)>> {
    let envs = match (&opts.saltenv, &opts.state_top_saltenv) {
        (Some(env), _) | (None, Some(env)) => vec![env.clone()],
        _ => envs(cx.loader, opts),
    };
    let mut tops = IndexMap::default();
    for env in envs {
        let mut files = vec![];
        let mut open = vec![opts.state_top.clone()];
        let mut done: HashSet<String> = HashSet::default();
        while let Some(sls) = open.pop() {
            let (file, mut node) = match cx.loader.load(&sls, &env) {
                Ok(Loaded { file, node }) => (cx.file(file), node),
                Err(LoadError::NotFound) => (0, Node::default()),
                Err(LoadError::Failed(mut diagnostic)) => {
                    diagnostic.message = format!("Unable to render top file: {}", diagnostic.message);
                    cx.errors.push(diagnostic);
                    continue;
                }
            };
            if let NodeKind::Map(entries) = &mut node.kind
                && let Some(place) = entries.iter().position(|(key, _)| key.as_str() == Some("include"))
            {
                let (key, include) = entries.remove(place);
                let known = cx.loader.list(&env);
                for wanted in include.as_seq().unwrap_or_default() {
                    let pattern = py(&wanted.to_value());
                    let found: Vec<_> = known.iter().filter(|name| fnmatch(name, &pattern)).cloned().collect();
                    if found.is_empty() {
                        let at = At { file, pos: if wanted.pos.line > 0 { wanted.pos } else { key.pos } };
                        let hint = did_you_mean(&pattern, known.iter().map(String::as_str));
                        cx.warn(format!("The top file includes '{pattern}', which env '{env}' has not"), at, hint);
                    }
                    for name in found {
                        if done.insert(name.clone()) {
                            open.push(name);
                        }
                    }
                }
            }
            files.push((file, node));
        }
        tops.insert(env, files);
    }
    tops
}

fn envs(loader: &dyn SlsLoader, opts: &TopOptions) -> Vec<String> {
    let mut known = loader.envs();
    if known.is_empty() {
        known.push("base".into());
    }
    if !opts.env_order.is_empty() {
        return opts.env_order.iter().filter(|env| known.contains(env)).cloned().collect();
    }
    known
}

fn is_empty(node: &Node) -> bool {
    node.is_null() || node.as_map().is_some_and(<[_]>::is_empty)
}

fn merge(cx: &mut Cx, opts: &TopOptions, tops: &IndexMap<String, Vec<(u32, Node)>>) -> Top {
    let mut top = Top::default();
    match opts.merging {
        Merging::Merge => {
            for (file, node) in tops.get("base").into_iter().flatten() {
                sections(cx, *file, node, &|_| true, false, &mut top);
            }
            let decided: HashSet<String> = top.keys().cloned().collect();
            for (env, files) in tops.iter().filter(|(env, _)| *env != "base") {
                for (file, node) in files {
                    sections(cx, *file, node, &|section| section == env && !decided.contains(section), false, &mut top);
                }
            }
        }
        Merging::Same => {
            for (env, files) in tops {
                let own = files.iter().any(|(_, node)| !is_empty(node));
                let fallback = || tops.get(opts.default_top.as_deref()?);
                let files = if own { Some(files) } else { fallback() };
                for (file, node) in files.into_iter().flatten() {
                    sections(cx, *file, node, &|section| section == env, false, &mut top);
                }
            }
        }
        Merging::MergeAll => {
            for (file, node) in tops.values().flatten() {
                sections(cx, *file, node, &|_| true, true, &mut top);
            }
        }
    }
    top
}

/// Puts a file's sections into the whole.
fn sections(cx: &mut Cx, file: u32, node: &Node, wanted: &dyn Fn(&str) -> bool, join: bool, top: &mut Top) {
    if is_empty(node) {
        return;
    }
    let Some(entries) = node.as_map() else {
        return cx.error("Top data was not formed as a dict", At { file, pos: node.pos });
    };
    for (key, targets) in entries {
        let at = At { file, pos: key.pos };
        let Some(env) = key.as_str() else {
            let env = py(&key.to_value());
            cx.error(format!("Environment {env} in top file is not formed as a string"), at);
            continue;
        };
        if env.is_empty() {
            cx.error("Empty saltenv statement in top file", at);
        }
        if !wanted(env) {
            continue;
        }
        let Some(targets) = targets.as_map() else {
            if targets.is_null() {
                cx.error("Unable to render top file. No targets found.", at);
            } else {
                cx.error(format!("The top file matches for saltenv {env} are not formatted as a dict"), at);
            }
            continue;
        };
        let (_, section) = top.entry(env.to_owned()).or_insert_with(|| (at, Section::default()));
        for (target, data) in targets {
            let at = At { file, pos: target.pos };
            let target = py(&target.to_value());
            match section.get_mut(&target) {
                Some((_, known, _)) if join => join_states(known, data),
                _ => _ = section.insert(target, (at, data.clone(), file)),
            }
        }
    }
}

/// Joins two lists of one target: the later one's matcher counts, and no name stands there twice.
fn join_states(known: &mut Node, more: &Node) {
    let option = |node: &Node| node.as_seq().into_iter().flatten().rfind(|item| item.as_map().is_some()).cloned();
    let mut joined: Vec<Node> = option(more).or_else(|| option(known)).into_iter().collect();
    for item in known.as_seq().into_iter().flatten().chain(more.as_seq().into_iter().flatten()) {
        if let Some(name) = item.as_str()
            && !joined.iter().any(|known| known.as_str() == Some(name))
        {
            joined.push(item.clone());
        }
    }
    known.kind = NodeKind::Seq(joined);
}

fn verify(cx: &mut Cx, top: &Top) {
    for (env, (_, section)) in top {
        for (target, (at, data, file)) in section {
            let Some(items) = data.as_seq() else {
                let message = format!(
                    "Malformed topfile: state declarations for matcher {} in saltenv {} are not formed as a list (got {})",
                    corpus_core::python::quoted(target),
                    corpus_core::python::quoted(env),
                    data.type_name()
                );
                let diagnostic = cx.diagnostic(message, *at).hint("write each SLS name after `- `");
                cx.errors.push(diagnostic);
                continue;
            };
            for item in items {
                let at = At { file: *file, pos: item.pos };
                for (_, value) in item.as_map().into_iter().flatten() {
                    let value = value.to_value();
                    if !value.truthy() {
                        let message = format!(
                            "Improperly formatted top file matcher in saltenv {}: {} file",
                            corpus_core::python::repr(&item.to_value()),
                            py(&value)
                        );
                        cx.error(message, at);
                    }
                }
                if item.as_str() == Some("") {
                    cx.error(format!("Environment {env} contains an empty sls index"), at);
                }
            }
        }
    }
}

fn collect(
    cx: &mut Cx,
    env: &str,
    expression: &str,
    data: &Node,
    at: At,
    matcher: &dyn Fn(&str, &str) -> Result<bool, String>,
    matches: &mut Found,
) {
    let alone = [data.clone()];
    let items = data.as_seq().unwrap_or(&alone);
    let kind = items.iter().rev().find_map(|item| item.get("match").map(|kind| py(&kind.to_value())));
    match matcher(expression, kind.as_deref().unwrap_or("compound")) {
        Ok(true) => {}
        Ok(false) => return,
        Err(why) => {
            let place = items.iter().rev().filter_map(|item| item.entry("match")).map(|(_, kind)| kind.pos).next();
            let kind_at = place.filter(|_| why.contains("matcher")).map(|pos| At { file: at.file, pos });
            return cx.error(format!("top file: target '{expression}': {why}"), kind_at.unwrap_or(at));
        }
    }
    matches.entry(env.to_owned()).or_default();
    for item in items {
        if let Some(subfilter) = item.get("subfilter") {
            for (expression, data) in subfilter.as_map().into_iter().flatten() {
                let at = At { file: at.file, pos: expression.pos };
                collect(cx, env, &py(&expression.to_value()), data, at, matcher, matches);
            }
        }
        match (&item.kind, item.as_map()) {
            (NodeKind::Scalar(Value::Str(name)), _) => {
                let at = At { file: at.file, pos: item.pos };
                matches.entry(env.to_owned()).or_default().push((name.to_string(), at));
            }
            // A name of digits only, read as a number.
            (NodeKind::Scalar(Value::Int(name)), _) => {
                let at = At { file: at.file, pos: item.pos };
                matches.entry(env.to_owned()).or_default().push((name.to_string(), at));
            }
            (_, Some(entries)) => {
                // Salt takes the last entry: an environment with an SLS name; anything else is an option.
                let Some((key, sls)) = entries.iter().rfind(|(key, _)| key.as_str() != Some("subfilter")) else {
                    continue;
                };
                let other = py(&key.to_value());
                if cx.loader.envs().contains(&other) {
                    let at = At { file: at.file, pos: sls.pos };
                    matches.entry(other).or_default().push((py(&sls.to_value()), at));
                } else if !matches!(&*other, "match" | "order") {
                    let at = At { file: at.file, pos: key.pos };
                    let hint = did_you_mean(&other, ["match", "order", "subfilter"]);
                    cx.warn(format!("`{other}` in the top file is neither an option nor an environment"), at, hint);
                }
            }
            _ => {}
        }
    }
}
