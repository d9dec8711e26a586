//! `test.nop`

use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Does nothing, and succeeds: an anchor for requisites.
///
/// ```sls
/// webserver is ready:
///   test.nop
/// ```
#[derive(Deserialize)]
pub struct Nop {}

impl State for Nop {
    const NAME: &'static str = "test.nop";
    const OPEN: bool = true;
    const WATCHES: bool = true;

    fn plan(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(Plan::unchanged("Success!"))
    }

    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(super::shared::fired(cx))
    }
}
