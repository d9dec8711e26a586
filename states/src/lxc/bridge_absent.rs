//! `lxc.bridge_absent`

use super::shared;
use corpus_core::{Effect, Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::lxc::bridge;
use serde::Deserialize;

/// Keeps a bridge away, with its table of the firewall. One that a container is plugged into is not removed.
///
/// ```sls
/// lxcbr1:
///   lxc.bridge_absent
/// ```
#[derive(Deserialize)]
pub struct BridgeAbsent {
    /// The bridge.
    pub name: String,
}

impl State for BridgeAbsent {
    const NAME: &'static str = "lxc.bridge_absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let fact = shared::bridge_fact(name);
        let there = match cx.host.predicted(&fact) {
            Some(known) => !known.is_null(),
            None => bridge::look_at(cx.host, name)?.there,
        };
        let mut plan = Plan::unchanged(format!("Bridge {name} is not present"));
        if !there {
            return Ok(plan);
        }
        let effect = Effect::Call { fun: "lxc.bridge_remove".into(), args: vec![name.as_str().into()], kwargs: vec![] };
        plan.push(effect, vec![Prediction::Fact(fact, Value::Null)]);
        plan.changes.insert("bridge", shared::change(Some("present"), None));
        Ok(plan.says(format!("Bridge {name} would be removed"), format!("Bridge {name} was removed")))
    }
}
