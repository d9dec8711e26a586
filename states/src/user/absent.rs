//! `user.absent`

use corpus_core::{Plan, PlanCx, State, StateError, Value};
use corpus_exec::shadow;
use serde::Deserialize;

/// Removes a user.
///
/// ```sls
/// olduser:
///   user.absent:
///     - purge: True
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The user's name.
    pub name: String,
    /// Remove the user's files, too.
    #[serde(default)]
    pub purge: bool,
    /// Remove the user even while it is logged in.
    #[serde(default)]
    pub force: bool,
    /// Look at the local files only; that is what is done in any case.
    pub local: Option<Value>,
}

impl State for Absent {
    const NAME: &'static str = "user.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let Some(user) = cx.host.user(name)? else {
            return Ok(Plan::unchanged(format!("User {name} is not present")));
        };
        let mut plan = Plan::default().says(format!("User {name} set for removal"), format!("Removed user {name}"));
        plan.steps = shadow::delete_user(cx.host, &user, self.purge, self.force)?;
        for prediction in plan.steps.iter().flat_map(|step| &step.predicts) {
            if let corpus_core::Prediction::Group(group, None) = prediction {
                plan.changes.insert(format!("{group} group"), "removed");
            }
        }
        Ok(plan.change(name.as_str(), "removed"))
    }
}
