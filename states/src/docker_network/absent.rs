//! `docker_network.absent`

use crate::docker_container::shared::{becomes, call, fact, find};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value};
use corpus_exec::docker::network;
use serde::Deserialize;

/// Keeps a network of containers away; its containers are plugged out of it first.
///
/// ```sls
/// app:
///   docker_network.absent
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The network.
    pub name: String,
}

impl State for Absent {
    const NAME: &'static str = "docker_network.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let have = match cx.host.predicted(&fact("network", name)) {
            Some(known) => Some(known).filter(|known| !known.is_null()),
            None => find(cx, "docker.inspect_network", name)?,
        };
        let mut plan = Plan::unchanged(format!("Network '{name}' already absent"));
        let Some(have) = have else { return Ok(plan) };
        let mut plugged = network::containers(&have);
        // What an earlier step removes is plugged out by that.
        plugged.retain(|name| cx.host.predicted(&fact("container", name)).is_none_or(|known| !known.is_null()));
        for container in &plugged {
            let args = vec![container.as_str().into(), name.as_str().into()];
            plan.push(call("disconnect_container_from_network", args, &Map::new()), vec![]);
        }
        if !plugged.is_empty() {
            plan.changes.insert("disconnected", plugged);
        }
        plan.push(
            call("remove_network", vec![name.as_str().into()], &Map::new()),
            becomes("network", name, Value::Null),
        );
        plan.changes.insert("removed", true);
        Ok(plan.says(format!("Network '{name}' will be removed"), format!("Removed network '{name}'")))
    }
}
