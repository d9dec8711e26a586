//! `test.fail_without_changes`

use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Fails, and changes nothing: for what must not happen.
///
/// ```sls
/// this system is not supported: test.fail_without_changes
/// ```
#[derive(Deserialize)]
pub struct FailWithoutChanges {
    /// What to say.
    comment: Option<String>,
}

impl State for FailWithoutChanges {
    const NAME: &'static str = "test.fail_without_changes";
    const OPEN: bool = true;
    const WATCHES: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(Plan::failed(match cx.test {
            true => "If we weren't testing, this would be a failure!",
            false => self.comment.as_deref().unwrap_or("Failure!"),
        }))
    }

    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(super::shared::fired(cx))
    }
}
