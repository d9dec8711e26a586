//! `grains.list_present`

use super::shared::{self, Place};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value, python};
use serde::Deserialize;

/// Keeps values in a grain that is a list.
///
/// ```sls
/// roles:
///   grains.list_present:
///     - value: web
/// ```
#[derive(Deserialize)]
pub struct ListPresent {
    /// The grain; `a:b` for a nested one.
    pub name: String,
    /// A value, or a list of them.
    pub value: Value,
    /// What stands between the keys of a nested one.
    #[serde(default = "shared::colon")]
    pub delimiter: String,
}

impl State for ListPresent {
    const NAME: &'static str = "grains.list_present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let place = Place::of(cx, &self.name, &self.delimiter)?;
        let name = &place.name;
        let have = match place.value() {
            Some(Value::List(items)) => items.to_vec(),
            Some(other) if other.truthy() => {
                return Err(StateError::failed(format!("Grain {name} is not a valid list")));
            }
            _ => vec![],
        };
        let asked = match &self.value {
            Value::List(items) => items.to_vec(),
            one => vec![one.clone()],
        };
        let (there, missing): (Vec<Value>, Vec<Value>) = asked.into_iter().partition(|value| have.contains(value));
        if missing.is_empty() {
            let value = python::str(&self.value);
            return Ok(Plan::unchanged(format!("Value {value} is already in grain {name} (or pending)")));
        }
        let added = match &self.value {
            Value::List(_) => Value::list(missing.clone()),
            one => one.clone(),
        };
        let shown = python::str(&added);
        let would = if have.is_empty() {
            format!("Grain {name} is set to be added")
        } else {
            format!("Value {shown} is set to be appended to grain {name}")
        };
        let mut did = String::new();
        if !there.is_empty() {
            let there = python::str(&Value::list(there));
            did = format!("Removed value {there} from update due to value found in \"{name}\" (or pending).\n");
        }
        did += &format!("Append value {shown} to grain {name}");
        let new: Vec<Value> = have.into_iter().chain(missing).collect();
        let change: Map = [(name.as_str(), Value::list(new.clone()))].into_iter().collect();
        let mut plan = Plan::default().says(would, did).change("new", change);
        place.set(cx, Some(Value::list(new)), &mut plan)?;
        Ok(plan)
    }
}
