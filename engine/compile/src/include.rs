//! SLS files and what they include, each rendered once, to one tree of high data.

use crate::cx::{Cx, did_you_mean, py};
use crate::fnmatch::{fnmatch, is_pattern};
use crate::high::{Arg, At, High, Pair, Run};
use crate::loader::{LoadError, Loaded};
use crate::sls::{self, Include, Origin};
use corpus_core::hash::{HashMap, HashSet};
use corpus_core::{Diagnostic, Value};
use std::sync::Arc;

/// Renders SLS files and what they include.
pub(crate) struct Renderer<'c, 'a> {
    cx: &'c mut Cx<'a>,
    envs: Vec<String>,
    /// The environments that the top file or the call names.
    matched: Vec<Arc<str>>,
    rendered: HashSet<(Arc<str>, Arc<str>)>,
    lists: HashMap<Arc<str>, Vec<String>>,
    /// The includes that lead to the file at hand, the outermost first: where each stands, and what it names.
    way: Vec<(At, Arc<str>)>,
}

impl<'c, 'a> Renderer<'c, 'a> {
    pub fn new(cx: &'c mut Cx<'a>, matches: &[(String, Vec<String>)]) -> Self {
        let envs = cx.loader.envs();
        let matched = matches.iter().map(|(env, _)| env.as_str().into()).collect();
        Self { cx, envs, matched, rendered: HashSet::default(), lists: HashMap::default(), way: vec![] }
    }

    /// Renders what the top file matched, or what was called for.
    pub fn highstate(&mut self, matches: &[(String, Vec<String>)]) -> High {
        let mut high = High::default();
        for (env, names) in matches {
            let env: Arc<str> = env.as_str().into();
            for wanted in names {
                if !self.has_env(&env) {
                    let message = format!("No matching salt environment for environment '{env}' found");
                    let hint = did_you_mean(&env, self.envs.iter().map(String::as_str));
                    let mut diagnostic = self.cx.diagnostic(message, At::default()).maybe_hint(hint);
                    let named =
                        self.cx.opts.named_at.iter().find(|(known, name, _)| **known == *env && name.is_empty());
                    diagnostic.labels = named.map(|(.., label)| label.clone()).into_iter().collect();
                    self.cx.errors.push(diagnostic);
                    self.cx.incomplete = true;
                    continue;
                }
                for sls in self.matching(wanted, &env) {
                    if !self.rendered.contains(&(env.clone(), sls.clone())) {
                        let state = self.render(&sls, &env, None);
                        // Salt puts these words where the first file that has them comes in.
                        let new = [
                            high.extends.is_empty() && !state.extends.is_empty(),
                            high.excludes.is_empty() && !state.excludes.is_empty(),
                        ];
                        for (before, _) in high.before.iter_mut().zip(new).filter(|(_, new)| *new) {
                            *before = high.ids.len();
                        }
                        self.merge(&mut high, state);
                    }
                }
            }
        }
        high
    }

    /// Reads a template that is no SLS file of the tree.
    pub fn template(&mut self, loaded: Loaded, origin_sls: &str, env: &str) -> High {
        let file = self.cx.file(loaded.file.clone());
        let origin = Origin { sls: origin_sls.into(), env: env.into(), file };
        let (high, _) = sls::read(self.cx, &origin, loaded.node);
        high
    }

    fn render(&mut self, sls: &Arc<str>, env: &Arc<str>, from: Option<At>) -> High {
        let loaded = match self.cx.loader.load(sls, env) {
            Ok(loaded) => loaded,
            Err(error) => {
                self.failed(sls, env, from, error);
                return High::default();
            }
        };
        self.rendered.insert((env.clone(), sls.clone()));
        self.cx.processed.push(sls.clone());
        let package = loaded.file.ends_with("/init.sls") || &*loaded.file == "init.sls";
        let file = self.cx.file(loaded.file);
        let origin = Origin { sls: sls.clone(), env: env.clone(), file };
        let (mut high, includes) = sls::read(self.cx, &origin, loaded.node);
        // Salt numbers a file's states after those it includes, but keeps its own first in the mapping.
        let own = high.ids.len();
        for include in includes {
            for (env, target) in self.resolve(&include, &origin, package) {
                if self.rendered.contains(&(env.clone(), target.clone())) {
                    continue;
                }
                self.way.push((include.at, target.clone()));
                let mut nested = self.render(&target, &env, Some(include.at));
                self.way.pop();
                for body in nested.ids.values_mut() {
                    body.included_from.push(sls.clone());
                }
                self.merge(&mut high, nested);
            }
        }
        if self.cx.opts.auto_order {
            for (_, body) in high.ids.iter_mut().take(own) {
                number(self.cx, &mut body.decls);
            }
        }
        high
    }

