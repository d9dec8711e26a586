//! `salt.runner`

use super::shared;
use corpus_core::state::arguments;
use corpus_core::{Call, Map, Observed, Plan, PlanCx, Settled, State, StateError, Value};
use serde::Deserialize;

/// Calls a runner of the master, as a step of an orchestration; all further arguments are the runner's.
///
/// ```sls
/// second part:
///   salt.runner:
///     - name: state.orchestrate
///     - mods: orchestrate.second
/// ```
#[derive(Deserialize)]
pub struct Runner {
    /// The runner.
    pub name: String,
}

impl State for Runner {
    const NAME: &'static str = "salt.runner";
    const CONVERGES: bool = false;
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::of_orchestration(cx, Self::NAME)?;
        let mut kwargs = arguments(cx.low);
        kwargs.remove("name");
        let kwargs: Map = [("name", Value::str(&self.name)), ("kwarg", Value::map(kwargs))].into_iter().collect();
        let (effect, predicts) = shared::step(Call { fun: "salt.runner".into(), args: vec![], kwargs });
        let mut plan = Plan::default();
        plan.push(effect, predicts);
        Ok(plan.says(format!("Runner function '{}' would be executed.", self.name), ""))
    }

    fn settle(&self, _: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let answer = seen.iter().find_map(|seen| if let Observed::Returned(value) = seen { Some(value) } else { None });
        let answer = answer.unwrap_or(&Value::Null);
        let result = answer.get("success") != Some(&Value::Bool(false));
        let returned = answer.get("return").cloned().unwrap_or_default();
        let did = if result { "executed" } else { "failed" };
        let comment = format!("Runner function '{}' {did}.", self.name);
        let changes = [("return", returned)].into_iter().collect();
        Ok(Settled { result, changes, comment })
    }
}
