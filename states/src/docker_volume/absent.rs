//! `docker_volume.absent`

use crate::docker_container::shared::{becomes, call, fact, find};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Keeps a volume away, with all that is in it.
///
/// ```sls
/// data:
///   docker_volume.absent
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The volume.
    pub name: String,
    /// Accepted for Salt's sake.
    pub driver: Option<Value>,
}

impl State for Absent {
    const NAME: &'static str = "docker_volume.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let there = match cx.host.predicted(&fact("volume", name)) {
            Some(known) => !known.is_null(),
            None => find(cx, "docker.inspect_volume", name)?.is_some(),
        };
        let mut plan = Plan::unchanged(format!("Volume '{name}' already absent"));
        if !there {
            return Ok(plan);
        }
        plan.push(call("remove_volume", vec![name.as_str().into()], &Map::new()), becomes("volume", name, Value::Null));
        plan.changes.insert("removed", true);
        // Salt says nothing once it is gone.
        Ok(plan.says(format!("The volume '{name}' will be removed"), ""))
    }
}
