//! `environ.setenv`

use corpus_core::{Effect, Map, Plan, PlanCx, Prediction, State, StateError, Value, python};
use corpus_exec::fns::environ;
use serde::Deserialize;

/// Sets variables for what the rest of the run starts.
///
/// ```sls
/// DEBIAN_FRONTEND:
///   environ.setenv:
///     - value: noninteractive
/// ```
#[derive(Deserialize)]
pub struct Setenv {
    /// The variable, unless `value` is a mapping of several.
    pub name: String,
    /// Its value, `False` to empty it, or a mapping of variables.
    pub value: Value,
    /// `False` takes a variable away instead of emptying it.
    #[serde(default)]
    pub false_unsets: bool,
    /// Take all other variables away.
    #[serde(default)]
    pub clear_all: bool,
    /// Accepted for Salt's sake: no minion outlives the run.
    pub update_minion: Option<Value>,
    /// Accepted for Salt's sake (Windows).
    pub permanent: Option<Value>,
}

impl State for Setenv {
    const NAME: &'static str = "environ.setenv";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let wanted: Map = match &self.value {
            Value::Map(map) => (**map).clone(),
            value @ (Value::Str(_) | Value::Bool(false)) => [(self.name.as_str(), value.clone())].into_iter().collect(),
            _ => return Err(StateError::failed("Environ value must be string, dict or False")),
        };
        let current = |name: &str| match cx.host.predicted(&format!("environ:{name}")) {
            Some(Value::Null) => None,
            Some(value) => Some(python::str(&value)),
            None => environ::variable(name),
        };
        let off = || if self.false_unsets { Value::Null } else { Value::from("") };
        let mut changes = Map::new();
        if self.clear_all {
            for key in environ::all().keys().map(python::str) {
                let gone =
                    if self.false_unsets { current(&key).is_none() } else { current(&key).as_deref() == Some("") };
                if !wanted.contains(&key) && !gone {
                    changes.insert(key, off());
                }
            }
        }
        for (key, value) in &wanted {
            let name = python::str(key);
            match (value, current(&name)) {
                (Value::Bool(false), Some(have)) if self.false_unsets || !have.is_empty() => {
                    changes.insert(name, off());
                }
                (Value::Bool(false), None) if !self.false_unsets => _ = changes.insert(name, ""),
                (Value::Bool(false), _) => {}
                (value, have) if have.as_deref() == value.as_str() => {}
                (value, _) => _ = changes.insert(name, python::str(value)),
            }
        }
        let said = if cx.test { "are" } else { "were" };
        let mut plan = Plan::unchanged(format!("Environ values {said} already set with the correct values"))
            .says("Environ values will be changed", "Environ values were set");
        if changes.is_empty() {
            return Ok(plan);
        }
        let given: Map =
            changes.iter().map(|(k, v)| (k.clone(), if v.is_null() { false.into() } else { v.clone() })).collect();
        let predicts =
            changes.iter().map(|(k, v)| Prediction::Fact(format!("environ:{}", python::str(k)), v.clone())).collect();
        let args = vec![Value::map(given), self.false_unsets.into()];
        plan.push(Effect::Call { fun: "environ.setenv".into(), args, kwargs: vec![] }, predicts);
        plan.changes = changes;
        Ok(plan)
    }
}
