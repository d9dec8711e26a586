//! The pillar's top files: which SLS belong to a minion, by environment.

use crate::{Rendered, Run};
use corpus_core::target::{Target, TargetKind};
use corpus_core::{Diagnostic, Label, Map, Node, Severity, Value, suggest};

/// The SLS names that a minion has, by environment, in the order in which they are merged.
pub type Matches = Vec<(String, Vec<String>)>;

/// A target of a merged top file.
pub(crate) struct Entry {
    target: String,
    kind: String,
    order: i64,
    names: Vec<String>,
    /// A message without words, with the target's place and that of its `match`.
    whence: Diagnostic,
}

/// An SLS that a minion has only by what it says of itself.
pub(crate) struct Doubtful {
    pub env: String,
    pub sls: String,
    pub grain: String,
    pub place: Option<Label>,
}

const MALFORMED: &str = "Error encountered while rendering pillar top file.";

impl Run<'_> {
    /// Reads all top files.
    pub(crate) fn read_tops(&mut self) -> Vec<(String, Vec<Entry>)> {
        let mut merged: Vec<(String, Vec<Entry>)> = Vec::new();
        for (_, rendered) in self.top_files() {
            if !self.merge_top(&rendered, &mut merged) {
                return vec![];
            }
        }
        merged
    }

    /// Returns what the top files give this minion.
    pub(crate) fn top(&mut self, merged: Vec<(String, Vec<Entry>)>) -> Matches {
        let mut matches: Matches = Vec::new();
        let mut sure: Vec<(String, String)> = Vec::new();
        for (env, mut entries) in merged {
            if self.pillarenv.as_ref().is_some_and(|only| *only != env) {
                continue;
            }
            entries.sort_by_key(|entry| entry.order);
            for entry in entries {
                let Some(doubtful) = self.is_meant(&entry) else { continue };
                for name in &entry.names {
                    match &doubtful {
                        Some(grain) => self.doubtful.push(Doubtful {
                            env: env.clone(),
                            sls: name.clone(),
                            grain: grain.clone(),
                            place: entry.whence.labels.first().cloned(),
                        }),
                        None => sure.push((env.clone(), name.clone())),
                    }
                }
                let at = matches.iter().position(|(known, _)| *known == env).unwrap_or_else(|| {
                    matches.push((env.clone(), vec![]));
                    matches.len() - 1
                });
                for name in entry.names {
                    if !matches[at].1.contains(&name) {
                        matches[at].1.push(name);
                    }
                }
            }
        }
        self.doubtful.retain(|one| !sure.iter().any(|(env, sls)| *env == one.env && *sls == one.sls));
        self.in_env_order(matches)
    }

    /// Renders the top file of each environment, and what those include.
    fn top_files(&mut self) -> Vec<(String, Rendered)> {
        let asked: Vec<String> = match &self.pillarenv {
            Some(env) => self.envs.iter().filter(|known| *known == env).cloned().collect(),
            None if self.strategy == corpus_core::merge::Strategy::None => {
                let only = if self.request.saltenv.is_empty() { "base" } else { &self.request.saltenv };
                self.envs.iter().filter(|env| *env == only).cloned().collect()
            }
            None => self.envs.clone(),
        };
        let file = self.opt("state_top").and_then(Value::as_str).unwrap_or("top.sls").to_owned();
        let mut tops: Vec<(String, Rendered)> = Vec::new();
        for env in asked {
            match self.renderer.render_top(&file, &env, &self.data) {
                None => {}
                Some(Ok(rendered)) => tops.push((env, rendered)),
                Some(Err(why)) => {
                    self.fail(format!("Rendering Primary Top file failed, render error:\n{}", why.message), why);
                }
            }
        }
        let mut done: Vec<(String, String)> = Vec::new();
        let mut next = 0;
        while next < tops.len() {
            let (env, rendered) = tops[next].clone();
            let included = rendered.node.get("include").and_then(Node::as_seq).unwrap_or(&[]);
            let names: Vec<String> = included.iter().filter_map(|n| n.as_str().map(str::to_owned)).collect();
            for name in names {
                let known = (env.clone(), name);
                if done.contains(&known) {
                    continue;
                }
                if self.renderer.find(&known.1, &env).is_none() {
                    self.no_included_top(&rendered, &known.1, &env);
                    done.push(known);
                    continue;
                }
                match self.renderer.render(&known.1, &env, &Map::new(), &self.data) {
                    Ok(rendered) => tops.push((env.clone(), rendered)),
                    Err(why) => {
                        let message = format!("Rendering Top file {} failed, render error:\n{}", known.1, why.message);
                        self.fail(message, why);
                    }
                }
                done.push(known);
            }
            next += 1;
        }
        tops
    }

    /// Salt passes over what a top file includes and is not there, without a word.
    fn no_included_top(&mut self, rendered: &Rendered, name: &str, env: &str) {
        let known = self.renderer.list(env);
        let hint = suggest::did_you_mean(name, known.iter().map(String::as_str));
        let message = format!("the pillar top file includes '{name}', which environment '{env}' does not have");
        let included = rendered.node.get("include").and_then(Node::as_seq).unwrap_or(&[]);
        let node = included.iter().find(|node| node.as_str() == Some(name)).unwrap_or(&rendered.node);
        self.diagnostics.push(rendered.show(Diagnostic::warning(message), node, "").maybe_hint(hint));
    }

    /// Adds the targets of one top file; returns whether it has the shape of one.
    fn merge_top(&mut self, rendered: &Rendered, merged: &mut Vec<(String, Vec<Entry>)>) -> bool {
        if rendered.node.is_null() {
            return true;
        }
        let malformed = |node: &Node, wanted: &str| {
            let message = format!("the pillar top file is malformed: expected {wanted}, found {}", node.type_name());
            rendered
                .show(Diagnostic::error(message), node, "")
                .hint("a top file reads `base:`, below it targets, below each a list of SLS names")
        };
        let Some(envs) = rendered.node.as_map() else {
            self.fail(MALFORMED, malformed(&rendered.node, "a mapping of environments"));
            return false;
        };
        for (env, targets) in envs.iter().filter(|(env, _)| env.as_str() != Some("include")) {
            let env = corpus_core::python::str(&env.to_value());
            let Some(targets) = targets.as_map() else {
                self.fail(MALFORMED, malformed(targets, "a mapping of targets"));
                return false;
            };
            for (target, items) in targets {
                let Some(items) = items.as_seq() else {
                    self.fail(MALFORMED, malformed(items, "a list of SLS names"));
                    return false;
                };
                let mut entry = Entry {
                    target: corpus_core::python::str(&target.to_value()),
                    kind: "compound".into(),
                    order: 0,
                    names: vec![],
                    whence: rendered.show(Diagnostic::error(""), target, ""),
                };
                let mut may_miss = false;
                for item in items {
                    if let Some(name) = item.as_str() {
                        entry.names.push(name.to_owned());
                        if self.renderer.find(name, &env).is_none() {
                            let place = rendered.show(Diagnostic::error(""), item, "").labels.into_iter().next();
                            self.named_at.extend(place.map(|label| (env.clone(), name.to_owned(), label)));
                        }
                    }
                    if let Some(kind) = item.get("match") {
                        entry.kind = corpus_core::python::str(&kind.to_value());
                        if TargetKind::of(&entry.kind).is_none() {
                            entry.whence = rendered.show(Diagnostic::error(""), kind, "");
                        }
                    }
                    if let Some(order) = item.get("order").map(Node::to_value) {
                        entry.order =
                            order.as_int().or_else(|| order.as_str()?.trim().parse().ok()).unwrap_or_default();
                    }
                    may_miss |= item.get("ignore_missing").is_some_and(|n| n.to_value().truthy());
                }
                if may_miss {
                    self.ignored.extend(entry.names.iter().map(|name| (env.clone(), name.clone())));
                }
                let at = merged.iter().position(|(known, _)| *known == env).unwrap_or_else(|| {
                    merged.push((env.clone(), vec![]));
                    merged.len() - 1
                });
                // A later top file's word on the same target replaces an earlier one's, in its place.
                match merged[at].1.iter_mut().find(|known| known.target == entry.target) {
                    Some(known) => *known = entry,
                    None => merged[at].1.push(entry),
                }
            }
        }
        true
    }

    /// Tells whether the minion is meant, and by which grain that is not trusted.
    fn is_meant(&mut self, entry: &Entry) -> Option<Option<String>> {
        let none = Map::new();
        let nodegroups = self.opt("nodegroups").and_then(Value::as_map).unwrap_or(&none).clone();
        let target = match TargetKind::of(&entry.kind) {
            Some(kind) => Target::parse(&entry.target, kind, &nodegroups),
            None => {
                let hint = suggest::did_you_mean(&entry.kind, TargetKind::words());
                let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                Err(format!("Attempting to match with unknown matcher: {}{hint}", entry.kind))
            }
        };
        match target {
            Ok(target) => {
                let doubtful = target.grains().into_iter().find(|grain| !self.request.trust.of(grain));
                let doubtful = doubtful.map(str::to_owned);
                if let Some(grain) = doubtful.as_ref().filter(|_| self.request.trust.strict) {
                    let message =
                        format!("pillar top file: target '{}': the grain `{grain}` is not trusted", entry.target);
                    let hint =
                        "`pillar_trusted_grains` in the configuration names the grains that the pillar may depend on";
                    self.diagnostics
                        .push(Diagnostic { message, severity: Severity::Warning, ..entry.whence.clone() }.hint(hint));
                }
                target.matches(&self.data).then_some(doubtful)
            }
            // Salt logs it, matches nothing and leaves no word in the pillar: states would run with a part of theirs.
            Err(why) => {
                let message = format!("pillar top file: target '{}': {why}", entry.target);
                self.diagnostics.push(Diagnostic { message, ..entry.whence.clone() });
                None
            }
        }
    }

    /// Puts the environments in the order of `env_order`, the last of which wins; others follow.
    fn in_env_order(&self, mut matches: Matches) -> Matches {
        let order: Vec<&str> =
            self.opt("env_order").and_then(Value::as_list).unwrap_or(&[]).iter().filter_map(Value::as_str).collect();
        matches.sort_by_key(|(env, _)| order.iter().position(|known| known == env).unwrap_or(usize::MAX));
        matches
    }
}
