//! `grains.append`

use super::shared::{self, Place};
use corpus_core::{Plan, PlanCx, State, StateError, Value, python};
use serde::Deserialize;

/// Appends a value to a grain that is there and is a list.
///
/// ```sls
/// roles:
///   grains.append:
///     - value: web
///     - convert: True
/// ```
#[derive(Deserialize)]
pub struct Append {
    /// The grain; `a:b` for a nested one.
    pub name: String,
    /// The value.
    pub value: Value,
    /// Make a list of what is none.
    #[serde(default)]
    pub convert: bool,
    /// What stands between the keys of a nested one.
    #[serde(default = "shared::colon")]
    pub delimiter: String,
}

impl State for Append {
    const NAME: &'static str = "grains.append";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let place = Place::of(cx, &self.name, &self.delimiter)?;
        let (name, shown) = (&place.name, python::str(&self.value));
        let (mut list, would) = match place.value() {
            None => return Err(StateError::missing(format!("Grain {name} does not exist"))),
            Some(Value::List(items)) if items.contains(&self.value) => {
                return Ok(Plan::unchanged(format!("Value {shown} is already in the list for grain {name}")));
            }
            Some(Value::List(items)) => (items.to_vec(), format!("Value {shown} in grain {name} is set to be added")),
            Some(other) if self.convert => (
                if other.is_null() { vec![] } else { vec![other] },
                format!("Grain {name} is set to be converted to list and value {shown} will be added"),
            ),
            Some(_) => return Err(StateError::failed(format!("Grain {name} is not a valid list"))),
        };
        list.push(self.value.clone());
        let mut plan = Plan::default()
            .says(would, format!("Value {shown} was added to grain {name}"))
            .change("added", self.value.clone());
        place.set(cx, Some(Value::list(list)), &mut plan)?;
        Ok(plan)
    }
}
