//! `schedule.enabled`

use super::shared;
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Not built: in Salt, enables a job of it. Nothing of corpus runs on a machine between calls, so the state fails and names
/// `cron.present`.
///
/// ```sls
/// nightly:
///   schedule.enabled: []
/// ```
#[derive(Deserialize)]
pub struct Enabled {
    /// The job.
    pub name: String,
}

impl State for Enabled {
    const NAME: &'static str = "schedule.enabled";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        Err(shared::refused(cx, &self.name))
    }
}
