//! `lxc.frozen`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Keeps a container frozen: in memory, without a share of the processor.
///
/// ```sls
/// web01:
///   lxc.frozen
/// ```
#[derive(Deserialize)]
pub struct Frozen {
    /// The container.
    pub name: String,
    /// Start it first, if it is stopped; otherwise that is an error.
    #[serde(default = "yes")]
    pub start: bool,
    /// Where containers lie; `/var/lib/lxc` if nothing else is configured.
    pub path: Option<String>,
}

fn yes() -> bool {
    true
}

impl State for Frozen {
    const NAME: &'static str = "lxc.frozen";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (path, name) = (self.path.as_deref(), &self.name);
        let known = shared::find(cx, name, path)?;
        let verb = match known.state.as_deref() {
            None => return Err(StateError::missing(format!("Container '{name}' does not exist"))),
            Some("stopped") if !self.start => {
                return Err(StateError::missing(format!("Container '{name}' is stopped")));
            }
            Some("frozen") => return Ok(Plan::unchanged(format!("Container '{name}' is already frozen"))),
            Some("stopped") => ["start and freeze", "started and frozen"],
            Some(_) => ["freeze", "frozen"],
        };
        let call = shared::call(&known, "freeze", path, [("start", self.start.into())]);
        Ok(shared::moved(&known, call, "frozen", verb))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