    fn failed(&mut self, sls: &Arc<str>, env: &Arc<str>, from: Option<At>, error: LoadError) {
        self.cx.incomplete = true;
        // Once is enough, however many files include it.
        self.rendered.insert((env.clone(), sls.clone()));
        let diagnostic = match error {
            LoadError::Failed(mut diagnostic) => {
                if !diagnostic.message.starts_with("Rendering SLS") {
                    diagnostic.message = format!("Rendering SLS '{env}:{sls}' failed: {}", diagnostic.message);
                }
                self.with_way(diagnostic, 0)
            }
            LoadError::NotFound => {
                let hint = self.suggestion(sls, env);
                let message = match from {
                    None => format!("No matching sls found for '{sls}' in env '{env}'"),
                    Some(_) => format!(
                        "Specified SLS {sls} in saltenv {env} is not available on the salt master or through a \
                         configured fileserver"
                    ),
                };
                let mut diagnostic = self.cx.diagnostic(message, from.unwrap_or_default()).maybe_hint(hint);
                let named = self.cx.opts.named_at.iter().find(|(e, name, _)| **e == **env && **name == **sls);
                if let (None, Some((_, _, label))) = (from, named) {
                    diagnostic.labels = vec![label.clone()];
                }
                self.with_way(diagnostic, 1)
            }
        };
        self.cx.errors.push(diagnostic);
    }

    /// Adds the includes that lead to the file at hand, the nearest first, but for some that are told already.
    fn with_way(&self, mut diagnostic: Diagnostic, told: usize) -> Diagnostic {
        for (at, sls) in self.way.iter().rev().skip(told) {
            diagnostic = diagnostic.at(self.cx.span(*at), format!("included here as `{sls}`"));
        }
        diagnostic
    }

    fn suggestion(&mut self, sls: &str, env: &Arc<str>) -> Option<String> {
        let loader = self.cx.loader;
        let known = self.list(env);
        did_you_mean(sls, known.iter().map(String::as_str))
            .or_else(|| {
                // A forgotten package: `nginx` for `web.nginx`.
                let end = format!(".{sls}");
                known.iter().find(|name| name.ends_with(&end)).map(|name| format!("did you mean `{name}`?"))
            })
            .or_else(|| {
                let roots = loader.roots(env);
                let gone = roots.iter().find(|root| !std::path::Path::new(root).is_dir());
                if let Some(gone) = gone {
                    return Some(format!("the file root {gone} of env '{env}' is no directory"));
                }
                let path = sls.replace('.', "/");
                (!roots.is_empty())
                    .then(|| format!("looked for {path}.sls and {path}/init.sls in {}", roots.join(", ")))
            })
    }

    /// Returns the environments and names that one include stands for.
    fn resolve(&mut self, include: &Include, origin: &Origin, package: bool) -> Vec<(Arc<str>, Arc<str>)> {
        let (sls, saltenv) = (&origin.sls, &origin.env);
        let (env, wanted) = match &include.value {
            Value::Map(map) => match map.iter().last() {
                Some((env, wanted)) => (Arc::from(py(env)), wanted.clone()),
                None => (saltenv.clone(), Value::Null),
            },
            plain => (saltenv.clone(), plain.clone()),
        };
        let mut wanted = match &wanted {
            Value::Str(text) if !text.is_empty() => text.to_string(),
            // A name of digits only, read as a number.
            Value::Int(number) => number.to_string(),
            other => {
                let found = corpus_core::python::repr(other);
                let message = format!("Badly formatted include {found} found in include in SLS '{saltenv}:{sls}'");
                let diagnostic =
                    self.cx.diagnostic(message, include.at).hint("an include is an SLS name, `- web.common`");
                self.cx.errors.push(diagnostic);
                return vec![];
            }
        };
        let xenv = &*env == "_xenv";
        if !xenv && !self.has_env(&env) {
            let message =
                format!("Nonexistent saltenv '{env}' found in include of '{wanted}' within SLS '{saltenv}:{sls}'");
            let hint = did_you_mean(&env, self.envs.iter().map(String::as_str))
                .or_else(|| Some(format!("`file_roots` has the environments: {}", self.envs.join(", "))));
            let diagnostic = self.cx.diagnostic(message, include.at).maybe_hint(hint);
            self.cx.errors.push(diagnostic);
            self.cx.incomplete = true;
            return vec![];
        }
        if wanted.starts_with('.') {
            let Some(absolute) = relative(&wanted, sls, package) else {
                let message = format!(
                    "Attempted relative include of '{wanted}' within SLS '{saltenv}:{sls}' goes beyond top level \
                     package "
                );
                let rest = wanted.trim_start_matches('.');
                let hint =
                    format!("`{sls}` has no package that far up; `{rest}` alone is looked for from the file roots");
                let diagnostic = self.cx.diagnostic(message, include.at).hint(hint);
                self.cx.errors.push(diagnostic);
                self.cx.incomplete = true;
                return vec![];
            };
            wanted = absolute;
        }
        let envs: Vec<Arc<str>> = if xenv {
            self.matched.clone().into_iter().filter(|env| self.knows(&wanted, env)).collect()
        } else if self.matched.contains(&env) || self.knows(&wanted, &env) {
            vec![env.clone()]
        } else {
            vec![]
        };
        let target = match envs.as_slice() {
            [one] => one.clone(),
            several if several.contains(saltenv) => saltenv.clone(),
            [] => {
                let where_ = if xenv { join(&self.matched) } else { env.to_string() };
                let message = format!(
                    "Unknown include: Specified SLS {env}: {wanted} is not available on the salt master in \
                     saltenv(s): {where_} "
                );
                let hint = self.suggestion(&wanted, &env);
                let diagnostic = self.cx.diagnostic(message, include.at).maybe_hint(hint);
                self.cx.errors.push(diagnostic);
                self.cx.incomplete = true;
                return vec![];
            }
            several => {
                let message = format!(
                    "Ambiguous include: Specified SLS {env}: {wanted} is available on the salt master in multiple \
                     available saltenvs: {}",
                    join(several)
                );
                self.cx.error(message, include.at);
                self.cx.incomplete = true;
                return vec![];
            }
        };
        self.matching(&wanted, &target).into_iter().map(|name| (target.clone(), name)).collect()
    }

