//! `lxc.running`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Keeps a container running. It must be there: `lxc.present` makes it.
///
/// ```sls
/// web01:
///   lxc.running
/// ```
#[derive(Deserialize)]
pub struct Running {
    /// The container.
    pub name: String,
    /// Restart it if it runs.
    #[serde(default)]
    pub restart: bool,
    /// Where containers lie; `/var/lib/lxc` if nothing else is configured.
    pub path: Option<String>,
}

impl State for Running {
    const NAME: &'static str = "lxc.running";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = self.path.as_deref();
        let known = shared::find(cx, &self.name, path)?;
        let state = known.state.as_deref();
        let call = |fun: &str| shared::call(&known, fun, path, []);
        Ok(match state {
            None => return Err(StateError::missing(format!("Container '{}' does not exist", self.name))),
            Some("running") if !self.restart => {
                Plan::unchanged(format!("Container '{}' is already running", self.name))
            }
            Some("stopped") => shared::moved(&known, call("start"), "running", ["start", "started"]),
            Some("frozen") if !self.restart => {
                shared::moved(&known, call("unfreeze"), "running", ["unfreeze", "unfrozen"])
            }
            Some(_) => {
                let mut plan = shared::moved(&known, call("restart"), "running", ["restart", "restarted"]);
                plan.repeats = true;
                plan.change("restarted", true)
            }
        })
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
