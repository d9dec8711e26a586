//! `corpus lint`: what a run would refuse, and what it would do without a word, found before it. The SLS files are
//! rendered and compiled as a run does it; what was not rendered is read from the templates' syntax trees.

mod low;
pub mod rules;
mod source;
mod tree;

use crate::diagnose::{Failure, Kind};
use crate::loader::Loader;
use crate::session::{PillarFailure, Session};
use crate::{Corpus, TemplateCaller};
use corpus_compile::{CompileOptions, LoadError, Loaded, SlsLoader};
use corpus_core::{Diagnostic, Map, Severity, Span, Value};
use corpus_minion::{Local, LocalOptions};
use corpus_render::{FileRoots, RenderCx};
use rules::{Level, Rule};
use serde_json::json;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// What is to be looked at.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// SLS names; all of the tree, if there are none.
    pub names: Vec<String>,
    /// Leave out what lies in `test` and `tests`: a formula's own tests are no states.
    pub formula: bool,
    /// `pillar=`.
    pub pillar: Map,
    /// A formula's example, which is its pillar.
    pub example: Option<PathBuf>,
    pub grains_file: Option<PathBuf>,
}

/// One finding.
#[derive(Debug)]
pub struct Finding {
    pub rule: &'static Rule,
    pub level: Level,
    pub diagnostic: Diagnostic,
}

impl Finding {
    fn new(rule: &str, message: impl Into<String>, span: Span) -> Self {
        let rule = rules::find(rule);
        Self { rule, level: rule.level, diagnostic: Diagnostic::warning(message).at(span, "") }
    }

    fn hint(mut self, text: impl Into<String>) -> Self {
        self.diagnostic = self.diagnostic.hint(text);
        self
    }

    fn maybe_hint(mut self, text: Option<String>) -> Self {
        self.diagnostic = self.diagnostic.maybe_hint(text);
        self
    }

    /// Takes over what the renderer or the compiler said.
    fn of(diagnostic: Diagnostic) -> Self {
        let rule = rules::of_message(&diagnostic.message);
        Self { rule, level: rule.level, diagnostic }
    }

    /// Writes it for people.
    pub fn to_text(&self) -> String {
        let text = self.diagnostic.to_text(None);
        let message = text.split_once(": ").map_or(&*text, |(_, rest)| rest);
        let (level, rule) = (self.level.word(), self.rule.name);
        format!("{level}[{rule}]: {message}why: {} (docs/reference/lint.md#{rule})\n", self.rule.why)
    }

    /// Makes it for programs.
    pub fn to_json(&self) -> serde_json::Value {
        let place = |label: &corpus_core::Label| {
            let span = &label.span;
            json!({"file": &*span.file, "line": span.line, "column": span.col, "text": label.text, "excerpt": label.excerpt})
        };
        json!({
            "rule": self.rule.name,
            "level": self.level.word(),
            "message": self.diagnostic.message,
            "places": self.diagnostic.labels.iter().map(place).collect::<Vec<_>>(),
            "hints": self.diagnostic.hints,
            "why": self.rule.why,
            "doc": format!("docs/reference/lint.md#{}", self.rule.name),
        })
    }
}

/// Everything that the rules look into.
struct Lint<'a> {
    session: &'a Arc<Session>,
    loader: Kept<'a>,
    found: Vec<Finding>,
    seen: HashSet<(&'static str, String)>,
}

/// A loader that renders each SLS once, however many files include it.
struct Kept<'a> {
    loader: &'a Loader,
    kept: Mutex<BTreeMap<(String, String), Result<Loaded, LoadError>>>,
}

impl SlsLoader for Kept<'_> {
    fn load(&self, sls: &str, saltenv: &str) -> Result<Loaded, LoadError> {
        let key = (sls.to_owned(), saltenv.to_owned());
        if let Some(known) = crate::fileserver::lock(&self.kept).get(&key) {
            return known.clone();
        }
        let loaded = self.loader.load(sls, saltenv);
        crate::fileserver::lock(&self.kept).insert(key, loaded.clone());
        loaded
    }
    fn list(&self, saltenv: &str) -> Vec<String> {
        self.loader.list(saltenv)
    }
    fn envs(&self) -> Vec<String> {
        self.loader.envs()
    }
    fn roots(&self, saltenv: &str) -> Vec<String> {
        self.loader.roots(saltenv)
    }
    fn relocate(&self, span: &Span) -> Span {
        self.loader.relocate(span)
    }
    fn chain(&self, span: &Span) -> Vec<Span> {
        self.loader.chain(span)
    }
    fn line(&self, file: &str, line: u32) -> Option<Arc<str>> {
        self.loader.line(file, line)
    }
    fn rendered_line(&self, file: &str, line: u32) -> Option<Arc<str>> {
        self.loader.rendered_line(file, line)
    }
}