    /// Returns the SLS names that a pattern stands for; a plain name, and a pattern without a match, stands for itself.
    fn matching(&mut self, wanted: &str, env: &Arc<str>) -> Vec<Arc<str>> {
        if is_pattern(wanted) {
            let names: Vec<Arc<str>> =
                self.list(env).iter().filter(|name| fnmatch(name, wanted)).map(|name| name.as_str().into()).collect();
            if !names.is_empty() {
                return names;
            }
        }
        vec![wanted.into()]
    }

    fn knows(&mut self, wanted: &str, env: &Arc<str>) -> bool {
        self.list(env).iter().any(|name| fnmatch(name, wanted))
    }

    fn has_env(&self, env: &str) -> bool {
        self.envs.is_empty() || self.envs.iter().any(|known| known == env || known == "__env__")
    }

    fn list(&mut self, env: &Arc<str>) -> &[String] {
        let loader = self.cx.loader;
        self.lists.entry(env.clone()).or_insert_with(|| loader.list(env))
    }

    /// Puts one file's high data into another's; IDs are globally unique.
    fn merge(&mut self, into: &mut High, from: High) {
        into.extends.extend(from.extends);
        into.excludes.extend(from.excludes);
        for (id, body) in from.ids {
            if let Some(first) = into.ids.get(&id) {
                let message = format!(
                    "Detected conflicting IDs, SLS IDs need to be globally unique.\n    The conflicting ID is '{}' \
                     and is found in SLS '{}:{}' and SLS '{}:{}'",
                    py(&id),
                    first.env,
                    first.sls,
                    body.env,
                    body.sls
                );
                let diagnostic = self
                    .cx
                    .diagnostic(message, body.at)
                    .at(self.cx.span(first.at), "the ID is also declared here")
                    .hint("rename one of the two, or `extend` the one from the other");
                self.cx.errors.push(diagnostic);
            }
            into.ids.insert(id, body);
        }
    }
}

/// Gives order numbers to declarations without one.
pub(crate) fn number(cx: &mut Cx, decls: &mut [crate::high::Decl]) {
    for decl in decls {
        if decl.state.starts_with('_') {
            continue;
        }
        if let Run::List(args) = &mut decl.run
            && !args.iter().any(|arg| arg.word() == Some("order"))
        {
            let at = At { file: decl.at.file, ..At::default() };
            args.push(Arg::Pairs(at, vec![Pair::new("order", Value::Int(cx.order), at)]));
            cx.order += 1;
        }
    }
}

/// Makes a relative include absolute; none if it goes beyond the top.
fn relative(wanted: &str, sls: &str, package: bool) -> Option<String> {
    let rest = wanted.trim_start_matches('.');
    let levels = wanted.len() - rest.len();
    let mut parts: Vec<&str> = sls.split('.').collect();
    if package {
        parts.push("init");
    }
    let kept = parts.len().checked_sub(levels)?;
    parts.truncate(kept);
    // A lone `.` is the package itself.
    if !rest.is_empty() {
        parts.push(rest);
    }
    Some(parts.join("."))
}

fn join(envs: &[Arc<str>]) -> String {
    envs.iter().map(|env| &**env).collect::<Vec<_>>().join(", ")
}
