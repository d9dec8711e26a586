//! Pillar: what is known of a minion. The top file of each pillar environment says which SLS belong to it, their
//! rendered data is merged, other sources add theirs, and the command line's `pillar=` has the last word.
//!
//! Mistakes do not stop the rest: each is a `Diagnostic` here, and a line of Salt's wording under the pillar key
//! `_errors`, which state runs look for and refuse to go on.

pub mod arguments;
mod cache;
mod engine;
mod gather;
mod origin;
mod sls;
mod source;
pub mod sources;
mod top;
mod trust;

pub use cache::PillarCache;
pub use engine::EngineRenderer;
pub use gather::{Maker, Sources};
pub use origin::{Layer, Origin, Origins, Secrets, Story};
pub use source::{Ask, Given, Piece, PillarSource, Place, Secret, Sees};
pub use trust::{ByGrain, Trust};

use corpus_core::merge::{Strategy, merge};
use corpus_core::{Caller, Data, Diagnostic, Label, Map, Node, Pos, Span, Value};
use gather::Ahead;
use std::sync::Arc;

/// Makes who answers the calls of templates that see some data.
pub type Callers = Arc<dyn Fn(&Arc<Data>) -> Arc<dyn Caller> + Send + Sync>;

/// Whose pillar, and under which circumstances.
pub struct PillarRequest<'a> {
    /// The minion's id, grains and configuration; its `pillar` is what pillar templates and the top file see.
    pub data: Arc<Data>,
    /// Only this environment, if given.
    pub pillarenv: Option<String>,
    pub saltenv: String,
    /// What `pillar=` on the command line says.
    pub override_: Map,
    /// Further sources, Salt's external pillars.
    pub sources: &'a Sources,
    pub callers: Callers,
    /// Whether to keep where each value came from.
    pub explain: bool,
    /// Which grains may decide what the pillar holds.
    pub trust: Trust,
}

/// A minion's pillar and the mistakes that were met on the way.
#[derive(Clone, Debug, Default)]
pub struct PillarResult {
    pub pillar: Map,
    pub errors: Vec<Diagnostic>,
    /// Which values must not be shown.
    pub secrets: Secrets,
    /// Where the values came from, if that was asked for.
    pub origins: Origins,
    /// What the minion has only because of grains that are not trusted.
    pub by_grain: Vec<ByGrain>,
}

/// A rendered pillar SLS or top file.
#[derive(Clone)]
pub struct Rendered {
    pub node: Node,
    /// Tells where in the user's file a position of the node is.
    pub locate: Arc<dyn Fn(Pos) -> Span + Send + Sync>,
    /// Returns a line of a template, for excerpts.
    pub line: Arc<SourceLine>,
}

/// A file and a line's number to the line.
pub type SourceLine = dyn Fn(&str, u32) -> Option<Arc<str>>;

impl Rendered {
    /// Adds the place of a node to a message, with its line.
    pub(crate) fn show(&self, diagnostic: Diagnostic, node: &Node, text: &str) -> Diagnostic {
        let len = node.as_str().map_or(0, |text| text.chars().count());
        diagnostic.at((self.locate)(node.pos), text).len(len).with_excerpts(&*self.line)
    }
}

/// Finds and renders the files of the pillar roots.
pub trait PillarRenderer {
    /// Names the environments of `pillar_roots`.
    fn envs(&self) -> Vec<String>;
    /// Names every SLS of an environment.
    fn list(&self, env: &str) -> Vec<String>;
    /// Returns the path of an SLS relative to the roots, if it exists.
    fn find(&self, sls: &str, env: &str) -> Option<String>;
    /// Renders an SLS; `vars` are further variables (an include's `defaults`).
    fn render(&self, sls: &str, env: &str, vars: &Map, data: &Arc<Data>) -> Result<Rendered, Diagnostic>;
    /// Renders the top file of an environment, if it has one.
    fn render_top(&self, file: &str, env: &str, data: &Arc<Data>) -> Option<Result<Rendered, Diagnostic>>;
}

/// Compiles the pillar of one minion: Salt's `Pillar.compile_pillar`.
pub fn compile_pillar(request: &PillarRequest<'_>, renderer: &dyn PillarRenderer) -> PillarResult {
    let ahead = Ahead::start(request);
    let mut run = Run::new(request, renderer);
    let (mut pillar, top_errors) =
        if request.sources.first { run.sources_first(ahead) } else { run.files_first(ahead) };
    run.messages.extend(top_errors);
    if run.opt("pillar_opts").is_some_and(Value::truthy) {
        pillar.insert("master", request.data.opts.clone());
    }
    if !run.messages.is_empty() {
        pillar.insert("_errors", run.messages.clone());
    }
    if !request.override_.is_empty() {
        pillar = run.merge(pillar, &request.override_);
        run.layer(|| Layer::of_source("the command line's pillar=", request.override_.clone().into()));
    }
    let origins = Origins::new(run.layers, run.strategy, run.merge_lists);
    PillarResult { pillar, errors: run.diagnostics, secrets: run.secret, origins, by_grain: run.by_grain }
}

