//! SLS files as the compiler asks for them: rendered for one minion, each once, with the way back from a
//! rendered line to the line that was written.

use crate::TemplateCaller;
use crate::fileserver::lock;
use crate::session::Session;
use crate::timings::Part;
use corpus_compile::{LoadError, Loaded, SlsLoader};
use corpus_core::{Data, Diagnostic, Map, Span};
use corpus_render::{Engine, RenderCx, RenderedSls};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Renders the SLS files of one minion.
pub struct Loader {
    engine: Engine,
    session: Arc<Session>,
    data: Arc<Data>,
    caller: Arc<TemplateCaller>,
    rendered: Mutex<HashMap<Arc<str>, Arc<RenderedSls>>>,
}

impl Loader {
    /// Makes the loader of the state tree.
    pub fn new(session: Arc<Session>, data: Arc<Data>, caller: TemplateCaller) -> Self {
        let engine = session.corpus.engine.clone();
        Self { engine, session, data, caller: Arc::new(caller), rendered: Mutex::default() }
    }

    /// Renders one SLS file.
    fn render(&self, sls: &str, saltenv: &str) -> Result<Loaded, Diagnostic> {
        let cx = RenderCx {
            data: self.data.clone(),
            caller: self.caller.clone(),
            saltenv: saltenv.to_owned(),
            sls: Some(sls.to_owned()),
            vars: Map::new(),
        };
        let rendered = self.session.timings.of(Part::Template, sls, || self.engine.render_sls(sls, &cx));
        rendered.map(|rendered| self.loaded(rendered))
    }

    /// Renders a text as if it were an SLS file.
    pub fn text(&self, text: &str, name: &str, saltenv: &str) -> Result<Loaded, Diagnostic> {
        let cx = RenderCx {
            data: self.data.clone(),
            caller: self.caller.clone(),
            saltenv: saltenv.to_owned(),
            sls: None,
            vars: Map::new(),
        };
        Ok(self.loaded(self.engine.render_source(text, name, "jinja|yaml", &cx)?))
    }

    /// Hands the nodes on, and keeps what leads back to where they were written.
    fn loaded(&self, mut rendered: RenderedSls) -> Loaded {
        let loaded = Loaded { file: rendered.file.clone(), node: std::mem::take(&mut rendered.node) };
        lock(&self.rendered).insert(rendered.file.clone(), Arc::new(rendered));
        loaded
    }

    /// Tells whether the tree has an SLS.
    pub fn exists(&self, sls: &str, saltenv: &str) -> bool {
        self.engine.roots().sls_path(sls, saltenv).is_some()
    }
}

impl SlsLoader for Loader {
    fn load(&self, sls: &str, saltenv: &str) -> Result<Loaded, LoadError> {
        if !self.exists(sls, saltenv) {
            return Err(LoadError::NotFound);
        }
        self.render(sls, saltenv).map_err(LoadError::Failed)
    }

    fn list(&self, saltenv: &str) -> Vec<String> {
        self.engine.roots().list_sls(saltenv)
    }

    fn envs(&self) -> Vec<String> {
        self.engine.roots().envs().map(str::to_owned).collect()
    }

    fn roots(&self, saltenv: &str) -> Vec<String> {
        // What comes with the program is not where somebody's file belongs.
        let own = self.session.corpus.own_roots();
        let roots = self.engine.roots().roots(saltenv).iter().filter(|root| !own.contains(root));
        roots.map(|root| root.display().to_string()).collect()
    }

    fn relocate(&self, span: &Span) -> Span {
        let rendered = lock(&self.rendered).get(&span.file).cloned();
        rendered.map_or_else(|| span.clone(), |rendered| rendered.locate(span.pos()))
    }

    fn chain(&self, span: &Span) -> Vec<Span> {
        let chain = lock(&self.rendered).get(&span.file).map(|rendered| rendered.chain(span.pos()));
        chain.filter(|chain| !chain.is_empty()).unwrap_or_else(|| vec![span.clone()])
    }

    fn line(&self, file: &str, line: u32) -> Option<Arc<str>> {
        let rendered = lock(&self.rendered);
        let own = rendered.get(file).and_then(|rendered| rendered.source_line(file, line));
        own.or_else(|| rendered.values().find_map(|rendered| rendered.source_line(file, line)))
    }

    fn rendered_line(&self, file: &str, line: u32) -> Option<Arc<str>> {
        let rendered = lock(&self.rendered).get(file).cloned()?;
        rendered.rendered_line(line).map(Arc::from)
    }
}
