//! `grains.absent`

use super::shared::{self, Place};
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Empties a grain, or removes it.
///
/// ```sls
/// old_role:
///   grains.absent:
///     - destructive: True
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The grain; `a:b` for a nested one.
    pub name: String,
    /// Remove the key as well.
    #[serde(default)]
    pub destructive: bool,
    /// What stands between the keys of a nested one.
    #[serde(default = "shared::colon")]
    pub delimiter: String,
    /// Do it to a mapping or a list, too.
    #[serde(default)]
    pub force: bool,
}

impl State for Absent {
    const NAME: &'static str = "grains.absent";
    // What the machine reports by itself is still there until the grains are collected again.
    const CONVERGES: bool = false;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let place = Place::of(cx, &self.name, &self.delimiter)?;
        let name = &place.name;
        let Some(have) = place.value() else {
            return Ok(Plan::unchanged(format!("Grain {name} does not exist")));
        };
        if have.is_null() && !self.destructive {
            return Ok(Plan::unchanged("Grain is already set"));
        }
        if matches!(have, Value::Map(_) | Value::List(_)) && !self.force {
            return Err(StateError::failed(format!(
                "The key '{name}' exists but is a dict or a list. Use 'force=True' to overwrite."
            )));
        }
        let mut plan = if self.destructive {
            Plan::default()
                .says(format!("Grain {name} is set to be deleted"), format!("Grain {name} was deleted"))
                .change("deleted", name.as_str())
        } else {
            Plan::default()
                .says(
                    format!("Value for grain {name} is set to be deleted (None)"),
                    format!("Value for grain {name} was set to None"),
                )
                .change("grain", name.as_str())
                .change("value", Value::Null)
        };
        place.set(cx, (!self.destructive).then_some(Value::Null), &mut plan)?;
        Ok(plan)
    }
}
