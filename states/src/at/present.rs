//! `at.present`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Adds a job that `at` runs once: one more each time, unless `unique_tag` is set.
///
/// ```sls
/// reminder:
///   at.present:
///     - job: 'wall tea'
///     - timespec: 'now + 1 hour'
///     - tag: tea
///     - unique_tag: True
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// Any name; the command, if `job` names none.
    pub name: String,
    /// When, as `at` reads it.
    pub timespec: String,
    /// A tag to find the job by.
    pub tag: Option<String>,
    /// User whose job it is.
    pub user: Option<String>,
    /// The command.
    pub job: Option<String>,
    /// Add none if there is one of this tag.
    #[serde(default)]
    pub unique_tag: bool,
}

impl Present {
    fn wanted(&self) -> shared::Wanted<'_> {
        shared::Wanted {
            job: self.job.as_deref().filter(|job| !job.is_empty()).unwrap_or(&self.name),
            timespec: &self.timespec,
            tag: self.tag.as_deref(),
            user: self.user.as_deref(),
            unique_tag: self.unique_tag,
        }
    }
}

impl State for Present {
    const NAME: &'static str = "at.present";
    const CONVERGES: bool = false;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::plan(cx, &self.wanted())
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(&self.wanted(), plan, seen))
    }
}
