//! `event.wait`

use super::shared::Event;
use corpus_core::{Observed, Plan, PlanCx, Settled, State, StateError, Value};
use serde::Deserialize;

/// Sends an event when a watched state changed, and else does nothing.
///
/// ```sls
/// myco/config/changed:
///   event.wait:
///     - watch:
///       - file: /etc/myco.conf
/// ```
#[derive(Deserialize)]
pub struct Wait {
    /// The event's tag.
    pub name: String,
    /// What goes with it.
    pub data: Option<Value>,
}

impl Wait {
    fn event(&self) -> Event<'_> {
        Event {
            tag: &self.name,
            data: self.data.as_ref(),
            preload: None,
            with_env: false,
            with_grains: &Value::Null,
            with_pillar: &Value::Null,
            show_changed: true,
        }
    }
}

impl State for Wait {
    const NAME: &'static str = "event.wait";
    const CONVERGES: bool = false;
    const WATCHES: bool = true;
    const OPEN: bool = true;

    fn plan(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(Plan::unchanged(""))
    }

    fn watch(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(self.event().plan())
    }

    fn settle(&self, plan: &Plan, _: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        if plan.is_empty() { Ok(Settled::as_planned(plan)) } else { self.event().fire(plan, cx) }
    }
}
