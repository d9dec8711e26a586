//! `lxc.stopped`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Keeps a container stopped.
///
/// ```sls
/// web01:
///   lxc.stopped
/// ```
#[derive(Deserialize)]
pub struct Stopped {
    /// The container.
    pub name: String,
    /// Kill it instead of shutting it down.
    #[serde(default)]
    pub kill: bool,
    /// Where containers lie; `/var/lib/lxc` if nothing else is configured.
    pub path: Option<String>,
}

impl State for Stopped {
    const NAME: &'static str = "lxc.stopped";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = self.path.as_deref();
        let known = shared::find(cx, &self.name, path)?;
        match known.state.as_deref() {
            None => Err(StateError::missing(format!("Container '{}' does not exist", self.name))),
            Some("stopped") => Ok(Plan::unchanged(format!("Container '{}' is already stopped", self.name))),
            Some(_) => {
                let verb = if self.kill { ["force-stop", "force-stopped"] } else { ["stop", "stopped"] };
                let kill = self.kill.then(|| ("kill", true.into()));
                Ok(shared::moved(&known, shared::call(&known, "stop", path, kill), "stopped", verb))
            }
        }
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
