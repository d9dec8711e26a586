//! `schedule.absent`

use super::shared;
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Not built: in Salt, keeps a job out of it. Nothing of corpus runs on a machine between calls, so the state fails and names
/// `cron.present`.
///
/// ```sls
/// nightly:
///   schedule.absent: []
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The job.
    pub name: String,
}

impl State for Absent {
    const NAME: &'static str = "schedule.absent";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        Err(shared::refused(cx, &self.name))
    }
}
