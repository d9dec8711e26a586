//! `lxc.absent`

use super::shared;
use corpus_core::{Map, Plan, PlanCx, State, StateError};
use corpus_exec::lxc::guest;
use serde::Deserialize;

/// Keeps a container away: destroys it with its files and snapshots.
///
/// ```sls
/// web01:
///   lxc.absent:
///     - stop: true
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The container.
    pub name: String,
    /// Destroy it even if it runs.
    #[serde(default)]
    pub stop: bool,
    /// Where containers lie; `/var/lib/lxc` if nothing else is configured.
    pub path: Option<String>,
}

impl State for Absent {
    const NAME: &'static str = "lxc.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (path, name) = (self.path.as_deref(), &self.name);
        let known = shared::find(cx, name, path)?;
        let state = known.state.as_deref();
        let mut plan = Plan::unchanged(format!("Container '{name}' does not exist"));
        // What a creation that was cut off left is no container yet.
        let begun = state.is_none() && known.foreseen.is_none() && guest::is_begun(&known.guest, cx.host)?;
        if state.is_none() && !begun {
            return Ok(plan);
        }
        if state.is_some_and(|state| state != "stopped") && !self.stop {
            return Err(StateError::missing(format!("Failed to destroy container: Container '{name}' is not stopped")));
        }
        let stop = self.stop.then(|| ("stop", true.into()));
        plan.push(shared::call(&known, "destroy", path, stop), shared::becomes(&known, None, &Map::new()));
        plan.changes.insert("state", shared::change(if begun { Some("unfinished") } else { state }, None));
        Ok(plan.says(format!("Container '{name}' would be destroyed"), format!("Container '{name}' was destroyed")))
    }
}
