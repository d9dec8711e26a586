//! `module.run`

use super::shared;
use corpus_core::{Observed, Plan, PlanCx, Settled, State, StateError, Value};
use serde::Deserialize;

/// Calls execution functions.
///
/// ```sls
/// reload units:
///   module.run:
///     - service.systemctl_reload:
/// ```
#[derive(Deserialize)]
pub struct Run {
    /// The function, unless it is an argument itself: `m.f: [its arguments]`.
    pub name: Value,
    /// The function's own `name`.
    pub m_name: Option<Value>,
    /// Positional arguments.
    pub args: Option<Value>,
    /// Named arguments.
    pub kwargs: Option<Value>,
    /// Not built: answers go to no returner.
    pub returner: Option<Value>,
}

impl State for Run {
    const NAME: &'static str = "module.run";
    const CONVERGES: bool = false;
    const WATCHES: bool = true;
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::plan(cx)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        if plan.steps.is_empty() {
            return Ok(Settled::as_planned(plan));
        }
        Ok(shared::settle(plan, seen))
    }
}
