//! `grains.list_absent`

use super::shared::{self, Place};
use corpus_core::{Plan, PlanCx, State, StateError, Value, python};
use serde::Deserialize;

/// Keeps values out of a grain that is a list.
///
/// ```sls
/// roles:
///   grains.list_absent:
///     - value: db
/// ```
#[derive(Deserialize)]
pub struct ListAbsent {
    /// The grain; `a:b` for a nested one.
    pub name: String,
    /// A value, or a list of them.
    pub value: Value,
    /// What stands between the keys of a nested one.
    #[serde(default = "shared::colon")]
    pub delimiter: String,
}

impl State for ListAbsent {
    const NAME: &'static str = "grains.list_absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let place = Place::of(cx, &self.name, &self.delimiter)?;
        let name = &place.name;
        let have = match place.value() {
            Some(Value::List(items)) if !items.is_empty() => items.to_vec(),
            Some(other) if other.truthy() => {
                return Err(StateError::failed(format!("Grain {name} is not a valid list")));
            }
            _ => return Ok(Plan::unchanged(format!("Grain {name} does not exist"))),
        };
        let asked = match &self.value {
            Value::List(items) => items.to_vec(),
            one => vec![one.clone()],
        };
        let (mut would, mut did, mut deleted) = (vec![], vec![], vec![]);
        for value in asked {
            let shown = python::str(&value);
            if have.contains(&value) {
                would.push(format!("Value {shown} in grain {name} is set to be deleted"));
                did.push(format!("Value {shown} was deleted from grain {name}"));
                deleted.push(value);
            } else {
                would.push(format!("Value {shown} is absent from grain {name}"));
                did.push(format!("Value {shown} is absent from grain {name}"));
            }
        }
        let mut plan = Plan::unchanged(did.join("\n")).says(would.join("\n"), did.join("\n"));
        if !deleted.is_empty() {
            let rest: Vec<Value> = have.into_iter().filter(|value| !deleted.contains(value)).collect();
            plan.changes.insert("deleted", Value::list(deleted));
            place.set(cx, Some(Value::list(rest)), &mut plan)?;
        }
        Ok(plan)
    }
}
