//! `file.exists`

use super::shared;
use corpus_core::{Plan, PlanCx, State, StateError};
use corpus_exec::file;
use serde::Deserialize;
use std::path::Path;

/// Fails unless there is something at a path.
///
/// ```sls
/// /etc/passwd: file.exists
/// ```
#[derive(Deserialize)]
pub struct Exists {
    name: String,
}

impl State for Exists {
    const NAME: &'static str = "file.exists";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = file::expand_user(cx.host, &self.name);
        match cx.host.stat(Path::new(&name))? {
            Some(_) => Ok(Plan::unchanged(format!("Path {name} exists"))),
            None if name.is_empty() => Err(shared::failed("Must provide name to file.exists")),
            None => Err(StateError::missing(format!("Specified path {name} does not exist"))),
        }
    }
}
