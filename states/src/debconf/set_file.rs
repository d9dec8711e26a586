//! `debconf.set_file`

use super::shared;
use crate::file::shared::sources::{Spec, template};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value};
use corpus_exec::fns::debconf;
use serde::Deserialize;
use std::path::Path;

/// Keeps the answers of a file, as `debconf-get-selections` writes it.
///
/// ```sls
/// answers:
///   debconf.set_file:
///     - source: salt://mail/selections
/// ```
#[derive(Deserialize)]
pub struct SetFile {
    /// Any name.
    pub name: String,
    /// Where the file is.
    pub source: Value,
    /// Render it with this engine.
    pub template: Option<String>,
    /// Variables for the template.
    pub context: Option<Value>,
    /// Variables for the template, unless `context` has them.
    pub defaults: Option<Value>,
}

impl State for SetFile {
    const NAME: &'static str = "debconf.set_file";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let template = template(self.template.as_deref(), &self.context, &self.defaults, Map::new())?;
        let spec = Spec {
            file: Path::new("/"),
            source: &self.source,
            source_hash: &Value::Null,
            source_hash_name: None,
            skip_verify: false,
            template,
        };
        let found = spec.find(cx)?.ok_or_else(|| StateError::failed("Unable to set debconf selections from file."))?;
        let text = String::from_utf8_lossy(&found.wanted.read(cx)?).into_owned();
        let missing = shared::missing(cx, &debconf::parse(&text))?;
        if missing.is_empty() {
            return Ok(Plan::unchanged("Debconf selections were set."));
        }
        Ok(shared::set(Plan::default(), &missing)
            .says("Debconf selections would have been set.", "Debconf selections were set."))
    }
}
