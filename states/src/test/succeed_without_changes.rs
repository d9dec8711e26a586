//! `test.succeed_without_changes`

use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Succeeds, and changes nothing.
///
/// ```sls
/// always passes: test.succeed_without_changes
/// ```
#[derive(Deserialize)]
pub struct SucceedWithoutChanges {
    /// What to say.
    comment: Option<String>,
}

impl State for SucceedWithoutChanges {
    const NAME: &'static str = "test.succeed_without_changes";
    const OPEN: bool = true;
    const WATCHES: bool = true;

    fn plan(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(Plan::unchanged(self.comment.as_deref().unwrap_or("Success!")))
    }

    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(super::shared::fired(cx))
    }
}
