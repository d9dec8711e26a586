//! `test.succeed_with_changes`

use super::shared::{self, pretended};
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Succeeds, and says that it changed something.
///
/// ```sls
/// always changes: test.succeed_with_changes
/// ```
#[derive(Deserialize)]
pub struct SucceedWithChanges {
    /// What to say.
    comment: Option<String>,
}

impl State for SucceedWithChanges {
    const NAME: &'static str = "test.succeed_with_changes";
    const OPEN: bool = true;
    const CONVERGES: bool = false;
    const WATCHES: bool = true;

    fn plan(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        let would = "If we weren't testing, this would be successful with changes";
        Ok(pretended().says(would, self.comment.as_deref().unwrap_or("Success!")))
    }

    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(shared::fired(cx))
    }
}
