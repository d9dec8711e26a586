//! `cloud.present`

use super::shared;
use corpus_core::state::arguments;
use corpus_core::{Map, Observed, Plan, PlanCx, Settled, State, StateError, Value, python};
use serde::Deserialize;

/// Makes a machine at a provider, where there is none of that name; all further arguments are the machine's.
///
/// A machine that is there is left as it is; `corpus map.apply` and `corpus reconcile` compare all of it.
///
/// ```sls
/// web1:
///   cloud.present:
///     - cloud_provider: node1
///     - memory: 512M
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The machine's name.
    pub name: String,
    /// The provider.
    pub cloud_provider: String,
    /// Accepted: there is one configuration of clouds.
    pub opts: Option<Value>,
}

impl Present {
    fn keys(&self, cx: &PlanCx<'_>) -> Map {
        let mut keys = arguments(cx.low);
        for own in ["name", "cloud_provider", "opts"] {
            keys.remove(own);
        }
        keys
    }
}

impl State for Present {
    const NAME: &'static str = "cloud.present";
    const CONVERGES: bool = false;
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::of_clouds(cx, Self::NAME)?;
        let (name, mut plan) = (&self.name, Plan::default());
        if shared::there(cx, name)? {
            plan.unchanged = format!("Already present instance {name}");
            return Ok(plan);
        }
        let _ = &self.opts;
        let args = vec![self.cloud_provider.as_str().into(), name.as_str().into()];
        shared::act(&mut plan, "cloud.create", args, &self.keys(cx));
        Ok(plan.says(format!("Instance {name} needs to be created"), ""))
    }

    fn settle(&self, _: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        let (name, provider) = (&self.name, &self.cloud_provider);
        Ok(match shared::answer(seen) {
            Ok(changes) => {
                let keys = python::repr(&self.keys(cx).into());
                let comment =
                    format!("Created instance {name} using provider {provider} and the following options: {keys}");
                Settled { result: true, changes, comment }
            }
            Err(why) => {
                let comment = format!("Failed to create instance {name} using provider {provider}: {why}");
                Settled { result: false, changes: Map::new(), comment }
            }
        })
    }
}
