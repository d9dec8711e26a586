//! `event.fire_master`

use super::shared::Event;
use corpus_core::{Observed, Plan, PlanCx, Settled, State, StateError, Value};
use serde::Deserialize;

/// Sends an event to the master (`event.send` under its older name).
///
/// ```sls
/// myco/deploy/done:
///   event.fire_master:
///     - data: {release: 7}
/// ```
#[derive(Deserialize)]
pub struct FireMaster {
    /// The event's tag.
    pub name: String,
    /// What goes with it.
    pub data: Option<Value>,
    /// More of it, under `data`.
    pub preload: Option<Value>,
    /// Send the environment.
    #[serde(default)]
    pub with_env: bool,
    /// Send the grains: all, or those of a list.
    #[serde(default)]
    pub with_grains: Value,
    /// Send the pillar: all, or the keys of a list.
    #[serde(default)]
    pub with_pillar: Value,
    /// Count it as a change.
    #[serde(default = "yes")]
    pub show_changed: bool,
}

fn yes() -> bool {
    true
}

impl FireMaster {
    fn event(&self) -> Event<'_> {
        Event {
            tag: &self.name,
            data: self.data.as_ref(),
            preload: self.preload.as_ref(),
            with_env: self.with_env,
            with_grains: &self.with_grains,
            with_pillar: &self.with_pillar,
            show_changed: self.show_changed,
        }
    }
}

impl State for FireMaster {
    const NAME: &'static str = "event.fire_master";
    const CONVERGES: bool = false;
    const WATCHES: bool = true;
    const OPEN: bool = true;

    fn plan(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(self.event().plan())
    }

    fn settle(&self, plan: &Plan, _: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        self.event().fire(plan, cx)
    }
}
