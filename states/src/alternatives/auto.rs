//! `alternatives.auto`

use super::shared;
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use serde::Deserialize;

/// Lets the highest priority decide where an alternative leads.
///
/// ```sls
/// editor:
///   alternatives.auto
/// ```
#[derive(Deserialize)]
pub struct Auto {
    /// The name of the group of links.
    pub name: String,
}

impl State for Auto {
    const NAME: &'static str = "alternatives.auto";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (name, fact) = (&self.name, format!("alternatives:{}:auto", self.name));
        let auto = match cx.host.predicted(&fact) {
            Some(known) => known.truthy(),
            None => {
                let text = corpus_exec::fns::alternatives::display(cx.host, name)?;
                // alternatives (RedHat) writes `status is auto.` in the same line.
                text.lines().next().is_some_and(|line| line.ends_with(" auto mode") || line.ends_with(" auto."))
            }
        };
        if auto {
            return Ok(Plan::unchanged(format!("{name} already in auto mode")));
        }
        let mut plan = Plan::default().says(format!("{name} will be put in auto mode"), "").change("result", true);
        plan.push(shared::run(cx, ["--auto", name]), vec![Prediction::Fact(fact, true.into())]);
        Ok(plan)
    }
}
