//! Rules on the tree as a whole: the top file, SLS that nobody reaches or that hide each other, and templates as they are
//! written.

use super::{Finding, Lint, source, wanted};
use corpus_compile::SlsLoader;
use corpus_core::{Caller, Node, Span, glob, suggest};
use corpus_render::{FileRoots, outline};
use std::collections::{BTreeMap, HashSet};

/// Names what an SLS declares, IDs and names given as arguments: each bare, and as `module: ID`.
pub(super) fn declared(node: &Node) -> Vec<String> {
    let mut found = vec![];
    for (id, body) in node.as_map().unwrap_or_default() {
        let Some(id) = id.as_str().filter(|id| !["include", "extend", "exclude"].contains(id)) else { continue };
        found.push(id.to_owned());
        let module = |state: &Node| state.as_str().map(|state| state.split('.').next().unwrap_or_default().to_owned());
        found.extend(module(body).map(|module| format!("{module}: {id}")));
        for (state, args) in body.as_map().unwrap_or_default() {
            let mut names = vec![id];
            for arg in args.as_seq().unwrap_or_default() {
                names.extend(arg.get("name").and_then(Node::as_str));
                let several = arg.get("names").and_then(Node::as_seq).unwrap_or_default();
                names.extend(several.iter().filter_map(Node::as_str));
            }
            let module = module(state).unwrap_or_default();
            found.extend(names.into_iter().map(|name| format!("{module}: {name}")));
        }
    }
    found
}

/// Returns the SLS that declares what a message about a requisite or an `extend` misses.
pub(super) fn named_elsewhere(message: &str, declared: &BTreeMap<String, String>) -> Option<String> {
    let first = message.lines().next()?;
    let of_requisite = first.split_once(": (").and_then(|(_, rest)| rest.split_once(")]"));
    let of_listen = first.strip_prefix("Referenced state ").and_then(|rest| rest.split_once(" does not exist"));
    if let Some((pair, _)) = of_requisite.or(of_listen) {
        return match pair.strip_prefix("sls: ") {
            Some(target) => declared.values().find(|sls| *sls == target).cloned(),
            None => declared.get(pair).cloned(),
        };
    }
    declared.get(first.strip_prefix("Cannot extend ID '")?.split_once('\'')?.0).cloned()
}

