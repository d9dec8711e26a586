//! `mc_proxy.hook`

use corpus_core::{Map, Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Does nothing: a point that other states order themselves by. From the makina-states tree, kept for it.
///
/// ```sls
/// before-web:
///   mc_proxy.hook
/// ```
#[derive(Deserialize)]
pub struct Hook {
    /// Any name.
    pub name: String,
    /// Changes to show.
    pub changes: Option<Map>,
}

impl State for Hook {
    const NAME: &'static str = "mc_proxy.hook";
    const CONVERGES: bool = false;
    const WATCHES: bool = true;
    const OPEN: bool = true;

    fn plan(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(self.with(self.changes.clone().unwrap_or_default()))
    }

    fn watch(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(self.with([(1, 1)].into_iter().collect()))
    }
}

impl Hook {
    fn with(&self, changes: Map) -> Plan {
        let comment = format!("Dummy state for {}", self.name);
        Plan { changes, ..Plan::unchanged(comment.clone()) }.says(comment.clone(), comment)
    }
}
