//! `schedule.present`

use super::shared;
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Not built: in Salt, keeps a job in the schedule of a minion. Nothing of corpus runs on a machine between calls, so the state fails and names
/// `cron.present`.
///
/// ```sls
/// nightly:
///   schedule.present: []
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The job.
    pub name: String,
}

impl State for Present {
    const NAME: &'static str = "schedule.present";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        Err(shared::refused(cx, &self.name))
    }
}
