//! `group.absent`

use corpus_core::{Plan, PlanCx, State, StateError, Value};
use corpus_exec::shadow;
use serde::Deserialize;

/// Removes a group.
///
/// ```sls
/// oldgroup:
///   group.absent
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The group's name.
    pub name: String,
    /// Look at the local files only; that is what is done in any case.
    pub local: Option<Value>,
}

impl State for Absent {
    const NAME: &'static str = "group.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        if cx.host.group(name)?.is_none() {
            return Ok(Plan::unchanged("Group not present"));
        }
        let mut plan = Plan::default()
            .says(format!("Group {name} is set for removal"), format!("Removed group {name}"))
            .change(name.as_str(), "");
        plan.steps.push(shadow::delete_group(cx.host, name));
        Ok(plan)
    }
}
