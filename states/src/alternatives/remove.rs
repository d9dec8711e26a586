//! `alternatives.remove`

use super::shared;
use corpus_core::{Map, Observed, Plan, PlanCx, Settled, State, StateError};
use serde::Deserialize;

/// Takes a program off the alternatives of a link.
///
/// ```sls
/// pager:
///   alternatives.remove:
///     - path: /usr/bin/more
/// ```
#[derive(Deserialize)]
pub struct Remove {
    /// The name of the group of links.
    pub name: String,
    /// What is not to be chosen any more.
    pub path: String,
}

impl State for Remove {
    const NAME: &'static str = "alternatives.remove";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let Self { name, path } = self;
        if !shared::exists(cx, name, path)? {
            return match shared::current(cx, name)? {
                Some(current) => {
                    Ok(Plan::unchanged(format!("Alternative for {name} is set to it's default path {current}")))
                }
                // Salt fails here, which no second run could pass: removed is what was asked for.
                None => Ok(Plan::unchanged(format!("Alternative for {name} doesn't exist"))),
            };
        }
        let mut plan = Plan::default()
            .says(format!("Alternative for {name} will be removed"), format!("Alternative for {name} removed"))
            .change("path", corpus_core::Value::Null);
        plan.push(shared::run(cx, ["--remove", name, path]), vec![shared::registered(name, path, false)]);
        Ok(plan)
    }

    fn settle(&self, plan: &Plan, _: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        if plan.steps.is_empty() {
            return Ok(Settled::as_planned(plan));
        }
        let (comment, changes) = match shared::current(cx, &self.name)? {
            Some(path) => (
                format!("Alternative for {} removed. Falling back to path {path}", self.name),
                [("path", path)].into_iter().collect(),
            ),
            None => (plan.did.clone(), plan.changes.clone()),
        };
        Ok(Settled { result: true, changes: changes as Map, comment })
    }
}
