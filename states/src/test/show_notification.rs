//! `test.show_notification`

use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Shows a text.
///
/// ```sls
/// done:
///   test.show_notification:
///     - text: The application is at http://localhost/.
/// ```
#[derive(Deserialize)]
pub struct ShowNotification {
    /// The text.
    text: Option<String>,
}

impl State for ShowNotification {
    const NAME: &'static str = "test.show_notification";
    const OPEN: bool = true;
    const WATCHES: bool = true;

    fn plan(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        match self.text.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => Ok(Plan::unchanged(text)),
            None => Err(StateError::failed("Missing required argument text.")),
        }
    }

    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(super::shared::fired(cx))
    }
}
