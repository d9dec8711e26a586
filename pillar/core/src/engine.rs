//! Pillar files through the template engine.

use crate::{Callers, PillarRenderer, Rendered};
use corpus_core::{Data, Diagnostic, Map};
use corpus_render::{Engine, RenderCx, RenderedSls};
use std::sync::Arc;

/// Renders pillar SLS with an engine whose file roots are the pillar roots.
pub struct EngineRenderer {
    engine: Engine,
    callers: Callers,
}

impl EngineRenderer {
    /// Makes a renderer; `callers` makes who answers the templates' `salt['m.f']()`, on the master.
    pub fn new(engine: Engine, callers: Callers) -> Self {
        Self { engine, callers }
    }

    fn context(&self, env: &str, vars: &Map, data: &Arc<Data>) -> RenderCx {
        let mut cx = RenderCx::new(data.clone(), (self.callers)(data));
        cx.saltenv = env.to_owned();
        cx.vars = vars.clone();
        cx
    }
}

fn rendered(sls: RenderedSls) -> Rendered {
    let node = sls.node.clone();
    let sls = Arc::new(sls);
    let source = sls.clone();
    Rendered {
        node,
        locate: Arc::new(move |pos| sls.locate(pos)),
        line: Arc::new(move |file, line| source.source_line(file, line)),
    }
}

impl PillarRenderer for EngineRenderer {
    fn envs(&self) -> Vec<String> {
        self.engine.roots().envs().map(str::to_owned).collect()
    }

    fn list(&self, env: &str) -> Vec<String> {
        self.engine.roots().list_sls(env)
    }

    fn find(&self, sls: &str, env: &str) -> Option<String> {
        self.engine.roots().sls_path(sls, env).map(|(_, file)| file)
    }

    fn render(&self, sls: &str, env: &str, vars: &Map, data: &Arc<Data>) -> Result<Rendered, Diagnostic> {
        self.engine.render_sls(sls, &self.context(env, vars, data)).map(rendered)
    }

    fn render_top(&self, file: &str, env: &str, data: &Arc<Data>) -> Option<Result<Rendered, Diagnostic>> {
        let path = self.engine.roots().find(file, env)?;
        let cx = self.context(env, &Map::new(), data);
        Some(self.engine.render_sls_file(&path, file, &cx).map(rendered))
    }
}
