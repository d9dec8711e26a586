//! `test.configurable_test_state`

use super::shared::{self, pretended};
use corpus_core::decode::OneOrMany;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError, Value, python};
use serde::Deserialize;

/// Succeeds or fails, with or without changes, as it is told.
///
/// ```sls
/// my own combination:
///   test.configurable_test_state:
///     - changes: true
///     - result: false
///     - comment: bar.baz
/// ```
#[derive(Deserialize)]
pub struct ConfigurableTestState {
    /// Says that it changed something.
    #[serde(default)]
    changes: Option<Value>,
    /// Succeeds.
    #[serde(default)]
    result: Option<Value>,
    /// What to say.
    #[serde(default)]
    comment: String,
    /// Warnings to give.
    #[serde(default)]
    warnings: OneOrMany<String>,
    /// May fail in a dry run, too.
    #[serde(default)]
    allow_test_mode_failure: bool,
}

/// Reads a flag; `Random` is refused, as a dry run could not tell the truth then.
fn flag(value: &Option<Value>, name: &str) -> Result<bool, StateError> {
    match value {
        None => Ok(true),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) if python::str(other).eq_ignore_ascii_case("random") => Err(StateError::failed(format!(
            "The state option '{name}' cannot be Random here: what a dry run shows is what is done"
        ))),
        Some(_) => Err(StateError::failed(format!(
            "You have specified the state option '{name}' with invalid arguments. It must be either True, False, or 'Random'"
        ))),
    }
}

impl State for ConfigurableTestState {
    const NAME: &'static str = "test.configurable_test_state";
    const CONVERGES: bool = false;
    const WATCHES: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (changes, result) = (flag(&self.changes, "changes")?, flag(&self.result, "result")?);
        let would = if self.comment.is_empty() { "This is a test" } else { &self.comment };
        let mut plan = if changes { pretended() } else { Plan::default() };
        plan = plan.says(would, self.comment.as_str());
        plan.unchanged = if cx.test { would.into() } else { self.comment.clone() };
        plan.memo = result.into();
        plan.failed = !result && (!changes || self.allow_test_mode_failure);
        plan.warnings = self.warnings.0.clone();
        Ok(plan)
    }

    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(shared::fired(cx))
    }

    fn settle(&self, plan: &Plan, _: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(Settled { result: plan.memo.truthy(), ..Settled::as_planned(plan) })
    }
}
