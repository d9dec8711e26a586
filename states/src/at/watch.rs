//! `at.watch`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Adds a job that `at` runs once when a watched state changed, and else none.
///
/// ```sls
/// restart:
///   at.watch:
///     - job: 'systemctl restart app'
///     - timespec: 'now + 1 minute'
///     - watch:
///       - file: /etc/app.conf
/// ```
#[derive(Deserialize)]
pub struct Watch {
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

impl Watch {
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

impl State for Watch {
    const NAME: &'static str = "at.watch";
    const CONVERGES: bool = false;
    const WATCHES: bool = true;

    fn plan(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(Plan::unchanged(""))
    }

    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::plan(cx, &self.wanted())
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(&self.wanted(), plan, seen))
    }
}
