//! `lxc.bridge_present`

use super::shared;
use corpus_core::{Effect, Map, Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::lxc::bridge;
use serde::Deserialize;

/// Keeps a bridge for containers: its address, forwarding, and a table of the firewall by which they reach the world.
///
/// ```sls
/// lxcbr1:
///   lxc.bridge_present:
///     - address: 10.5.0.1/16
/// ```
#[derive(Deserialize)]
pub struct BridgePresent {
    /// The bridge.
    pub name: String,
    /// Its address, with the length of the containers' network.
    #[serde(default = "usual")]
    pub address: String,
    /// Let the containers reach the world by the machine's address.
    #[serde(default = "yes")]
    pub nat: bool,
}

fn usual() -> String {
    "10.5.0.1/16".into()
}

fn yes() -> bool {
    true
}

impl State for BridgePresent {
    const NAME: &'static str = "lxc.bridge_present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let fact = shared::bridge_fact(name);
        let wanted: Map =
            [("address", Value::from(self.address.as_str())), ("nat", self.nat.into())].into_iter().collect();
        let changes = match cx.host.predicted(&fact) {
            Some(Value::Map(have)) if *have == wanted => Map::new(),
            Some(have) => [("bridge", [("old", have), ("new", wanted.clone().into())].into_iter().collect::<Map>())]
                .into_iter()
                .collect(),
            None => bridge::differences(cx.host, name, &self.address, self.nat)?,
        };
        let mut plan = Plan::unchanged(format!("Bridge {name} is already set up"));
        if changes.is_empty() {
            return Ok(plan);
        }
        let kwargs = vec![("address".into(), self.address.as_str().into()), ("nat".into(), self.nat.into())];
        let effect = Effect::Call { fun: "lxc.bridge".into(), args: vec![name.as_str().into()], kwargs };
        plan.push(effect, vec![Prediction::Fact(fact, wanted.into())]);
        plan.changes = changes;
        Ok(plan.says(format!("Bridge {name} would be set up"), format!("Bridge {name} was set up")))
    }
}