impl Corpus {
    /// Looks for mistakes in the state tree and the pillar, with the data of this machine; the worst findings come first
    /// in each file.
    pub fn lint(self: &Arc<Self>, request: &Request) -> Result<Vec<Finding>, Failure> {
        let minion = Box::new(Local::new(LocalOptions::new(self.config.cache_dir.clone())));
        let session = Session::new(self.clone(), self.config.id.clone(), minion);
        let session = Arc::new(session.with_grains_file(request.grains_file.clone()));
        // A template that writes is told of, not obeyed.
        session.dry.store(true, Ordering::Relaxed);
        let mut pillar = request.pillar.clone();
        if let Some(path) = &request.example {
            pillar = self.example(&session, path)?;
        }
        let (data, errors) = match session.data("base", None, &pillar) {
            Ok(data) => (data, vec![]),
            Err(PillarFailure::Failed(failure)) => return Err(failure),
            Err(PillarFailure::Errors(data, errors)) => (*data, errors),
        };
        let data = Arc::new(data);
        let loader = Loader::new(session.clone(), data.clone(), TemplateCaller::new(session.clone(), data));
        let loader = Kept { loader: &loader, kept: Mutex::default() };
        let mut lint = Lint { session: &session, loader, found: vec![], seen: HashSet::new() };
        let pillar_roots = self.pillar_engine.roots();
        for error in errors {
            let rule = rules::find("pillar");
            lint.add(pillar_roots, "base", Finding { rule, level: rule.level, diagnostic: error });
        }
        lint.all(request);
        let mut found = lint.found;
        found.sort_by(|a, b| {
            let place = |finding: &Finding| finding.diagnostic.span().map(|span| (span.file.clone(), span.line));
            place(a).cmp(&place(b)).then(b.level.cmp(&a.level))
        });
        Ok(found)
    }
}

impl Corpus {
    /// Renders a formula's `pillar.example`; one that is broken is told of, and left.
    fn example(self: &Arc<Self>, session: &Arc<Session>, path: &Path) -> Result<Map, Failure> {
        let name = source::shown(path);
        let fail = |why: String| Failure::new(Kind::Usage, format!("{name}: {why}"));
        let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        let data = Arc::new(session.bare_data("base")?);
        let caller = Arc::new(TemplateCaller::new(session.clone(), data.clone()));
        let rendered = self.engine.render_source(&text, &name, "jinja|yaml", &RenderCx::new(data, caller));
        match rendered.map(|rendered| rendered.node.to_value()) {
            Ok(Value::Map(pillar)) => Ok((*pillar).clone()),
            Ok(_) => Ok(Map::new()),
            Err(error) => {
                tracing::warn!("the pillar is empty: {}", error.to_text(None).trim_end().trim_start_matches("error: "));
                Ok(Map::new())
            }
        }
    }
}

