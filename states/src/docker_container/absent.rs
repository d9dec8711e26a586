//! `docker_container.absent`

use super::shared::{self, answers, becomes, call, fact, find};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value, python};
use serde::Deserialize;

/// Keeps a container away.
///
/// ```sls
/// web:
///   docker_container.absent:
///     - force: true
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The container.
    pub name: String,
    /// Remove it even if it runs.
    #[serde(default)]
    pub force: bool,
}

impl State for Absent {
    const NAME: &'static str = "docker_container.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let state = match cx.host.predicted(&fact("container", name)) {
            Some(known) => known.get("state").map(python::str),
            None => find(cx, "docker.inspect_container", name)?.map(|found| shared::state(&found).to_owned()),
        };
        let mut plan = Plan::unchanged(format!("Container '{name}' does not exist"));
        let Some(state) = state else { return Ok(plan) };
        if state != "stopped" && !self.force {
            return Err(StateError::missing("Container is running, set force to True to forcibly remove it"));
        }
        let kwargs: Map = if self.force { [("force", true)].into_iter().collect() } else { Map::new() };
        plan.push(call("rm", vec![name.as_str().into()], &kwargs), becomes("container", name, Value::Null));
        plan.changes.insert("removed", vec![name.as_str()]);
        let how = if self.force && state != "stopped" { "Forcibly" } else { "Successfully" };
        Ok(plan.says(format!("Container '{name}' will be removed"), format!("{how} removed container '{name}'")))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        if let Some(ids) = answers(seen).first() {
            settled.changes.insert("removed", (*ids).clone());
        }
        Ok(settled)
    }
}
