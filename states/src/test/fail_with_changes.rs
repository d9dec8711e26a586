//! `test.fail_with_changes`

use super::shared::{self, pretended};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Fails, and says that it changed something.
///
/// ```sls
/// always breaks: test.fail_with_changes
/// ```
#[derive(Deserialize)]
pub struct FailWithChanges {
    /// What to say.
    comment: Option<String>,
}

impl State for FailWithChanges {
    const NAME: &'static str = "test.fail_with_changes";
    const OPEN: bool = true;
    const CONVERGES: bool = false;
    const WATCHES: bool = true;

    fn plan(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        let would = "If we weren't testing, this would be failed with changes";
        Ok(pretended().says(would, self.comment.as_deref().unwrap_or("Failure!")))
    }

    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(shared::fired(cx))
    }

    fn settle(&self, plan: &Plan, _: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        // A watch that fired succeeds, whatever the state does by itself.
        Ok(Settled { result: plan.memo.truthy(), ..Settled::as_planned(plan) })
    }
}
