//! `grains.present`

use super::shared::{self, Place};
use corpus_core::{Plan, PlanCx, State, StateError, Value, python};
use serde::Deserialize;

/// Keeps a grain at a value.
///
/// ```sls
/// cluster:role:
///   grains.present:
///     - value: db
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The grain; `a:b` for a nested one.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// What stands between the keys of a nested one.
    #[serde(default = "shared::colon")]
    pub delimiter: String,
    /// Replace a mapping or a list, too.
    #[serde(default)]
    pub force: bool,
}

impl State for Present {
    const NAME: &'static str = "grains.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let place = Place::of(cx, &self.name, &self.delimiter)?;
        let (name, have) = (&place.name, place.value());
        if have.as_ref() == Some(&self.value) {
            return Ok(Plan::unchanged("Grain is already set"));
        }
        let nested = |value: &Value| matches!(value, Value::Map(_) | Value::List(_));
        if let Some(have) = have.as_ref().filter(|have| !have.is_null() && !self.force) {
            let what = match (nested(have), nested(&self.value)) {
                (true, _) => "exists but is a dict or a list",
                (_, true) => "exists and the given value is a dict or a list",
                _ => "",
            };
            if !what.is_empty() {
                return Err(StateError::failed(format!("The key '{name}' {what}. Use 'force=True' to overwrite.")));
            }
        }
        if let Some((key, value, next)) = place.obstacle().filter(|_| !self.force) {
            let value = python::str(&value);
            return Err(StateError::failed(format!(
                "The key '{key}' value is '{value}', which is different from the provided key '{next}'. Use \
                 'force=True' to overwrite."
            )));
        }
        let would = if have.is_none() {
            format!("Grain {name} is set to be added")
        } else {
            format!("Grain {name} is set to be changed")
        };
        let mut plan = Plan::default().says(would, format!("Set grain {name} to {}", python::str(&self.value)));
        place.set(cx, Some(self.value.clone()), &mut plan)?;
        plan.changes = place.changes(Some(self.value.clone()));
        Ok(plan)
    }
}
