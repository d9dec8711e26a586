//! `slsutil.renderer`: a template renders another file as data.

use super::MasterDef;
use crate::{Session, TemplateCaller};
use corpus_core::{Call, Data, ExecError, Value};
use corpus_render::RenderCx;
use std::sync::Arc;

/// The functions of this module.
pub const FNS: &[MasterDef] = &[MasterDef {
    name: "slsutil.renderer",
    args: "(path=None, string=None, default_renderer='jinja|yaml', **vars)",
    doc: "Renders a file of the state tree, or a text, and returns the data.",
    run: renderer,
}];

fn renderer(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let pipe = call.text(2, "default_renderer").unwrap_or_else(|| "jinja|yaml".into());
    let (text, name) = match (call.text(0, "path"), call.text(1, "string")) {
        (Some(path), _) => {
            let found = session.corpus.engine.roots().find(path.trim_start_matches("salt://"), &data.saltenv);
            let file = found.unwrap_or_else(|| path.clone().into());
            let text = std::fs::read_to_string(&file)
                .map_err(|error| ExecError::failed(format!("read {}: {error}", file.display())))?;
            (text, path.trim_start_matches("salt://").to_owned())
        }
        (None, Some(text)) => (text, "<string>".to_owned()),
        (None, None) => return Err(call.missing("path")),
    };
    let mut vars = call.kwargs.clone();
    for key in ["path", "string", "default_renderer"] {
        vars.remove(key);
    }
    let cx = RenderCx {
        data: data.clone(),
        caller: Arc::new(TemplateCaller::new(session.clone(), data.clone())),
        saltenv: data.saltenv.to_string(),
        sls: None,
        vars,
    };
    match session.corpus.engine.render_source(&text, &name, &pipe, &cx) {
        Ok(rendered) => Ok(rendered.node.to_value()),
        Err(diagnostic) => Err(ExecError::failed(diagnostic.to_text(None).trim_end().trim_start_matches("error: "))),
    }
}
