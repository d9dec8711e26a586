//! `loop.until_no_eval`

use corpus_core::plan::{Observed, Settled};
use corpus_core::{Effect, Map, Plan, PlanCx, State, StateError, Value, python};
use serde::Deserialize;

/// Calls a function until it answers as expected, and fails if it does not in time.
///
/// ```sls
/// service.status:
///   loop.until_no_eval:
///     - expected: True
///     - args: [nginx]
///     - timeout: 30
/// ```
#[derive(Deserialize)]
pub struct UntilNoEval {
    /// The function.
    pub name: String,
    /// The answer that is waited for.
    pub expected: Value,
    /// How both are compared: `eq`, `ne`, `lt`, `le`, `gt`, `ge`, `contains`.
    #[serde(default = "eq")]
    pub compare_operator: String,
    /// Seconds to wait at most.
    #[serde(default = "minute")]
    pub timeout: Value,
    /// Seconds between two calls.
    #[serde(default = "second")]
    pub period: Value,
    /// Seconds before the first call.
    #[serde(default)]
    pub init_wait: Value,
    /// The function's arguments.
    #[serde(default)]
    pub args: Vec<Value>,
    /// Its named arguments.
    #[serde(default)]
    pub kwargs: Map,
}

fn eq() -> String {
    "eq".into()
}

fn minute() -> Value {
    60.into()
}

fn second() -> Value {
    1.into()
}

impl State for UntilNoEval {
    const NAME: &'static str = "loop.until_no_eval";
    const CONVERGES: bool = false;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let number = |value: &Value| matches!(value, Value::Int(_) | Value::Float(_));
        if !cx.caller.has(&self.name) {
            return Err(StateError::failed(format!("Module.function \"{}\" is unavailable.", self.name)));
        }
        if !number(&self.period) {
            return Err(StateError::failed("Period must be specified as a float in seconds"));
        }
        if !number(&self.timeout) {
            return Err(StateError::failed("Timeout must be specified as a float in seconds"));
        }
        if !corpus_exec::fns::r#loop::OPERATORS.contains(&self.compare_operator.as_str()) {
            return Err(StateError::failed(format!("Invalid operator \"{}\" supplied.", self.compare_operator)));
        }
        let kwargs = vec![
            ("compare_operator".to_owned(), self.compare_operator.as_str().into()),
            ("timeout".to_owned(), self.timeout.clone()),
            ("period".to_owned(), self.period.clone()),
            ("init_wait".to_owned(), self.init_wait.clone()),
            ("args".to_owned(), self.args.clone().into()),
            ("kwargs".to_owned(), self.kwargs.clone().into()),
        ];
        let args = vec![self.name.as_str().into(), self.expected.clone()];
        let expected = python::str(&self.expected);
        let would = format!("Would have waited for \"{}\" to produce \"{expected}\".", self.name);
        let call = Effect::Call { fun: "loop.until_no_eval".into(), args, kwargs };
        Ok(Plan::default().says(would, "").step(call))
    }

    fn settle(&self, _: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let answer = seen.iter().find_map(|seen| match seen {
            Observed::Returned(value) => Some(value.clone()),
            _ => None,
        });
        let answer = answer.unwrap_or_default();
        let comment = answer.get("comment").map(python::str).unwrap_or_default();
        let result = answer.get("result").is_some_and(Value::truthy);
        Ok(Settled { result, changes: Map::new(), comment })
    }
}