impl Lint<'_> {
    fn corpus(&self) -> &Arc<Corpus> {
        &self.session.corpus
    }

    fn all(&mut self, request: &Request) {
        let corpus = self.corpus().clone();
        let roots = corpus.engine.roots();
        let whole = request.names.is_empty();
        let envs: Vec<String> = if whole { self.loader.envs() } else { vec!["base".into()] };
        for env in &envs {
            let names: Vec<String> = match whole {
                true => self.loader.list(env).into_iter().filter(|name| wanted(name, request.formula)).collect(),
                false => request.names.clone(),
            };
            self.compile(roots, env, &names);
            if whole {
                self.top(roots, env);
                self.shadowed_sls(roots, env, request.formula);
                self.unused_sls(roots, env, &names);
                self.templates(roots, env, request.formula);
            }
            self.sources(roots, env, whole, request.formula);
        }
        if whole {
            let pillar = corpus.pillar_engine.roots();
            for env in pillar.envs().map(str::to_owned).collect::<Vec<_>>() {
                self.pillar_sources(pillar, &env);
            }
        }
    }

    /// Compiles each SLS by itself, as `state.apply NAME` does.
    fn compile(&mut self, roots: &FileRoots, env: &str, names: &[String]) {
        let registry = &self.corpus().clone().registry;
        let strict = CompileOptions { strict: true, ..CompileOptions::default() };
        let lenient = CompileOptions::default();
        let mut errors = vec![];
        for name in names {
            let one = [name.clone()];
            let compiled = corpus_compile::compile_sls(&one, env, &self.loader, registry, &strict);
            let low = match compiled {
                Ok(compiled) => {
                    errors.extend(compiled.warnings);
                    Some(compiled.low)
                }
                Err(found) => {
                    errors.extend(found);
                    corpus_compile::compile_sls(&one, env, &self.loader, registry, &lenient).ok().map(|c| c.low)
                }
            };
            for chunk in low.iter().flat_map(|low| &low.chunks) {
                for finding in low::check(self, roots, chunk) {
                    self.add(roots, env, finding);
                }
            }
        }
        let declared = self.declared();
        for error in errors {
            let mut finding = Finding::of(error);
            if finding.diagnostic.severity == Severity::Warning {
                finding.level = finding.level.min(Level::Warning);
            }
            if finding.rule.name == "unknown-state" && finding.diagnostic.hints.is_empty() {
                finding =
                    finding.hint("it is not built into this corpus: `corpus sys.list_state_modules` names the modules");
            }
            if finding.rule.name == "requisite"
                && let Some(sls) = tree::named_elsewhere(&finding.diagnostic.message, &declared)
            {
                finding.rule = rules::find("foreign-requisite");
                finding.level = finding.rule.level;
                finding.diagnostic.hints = vec![format!("it is declared in `{sls}`, which is not included here")];
            }
            self.add(roots, env, finding);
        }
    }

    /// Collects the IDs and names of all that was rendered, bare and as `module: ID`, with the SLS of each.
    fn declared(&self) -> BTreeMap<String, String> {
        let kept = crate::fileserver::lock(&self.loader.kept);
        let loaded = kept.iter().filter_map(|((sls, _), loaded)| Some((sls, loaded.as_ref().ok()?)));
        let mut declared = BTreeMap::new();
        for (name, sls) in
            loaded.flat_map(|(sls, loaded)| tree::declared(&loaded.node).into_iter().map(move |id| (id, sls)))
        {
            declared.entry(name).or_insert_with(|| sls.clone());
        }
        declared
    }

    /// Adds a finding, once, with the place as a path of this machine, unless a comment takes it back.
    fn add(&mut self, roots: &FileRoots, env: &str, mut finding: Finding) {
        let place = finding.diagnostic.span().map(|span| format!("{}:{}:{}", span.file, span.line, span.col));
        let message = || finding.diagnostic.message.lines().next().unwrap_or_default().to_owned();
        let key = place.filter(|place| !place.ends_with(":0:0")).unwrap_or_else(message);
        if !self.seen.insert((finding.rule.name, key)) {
            return;
        }
        if finding.diagnostic.span().is_some_and(|span| source::allowed(roots, env, span, finding.rule.name)) {
            return;
        }
        for label in &mut finding.diagnostic.labels {
            if label.excerpt.is_none() && label.span.line > 0 {
                label.excerpt = source::line(roots, env, &label.span.file, label.span.line);
            }
            if let (0, Some(excerpt)) = (label.len, &label.excerpt) {
                label.len = source::word_len(excerpt, label.span.col);
            }
            if let Some(path) = source::path(roots, env, &label.span.file) {
                label.span.file = source::shown(&path).into();
            }
        }
        self.found.push(finding);
    }
}

/// Tells whether an SLS of a whole tree is to be looked at.
fn wanted(name: &str, formula: bool) -> bool {
    // Salt's own folders, `_modules` and its kin, hold no states.
    name != "top"
        && !name.starts_with('_')
        && !(formula && ["test.", "tests."].iter().any(|folder| name.starts_with(folder)))
}
