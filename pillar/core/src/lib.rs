//! Pillar: what is known of a minion. The top file of each pillar environment says which SLS belong to it, their
//! rendered data is merged, other sources add theirs, and the command line's `pillar=` has the last word.
//!
//! Mistakes do not stop the rest: each is a `Diagnostic` here, and a line of Salt's wording under the pillar key
//! `_errors`, which state runs look for and refuse to go on.

mod engine;
mod sls;
mod top;

pub use engine::EngineRenderer;

use corpus_core::merge::{Strategy, merge};
use corpus_core::{Data, Diagnostic, Label, Map, Node, Pos, Span, Value};
use std::sync::Arc;

/// Whose pillar, and under which circumstances.
pub struct PillarRequest<'a> {
    /// The minion's id, grains and configuration; its `pillar` is what pillar templates and the top file see.
    pub data: Arc<Data>,
    /// Only this environment, if given.
    pub pillarenv: Option<String>,
    pub saltenv: String,
    /// What `pillar=` on the command line says.
    pub override_: Map,
    /// Further sources (Salt's external pillars), merged in this order over the files.
    pub sources: &'a [&'a dyn PillarSource],
}

/// A minion's pillar and the mistakes that were met on the way.
#[derive(Clone, Debug, Default)]
pub struct PillarResult {
    pub pillar: Map,
    pub errors: Vec<Diagnostic>,
}

/// A source of pillar besides the SLS files: a directory server, a program, a database.
pub trait PillarSource: Send + Sync {
    /// Its name, for messages.
    fn name(&self) -> &str;
    /// Returns its part of the minion's pillar; `so_far` is what the files and earlier sources gave.
    fn load(&self, data: &Data, so_far: &Map) -> Result<Map, Diagnostic>;
}

/// A rendered pillar SLS or top file.
pub struct Rendered {
    pub node: Node,
    /// Tells where in the user's file a position of the node is.
    pub locate: Arc<dyn Fn(Pos) -> Span>,
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

/// Compiles the pillar of one minion.
pub fn compile_pillar(request: &PillarRequest<'_>, renderer: &dyn PillarRenderer) -> PillarResult {
    let mut run = Run::new(request, renderer);
    let top = run.top();
    let top_errors = std::mem::take(&mut run.messages);
    let mut pillar = run.files(&top);
    pillar = run.other_sources(pillar);
    run.messages.extend(top_errors);
    if !run.messages.is_empty() {
        pillar.insert("_errors", run.messages.clone());
    }
    if !request.override_.is_empty() {
        pillar = run.merge(pillar, &request.override_);
    }
    PillarResult { pillar, errors: run.diagnostics }
}

/// One compilation.
struct Run<'a> {
    request: &'a PillarRequest<'a>,
    renderer: &'a dyn PillarRenderer,
    strategy: Strategy,
    merge_lists: bool,
    /// Environments that exist, `base` first.
    envs: Vec<String>,
    /// SLS names that may be missing, with their environment.
    ignored: Vec<(String, String)>,
    /// Where the top files name an environment's SLS, for messages on those that are missing.
    named_at: Vec<(String, String, Label)>,
    /// Salt's words for what went wrong.
    messages: Vec<String>,
    diagnostics: Vec<Diagnostic>,
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
        let mut envs = vec!["base".to_owned()];
        for env in renderer.envs() {
            // Salt: `__env__` stands for whatever environment is asked for.
            let env = match &request.pillarenv {
                Some(asked) if env == "__env__" => asked.clone(),
                None if env == "__env__" => request.saltenv.clone(),
                _ => env,
            };
            if !envs.contains(&env) {
                envs.push(env);
            }
        }
        let merge_lists = opts.get("pillar_merge_lists").is_some_and(Value::truthy);
        Self {
            request,
            renderer,
            strategy,
            merge_lists,
            envs,
            ignored: vec![],
            named_at: vec![],
            messages: vec![],
            diagnostics,
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

    fn other_sources(&mut self, mut pillar: Map) -> Map {
        if !self.request.sources.is_empty() && !self.request.override_.is_empty() {
            pillar = self.merge(pillar, &self.request.override_);
        }
        for source in self.request.sources {
            match source.load(&self.request.data, &pillar) {
                Ok(more) => pillar = self.merge(pillar, &more),
                Err(why) => {
                    self.fail(format!("Failed to load ext_pillar {}: {}", source.name(), why.message), why);
                }
            }
        }
        pillar
    }
}
