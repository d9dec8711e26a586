//! `schedule.disabled`

use super::shared;
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Not built: in Salt, disables a job of it. Nothing of corpus runs on a machine between calls, so the state fails and names
/// `cron.present`.
///
/// ```sls
/// nightly:
///   schedule.disabled: []
/// ```
#[derive(Deserialize)]
pub struct Disabled {
    /// The job.
    pub name: String,
}

impl State for Disabled {
    const NAME: &'static str = "schedule.disabled";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        Err(shared::refused(cx, &self.name))
    }
}
