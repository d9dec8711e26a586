//! `file.missing`

use super::shared;
use corpus_core::{Plan, PlanCx, State, StateError};
use corpus_exec::file;
use serde::Deserialize;
use std::path::Path;

/// Fails if there is something at a path.
///
/// ```sls
/// /etc/nologin: file.missing
/// ```
#[derive(Deserialize)]
pub struct Missing {
    name: String,
}

impl State for Missing {
    const NAME: &'static str = "file.missing";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = file::expand_user(cx.host, &self.name);
        match cx.host.stat(Path::new(&name))? {
            _ if name.is_empty() => Err(shared::failed("Must provide name to file.missing")),
            Some(_) => Err(shared::failed(format!("Specified path {name} exists"))),
            None => Ok(Plan::unchanged(format!("Path {name} is missing"))),
        }
    }
}