impl Lint<'_> {
    /// Names of the top file that are not there.
    pub(super) fn top(&mut self, roots: &FileRoots, env: &str) {
        let top = self.corpus().config.text("state_top").map_or("top", |name| name.trim_end_matches(".sls")).to_owned();
        let loaded = match self.loader.load(&top, env) {
            Ok(loaded) => loaded,
            Err(corpus_compile::LoadError::NotFound) => return,
            Err(corpus_compile::LoadError::Failed(error)) => return self.add(roots, env, Finding::of(error)),
        };
        let known = self.loader.list(env);
        for (section, targets) in loaded.node.as_map().unwrap_or_default() {
            if section.as_str() != Some(env) {
                continue;
            }
            for item in
                targets.as_map().unwrap_or_default().iter().flat_map(|(_, names)| names.as_seq().unwrap_or_default())
            {
                let Some(name) = item.as_str() else { continue };
                if known.iter().any(|sls| sls == name || glob::matches(name, sls)) {
                    continue;
                }
                let span = self.loader.relocate(&Span::new(loaded.file.clone(), item.pos));
                let hint = suggest::did_you_mean(name, known.iter().map(String::as_str));
                let message = format!("the top file names the SLS '{name}', which env '{env}' has not");
                self.add(roots, env, Finding::new("missing-sls", message, span).maybe_hint(hint));
            }
        }
    }

    /// `a.sls` beside `a/init.sls`.
    pub(super) fn shadowed_sls(&mut self, roots: &FileRoots, env: &str, formula: bool) {
        let files: HashSet<String> = roots.list_files(env, "").into_iter().collect();
        for file in files.iter().filter_map(|file| file.strip_suffix("/init.sls")) {
            let first = format!("{file}.sls");
            if files.contains(&first) && wanted(&file.replace('/', "."), formula) {
                let message =
                    format!("`{first}` hides `{file}/init.sls`: both are the SLS `{}`", file.replace('/', "."));
                let span = Span::new(format!("{file}/init.sls"), corpus_core::Pos::new(1, 1));
                self.add(roots, env, Finding::new("shadowed-sls", message, span));
            }
        }
    }

    /// SLS that no text of the tree names. Without a top file nobody can tell.
    pub(super) fn unused_sls(&mut self, roots: &FileRoots, env: &str, names: &[String]) {
        if roots.find("top.sls", env).is_none() {
            return;
        }
        let words = |text: &str| -> Vec<String> {
            let part = |c: char| !(c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '*' | '?'));
            text.split(part).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        let all = self.loader.list(env);
        let mut named: HashSet<String> = HashSet::new();
        let mut patterns = vec![];
        for sls in &all {
            let Some((path, _)) = roots.sls_path(sls, env) else { continue };
            for word in words(&std::fs::read_to_string(path).unwrap_or_default()) {
                if word.contains(['*', '?']) && word.contains(|c: char| c.is_alphanumeric()) {
                    patterns.push(word.clone());
                }
                // A relative name, `.server`, may mean any SLS that ends so; an SLS does not name itself.
                let word = word.trim_matches('.');
                if word != sls && !sls.ends_with(&format!(".{word}")) {
                    named.insert(word.to_owned());
                }
            }
        }
        for sls in names {
            let ends = sls.match_indices('.').map(|(i, _)| &sls[i + 1..]);
            let mut ways = std::iter::once(&**sls).chain(ends);
            let reached =
                ways.any(|way| named.contains(way)) || patterns.iter().any(|pattern| glob::matches(pattern, sls));
            if !reached && let Some((_, file)) = roots.sls_path(sls, env) {
                let message = format!("nothing in the tree names the SLS `{sls}`");
                self.add(roots, env, Finding::new("unused-sls", message, Span::new(file, corpus_core::Pos::new(1, 1))));
            }
        }
    }

    /// What templates mention, on all their branches.
    pub(super) fn templates(&mut self, roots: &FileRoots, env: &str, formula: bool) {
        for file in roots.list_files(env, "") {
            let ends = [".sls", ".jinja", ".jinja2", ".j2"].iter().any(|end| file.ends_with(end));
            if ends && wanted(&file.replace('/', "."), formula) {
                self.template(roots, env, &file);
            }
        }
    }

    /// What one template mentions.
    pub(super) fn template(&mut self, roots: &FileRoots, env: &str, file: &str) {
        let Some(text) = roots.find(file, env).and_then(|path| std::fs::read_to_string(path).ok()) else { return };
        // `#!yaml` is no template, whatever stands in it.
        let pipe = text.strip_prefix("#!").filter(|rest| !rest.starts_with('/'));
        if pipe.is_some_and(|pipe| !pipe.lines().next().unwrap_or_default().contains("jinja")) {
            return;
        }
        let sls = file.ends_with(".sls");
        let read = match outline::outline(file, &text) {
            Ok(read) => read,
            // The renderer tells of an SLS.
            Err(_) if sls => return,
            Err(error) => {
                let rule = super::rules::find("jinja-syntax");
                return self.add(roots, env, Finding { rule, level: rule.level, diagnostic: error });
            }
        };
        let mut found = vec![];
        for (what, name, span) in read.unknown {
            let hint = suggest::did_you_mean(&name, outline::known(what).iter().copied());
            found.push(Finding::new("unknown-filter", format!("No {what} named '{name}'"), span).maybe_hint(hint));
        }
        for (name, span) in read.shadowed {
            found.push(Finding::new("shadowed-name", format!("`{name}` is set here"), span));
        }
        for (name, span) in read.templates.into_iter().filter(|(name, _)| !name.starts_with('.')) {
            let name = name.trim_start_matches("salt://").to_owned();
            if roots.find(&name, env).is_none() {
                let files = roots.list_files(env, "");
                let hint = suggest::did_you_mean(&name, files.iter().map(String::as_str));
                let message = format!("there is no template `{name}`");
                found.push(Finding::new("missing-template", message, span).maybe_hint(hint));
            }
        }
        for (name, span) in read.calls {
            found.extend(self.call(&name, span));
        }
        if sls {
            for (name, span) in read.undefined {
                found.push(Finding::new("undefined-variable", format!("nothing here sets `{name}`"), span));
            }
            for (name, span) in read.unused_imports {
                found.push(Finding::new("unused-import", format!("`{name}` is imported and not used"), span));
            }
        }
        for finding in found {
            self.add(roots, env, finding);
        }
    }

    /// A function that is nearly another.
    fn call(&self, name: &str, span: Span) -> Option<Finding> {
        let caller = self.caller();
        if caller.has(name) {
            return None;
        }
        let names = caller.names();
        let (module, _) = name.split_once('.')?;
        // Of a module that is not there, another system's, any name would be near.
        names.iter().find(|known| known.split('.').next() == Some(module))?;
        let hint = suggest::did_you_mean(name, names.iter().map(String::as_str))?;
        Some(Finding::new("unknown-call", format!("there is no function `{name}`"), span).hint(hint))
    }

    fn caller(&self) -> impl Caller {
        crate::TemplateCaller::new(self.session.clone(), std::sync::Arc::default())
    }

    /// Rules on the texts of the SLS files: all, or those that were rendered.
    pub(super) fn sources(&mut self, roots: &FileRoots, env: &str, whole: bool, formula: bool) {
        let names: Vec<String> = match whole {
            true => self.loader.list(env).into_iter().filter(|name| wanted(name, formula)).collect(),
            false => {
                let kept = crate::fileserver::lock(&self.loader.kept);
                kept.keys().filter(|(_, of)| of == env).map(|(sls, _)| sls.clone()).collect()
            }
        };
        for sls in names {
            let Some((_, file)) = roots.sls_path(&sls, env) else { continue };
            if !whole {
                self.template(roots, env, &file);
            }
            for finding in source::secrets(roots, env, &file) {
                self.add(roots, env, finding);
            }
        }
    }

    /// The same for the pillar, which is where secrets belong, if encrypted.
    pub(super) fn pillar_sources(&mut self, roots: &FileRoots, env: &str) {
        for sls in roots.list_sls(env) {
            let Some((_, file)) = roots.sls_path(&sls, env) else { continue };
            for mut finding in source::secrets(roots, env, &file) {
                finding.level = super::Level::Info;
                self.add(roots, env, finding);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_who_declares_what_is_missing() {
        let node =
            corpus_core::yaml::parse("nginx:\n  pkg.installed:\n    - name: nginx-full\ninclude: [x]\n").unwrap();
        let names = declared(&node);
        assert_eq!(names, ["nginx", "pkg: nginx", "pkg: nginx-full"]);
        let known: BTreeMap<String, String> = names.into_iter().map(|name| (name, "web".to_owned())).collect();
        for (message, expected) in [
            ("Referenced state does not exist for requisite [require: (pkg: nginx)] in state [a] in SLS [b]", true),
            ("Referenced state does not exist for requisite [require: (file: nginx)] in state [a] in SLS [b]", false),
            ("Referenced state does not exist for requisite [require: (sls: web)] in state [a] in SLS [b]", true),
            ("Referenced state pkg: nginx does not exist", true),
            ("Cannot extend ID 'nginx' in 'base:b'. It is not part of the high state.\nmore", true),
        ] {
            assert_eq!(named_elsewhere(message, &known).is_some(), expected, "{message}");
        }
    }
}
