//! `alternatives.set`

use super::shared;
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Chooses where an alternative leads.
///
/// ```sls
/// editor:
///   alternatives.set:
///     - path: /usr/bin/vim.basic
/// ```
#[derive(Deserialize)]
pub struct Set {
    /// The name of the group of links.
    pub name: String,
    /// Where it is to lead.
    pub path: String,
}

impl State for Set {
    const NAME: &'static str = "alternatives.set";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let Self { name, path } = self;
        if shared::current(cx, name)?.as_ref() == Some(path) {
            return Ok(Plan::unchanged(format!("Alternative for {name} already set to {path}")));
        }
        if !shared::exists(cx, name, path)? {
            return Err(StateError::missing(format!("Alternative {path} for {name} doesn't exist")));
        }
        let mut plan = Plan::default()
            .says(
                format!("Alternative for {name} will be set to path {path}"),
                format!("Alternative for {name} set to path {path}"),
            )
            .change("path", path.as_str());
        plan.push(shared::run(cx, ["--set", name, path]), vec![shared::fact(name, path)]);
        Ok(plan)
    }
}
