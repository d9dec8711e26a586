//! `status.process`

use corpus_core::{Call, Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Fails where no process has a text in its command line; changes nothing.
///
/// ```sls
/// nginx:
///   status.process
/// ```
#[derive(Deserialize)]
pub struct Process {
    /// The text.
    pub name: String,
}

impl State for Process {
    const NAME: &'static str = "status.process";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let found = cx.caller.call(&Call::new("status.pid", vec![name.as_str().into()]))?;
        if found.truthy() {
            return Ok(Plan::unchanged(format!("Process signature \"{name}\" was found ")));
        }
        // A service that an earlier step starts brings it.
        Err(StateError::missing(format!("Process signature \"{name}\" not found ")))
    }
}