/// One compilation.
struct Run<'a> {
    request: &'a PillarRequest<'a>,
    renderer: &'a dyn PillarRenderer,
    strategy: Strategy,
    merge_lists: bool,
    /// Only this environment, if one was asked for.
    pillarenv: Option<String>,
    /// Environments that exist, `base` first.
    envs: Vec<String>,
    /// SLS names that may be missing, with their environment.
    ignored: Vec<(String, String)>,
    /// Where the top files name an environment's SLS, for messages on those that are missing.
    named_at: Vec<(String, String, Label)>,
    /// Salt's words for what went wrong.
    messages: Vec<String>,
    diagnostics: Vec<Diagnostic>,
    doubtful: Vec<top::Doubtful>,
    by_grain: Vec<ByGrain>,
    secret: Secrets,
    /// What was merged, in order; kept for explanations only.
    layers: Vec<Layer>,
    /// The parts of the SLS at hand, in the order in which they are merged.
    pieces: Vec<Piece>,
    /// The minion's data as templates and the top file see it.
    data: Arc<Data>,
}

impl<'a> Run<'a> {
    fn new(request: &'a PillarRequest<'a>, renderer: &'a dyn PillarRenderer) -> Self {
        let mut diagnostics = Vec::new();
        let opts = &request.data.opts;
        let strategy = match opts.get("pillar_source_merging_strategy").and_then(Value::as_str) {
            None => Strategy::Smart,
            Some(word) => Strategy::of(word).unwrap_or_else(|| {
                diagnostics.push(
                    Diagnostic::warning(format!("Unknown merging strategy '{word}', fallback to recurse"))
                        .hint("pillar_source_merging_strategy is one of: smart, recurse, aggregate, overwrite, none"),
                );
                Strategy::Recurse
            }),
        };
        let from_saltenv = opts.get("pillarenv_from_saltenv").is_some_and(Value::truthy);
        let pillarenv = request.pillarenv.clone().or_else(|| from_saltenv.then(|| request.saltenv.clone()));
        let mut envs = vec!["base".to_owned()];
        for env in renderer.envs() {
            // Salt: `__env__` stands for whatever environment is asked for.
            let env = match &pillarenv {
                Some(asked) if env == "__env__" => asked.clone(),
                None if env == "__env__" => request.saltenv.clone(),
                _ => env,
            };
            if !envs.contains(&env) {
                envs.push(env);
            }
        }
        // Salt: after an unknown word lists are replaced, whatever is set.
        let merge_lists = opts.get("pillar_merge_lists").is_some_and(Value::truthy) && diagnostics.is_empty();
        Self {
            request,
            renderer,
            strategy,
            merge_lists,
            pillarenv,
            envs,
            ignored: vec![],
            named_at: vec![],
            messages: vec![],
            diagnostics,
            doubtful: vec![],
            by_grain: vec![],
            secret: Secrets::default(),
            layers: vec![],
            pieces: vec![],
            data: request.data.clone(),
        }
    }

    /// The files, and the sources over them.
    fn files_first(&mut self, ahead: Ahead) -> (Map, Vec<String>) {
        let tops = self.read_tops();
        let top = self.top(tops);
        let top_errors = std::mem::take(&mut self.messages);
        let mut pillar = self.files(&top);
        if !self.request.sources.list.is_empty() && !self.request.override_.is_empty() {
            pillar = self.merge(pillar, &self.request.override_);
        }
        (self.other_sources(pillar, ahead), top_errors)
    }

    /// The sources, and the files over them: these see what those gave.
    fn sources_first(&mut self, ahead: Ahead) -> (Map, Vec<String>) {
        let tops = self.read_tops();
        let top_errors = std::mem::take(&mut self.messages);
        let given = self.other_sources(self.request.override_.clone(), ahead);
        Arc::make_mut(&mut self.data).pillar = Value::map(given.clone());
        let top = self.top(tops);
        let files = self.files(&top);
        (self.merge(given, &files), top_errors)
    }

    /// Keeps a layer, if an explanation is wanted.
    fn layer(&mut self, layer: impl FnOnce() -> Layer) {
        if self.request.explain {
            let layer = layer();
            self.layers.push(layer);
        }
    }

    fn opt(&self, name: &str) -> Option<&Value> {
        self.request.data.opts.get(name)
    }

    fn merge(&self, base: Map, over: &Map) -> Map {
        merge(base, over, self.strategy, self.merge_lists)
    }

    /// Notes a mistake: Salt's words for the pillar, ours for people.
    fn fail(&mut self, message: impl Into<String>, diagnostic: Diagnostic) {
        self.messages.push(message.into());
        self.diagnostics.push(diagnostic);
    }
}
